"""Errors of a depth map against one that was measured, here and there or everywhere.

All take predicted and truth as [..., H, W] in metres and valid, bool of that shape: where truth
was measured. What isn't valid may hold any number and gives neither value nor gradient. Those that
are defined pixel by pixel return maps, 0 where not valid; those that compare the pixels of an image
with each other return one number an image.
"""

import jax
import jax.numpy as jnp
from jax import lax


def masked_mean(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Averages the valid values of each image: [..., H, W] -> [...]; 0 where none is valid."""
    total = jnp.where(valid, values, 0).sum(axis=(-2, -1))
    return total / jnp.maximum(valid.sum(axis=(-2, -1)), 1)


def mean_over_images(per_image: jax.Array, valid: jax.Array) -> jax.Array:
    """Averages [B] over the images that have a valid pixel in [B, H, W]; 0 where none has."""
    counts = valid.any(axis=(-2, -1))
    return jnp.where(counts, per_image, 0).sum() / jnp.maximum(counts.sum(), 1)


def absolute_error(predicted: jax.Array, truth: jax.Array, valid: jax.Array) -> jax.Array:
    """Computes |p - t| in metres, [..., H, W]."""
    return jnp.abs(jnp.where(valid, predicted - truth, 0))


def berhu(
    predicted: jax.Array, truth: jax.Array, valid: jax.Array, share: float = 0.2
) -> jax.Array:
    """Computes the reverse Huber norm: linear for small errors, quadratic for large ones, metres.

    Laina et al., "Deeper Depth Prediction with Fully Convolutional Residual Networks", 3DV 2016,
    equations 1 and 2: B(x) = |x| up to c, (x^2 + c^2) / (2 c) beyond, with c a share, one fifth, of
    the largest |x| of all images given. Value and slope are continuous at c. No gradient goes
    through c: it says where the two halves meet, and is nothing to be made small.

    Returns:
      [..., H, W].
    """
    error = absolute_error(predicted, truth, valid)
    threshold = share * lax.stop_gradient(error.max())
    # Without any error there is no half that is quadratic.
    positive = jnp.where(threshold > 0, threshold, 1)
    return jnp.where(error <= threshold, error, (error**2 + threshold**2) / (2 * positive))


def scale_invariant_log(
    predicted: jax.Array, truth: jax.Array, valid: jax.Array, variance_focus: float = 0.5
) -> jax.Array:
    """Computes the squared error of log depth, part of that of the image's scale forgiven, [...].

    With d = log p - log t over the n valid pixels of an image,

        D = sum d^2 / n - variance_focus * (sum d)^2 / n^2:

    Eigen, Puhrsch, Fergus, NIPS 2014, equation 4 (variance_focus 0.5). At 0 it is the mean square,
    at 1 the variance, and the scale is free. It is computed as the variance and the rest of the
    squared mean, which can't be negative.
    """
    difference = _log_difference(predicted, truth, valid)
    mean = masked_mean(difference, valid)
    variance = masked_mean((difference - mean[..., None, None]) ** 2, valid)
    return variance + (1 - variance_focus) * mean**2


def scale_invariant_log_root(
    predicted: jax.Array, truth: jax.Array, valid: jax.Array, variance_focus: float = 0.85
) -> jax.Array:
    """Computes 10 times the root of scale_invariant_log, [...].

    Lee et al., "From Big to Small: Multi-Scale Local Planar Guidance for Monocular Depth
    Estimation", arXiv:1907.10326, equations 5 and 6: near the minimum a square is flat, its root
    is not. They take all pixels of a batch as one; here each image is one, as in Eigen's equation.
    """
    square = scale_invariant_log(predicted, truth, valid, variance_focus)
    # The slope of a root at 0 is infinite: an image without a valid pixel, or a perfect one.
    zero = square <= 0  # and no more than that: NaN stays NaN
    return 10 * jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def gradient_matching(
    predicted: jax.Array, truth: jax.Array, valid: jax.Array, scales: int = 4
) -> jax.Array:
    """Compares the log error of neighbours, over scales: edges belong where the truth has them.

    Li and Snavely, "MegaDepth", CVPR 2018, equation 4; Ranftl et al., "Towards Robust Monocular
    Depth Estimation" (MiDaS), TPAMI 2020, equation 11: with R = log p - log t, the sum over scales
    of sum |R(x + 1) - R(x)| + |R(y + 1) - R(y)| over the number of valid pixels; at scale k of
    every 2^k-th pixel along both axes. A difference counts where both of its ends are valid, so
    that sparse truth gives little; a factor common to an image gives nothing.

    Returns:
      [...], of log depth.
    """
    difference = _log_difference(predicted, truth, valid)
    total = jnp.zeros(difference.shape[:-2], difference.dtype)
    for scale in range(scales):
        step = 2**scale
        coarse, known = (a[..., ::step, ::step] for a in (difference, valid))
        along_x = jnp.abs(jnp.diff(coarse, axis=-1))
        along_y = jnp.abs(jnp.diff(coarse, axis=-2))
        both_x = known[..., 1:] & known[..., :-1]
        both_y = known[..., 1:, :] & known[..., :-1, :]
        slopes = jnp.where(both_x, along_x, 0).sum(axis=(-2, -1))
        slopes += jnp.where(both_y, along_y, 0).sum(axis=(-2, -1))
        total += slopes / jnp.maximum(known.sum(axis=(-2, -1)), 1)
    return total


def _log_difference(predicted: jax.Array, truth: jax.Array, valid: jax.Array) -> jax.Array:
    """Computes log p - log t; 0 where not valid, with no gradient there either."""
    return jnp.log(jnp.where(valid, predicted, 1)) - jnp.log(jnp.where(valid, truth, 1))
