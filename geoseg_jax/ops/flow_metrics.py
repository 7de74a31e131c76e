"""End-point error and KITTI's outliers of optical flow."""

import jax
import jax.numpy as jnp

# An end point that is off by more than both is an outlier (Menze, Geiger, "Object Scene Flow for
# Autonomous Vehicles", CVPR 2015, section 5).
OUTLIER_PIXELS = 3.0
OUTLIER_SHARE = 0.05


def end_point_error(predicted: jax.Array, truth: jax.Array) -> jax.Array:
    """Returns the length of the difference, [..., H, W, 2] twice -> [..., H, W], in their unit.

    Its derivative is finite where the two are equal: 0. NaN stays NaN.
    """
    squared = jnp.sum((predicted - truth) ** 2, axis=-1)
    same = squared == 0
    return jnp.where(same, 0, jnp.sqrt(jnp.where(same, 1, squared)))


def outliers(error: jax.Array, truth: jax.Array) -> jax.Array:
    """Finds errors above 3 pixels and above 5 % of the true length, bool [..., H, W]; NaN is one.

    error: [..., H, W] pixels at the ground truth's own size; truth: [..., H, W, 2].
    """
    length = jnp.sqrt(jnp.sum(truth**2, axis=-1))
    return ~(error <= OUTLIER_PIXELS) & ~(error <= OUTLIER_SHARE * length)


def flow_error_sums(
    predicted: jax.Array, truth: jax.Array, valid: jax.Array
) -> dict[str, jax.Array]:
    """Computes what each image adds to the metrics.

    Args:
      predicted: [..., H, W, 2] in pixels of the ground truth's own size.
      truth: the same.
      valid: bool [..., H, W], the pixels that count.

    Returns:
      [...] each. float: "epe", the image's mean end-point error, 0 without a valid pixel, and
      "images", 1 or 0: their sums' ratio is the mean over images, as is usual on KITTI. int32:
      "outliers" and "pixels", whose ratio is Fl over all pixels of a split, as the benchmark's.
    """
    truth = jnp.where(valid[..., None], truth, 0)
    error = jnp.where(valid, end_point_error(predicted, truth), 0)
    count = valid.sum(axis=(-2, -1), dtype=jnp.int32)
    total = error.sum(axis=(-2, -1))
    return {
        "epe": total / jnp.maximum(count, 1),
        "images": (count > 0).astype(error.dtype),
        "outliers": (outliers(error, truth) & valid).sum(axis=(-2, -1), dtype=jnp.int32),
        "pixels": count,
    }
