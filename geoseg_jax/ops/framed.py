"""Photometric error of pictures with a frame, and its derivative, without padding anything big.

The parts of ops.reprojection that look at windows. Pictures are planes [..., C, H+6, W+6] here:
with three channels innermost nothing vectorises, and the frame saves every later padding.
"""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from geoseg_jax.ops import photometric
from geoseg_jax.ops.apart import apart

# Pixels added around pictures: one, mirrored, for SSIM's windows at the border, and two without
# meaning, so that the adjoint of the windows needs no padding either.
FRAME = 3


def add_frame(planes: jax.Array) -> jax.Array:
    """Adds the frame: [..., H, W] -> [..., H+6, W+6], see FRAME."""
    for mode, width in (("reflect", 1), ("edge", FRAME - 1)):
        pad = [(0, 0)] * (planes.ndim - 2) + [(width, width)] * 2
        planes = jnp.pad(planes, pad, mode=mode)
    return planes


def inside(maps: jax.Array, frame: int) -> jax.Array:
    """Cuts off `frame` pixels at each side."""
    return maps[..., frame:-frame, frame:-frame]


def frame_indices(size: int) -> np.ndarray:
    """Returns the pixel that each row or column of a framed picture shows."""
    return np.pad(np.pad(np.arange(size), 1, mode="reflect"), FRAME - 1, mode="edge")


def frame_positions(framed: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns y [H+6, 1] and x [W+6] of the pixels of framed maps [..., H+6, W+6]."""
    rows, columns = (
        jnp.asarray(frame_indices(size - 2 * FRAME), framed.dtype) for size in framed.shape[-2:]
    )
    return rows[:, None], columns


def _window_mean(planes: jax.Array) -> jax.Array:
    """Returns the mean of each whole 3x3 window, [..., H, W] -> [..., H-2, W-2].

    By reduce_window, which XLA never fuses: sums of slices would compute all that comes before
    them nine times over, in each of their uses.
    """
    ones = (1,) * (planes.ndim - 2)
    for window in ((3, 1), (1, 3)):
        planes = lax.reduce_window(
            planes, np.zeros((), planes.dtype), lax.add, ones + window, (1,) * planes.ndim, "VALID"
        )
    return planes * (1 / 9)


def _channel_mean(planes: jax.Array) -> jax.Array:
    # Written out: a reduction over the third last axis is not vectorised on a CPU.
    channels = planes.shape[-3]
    total = sum(planes[..., i, :, :] for i in range(channels))
    return cast(jax.Array, total / channels)


class Target(NamedTuple):
    """The target view, framed, and its windows: one pixel less at each side."""

    planes: jax.Array  # framed [B, 1, C, H+6, W+6]
    mean: jax.Array  # of each window, [B, 1, C, H+4, W+4]
    variance: jax.Array  # likewise


def prepare_target(target: jax.Array) -> Target:
    """Frames the target [B, H, W, C] and computes its window statistics."""
    planes = add_frame(jnp.moveaxis(target, -1, -3))[:, None]
    mean = _window_mean(planes)
    return Target(planes, mean, _window_mean(planes * planes) - mean * mean)


class Statistics(NamedTuple):
    """Means over windows of the predicted picture p and the target t, [B, S, C, H+4, W+4]."""

    mean: jax.Array  # of p
    square: jax.Array  # of p^2
    product: jax.Array  # of p t


def window_statistics(predicted: jax.Array, target: jax.Array) -> Statistics:
    """Computes those of framed pictures [B, S, C, H+6, W+6] and [B, 1, C, H+6, W+6]."""
    maps = (predicted, predicted * predicted, predicted * target)
    return apart(Statistics(*(_window_mean(m) for m in maps)))


def _ssim_parts(statistics: Statistics, target: Target) -> tuple[jax.Array, ...]:
    """Returns a1, a2, b1, b2 of SSIM = a1 a2 / (b1 b2)."""
    mean, square, product = statistics
    a1 = 2 * mean * target.mean + photometric.C1
    a2 = 2 * (product - mean * target.mean) + photometric.C2
    b1 = mean * mean + target.mean * target.mean + photometric.C1
    b2 = square - mean * mean + target.variance + photometric.C2
    return a1, a2, b1, b2


def errors(
    predicted: jax.Array, statistics: Statistics, target: Target, ssim_weight: float
) -> jax.Array:
    """Computes photometric_error of framed pictures [B, S, C, H+6, W+6] -> [B, S, H+4, W+4]."""
    a1, a2, b1, b2 = _ssim_parts(statistics, target)
    dissimilarity = jnp.clip((1 - a1 * a2 / (b1 * b2)) / 2, 0, 1)
    difference = jnp.abs(inside(predicted - target.planes, 1))
    return _channel_mean(ssim_weight * dissimilarity + (1 - ssim_weight) * difference)


def error_derivative(
    wins: jax.Array,
    predicted: jax.Array,
    statistics: Statistics,
    target: Target,
    ssim_weight: float,
) -> jax.Array:
    """Returns the derivative of sum(wins * error) with respect to the predicted picture.

    With m, q, r the window means of p, p^2, p t, and S = a1 a2 / (b1 b2) as in _ssim_parts,

      dS/dm = 2 m_t (a2 - a1) / (b1 b2) - 2 m S (1 / b1 - 1 / b2)
      dS/dq = -S / b2
      dS/dr = 2 a1 / (b1 b2)

    and as a mean over windows is its own adjoint, with g = -wins * ssim_weight / (2 C),

      dE/dp = mean(g dS/dm) + 2 p mean(g dS/dq) + t mean(g dS/dr)
              + wins (1 - ssim_weight) / C sign(p - t).

    S is in [-1, 1], so the clip of photometric_error has no derivative of its own.

    Args:
      wins: framed [B, S, H+6, W+6], zero in the frame.
      predicted: framed [B, S, C, H+6, W+6].

    Returns:
      [B, S, C, H+2, W+2].
    """
    channels = predicted.shape[-3]
    a1, a2, b1, b2 = _ssim_parts(statistics, target)
    scale = inside(wins, 1)[:, :, None] * (-ssim_weight / (2 * channels)) / (b1 * b2)
    similarity = a1 * a2 * scale
    by_mean = 2 * target.mean * (a2 - a1) * scale
    by_mean -= 2 * statistics.mean * similarity * (1 / b1 - 1 / b2)
    by_square = -similarity / b2
    by_product = 2 * a1 * scale
    parts = apart((by_mean, by_square, by_product))
    by_mean, by_square, by_product = map(_window_mean, parts)
    predicted, planes = inside(predicted, 2), inside(target.planes, 2)
    absolute = inside(wins, 2)[:, :, None] * ((1 - ssim_weight) / channels)
    absolute *= jnp.sign(predicted - planes)
    return apart(by_mean + 2 * predicted * by_square + planes * by_product + absolute)
