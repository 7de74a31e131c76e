"""Depth metrics of the literature (Eigen, Puhrsch, Fergus, NIPS 2014), per image and additive.

The literature averages over pixels within an image, then over images. So each function gives one
number an image; the caller adds them over a split and divides once.
"""

import jax
import jax.numpy as jnp
from jax import lax

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3")

# Garg et al., ECCV 2016: the rows and columns kept, as hundred millionths of height and width.
_GARG_ROWS = (40810811, 99189189)
_GARG_COLUMNS = (3594771, 96405229)


def garg_crop(size: jax.Array, height: int, width: int) -> jax.Array:
    """Selects the part of a picture that is evaluated on KITTI (Garg et al., ECCV 2016).

    Rows 0.40810811 to 0.99189189 of the height and columns 0.03594771 to 0.96405229 of the width,
    both truncated to whole pixels, the last excluded.

    Args:
      size: int32 [..., 2], true height and width of each picture, below 20000.
      height: rows of the arrays that hold the pictures, from the top left.
      width: their columns.

    Returns:
      bool [..., height, width].
    """
    size = size[..., None, None, :]
    row = lax.broadcasted_iota(jnp.int32, (height, width), 0)
    column = lax.broadcasted_iota(jnp.int32, (height, width), 1)
    top, bottom = (_share(size[..., 0], s) for s in _GARG_ROWS)
    left, right = (_share(size[..., 1], s) for s in _GARG_COLUMNS)
    return (row >= top) & (row < bottom) & (column >= left) & (column < right)


def _share(size: jax.Array, share: int) -> jax.Array:
    """Computes floor(size * share / 1e8) in int32; float32 would be off by one at some sizes."""
    upper, lower = divmod(share, 10_000)
    return (size * upper + size * lower // 10_000) // 10_000


# Of data sets whose pictures all have one size, rows and columns kept of it; of other sizes the
# same shares. Eigen et al., NIPS 2014, for NYUv2: what the projected depth fills. Watson et al.,
# "The Temporal Opportunist" (ManyDepth), CVPR 2021, for Cityscapes without the lowest quarter, the
# car's own bonnet: the middle half of the height.
WINDOWS = {
    "eigen_nyu": ((45, 471, 480), (41, 601, 640)),
    "cityscapes": ((256, 768, 768), (192, 1856, 2048)),
}


def window(size: jax.Array, height: int, width: int, name: str) -> jax.Array:
    """Returns bool [..., height, width]: the part of each picture that WINDOWS[name] keeps.

    size: int32 [..., 2], true height and width of each picture. Bounds are truncated to whole
    pixels.
    """
    kept = jnp.ones((*size.shape[:-1], height, width), bool)
    for axis, (first, last, whole) in enumerate(WINDOWS[name]):
        place = lax.broadcasted_iota(jnp.int32, (height, width), axis)
        side = size[..., axis, None, None]
        kept &= (place >= side * first // whole) & (place < side * last // whole)
    return kept


def evaluation_mask(
    truth: jax.Array, size: jax.Array, *, min_depth: float, max_depth: float, crop: str = "garg"
) -> jax.Array:
    """Returns the pixels that count: measured, within the range, and in the crop.

    Args:
      truth: [..., H, W] in metres, 0 = not measured.
      size: int32 [..., 2], true height and width; the rest of truth is padding.
      min_depth: metres; depths at or below don't count.
      max_depth: metres; depths at or above don't count.
      crop: "garg" (see garg_crop), "none", or a name of WINDOWS.

    Returns:
      bool [..., H, W].

    Raises:
      ValueError: on an unknown crop.
    """
    height, width = truth.shape[-2:]
    if crop == "garg":
        kept = garg_crop(size, height, width)
    elif crop in WINDOWS:
        kept = window(size, height, width, crop)
    elif crop == "none":
        row = lax.broadcasted_iota(jnp.int32, (height, width), 0)
        column = lax.broadcasted_iota(jnp.int32, (height, width), 1)
        kept = (row < size[..., 0, None, None]) & (column < size[..., 1, None, None])
    else:
        raise ValueError(f"crop is {crop!r}; use 'garg', {', '.join(map(repr, WINDOWS))} or 'none'")
    return kept & (truth > min_depth) & (truth < max_depth)


def masked_median(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Computes the median of each image's valid values, the mean of the middle two if even.

    values and valid [..., H, W] -> [...]; 0 where nothing is valid.
    """
    flat = jnp.where(valid, values, jnp.inf).reshape(*values.shape[:-2], -1)
    flat = jnp.sort(flat, axis=-1)
    count = valid.sum(axis=(-2, -1), dtype=jnp.int32)
    last = jnp.maximum(count - 1, 0)
    low = jnp.take_along_axis(flat, last[..., None] // 2, axis=-1)
    high = jnp.take_along_axis(flat, (last[..., None] + 1) // 2, axis=-1)
    return jnp.where(count > 0, (low + high)[..., 0] / 2, 0)


def median_scale(predicted: jax.Array, truth: jax.Array, valid: jax.Array) -> jax.Array:
    """Returns the factor that gives the prediction the truth's median (Zhou et al., CVPR 2017).

    Args:
      predicted: [..., H, W], positive, any unit.
      truth: [..., H, W] in metres.
      valid: bool [..., H, W], the pixels that count.

    Returns:
      [...], median of truth / median of predicted, each over the valid pixels; 1 without any.
    """
    above, below = masked_median(truth, valid), masked_median(predicted, valid)
    usable = (above > 0) & (below > 0)
    return jnp.where(usable, above / jnp.where(usable, below, 1), 1)


def depth_error_sums(
    predicted: jax.Array, truth: jax.Array, valid: jax.Array
) -> dict[str, jax.Array]:
    """Sums metrics of each image; add them over images and divide by the sum of "images".

    Args:
      predicted: [..., H, W] in metres, positive; scaled and capped already.
      truth: [..., H, W] in metres, positive where valid.
      valid: bool [..., H, W], the pixels that count (see evaluation_mask).

    Returns:
      float [...] for each of METRICS: abs_rel mean |p - t| / t; sq_rel mean (p - t)^2 / t in
      metres; rmse in metres; rmse_log of natural logarithms; delta1 to delta3 the share of pixels
      with max(p / t, t / p) below 1.25, 1.25^2, 1.25^3. "images": 1. All 0 without a valid pixel.
    """
    predicted = jnp.where(valid, predicted, 1)
    truth = jnp.where(valid, truth, 1)
    count = valid.sum(axis=(-2, -1))
    total = jnp.maximum(count, 1).astype(predicted.dtype)

    def mean(errors: jax.Array) -> jax.Array:
        return jnp.where(valid, errors, 0).sum(axis=(-2, -1)) / total

    difference = predicted - truth
    ratio = jnp.maximum(predicted / truth, truth / predicted)
    sums = {
        "abs_rel": mean(jnp.abs(difference) / truth),
        "sq_rel": mean(difference**2 / truth),
        "rmse": jnp.sqrt(mean(difference**2)),
        "rmse_log": jnp.sqrt(mean((jnp.log(predicted) - jnp.log(truth)) ** 2)),
    }
    for power in (1, 2, 3):
        sums[f"delta{power}"] = mean((ratio < 1.25**power).astype(predicted.dtype))
    sums["images"] = (count > 0).astype(predicted.dtype)
    return sums
