"""Scores depth where none was measured: how well it explains held-out views.

A low photometric error is necessary for a right depth and not sufficient: flat walls can be at any
distance, and what moves is explained wrongly. So it stands beside that of two answers that know
less, which any depth worth its name beats.
"""

import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.ops import camera, metrics, photometric
from geoseg_jax.tasks.base import Sums

PREDICTED = "photometric"
# The sources as they are: nothing moves, or all is infinitely far.
IDENTITY = "photometric_identity"
# The picture's own median depth everywhere, with the same motion: what the poses explain alone.
FLAT = "photometric_flat"


def judge(
    inverse_depth: jax.Array,
    poses: jax.Array,
    target: jax.Array,
    sources: jax.Array,
    intrinsics: jax.Array,
    mask: jax.Array,
    ssim_weight: float,
) -> Sums:
    """Adds each picture's mean error over all of its pixels, for PREDICTED, IDENTITY and FLAT.

    As in training, a pixel's error is the smallest over the sources that see its point, and over
    all where none does: no answer gains by looking out of the picture. There is no auto-mask.

    Args:
      inverse_depth: [B, H, W] in 1 / metres, above zero.
      poses: source <- target [B, S, 4, 4]; S >= 1.
      target: [B, H, W, 3] in [0, 1]; sources: [B, S, H, W, 3].
      intrinsics: [B, 3, 3] in pixels, of all views.
      mask: bool [B], the pictures that count; they are counted in `images`.
      ssim_weight: see photometric.photometric_error.
    """
    middle = metrics.masked_median(inverse_depth, jnp.ones_like(inverse_depth, bool))
    flat = jnp.broadcast_to(middle[:, None, None], inverse_depth.shape)
    matrix, views = intrinsics[:, None], target[:, None]

    def error(inverse: jax.Array) -> jax.Array:
        warped, valid = camera.warp_with_depth(sources, 1 / inverse[:, None], matrix, matrix, poses)
        errors = photometric.photometric_error(warped, views, ssim_weight)
        error = photometric.minimum_reprojection(errors, valid)[0]
        # A warp takes NaN as some depth, and would give the picture a score.
        return jnp.where(jnp.isnan(inverse).any((1, 2), keepdims=True), jnp.nan, error)

    unmoved = photometric.photometric_error(sources, views, ssim_weight).min(axis=1)
    maps = {PREDICTED: error(inverse_depth), IDENTITY: unmoved, FLAT: error(flat)}
    sums = {name: jnp.sum(jnp.where(mask, m.mean(axis=(1, 2)), 0)) for name, m in maps.items()}
    return sums | {"images": jnp.sum(mask, dtype=jnp.float32)}


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Returns means over the pictures."""
    means = {name: sums[name] / sums["images"] for name in (PREDICTED, IDENTITY, FLAT)}
    return means | {"eval_images": sums["images"]}


# What learned cameras add to the sums, beside one array [videos] for each of their numbers.
_PICTURES, _CAMERA = "camera_images", "camera "


def camera_sums(numbers: dict[str, jax.Array], video: jax.Array, mask: jax.Array) -> Sums:
    """Returns sums over pictures of what was learned of their cameras, kept apart by video.

    Additive as all sums are, though the numbers are the same for all pictures of a video: so they
    pass through evaluation and into eval.json on the common way.

    Args:
      numbers: name -> [videos].
      video: int32 [B].
      mask: bool [B].
    """
    count = len(next(iter(numbers.values())))
    pictures = jnp.zeros(count).at[video].add(mask.astype(jnp.float32))
    return {_CAMERA + name: pictures * v for name, v in numbers.items()} | {_PICTURES: pictures}


def summarise_cameras(sums: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, float]:
    """Averages each number over the evaluated videos; of several also NUMBER/VIDEO of each."""
    if _PICTURES not in sums:
        return {}
    pictures = np.atleast_1d(sums[_PICTURES])
    seen = np.flatnonzero(pictures)
    numbers = {}
    for key in (key for key in sums if key.startswith(_CAMERA)):
        values, name = np.atleast_1d(sums[key])[seen] / pictures[seen], key.removeprefix(_CAMERA)
        numbers[name] = float(values.mean())
        if len(names) > 1:
            numbers |= {f"{name}/{names[i]}": float(v) for i, v in zip(seen, values, strict=True)}
    return numbers
