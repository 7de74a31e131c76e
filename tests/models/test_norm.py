"""Batch normalisation in groups: each group as if it were a batch of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.models.norm import BatchNorm

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
