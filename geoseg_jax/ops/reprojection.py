"""The self-supervised depth loss in few fused passes (Godard et al., ICCV 2019, section 3).

The sum of ops.sampling, camera, photometric, smoothness and disparity, for training speed:

- Pictures are planes [..., C, H, W] in here: with three channels innermost nothing vectorises.
- SSIM mirrors pictures at their border. Here the disparity is mirrored, by the matrices that
  up-sample it, and everything after happens on a picture with a frame of one mirrored pixel. So
  no big array is ever padded, forward or backward.
- What doesn't depend on the scale is computed once: the target's window statistics, the errors of
  the unwarped sources, the smoothness weights, the projection of the rays.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from geoseg_jax.ops import camera, disparity, photometric, sampling
from geoseg_jax.ops import smoothness as smooth


class Geometry(NamedTuple):
    """Projection of target pixel p at inverse depth s into a source: direction p + s * offset."""

    direction: jax.Array  # K R K^-1, [B, S, 3, 3]
    offset: jax.Array  # K t, [B, S, 3]


def reprojection_loss(
    disparities: Sequence[jax.Array],
    poses: jax.Array,
    target: jax.Array,
    sources: jax.Array,
    intrinsics: jax.Array,
    *,
    min_depth: float = 0.1,
    max_depth: float = 100.0,
    ssim_weight: float = 0.85,
    smoothness: float = 1e-3,
    smoothness_order: int = 1,
    automask: bool = True,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Minimum reprojection error and smoothness, mean over scales, batch and pixels.

    Every scale's disparity is up-sampled to the picture's size, turned to depth, and the sources
    are warped by it. A pixel's error is the smallest over the sources that see it (over all where
    none does), and with automask not above that of the best unwarped source. The mean is over all
    pixels. Smoothness is taken at the disparity's own size, on the disparity over its mean,
    weighted by smoothness / 2^s for scale s = 0, 1, ...

    Args:
      disparities: sigmoid outputs [B, h_s, w_s] in [0, 1], finest first.
      poses: source_from_target [B, S, 4, 4], metres.
      target: [B, H, W, 3] in [0, 1].
      sources: [B, S, H, W, 3] in [0, 1]; they get no derivative, nor does the target.
      intrinsics: [B, 3, 3] in pixels, of the target and all sources.
      min_depth: metres at disparity 1.
      max_depth: metres at disparity 0.
      ssim_weight: see photometric.photometric_error.
      smoothness: weight at the finest scale.
      smoothness_order: 1 or 2, see smoothness.edge_aware_smoothness.
      automask: see photometric.automask.

    Returns:
      The loss, and its terms, each a mean over scales: "photometric", "smoothness" (weighted), and
      "reprojected", the share of pixels where a warped source won.

    Raises:
      ValueError: on shapes that don't fit, an empty depth range or an unknown order.
    """
    _check(disparities, poses, target, sources, intrinsics)
    target, sources, intrinsics = map(lax.stop_gradient, (target, sources, intrinsics))
    errors, masks = [], []
    views = _prepare(target, sources, ssim_weight, automask)
    geometry = _geometry(poses, intrinsics)
    for level in disparities:
        inverse_depth = _framed_inverse_depth(level, target.shape[1:3], min_depth, max_depth)
        error, mask = _scale_error(inverse_depth, geometry, views, ssim_weight)
        errors.append(error.mean())
        masks.append(mask.mean(dtype=jnp.float32))
    smoothing = _smoothness(disparities, target, smoothness, smoothness_order)
    count = len(disparities)
    terms = {
        "photometric": sum(errors) / count,
        "smoothness": smoothing / count,
        "reprojected": sum(masks) / count,
    }
    return terms["photometric"] + terms["smoothness"], terms


def _check(disparities, poses, target, sources, intrinsics) -> None:
    batch, views, height, width, channels = sources.shape
    expected = {
        "target": (target, (batch, height, width, channels)),
        "poses": (poses, (batch, views, 4, 4)),
        "intrinsics": (intrinsics, (batch, 3, 3)),
    }
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(
                f"{name} has shape {list(array.shape)}; with sources {list(sources.shape)} "
                f"expected {list(shape)}"
            )
    for scale, level in enumerate(disparities):
        if level.ndim != 3 or level.shape[0] != batch:
            raise ValueError(
                f"disparity of scale {scale} has shape {list(level.shape)}; "
                f"expected [{batch}, h, w]"
            )
    if not disparities:
        raise ValueError("no disparities; expected at least one scale, finest first")


class Views(NamedTuple):
    """What the scales share."""

    sources: jax.Array  # [B, S, C, H, W]
    target: jax.Array  # framed, [B, C, H+2, W+2]
    target_mean: jax.Array  # of windows, [B, C, H, W]
    target_variance: jax.Array
    identity: jax.Array | None  # the best unwarped source's error, [B, H, W]


def _prepare(target, sources, ssim_weight, automask) -> Views:
    sources = jnp.moveaxis(sources, -1, -3)
    target = _frame(jnp.moveaxis(target, -1, -3))
    mean = _window_mean(target)
    variance = _window_mean(target * target) - mean * mean
    views = Views(sources, target, mean, variance, None)
    if not automask:
        return views
    identity = _photometric_planes(_frame(sources), views, ssim_weight)
    return views._replace(identity=identity.min(axis=1))


def _frame(planes: jax.Array) -> jax.Array:
    return jnp.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(1, 1), (1, 1)], mode="reflect")


def _window_mean(framed: jax.Array) -> jax.Array:
    rows = framed[..., :-2, :] + framed[..., 1:-1, :] + framed[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) * (1 / 9)


def _photometric_planes(predicted: jax.Array, views: Views, ssim_weight: float) -> jax.Array:
    """predicted framed [B, S, C, H+2, W+2] -> error [B, S, H, W]."""
    target = views.target[:, None]
    mean_t, variance_t = views.target_mean[:, None], views.target_variance[:, None]
    mean = _window_mean(predicted)
    variance = _window_mean(predicted * predicted) - mean * mean
    covariance = _window_mean(predicted * target) - mean * mean_t
    above = (2 * mean * mean_t + photometric.C1) * (2 * covariance + photometric.C2)
    below = (mean * mean + mean_t * mean_t + photometric.C1) * (
        variance + variance_t + photometric.C2
    )
    dissimilarity = jnp.clip((1 - above / below) / 2, 0, 1).mean(axis=-3)
    difference = jnp.abs(predicted - target)[..., 1:-1, 1:-1].mean(axis=-3)
    return ssim_weight * dissimilarity + (1 - ssim_weight) * difference


def _framed_inverse_depth(level, size, min_depth, max_depth) -> jax.Array:
    """[B, h, w] -> 1 / metres [B, H+2, W+2]."""
    rows, columns = (_framed_matrix(n, m) for n, m in zip(level.shape[1:], size, strict=True))
    high = lax.Precision.HIGHEST
    up = jnp.einsum("yh,bhw->byw", jnp.asarray(rows, level.dtype), level, precision=high)
    up = jnp.einsum("byw,xw->byx", up, jnp.asarray(columns, level.dtype), precision=high)
    return 1 / disparity.disparity_to_depth(up, min_depth, max_depth)


def _framed_matrix(size_in: int, size_out: int) -> np.ndarray:
    return np.pad(sampling.resize_matrix(size_in, size_out), [(1, 1), (0, 0)], mode="reflect")


def _geometry(poses: jax.Array, intrinsics: jax.Array) -> Geometry:
    matrix = intrinsics[:, None]
    inverse = jnp.linalg.inv(matrix)
    direction = camera.compose(camera.compose(matrix, poses[..., :3, :3]), inverse)
    offset = camera.compose(matrix, poses[..., :3, 3:])[..., 0]
    return Geometry(direction, offset)


def _framed_grid(height: int, width: int) -> tuple[jax.Array, jax.Array]:
    x = np.pad(np.arange(width, dtype=np.float32), 1, mode="reflect")
    y = np.pad(np.arange(height, dtype=np.float32), 1, mode="reflect")
    return jnp.asarray(x)[None, :], jnp.asarray(y)[:, None]


def _project(inverse_depth, geometry, height, width):
    """[B, H+2, W+2] -> x, y and seen [B, S, H+2, W+2]."""
    x, y = _framed_grid(height, width)
    direction = geometry.direction[..., None, None]
    offset = geometry.offset[..., None, None]
    u, v, z = (
        direction[:, :, i, 0] * x
        + direction[:, :, i, 1] * y
        + direction[:, :, i, 2]
        + offset[:, :, i] * inverse_depth[:, None]
        for i in range(3)
    )
    # z is over the target's depth here, hence the factor.
    seen = z >= camera.NEAREST * inverse_depth[:, None]
    scale = 1 / jnp.where(seen, z, 1)
    nowhere = camera.NOWHERE
    return jnp.where(seen, u * scale, nowhere), jnp.where(seen, v * scale, nowhere), seen


def _scale_error(inverse_depth, geometry, views: Views, ssim_weight):
    height, width = views.sources.shape[-2:]
    x, y, _ = _project(inverse_depth, geometry, height, width)
    xy = jnp.stack([x, y], -1)
    warped, valid = sampling.bilinear_sample(jnp.moveaxis(views.sources, -3, -1), xy)
    errors = _photometric_planes(jnp.moveaxis(warped, -1, -3), views, ssim_weight)
    error, any_valid = photometric.minimum_reprojection(errors, valid[..., 1:-1, 1:-1])
    if views.identity is None:
        return error, any_valid
    mask = any_valid & (error < views.identity)
    return jnp.where(mask, error, views.identity), mask


def _smoothness(disparities, target, weight, order) -> jax.Array:
    total = jnp.zeros((), target.dtype)
    for scale, level in enumerate(disparities):
        picture = sampling.resize_bilinear(target, *level.shape[1:])
        maps = smooth.edge_aware_smoothness(smooth.mean_normalised(level), picture, order)
        total += weight / 2**scale * sum(m.mean() for m in maps)
    return total


def reprojection_pictures(
    level: jax.Array,
    poses: jax.Array,
    target: jax.Array,
    sources: jax.Array,
    intrinsics: jax.Array,
    *,
    min_depth: float = 0.1,
    max_depth: float = 100.0,
    ssim_weight: float = 0.85,
) -> tuple[jax.Array, jax.Array]:
    """What the loss sees, for people: by the plain kernels.

    Args:
      level: the finest disparity [B, h, w]; the rest as reprojection_loss.

    Returns:
      warped: the sources warped to the target, [B, S, H, W, 3], 0 where invalid.
      mask: bool [B, H, W], the auto-mask: True where a warped source won.
    """
    height, width = target.shape[1:3]
    level = sampling.resize_bilinear(level[..., None], height, width)[..., 0]
    depth = disparity.disparity_to_depth(level, min_depth, max_depth)
    warped, valid = camera.warp_with_depth(
        sources, depth[:, None], intrinsics[:, None], intrinsics[:, None], poses
    )
    views = target[:, None]
    errors = photometric.photometric_error(warped, views, ssim_weight)
    identity = photometric.photometric_error(sources, views, ssim_weight)
    error, any_valid = photometric.minimum_reprojection(errors, valid)
    _, mask = photometric.automask(error, any_valid, identity)
    return jnp.where(valid[..., None], warped, 0), mask
