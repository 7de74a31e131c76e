"""One encoder shared by depth and pose."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.models import encoders
from geoseg_jax.models.pose import PoseHead
from geoseg_jax.tasks.selfsup_depth import temporal_pairs

CHANNELS = (4, 4, 4, 4, 4)
OFFSETS = (-1, 1)


@functools.cache
def shared():
    """A network, its variables, a target, its sources and their pairs."""
    net = models.SelfSupDepthNet("tiny", CHANNELS, pose_encoder="shared", scales=1, offsets=OFFSETS)
    random = np.random.default_rng(0)
    target = jnp.asarray(random.random((2, 32, 64, 3)), jnp.float32)
    sources = jnp.asarray(random.random((2, 2, 32, 64, 3)), jnp.float32)
    pairs = temporal_pairs(target, sources, OFFSETS)
    variables = jax.jit(net.init, static_argnums=3)(jax.random.key(0), target, pairs, False)
    return net, variables, target, sources, pairs


def test_a_shared_encoder_sees_each_frame_and_the_earlier_one_comes_first():
    net, variables, target, sources, pairs = shared()
    assert set(variables["params"]["pose"]) == {"squeeze", "pose_0", "pose_1", "pose_2"}
    disparities, twists = jax.jit(net.apply, static_argnums=3)(variables, target, pairs, False)
    assert disparities[0].shape == (2, 32, 64)

    part = {name: tree["encoder"] for name, tree in variables.items()}
    encode = jax.jit(lambda x: encoders.make_encoder("tiny").apply(part, x, False)[32])
    before, at, after = map(encode, (sources[:, 0], target, sources[:, 1]))
    head = {"params": variables["params"]["pose"]}
    for i, pair in enumerate(((before, at), (at, after))):
        wanted = PoseHead().apply(head, *pair)
        # Of each example its pairs lie side by side.
        np.testing.assert_allclose(twists.reshape(2, 2, 6)[:, i], wanted, atol=1e-6)


def test_pose_trains_a_shared_encoder():
    net, variables, target, _, pairs = shared()

    @jax.jit
    @jax.grad
    def gradient(params):
        everything = variables | {"params": params}
        return jnp.sum(net.apply(everything, target, pairs, False)[1] ** 2)

    sizes = jax.tree.map(lambda g: float(jnp.abs(g).max()), gradient(variables["params"]))
    assert min(jax.tree.leaves(sizes["encoder"]["conv1"])) > 0
    assert max(jax.tree.leaves(sizes["decoder"])) == 0


def test_a_shared_encoder_has_no_pose_network_for_pairs_alone():
    net, variables, _, _, pairs = shared()
    with pytest.raises(ValueError, match="pose_encoder='shared'"):
        net.apply(variables, pairs, False, method="twists")
