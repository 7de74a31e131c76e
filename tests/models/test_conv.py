"""Convolution and batch norm against NumPy and SciPy, and sharded against not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax.sharding import NamedSharding, PartitionSpec

from geoseg_jax.models import conv, norm
from tests.models import weights

NUMPY_MODE = {"zero": "constant", "reflect": "reflect"}


def by_scipy(x, kernel, stride, padding):
    half = kernel.shape[0] // 2
    x = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), mode=NUMPY_MODE[padding])
    out = [
        sum(
            scipy.signal.correlate2d(picture[..., i], kernel[..., i, o], mode="valid")
            for i in range(x.shape[-1])
        )
        for picture in x
        for o in range(kernel.shape[-1])
    ]
    out = np.stack(out).reshape(len(x), kernel.shape[-1], *out[0].shape)
    return out.transpose(0, 2, 3, 1)[:, ::stride, ::stride]


@pytest.mark.parametrize("padding", conv.PADDINGS)
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_conv_is_scipys(padding, size, stride):
    x = weights.images((2, 8, 10, 3))
    kernel = weights.images((size, size, 3, 4), seed=1)
    ours = conv.conv2d(jnp.asarray(x), jnp.asarray(kernel), stride=stride, padding=padding)
    np.testing.assert_allclose(ours, by_scipy(x, kernel, stride, padding), rtol=1e-5, atol=1e-5)


def test_a_depth_head_of_bfloat16_ends_in_float32():
    """Around a logit of -4.7 bfloat16 has steps of 1/32, which are 3 % of a depth."""
    x = jnp.asarray(weights.images((1, 8, 8, 5)), jnp.bfloat16)
    layer = conv.Conv(1, padding="reflect", dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    variables["params"]["bias"] = jnp.full(1, -4.7)
    kernel = variables["params"]["kernel"].astype(jnp.bfloat16).astype(jnp.float32)
    expected = conv.conv2d(x.astype(jnp.float32), kernel, padding="reflect") - 4.7
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-5)


def test_unknown_padding_names_the_choices():
    with pytest.raises(ValueError, match=r"'same'.*reflect"):
        conv.conv2d(jnp.zeros((1, 4, 4, 1)), jnp.zeros((3, 3, 1, 1)), padding="same")


def test_conv_starts_as_pytorchs():
    x = jnp.zeros((1, 4, 4, 16))
    params = conv.Conv(64).init(jax.random.key(0), x)["params"]
    bound = 1 / np.sqrt(9 * 16)
    for name in ("kernel", "bias"):
        values = np.abs(params[name])
        assert bound * 0.9 < values.max() <= bound
    np.testing.assert_allclose(np.std(params["kernel"]), bound / np.sqrt(3), rtol=0.03)


def test_batch_norm_by_hand():
    x = weights.images((2, 3, 4, 5)) * 3 + 1
    layer = norm.BatchNorm()
    variables = weights.randomise(layer.init(jax.random.key(0), x, False))
    p, s = variables["params"], variables["batch_stats"]
    y, updated = layer.apply(variables, x, True, mutable=["batch_stats"])
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = (x - mean) / np.sqrt(var + 1e-5) * p["scale"] + p["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    updated = updated["batch_stats"]
    np.testing.assert_allclose(updated["mean"], 0.9 * s["mean"] + 0.1 * mean, rtol=1e-5)
    # 24 values a channel: the unbiased variance differs by 4 percent.
    unbiased = x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(updated["var"], 0.9 * s["var"] + 0.1 * unbiased, rtol=1e-5)
    y = layer.apply(variables, x, False)
    expected = (x - s["mean"]) / np.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_sees_the_whole_sharded_batch():
    x = weights.images((8, 2, 3, 4)) + np.arange(8.0, dtype=np.float32)[:, None, None, None]
    layer = norm.BatchNorm()
    variables = layer.init(jax.random.key(0), x, False)
    run = jax.jit(lambda v, x: layer.apply(v, x, True, mutable=["batch_stats"]))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    alone, spread = run(variables, x), run(variables, sharded)
    assert len(spread[0].sharding.device_set) == 8
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), alone, spread)


def test_batch_norm_of_bfloat16_counts_in_float32():
    # 1 in 4096 values differs: a bfloat16 mean (8 bits) would be 256 or 257.
    x = np.full((4, 32, 32, 1), 256.0)
    x[0, 0, 0] = 260.0
    layer = norm.BatchNorm(dtype=jnp.bfloat16)
    x = jnp.asarray(x, jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x, False)
    y, updated = layer.apply(variables, x, True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    mean = updated["batch_stats"]["mean"]
    assert mean.dtype == jnp.float32
    np.testing.assert_allclose(mean, 0.1 * (256 + 4 / 4096), rtol=1e-6)
