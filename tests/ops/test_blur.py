"""Gaussian blur against OpenCV's and SciPy's."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from geoseg_jax.ops import blur

IMAGES = np.random.default_rng(0).uniform(0, 1, (3, 20, 17, 3)).astype(np.float32)
SIGMA = np.array([0.1, 0.9, 2.0], np.float32)


@jax.jit
def blurred(images, sigma):
    return blur.gaussian_blur(images, sigma, largest_sigma=2.0)


def test_equals_opencv_and_scipy():
    ours = blurred(IMAGES, SIGMA)
    for picture, sigma, mine in zip(IMAGES, SIGMA, ours, strict=True):
        theirs = cv2.GaussianBlur(picture, (13, 13), float(sigma), borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(mine, theirs, atol=2e-6)
        sigmas = (float(sigma),) * 2 + (0,)
        exact = ndimage.gaussian_filter(picture, sigmas, mode="nearest", truncate=6 / sigma)
        np.testing.assert_allclose(mine, exact, atol=2e-6)


def test_constant_pictures_stay_and_a_tiny_sigma_does_nothing():
    flat = jnp.full((3, 8, 8, 1), 0.7)
    np.testing.assert_allclose(blurred(flat, SIGMA), 0.7, rtol=1e-6)
    np.testing.assert_allclose(blurred(IMAGES, SIGMA)[0], IMAGES[0], atol=1e-6)


def test_the_tails_that_are_cut_off_are_small():
    weights = blur.gaussian_weights(jnp.asarray(2.0), 6)
    whole = blur.gaussian_weights(jnp.asarray(2.0), 40)
    assert float(whole.sum() - whole[34:47].sum()) < 0.003
    assert float(weights.sum()) == pytest.approx(1)


def test_sigma_must_be_positive():
    with pytest.raises(ValueError, match="largest_sigma=0"):
        blur.gaussian_blur(IMAGES, SIGMA, largest_sigma=0.0)
