"""Reading pictures at real-valued positions. Pixels; (0, 0) is the centre of the top-left pixel."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Border = Literal["clamp", "zero"]


# Positions this far outside, in pixels, count as inside: a warp that moves nothing along an axis
# must not lose the border row to rounding (about 1e-4 pixels at a width of 1242 in float32).
SLACK = 1e-3


def pixel_grid(height: int, width: int, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Returns the position of every pixel, xy [height, width, 2]."""
    dtype = jax.dtypes.canonicalize_dtype(dtype)  # of NumPy's float64, without a warning
    x = lax.broadcasted_iota(dtype, (height, width), 1)
    y = lax.broadcasted_iota(dtype, (height, width), 0)
    return jnp.stack([x, y], axis=-1)


def cell(position: jax.Array, size: int, border: Border) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Locates positions along one axis between neighbouring pixels.

    Args:
      position: [...] in pixels, any value, NaN and infinity included.
      size: number of pixels along the axis.
      border: see bilinear_sample.

    Returns:
      low: int32 [...], the pixel before the position; the one after it is low + 1. With border
        "clamp" both lie in the picture (where it has two pixels), so that even the last pixel has
        a slope, that of the cell before it; with "zero" low runs from -1 to size - 1.
      weight: [...] in [0, 1] up to SLACK, the share of pixel low + 1. Its derivative with respect
        to the position is one where the position counts, also at whole pixels, zero elsewhere.
      inside: bool [...], the position lies in [0, size - 1], up to SLACK.
    """
    inside = (position >= -SLACK) & (position <= size - 1 + SLACK)
    margin = 0 if border == "clamp" else 1
    first, last = -margin, size - 1 + margin
    # Not jnp.clip alone: its slope is one half at the ends, and NaN would pass.
    bounded = jnp.where(jnp.isnan(position), first, jnp.clip(position, first, last))
    counts = (position >= first - SLACK) & (position <= last + SLACK)
    position = jnp.where(counts, position, lax.stop_gradient(bounded))
    low = jnp.clip(jnp.floor(lax.stop_gradient(position)), first, max(last - 1, first))
    return low.astype(jnp.int32), position - low, inside


def bilinear_sample(
    image: jax.Array, xy: jax.Array, *, border: Border = "clamp"
) -> tuple[jax.Array, jax.Array]:
    """Samples a picture at real-valued positions.

    Interpolates between the pixels floor and floor + 1, never ceil, so the derivative with respect
    to the position does not vanish at whole pixels: there it is that of the cell to the right and
    below (of the cell before, at the last row and column). Positions that are not finite give
    finite values and zero derivatives.

    Args:
      image: [..., H, W, C], floating (integers become float32).
      xy: [..., h, w, 2] in pixels, x to the right and y down; any value. Leading dimensions
        broadcast against those of the image.
      border: what lies outside of the picture: "clamp" continues its border pixels, with no
        derivative with respect to the position; "zero" is black, faded to within one pixel.

    Returns:
      values [..., h, w, C], and valid [..., h, w]: the position lies in [0, W-1] x [0, H-1],
      give or take SLACK.

    Raises:
      ValueError: on an unknown border, or axes that don't fit.
    """
    _check(image, xy, border)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        image = image.astype(jnp.float32)
    lead = jnp.broadcast_shapes(image.shape[:-3], xy.shape[:-3])
    image = jnp.broadcast_to(image, lead + image.shape[-3:])
    xy = jnp.broadcast_to(xy, lead + xy.shape[-3:])
    sample = functools.partial(_sample_one, border=border)
    for _ in lead:
        sample = jax.vmap(sample)
    return sample(image, xy)


def _check(image: jax.Array, xy: jax.Array, border: str) -> None:
    if border not in ("clamp", "zero"):
        raise ValueError(f"border is {border!r}; use 'clamp' or 'zero'")
    if image.ndim < 3 or xy.ndim < 3 or xy.shape[-1] != 2:
        raise ValueError(
            f"image has shape {list(image.shape)} and xy {list(xy.shape)}; "
            "expected [..., H, W, C] and [..., h, w, 2]"
        )


def _sample_one(image: jax.Array, xy: jax.Array, *, border: Border) -> tuple[jax.Array, jax.Array]:
    height, width, channels = image.shape
    x0, weight_x, inside_x = cell(xy[..., 0], width, border)
    y0, weight_y, inside_y = cell(xy[..., 1], height, border)
    pixels = image.reshape(height * width, channels)

    def tap(x: jax.Array, y: jax.Array) -> jax.Array:
        index = jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1)
        values = pixels.at[index].get(mode="promise_in_bounds")
        if border == "zero":
            seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            values = jnp.where(seen[..., None], values, 0)
        return values

    weight_x = weight_x[..., None].astype(image.dtype)
    weight_y = weight_y[..., None].astype(image.dtype)
    top = (1 - weight_x) * tap(x0, y0) + weight_x * tap(x0 + 1, y0)
    bottom = (1 - weight_x) * tap(x0, y0 + 1) + weight_x * tap(x0 + 1, y0 + 1)
    return (1 - weight_y) * top + weight_y * bottom, inside_x & inside_y


def warp_with_flow(
    image: jax.Array, flow: jax.Array, *, border: Border = "clamp"
) -> tuple[jax.Array, jax.Array]:
    """Warps the source to the target: target pixel p takes the source's value at p + flow.

    Args:
      image: source [..., H, W, C].
      flow: [..., h, w, 2] in pixels, target to source.
      border: see bilinear_sample.

    Returns:
      The picture [..., h, w, C] and valid [..., h, w], as bilinear_sample.
    """
    height, width = flow.shape[-3:-1]
    grid = pixel_grid(height, width, jnp.promote_types(flow.dtype, jnp.float32))
    return bilinear_sample(image, grid + flow, border=border)


@functools.lru_cache(maxsize=64)
def resize_matrix(size_in: int, size_out: int, align_corners: bool = False) -> np.ndarray:
    """Returns weights [size_out, size_in] of linear interpolation along one axis, float64.

    Output pixel i sits at (i + 0.5) * size_in / size_out - 0.5 of the input, clamped to it; with
    align_corners at i * (size_in - 1) / (size_out - 1).
    """
    if align_corners:
        position = np.arange(size_out) * ((size_in - 1) / max(size_out - 1, 1))
    else:
        position = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    position = np.clip(position, 0, size_in - 1)
    low = np.minimum(np.floor(position).astype(int), max(size_in - 2, 0))
    weight = position - low
    matrix = np.zeros((size_out, size_in))
    rows = np.arange(size_out)
    np.add.at(matrix, (rows, low), 1 - weight)
    np.add.at(matrix, (rows, np.minimum(low + 1, size_in - 1)), weight)
    return matrix


def resize_bilinear(
    maps: jax.Array, height: int, width: int, *, align_corners: bool = False
) -> jax.Array:
    """Resizes maps by linear interpolation between pixel centres, without antialiasing.

    The same as torch's interpolate(mode="bilinear", align_corners=...). Two products with small
    constant matrices: dense, but on every device faster than gathers, above all backward, where
    it is two products with their transposes.

    Args:
      maps: [..., h, w, C], finite (a value that is not spreads over its row and column).
      height: rows of the result.
      width: columns of the result.
      align_corners: the centres of the corner pixels keep their place, not the picture's borders.

    Returns:
      [..., height, width, C] of the same dtype; of whole numbers float32.
    """
    if not jnp.issubdtype(maps.dtype, jnp.floating):
        maps = maps.astype(jnp.float32)
    rows, columns = maps.shape[-3:-1]
    high = lax.Precision.HIGHEST
    if rows != height:
        matrix = jnp.asarray(resize_matrix(rows, height, align_corners), maps.dtype)
        maps = jnp.einsum("yh,...hwc->...ywc", matrix, maps, precision=high)
    if columns != width:
        matrix = jnp.asarray(resize_matrix(columns, width, align_corners), maps.dtype)
        maps = jnp.einsum("xw,...ywc->...yxc", matrix, maps, precision=high)
    return maps


def reduce_mean(maps: jax.Array, height: int, width: int) -> jax.Array:
    """Averages the squares that become a pixel; what resize_bilinear would step over counts.

    maps: [..., H, W, C], whole multiples of height and width -> [..., height, width, C].
    """
    *lead, h, w, channels = maps.shape
    squares = maps.reshape(*lead, height, h // height, width, w // width, channels)
    return squares.mean(axis=(-4, -2))


def resize_each(maps: jax.Array, sizes: jax.Array, height: int, width: int) -> jax.Array:
    """Resizes each map to a size of its own, in the top-left corner of a common one.

    For ground truth whose pictures differ in size. Axis by axis: one read of a row and one of a
    pixel's channels for every result, where bilinear_sample takes four of them.

    Args:
      maps: [B, h, w, C].
      sizes: int32 [B, 2], the rows and columns that each is resized to.
      height, width: of the result, at least as large as every size.

    Returns:
      [B, height, width, C]; beyond its own size each map is continued, which is of no use.
    """
    for axis, length in ((1, height), (2, width)):
        count = maps.shape[axis]
        ratio = count / sizes[:, axis - 1, None]
        low, weight, _ = cell((jnp.arange(length) + 0.5) * ratio - 0.5, count, "clamp")
        # cell continues the slope within SLACK of the border; here the border value ends it.
        weight = jnp.clip(weight, 0, 1).astype(maps.dtype)
        weight = weight[:, :, None, None] if axis == 1 else weight[:, None, :, None]
        take = jax.vmap(functools.partial(jnp.take, axis=axis - 1, mode="clip"))
        before, after = take(maps, low), take(maps, low + 1)
        maps = before + weight * (after - before)
    return maps
