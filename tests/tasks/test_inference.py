"""Whole-picture inference: what flipping and sliding windows must not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.tasks.inference import class_scores, inverse_depth, window_starts

IMAGES = np.random.default_rng(0).random((2, 10, 14, 3)).astype(np.float32)


def pointwise(images):
    """A network that looks at each pixel alone."""
    return jnp.concatenate([5 * images, -images[..., :1]], axis=-1)


def leftmost(images):
    """A network that prefers class 0 on the left of whatever it is given."""
    x = jnp.linspace(0, 1, images.shape[2])
    return jnp.broadcast_to(jnp.stack([1 - x, x], axis=-1), (*images.shape[:3], 2)) * 4


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("window", [(), (4, 6), (10, 14), (7, 3)])
def test_a_pointwise_network_gives_the_same_by_every_way(flip, window):
    scores = jax.jit(lambda x: class_scores(pointwise, x, flip=flip, window=window))(IMAGES)
    expected = pointwise(IMAGES)
    if flip or window:
        expected = jax.nn.softmax(expected)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_flipping_takes_the_mean_of_both_directions():
    scores = class_scores(leftmost, IMAGES, flip=True)
    np.testing.assert_allclose(scores, scores[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(scores.sum(axis=-1), 1, rtol=1e-6)


def test_inverse_depth_of_mirror_images_is_mirrored_back():
    def by_colour(images):
        return images[..., 0]

    def by_place(images):  # 1 at the left border of whatever it is given
        return jnp.broadcast_to(jnp.linspace(1, 0, images.shape[2]), images.shape[:3])

    for flip in (False, True):
        found = inverse_depth(by_colour, IMAGES, flip=flip)
        np.testing.assert_allclose(found, IMAGES[..., 0], rtol=1e-6)
    found = inverse_depth(by_place, IMAGES, flip=True)
    np.testing.assert_allclose(found[:, :, 2:-2], 0.5, rtol=1e-5)
    # By the other one, for which a border lies at the other side.
    np.testing.assert_allclose(found[:, :, 0], 0, atol=1e-6)
    np.testing.assert_allclose(found[:, :, -1], 0, atol=1e-6)


def test_overlapping_windows_are_averaged():
    # One row of windows of width 8 over 14: starts 0, 3 (or so) and 6.
    starts = window_starts(14, 8)
    scores = class_scores(leftmost, IMAGES[:1, :4], window=(4, 8))
    expected, count = np.zeros((14, 2)), np.zeros((14, 1))
    part = np.asarray(jax.nn.softmax(leftmost(jnp.zeros((1, 1, 8, 3)))))[0, 0]
    for start in starts:
        expected[start : start + 8] += part
        count[start : start + 8] += 1
    np.testing.assert_allclose(scores[0, 0], expected / count, atol=1e-6)


@pytest.mark.parametrize(("size", "window"), [(14, 8), (10, 10), (100, 32), (33, 32), (5, 1)])
def test_windows_cover_the_picture_and_end_at_its_border(size, window):
    starts = window_starts(size, window)
    assert starts[0] == 0
    assert starts[-1] == size - window
    gaps = np.diff(starts)
    assert (gaps <= max(1, window * 2 // 3)).all()
    assert (gaps > 0).all()


def test_a_window_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match=r"window=\(11, 4\) must be .* within the picture's 10x14"):
        class_scores(pointwise, IMAGES, window=(11, 4))
