"""Scores depth: errors at the ground truth's own resolution, and their means.

In metres as they are, and with each picture scaled to the truth's median, beside the same for the
best depth maps that ignore the picture, which are two.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.ops import metrics, sampling
from geoseg_jax.tasks.base import Batch, Sums

# The answers that are judged, by the suffix that their numbers carry in eval.json.
PREDICTION, CONSTANT = "", "_constant"
# What stands before that suffix in the numbers of a median-scaled answer: abs_rel_scaled_constant.
SCALED = "_scaled"


def judge(inverse_depth: jax.Array, batch: Batch, settings: Any) -> Sums:
    """Scores a prediction and the constant prediction: sums over the examples whose mask is True.

    Args:
      inverse_depth: [B, h, w] in 1 / metres, of any size. It is resized to the truth's, not the
        depth: across a plane it is linear, as in monodepth2's evaluation.
      batch: with depth, depth_size, constant_depth, mask and, not in packs of old, constant_shape,
        the constant prediction where it is scaled.
      settings: config.task.eval: min_depth, max_depth, crop (see metrics.evaluation_mask),
        cap_truth (True unless told otherwise: truth from max_depth on doesn't count; predictions
        are brought to it either way) and median_scaling. With median_scaling the plain names are
        of scaled depth, as the literature reports what has no scale (Zhou et al., CVPR 2017);
        without it they are of metres, and those with SCALED are there as well.

    Returns:
      {name: float32 scalar}: metrics.METRICS with their suffixes, log_scale and its square (of the
      medians' ratio truth / prediction), and `images`, the number with any truth.
    """
    depth = batch["constant_depth"]
    shape = batch.get("constant_shape", depth)
    sums = _judge(inverse_depth, inverse_depth, batch, settings, PREDICTION)
    return sums | _judge(1 / depth, 1 / shape, batch, settings, CONSTANT)


def _judge(
    inverse_depth: jax.Array, inverse_shape: jax.Array, batch: Batch, settings: Any, suffix: str
) -> Sums:
    """Returns an answer's sums; where it is scaled it may be another one, inverse_shape."""
    truth, size = batch["depth"], batch["depth_size"]

    def resized(inverse: jax.Array) -> jax.Array:
        return 1 / sampling.resize_each(inverse[..., None], size, *truth.shape[1:])[..., 0]

    lowest, highest = settings.min_depth, settings.max_depth
    farthest = highest if settings.get("cap_truth", True) else jnp.inf
    valid = metrics.evaluation_mask(
        truth, size, min_depth=lowest, max_depth=farthest, crop=settings.crop
    )
    valid &= batch["mask"][:, None, None]
    shape = resized(inverse_shape)
    scale = metrics.median_scale(shape, truth, valid)
    scaled = jnp.clip(shape * scale[:, None, None], lowest, highest)

    def errors(depth: jax.Array, name: str) -> dict[str, jax.Array]:
        sums = metrics.depth_error_sums(depth, truth, valid)
        return {key + (name if key in metrics.METRICS else ""): sums[key] for key in sums}

    if settings.median_scaling:
        per_image = errors(scaled, "")
    else:
        metres = jnp.clip(resized(inverse_depth), lowest, highest)
        per_image = errors(metres, "") | errors(scaled, SCALED)
    log_scale = jnp.log(scale)  # 0 for an image without a valid pixel, as its errors are
    per_image |= {"log_scale": log_scale, "log_scale_squared": log_scale**2}
    return {name + suffix: jnp.sum(value) for name, value in per_image.items()}


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Returns means over images, and the spread of the median scale where it was used.

    Raises:
      ValueError: where no image has any truth.
    """
    images = sums["images"]
    if images == 0:
        raise ValueError(
            "no evaluated image has a valid ground-truth pixel: check config.task.eval "
            "(crop, min_depth, max_depth) and config.data.eval_split"
        )
    means = {name: value / images for name, value in sums.items()}
    judged = {
        f"{name}{scaled}{suffix}"
        for name in metrics.METRICS
        for scaled in ("", SCALED)
        for suffix in (PREDICTION, CONSTANT)
    }
    # The geometric mean of the medians' ratio truth / prediction: 1 for a metric prediction.
    log, square = means["log_scale"], means["log_scale_squared"]
    return {
        **{name: value for name, value in means.items() if name in judged},
        "scale_ratio": math.exp(log),
        "scale_ratio_spread": math.sqrt(max(square - log**2, 0.0)),
        "eval_images": images,
    }
