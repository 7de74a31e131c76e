"""Patches against numpy, and there and back."""

import jax
import numpy as np

from geoseg_jax.models.vit import patchify
from geoseg_jax.ops import patches

X = np.random.default_rng(0).uniform(0, 1, (2, 32, 48, 3)).astype(np.float32)


def test_there_and_back():
    cut = patchify(X, 16)
    np.testing.assert_array_equal(patches.unpatchify(cut, 32, 48, 16), X)
    np.testing.assert_array_equal(cut[1, 4].reshape(16, 16, 3), X[1, 16:32, 16:32])


def test_normalised_by_their_own_mean_and_deviation():
    cut = patchify(X, 16)
    wide = np.asarray(cut, np.float64)
    expected = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(
        wide.var(-1, ddof=1, keepdims=True) + 1e-6
    )
    ours = patches.normalise_patches(cut)
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    np.testing.assert_allclose(patches.restore_patches(ours, cut), cut, atol=1e-5)


def test_a_flat_patch_is_zero():
    flat = np.full((1, 2, 12), 0.3, np.float32)
    np.testing.assert_allclose(patches.normalise_patches(flat), 0, atol=1e-3)


def test_choice_of_patches():
    keep, hidden = jax.vmap(lambda k: patches.choose_patches(k, 12, 3))(
        jax.random.split(jax.random.key(0), 400)
    )
    assert keep.shape == (400, 3)
    assert (np.asarray(hidden).sum(1) == 9).all()
    for numbers, mask in zip(np.asarray(keep), np.asarray(hidden), strict=True):
        assert set(numbers) == set(np.flatnonzero(~mask))
    # Every patch is as likely as any other: 400 * 3 / 12 times each, give or take.
    counts = np.bincount(np.asarray(keep).ravel(), minlength=12)
    assert np.abs(counts - 100).max() < 40
