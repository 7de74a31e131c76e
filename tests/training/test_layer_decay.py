"""Layer-wise learning-rate decay by hand, as the optimiser applies it; what weight decay spares."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from geoseg_jax import models
from geoseg_jax.training.layer_decay import layer_multipliers
from geoseg_jax.training.optimizers import make_optimizer, paths


def names_of(kind):
    encoder, images = models.make_encoder(kind), jnp.zeros((1, 32, 32, 3))
    params = jax.eval_shape(lambda: encoder.init(jax.random.key(0), images, False))["params"]
    return [f"encoder/{name}" for name in jax.tree.leaves(paths(params))]


def test_a_vits_layers_are_maes():
    """MAE's param_groups_lrd: patches and positions 0, block i is i + 1, the rest is full."""
    found = layer_multipliers([*names_of("vit_s16"), "decoder/x/kernel", "pose/encoder/norm"], 0.5)
    for name, power in {
        **dict.fromkeys(("cls_token", "pos_embed", "patch_embed/kernel", "patch_embed/bias"), 13),
        "blocks_0/norm1/scale": 12,
        "blocks_9/attn/qkv/kernel": 3,
        "blocks_11/mlp/fc2/bias": 1,
        "norm/scale": 0,
    }.items():
        assert found[f"encoder/{name}"] == 0.5**power, name
    assert found["decoder/x/kernel"] == found["pose/encoder/norm"] == 1.0
    # Blocks are counted, not sorted by their names: 10 comes behind 9.
    assert found["encoder/blocks_10/norm1/scale"] == 0.25


def test_a_resnets_layers_are_its_blocks():
    found = layer_multipliers(names_of("resnet18"), 0.5)  # two blocks in each of four stages
    for name, power in {
        "conv1/kernel": 9,
        "bn1/scale": 9,
        "layer1_0/conv1/kernel": 8,
        "layer2_1/bn2/bias": 5,
        "layer4_1/conv2/kernel": 1,
    }.items():
        assert found[f"encoder/{name}"] == 0.5**power, name


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_optimiser_applies_it_on_top_of_rules(name):
    params = {
        "encoder": {
            "pos_embed": jnp.ones((2, 2, 1)),
            "blocks_0": {"kernel": jnp.ones((1, 1))},
            "blocks_1": {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)},
        },
        "head": {"kernel": jnp.ones((1, 1))},
    }
    config = {"name": name, "learning_rate": 0.1, "momentum": 0.0, "layer_decay": 0.5}
    config |= {"rules": (("encoder/blocks_1/bias", 3.0), ("head/.*", 0.0))}

    def moved(weight_decay, gradient):
        optimizer = make_optimizer(config | {"weight_decay": weight_decay}, 10, params, {})
        grads = jax.tree.map(lambda p: jnp.full_like(p, gradient), params)
        updates, _ = optimizer.transform.update(
            grads, optimizer.transform.init(params), params, rate=optimizer.schedule(0)
        )
        new = optax.apply_updates(params, updates)
        return jax.tree.map(lambda a, b: float(np.max(a - b)), params, new)

    encoder = moved(0.0, 1.0)["encoder"]  # Adam's first step is the rate, as is a gradient of 1
    np.testing.assert_allclose(encoder["pos_embed"], 0.1 / 8, rtol=1e-4)
    np.testing.assert_allclose(encoder["blocks_0"]["kernel"], 0.1 / 4, rtol=1e-4)
    np.testing.assert_allclose(encoder["blocks_1"]["kernel"], 0.1 / 2, rtol=1e-4)
    np.testing.assert_allclose(encoder["blocks_1"]["bias"], 0.3 / 2, rtol=1e-4)
    decayed = moved(0.2, 0.0)
    np.testing.assert_allclose(decayed["encoder"]["blocks_1"]["kernel"], 0.01, rtol=1e-4)
    assert decayed["encoder"]["pos_embed"] == decayed["encoder"]["blocks_1"]["bias"] == 0.0
    assert decayed["head"]["kernel"] == 0.0
