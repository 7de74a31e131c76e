"""Networks whose blocks are computed again have the same gradients, and keep less for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.models import remat
from geoseg_jax.models.mae import MaeNet
from geoseg_jax.tasks.base import Aux
from geoseg_jax.training import accumulation
from geoseg_jax.training.accumulation import Thrift
from tests.models.weights import images, randomise

KEEP = np.tile(np.arange(8, dtype=np.int32), (2, 1))
# Network, what it takes beside pictures, and the share that is kept for the gradient at most.
NETWORKS = {
    "tiny": (models.make_encoder("tiny"), (True,), 0.7),
    "vit_tiny": (models.make_encoder("vit_tiny"), (True,), 0.25),
    "mae": (MaeNet("vit_tiny", 4, 32, 2), (KEEP,), 0.25),
}


def loss_of(network, rest):
    """A task's loss: the squares of all that a network gives."""

    def loss(variables, key, batch, progress):
        out, changed = network.apply(variables, batch["image"], *rest, mutable=["batch_stats"])
        squares = sum(jnp.mean(jnp.square(x)) for x in jax.tree.leaves(out))
        return squares, Aux(changed.get("batch_stats", {}), {})

    return loss


def bytes_kept(loss, variables, batch):
    """Those of all that the gradient by the parameters reads again, parameters left out."""

    def residuals(params):
        rest = variables | {"params": params}
        return jax.vjp(lambda p: loss(rest | {"params": p}, None, batch, 0.0)[0], params)[1]

    kept = jax.tree.leaves(jax.eval_shape(residuals, variables["params"]))
    own = [x.shape for x in jax.tree.leaves(variables["params"])]
    return sum(x.size * x.dtype.itemsize for x in kept if x.shape not in own)


BATCH = {"image": images((2, 64, 96, 3))}


def loss_and_variables(name):
    network, rest, _ = NETWORKS[name]
    pictures, key = BATCH["image"], jax.random.key(0)
    shapes = jax.eval_shape(lambda key: network.init(key, pictures, *rest), key)
    return loss_of(network, rest), {"batch_stats": {}} | randomise(shapes)


@pytest.mark.parametrize("name", NETWORKS)
def test_less_is_kept(name):
    loss, variables = loss_and_variables(name)
    kept = []
    for wanted in (False, True):
        with remat.traced(wanted):
            kept.append(bytes_kept(loss, variables, BATCH))
    assert kept[1] < NETWORKS[name][2] * kept[0]


@pytest.mark.parametrize("name", ["tiny", "vit_tiny"])
def test_gradients_and_statistics_are_the_same(name):
    loss, variables = loss_and_variables(name)

    def gradients(variables, wanted):
        made = accumulation.make_gradients(loss, lambda a, b: b, None, Thrift(remat=wanted))
        return made(variables, jax.random.key(0), BATCH, 0.0)

    plain, again = jax.jit(lambda v: (gradients(v, False), gradients(v, True)))(variables)
    for wanted in (False, True):
        text = str(jax.make_jaxpr(lambda v, w=wanted: gradients(v, w))(variables))
        assert ("checkpoint[" in text or "remat" in text) == wanted
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(a).max())


def test_what_is_asked_for_ends_with_the_trace():
    with pytest.raises(KeyError), remat.traced(True):
        raise KeyError
    assert remat.block(models.vit.Block) is models.vit.Block
