"""The four pixels around each position of a warp, and what lies between them, for the depth loss.

ops.sampling for training speed: sources are read once, for the values and for their derivative by
the position, and get no derivative themselves.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from geoseg_jax.ops import sampling
from geoseg_jax.ops.apart import apart


class Taps(NamedTuple):
    """The four pixels around each position, and where between them it lies."""

    above: jax.Array  # [B, S, h, w, 2 C]: the left pixel's channels, then the right one's
    below: jax.Array
    weight_x: jax.Array  # [B, S, h, w]
    weight_y: jax.Array
    inside_x: jax.Array  # bool
    inside_y: jax.Array

    def corners(self, channel: int, channels: int) -> tuple[jax.Array, ...]:
        """Returns above left, above right, below left, below right."""
        pairs = (self.above, self.below)
        return tuple(p[..., i] for p in pairs for i in (channel, channel + channels))


def read_taps(sources: jax.Array, x: jax.Array, y: jax.Array, height: int, width: int) -> Taps:
    """Reads the taps as sampling.bilinear_sample does, with its border clamped.

    Args:
      sources: [B, S, H * W * C].
      x, y: [B, S, h, w] in pixels of the sources.
      height, width: H and W.
    """
    left, weight_x, inside_x = sampling.cell(x, width, "clamp")
    top, weight_y, inside_y = sampling.cell(y, height, "clamp")
    channels = sources.shape[-1] // (height * width)
    start, *where = apart(((top * width + left) * channels, weight_x, weight_y, inside_x, inside_y))
    slices = functools.partial(_read_slices, width=width, channels=channels)
    table = functools.partial(_read_table, width=width, channels=channels)
    above, below = apart(lax.platform_dependent(sources, start, tpu=table, default=slices))
    return Taps(above, below, *where)


def _read_slices(
    sources: jax.Array, start: jax.Array, *, width: int, channels: int
) -> tuple[jax.Array, jax.Array]:
    """Reads the taps above and below from sources [B, S, H * W * C]: each [B, S, h, w, 2 C].

    Left and right pixel lie next to each other in memory: one copy of 2 C numbers gets both.
    """
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(2,), collapsed_slice_dims=(), start_index_map=(0,)
    )

    def slices(picture: jax.Array, start: jax.Array) -> jax.Array:
        return lax.gather(
            picture, start[..., None], numbers, (2 * channels,), mode="promise_in_bounds"
        )

    of_all = jax.vmap(jax.vmap(slices))
    return of_all(sources, start), of_all(sources, start + width * channels)


def _read_table(
    sources: jax.Array, start: jax.Array, *, width: int, channels: int
) -> tuple[jax.Array, jax.Array]:
    """Does as `_read_slices`, from a table that has the four taps of each pixel in a row.

    A TPU reads rows of a table by one instruction. Slices that begin anywhere become a loop there,
    a pixel a turn: 12 million turns in a step of 12 triplets of 640x192.
    """
    views = sources.shape[0] * sources.shape[1]
    pictures = sources.reshape(views, -1, width, channels)
    right = jnp.roll(pictures, -1, axis=2)  # what wraps around is never read
    pair = jnp.concatenate([pictures, right], axis=-1)
    table = jnp.concatenate([pair, jnp.roll(pair, -1, axis=1)], axis=-1).reshape(-1, 4 * channels)
    first = jnp.arange(views, dtype=start.dtype) * (table.shape[0] // views)
    row = start.reshape(views, -1) // channels + first[:, None]
    taps = table.at[row.ravel()].get(mode="promise_in_bounds")
    taps = taps.reshape(*start.shape, 4 * channels)
    return taps[..., : 2 * channels], taps[..., 2 * channels :]


def interpolate(taps: Taps, channels: int) -> jax.Array:
    """Interpolates the taps: [B, S, C, h, w]."""
    planes = []
    for channel in range(channels):
        a, b, c, d = taps.corners(channel, channels)
        above, below = a + taps.weight_x * (b - a), c + taps.weight_x * (d - c)
        planes.append(above + taps.weight_y * (below - above))
    return apart(jnp.stack(planes, axis=2))


def position_derivative(derivative: jax.Array, taps: Taps) -> tuple[jax.Array, jax.Array]:
    """Turns the derivative of the values [B, S, C, h, w] into that of x and y [B, S, h, w].

    Within a cell the value is linear along each axis: dv/dx = (1 - wy) (b - a) + wy (d - c) and
    dv/dy = (1 - wx) (c - a) + wx (d - b); outside of the picture it is constant.
    """
    all_x, all_y = [], []
    for channel in range(derivative.shape[2]):
        a, b, c, d = taps.corners(channel, derivative.shape[2])
        slope_x = (b - a) + taps.weight_y * ((d - c) - (b - a))
        slope_y = (c - a) + taps.weight_x * ((d - b) - (c - a))
        all_x.append(derivative[:, :, channel] * slope_x)
        all_y.append(derivative[:, :, channel] * slope_y)
    along_x = jnp.where(taps.inside_x, sum(all_x), 0)
    along_y = jnp.where(taps.inside_y, sum(all_y), 0)
    return apart((along_x, along_y))
