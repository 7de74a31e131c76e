"""Holes and what surrounds them, against loops in numpy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import inpainting

RNG = np.random.default_rng(0)


def test_each_start_makes_a_whole_square():
    key = jax.random.key(3)
    holes = np.asarray(inpainting.draw_holes(key, 40, 50, least=0.004, most=0.004, size=5))
    # The pixels around which the whole square is hole must explain every pixel of a hole.
    padded = np.pad(holes, 2, constant_values=True)
    starts = np.zeros_like(holes)
    for y in range(40):
        for x in range(50):
            starts[y, x] = padded[y : y + 5, x : x + 5].all()
    explained = np.zeros_like(holes)
    for y, x in zip(*np.nonzero(starts), strict=True):
        explained[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = True
    assert holes.any()
    assert not holes.all()
    np.testing.assert_array_equal(explained, holes)


def test_the_share_of_holes_is_that_of_the_closed_form():
    keys = jax.random.split(jax.random.key(0), 20)
    draw = jax.jit(
        jax.vmap(lambda k: inpainting.draw_holes(k, 96, 96, least=0.005, most=0.005, size=7))
    )
    inner = np.asarray(draw(keys))[:, 3:-3, 3:-3]  # away from the border
    assert 1 - inner.mean() == pytest.approx((1 - 0.005) ** 49, abs=0.02)


def test_the_share_is_drawn_between_its_ends():
    keys = jax.random.split(jax.random.key(1), 30)
    draw = jax.jit(jax.vmap(lambda k: inpainting.draw_holes(k, 64, 64, size=1)))
    shares = np.asarray(draw(keys)).mean(axis=(1, 2))
    assert 0.0 < shares.min() < 0.004 < 0.007 < shares.max() < 0.015


def test_an_even_size_is_refused():
    with pytest.raises(ValueError, match="odd"):
        inpainting.draw_holes(jax.random.key(0), 8, 8, size=6)


def test_means_see_known_pixels_alone():
    images = RNG.uniform(0, 1, (2, 9, 8, 3)).astype(np.float32)
    known = RNG.random((2, 9, 8)) < 0.3
    known[0, :5, :5] = False
    colour = inpainting.mean_colour(jnp.asarray(images), jnp.asarray(known))
    median = inpainting.median_colour(jnp.asarray(images), jnp.asarray(known))
    around = inpainting.mean_of_surroundings(jnp.asarray(images), jnp.asarray(known), 3)
    for n in range(2):
        mean = images[n][known[n]].mean(axis=0)
        np.testing.assert_allclose(colour[n, 0, 0], mean, rtol=1e-5)
        np.testing.assert_allclose(median[n, 0, 0], np.median(images[n][known[n]], axis=0))
        for y in range(9):
            for x in range(8):
                window = np.s_[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                there = images[n][window][known[n][window]]
                expected = there.mean(axis=0) if len(there) else mean
                np.testing.assert_allclose(around[n, y, x], expected, rtol=1e-4)


def test_without_a_known_pixel_colours_are_zero():
    images, none = jnp.ones((1, 4, 4, 3)), jnp.zeros((1, 4, 4), bool)
    assert float(inpainting.mean_colour(images, none).max()) == 0
    assert float(inpainting.median_colour(images, none).max()) == 0
