"""Batch normalisation: in groups, of channels far from zero, of a sharded batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.models.norm import BatchNorm
from geoseg_jax.training import sharding

X = np.random.default_rng(0).normal(1.5, 2.0, (6, 2, 3, 4)).astype(np.float32)


def run(x, groups, train=True):
    net = BatchNorm(groups=groups)
    variables = net.init(jax.random.key(0), x, train=False)
    if not train:
        return net.apply(variables, x, train=False)
    return net.apply(variables, x, train=True, mutable=["batch_stats"])


def test_each_group_is_normalised_alone():
    y, updated = run(X, 3)
    parts = [run(X[i : i + 2], 1) for i in (0, 2, 4)]
    np.testing.assert_allclose(y, np.concatenate([part for part, _ in parts]), atol=1e-5)
    for name in ("mean", "var"):
        expected = np.mean([stats["batch_stats"][name] for _, stats in parts], axis=0)
        np.testing.assert_allclose(updated["batch_stats"][name], expected, rtol=1e-5)


def test_the_numbers_by_hand():
    y, updated = run(X, 2)
    groups = X.reshape(2, 3, 2, 3, 4).astype(np.float64)
    mean = groups.mean(axis=(1, 2, 3), keepdims=True)
    std = np.sqrt(groups.var(axis=(1, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, ((groups - mean) / std).reshape(X.shape), atol=1e-5)
    unbiased = groups.var(axis=(1, 2, 3), ddof=1).mean(axis=0)
    np.testing.assert_allclose(updated["batch_stats"]["var"], 0.9 + 0.1 * unbiased, rtol=1e-5)


def test_a_group_does_not_see_the_others():
    other = X.copy()
    other[2:] += 7.0
    a, b = run(X, 3)[0], run(other, 3)[0]
    np.testing.assert_array_equal(a[:2], b[:2])
    # As one batch it does, which is what leaks between examples.
    assert np.abs(run(X, 1)[0][:2] - run(other, 1)[0][:2]).max() > 0.1


def test_evaluation_has_no_groups():
    np.testing.assert_array_equal(run(X[:5], 4, train=False), run(X[:5], 1, train=False))


def test_groups_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="6 can't be cut into 4 equal groups"):
        run(jnp.asarray(X), 4)


def normalised(x):
    """In float64: the batch normalised, and the gradient of the sum of its sines."""
    x = x.astype(np.float64)
    centred, std = x - x.mean((0, 1, 2)), np.sqrt(x.var((0, 1, 2)) + 1e-5)
    y = centred / std
    slope = np.cos(y)
    along = y * (slope * y).mean((0, 1, 2))
    return y, (slope - slope.mean((0, 1, 2)) - along) / std


@pytest.mark.parametrize("offset", [0.0, -30.0, 1000.0])
@pytest.mark.parametrize("groups", [1, 2])
def test_values_statistics_and_gradient_a_thousand_deviations_from_zero(offset, groups):
    x = np.random.default_rng(1).normal(offset, 1.0, (8, 11, 13, 3)).astype(np.float32)
    net = BatchNorm(groups=groups)
    variables = net.init(jax.random.key(0), x, train=False)

    def total(x):
        y, updated = net.apply(variables, x, train=True, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y)), (y, updated["batch_stats"])

    gradient, (y, stats) = jax.jit(jax.grad(total, has_aux=True))(x)
    parts = np.split(x, groups)
    expected, slopes = map(np.concatenate, zip(*map(normalised, parts), strict=True))
    np.testing.assert_allclose(y, expected, atol=5e-5)
    np.testing.assert_allclose(gradient, slopes, atol=5e-5)
    wide = [part.astype(np.float64) for part in parts]
    variance = np.mean([part.var((0, 1, 2), ddof=1) for part in wide], axis=0)
    mean = np.mean([part.mean((0, 1, 2)) for part in wide], axis=0)
    # Of the stored mean and variance a tenth is the batch's.
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * variance, rtol=1e-5)
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5, atol=1e-5)


def test_a_sharded_batch_is_one_batch_and_is_not_gathered():
    x = np.random.default_rng(2).normal(1000.0, 1.0, (8, 9, 10, 3)).astype(np.float32)
    net = BatchNorm()
    variables = net.init(jax.random.key(0), x, train=False)

    def step(x):
        def total(x):
            y, updated = net.apply(variables, x, train=True, mutable=["batch_stats"])
            return jnp.sum(jnp.sin(y)), updated["batch_stats"]

        return jax.grad(total, has_aux=True)(x)

    there = sharding.to_devices({"x": x}, sharding.make_mesh())["x"]
    compiled = jax.jit(step).lower(there).compile()
    gradient, stats = compiled(there)
    alone, expected = jax.jit(step)(x)
    np.testing.assert_allclose(gradient, alone, atol=2e-5)
    for name in ("mean", "var"):
        np.testing.assert_allclose(stats[name], expected[name], rtol=1e-5)
    assert "all-gather" not in compiled.as_text()
