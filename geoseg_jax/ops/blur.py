"""Gaussian blur with a width of its own for every picture."""

import math
from typing import cast

import jax
import jax.numpy as jnp


def gaussian_weights(sigma: jax.Array, radius: int) -> jax.Array:
    """Samples of a Gaussian at -radius, ..., radius that sum to 1: [..., 2 radius + 1] float32.

    sigma: [...] pixels, above 0.
    """
    place = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    exponent = -0.5 * jnp.square(place / sigma[..., None])
    return jax.nn.softmax(exponent, axis=-1)


def gaussian_blur(images: jax.Array, sigma: jax.Array, *, largest_sigma: float) -> jax.Array:
    """Blurs along both axes, each picture by its own sigma; beyond the border its pixels repeat.

    The taps reach to three times the largest sigma, whatever a picture's own, so that the shapes
    don't depend on the draw; what is cut off weighs less than 0.3 %. Sums of shifted pictures: a
    convolution with a kernel per example is a grouped one, which XLA runs slowly everywhere.

    Args:
      images: float [N, H, W, C].
      sigma: float [N] pixels, in (0, largest_sigma].
      largest_sigma: pixels.

    Returns:
      [N, H, W, C] of the images' dtype.

    Raises:
      ValueError: for a largest sigma that is not above 0.
    """
    if not largest_sigma > 0:
        raise ValueError(f"largest_sigma={largest_sigma} must be above 0 pixels")
    radius = math.ceil(3 * largest_sigma)
    weights = gaussian_weights(sigma, radius).astype(images.dtype)
    return _along(_along(images, weights, 1), weights, 2)


def _along(images: jax.Array, weights: jax.Array, axis: int) -> jax.Array:
    """Correlates axis 1 or 2 with each example's own taps [N, 2 radius + 1]."""
    size, taps = images.shape[axis], weights.shape[-1]
    edges = [(taps // 2, taps // 2) if a == axis else (0, 0) for a in range(images.ndim)]
    padded = jnp.pad(images, edges, mode="edge")
    total = sum(
        weights[:, i, None, None, None] * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
        for i in range(taps)
    )
    return cast(jax.Array, total)
