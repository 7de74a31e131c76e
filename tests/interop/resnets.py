"""Random state dicts of residual networks as torchvision names them, made without PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax import models
from tests.models import weights

SUFFIX = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


@functools.cache
def encoder_variables(kind: str) -> dict:
    """Variables of an encoder alone, random."""
    encoder, images = models.make_encoder(kind), jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda: encoder.init(jax.random.key(0), images, False))
    return weights.randomise(shapes)


def torchvision(kind: str, prefix: str = "", classes: int = 7) -> dict[str, np.ndarray]:
    """What torchvision's state_dict() would hold, classifier and counters included."""
    arrays = {}
    for tree in encoder_variables(kind).values():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            *modules, last = (p.key for p in path)
            name = ".".join([m.replace("_", ".") for m in modules] + [SUFFIX[last]])
            arrays[prefix + name] = leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf
            if last == "var":
                arrays[prefix + name.replace("running_var", "num_batches_tracked")] = np.int64(9)
    last = encoder_variables(kind)["params"]["layer4_0"]
    wide = last["bn3" if "bn3" in last else "bn2"]["scale"].size
    arrays[prefix + "fc.weight"] = np.zeros((classes, wide), np.float32)
    arrays[prefix + "fc.bias"] = np.zeros(classes, np.float32)
    return arrays


def assert_is_encoder(found: dict, kind: str) -> None:
    """Every array of read_weights' variables is that of encoder_variables, bit for bit."""
    expected = encoder_variables(kind)
    ours = {collection: tree["encoder"] for collection, tree in found.items() if "encoder" in tree}
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, ours, expected)
