"""The self-supervised depth loss in few fused passes (Godard et al., ICCV 2019, section 3).

The sum of ops.sampling, camera, photometric, smoothness and disparity, for training speed:

- Pictures are planes [..., C, H, W] in here: with three channels innermost nothing vectorises.
- SSIM mirrors pictures at their border. Here the disparity is mirrored, by the matrices that
  up-sample it, and everything after happens on a picture with a frame of one mirrored pixel. So
  no big array is ever padded, forward or backward.
- What doesn't depend on the scale is computed once: the target's window statistics, the errors of
  the unwarped sources, the smoothness weights, the projection of the rays.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from geoseg_jax.ops import camera, disparity, framed, photometric, sampling
from geoseg_jax.ops import smoothness as smooth
from geoseg_jax.ops.apart import apart
from geoseg_jax.ops.checks import check_pictures
from geoseg_jax.ops.framed import FRAME
from geoseg_jax.ops.taps import interpolate, position_derivative, read_taps

Pair = tuple[jax.Array, jax.Array]
Position = tuple[jax.Array, jax.Array, jax.Array, jax.Array]  # see _project


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
    mask_counts: jax.Array | bool = True,
    enlarged: str = "disparity",
    align_corners: bool = False,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes minimum reprojection error and smoothness, mean over scales, batch and pixels.

    Every scale is up-sampled to the picture's size and turned to depth, and the sources are warped
    by it. A pixel's error is the smallest over the sources that see it (over all where none does),
    and with automask at most the identity error, that of the best unwarped source. Smoothness is
    taken at the disparity's own size, on the disparity over its mean, weighted by smoothness / 2^s
    for scale s = 0, 1, ...

    Args:
      disparities: sigmoid outputs [B, h_s, w_s] in [0, 1], finest first.
      poses: source_from_target [B, S, 4, 4], metres.
      target: [B, H, W, 3] in [0, 1].
      sources: [B, S, H, W, 3] in [0, 1]; they get no derivative, nor does the target.
      intrinsics: [B, 3, 3] in pixels, of the target and all sources; they may be learned.
      min_depth, max_depth: metres at disparity 1 and at disparity 0.
      ssim_weight: see photometric.photometric_error.
      smoothness, smoothness_order: weight at the finest scale; 1 or 2, see edge_aware_smoothness.
      automask: see photometric.automask.
      mask_counts: bool scalar, may be traced; False holds the auto-mask back, see _masked.
      enlarged: 'disparity' or 'depth', what is up-sampled: which of the two is linear in between.
      align_corners: how, see sampling.resize_matrix.

    Returns:
      The loss, and its terms, each a mean over scales: "photometric", "smoothness" (weighted), and
      "reprojected", the share of pixels where a warped source won, whether or not the mask counts.

    Raises:
      ValueError: on shapes that don't fit, pictures of whole numbers, an empty depth range, an
        unknown order or `enlarged`.
    """
    _check(disparities, poses, target, sources, intrinsics)
    target, sources = map(lax.stop_gradient, (target, sources))
    views = _prepare(target, sources, ssim_weight, automask, mask_counts)
    depths = [disparity.disparity_to_depth(level, min_depth, max_depth) for level in disparities]
    inverse_depths = _inverse_depths(depths, target.shape[1:3], enlarged, align_corners)
    projections = _projections(poses, intrinsics)
    errors, shares = _reprojection(inverse_depths, projections, views, ssim_weight)
    smoothing = _smoothness(disparities, target, smoothness, smoothness_order)
    terms = {
        "photometric": errors.mean(),
        "smoothness": smoothing / len(disparities),
        "reprojected": shares.mean(),
    }
    return terms["photometric"] + terms["smoothness"], terms


def _check(
    disparities: Sequence[jax.Array],
    poses: jax.Array,
    target: jax.Array,
    sources: jax.Array,
    intrinsics: jax.Array,
) -> None:
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
    check_pictures(target=target, sources=sources)
    for scale, level in enumerate(disparities):
        if level.ndim != 3 or level.shape[0] != batch:
            raise ValueError(
                f"disparity of scale {scale} has shape {list(level.shape)}; "
                f"expected [{batch}, h, w]"
            )
    if not disparities:
        raise ValueError("no disparities; expected at least one scale, finest first")


class Views(NamedTuple):
    """The arrays that the scales share."""

    sources: jax.Array  # [B, S, H * W * C]
    target: framed.Target
    identity: jax.Array | None  # the best unwarped source's error, [B, H, W]; None: no auto-mask
    mask_counts: jax.Array  # float scalar: 0 while the auto-mask is held back


def _prepare(
    target: jax.Array,
    sources: jax.Array,
    ssim_weight: float,
    automask: bool,
    mask_counts: jax.Array | bool,
) -> Views:
    flat = sources.reshape(*sources.shape[:2], -1)
    views = Views(flat, framed.prepare_target(target), None, jnp.asarray(mask_counts, flat.dtype))
    if not automask:
        return views
    unwarped = framed.add_frame(jnp.moveaxis(sources, -1, -3))
    statistics = framed.window_statistics(unwarped, views.target.planes)
    errors = framed.errors(unwarped, statistics, views.target, ssim_weight)
    return views._replace(identity=framed.inside(errors, 2).min(axis=1))


def _projections(poses: jax.Array, intrinsics: jax.Array) -> jax.Array:
    """Returns P [B, S, 3, 4]: P (x, y, 1, 1 / depth) is the source's homogeneous pixel / depth."""
    matrix = intrinsics[:, None]
    inverse = camera.inverse_intrinsics(matrix)
    direction = camera.compose(camera.compose(matrix, poses[..., :3, :3]), inverse)
    offset = camera.compose(matrix, poses[..., :3, 3:])
    return jnp.concatenate([direction, offset], axis=-1)


def _inverse_depths(
    depths: Sequence[jax.Array], size: Sequence[int], enlarged: str, align_corners: bool
) -> jax.Array:
    """Up-samples every scale's depth [B, h, w]; returns framed inverse depths [L, B, H+6, W+6]."""
    if enlarged == "depth":
        return jnp.stack([1 / _framed(depth, size, align_corners) for depth in depths])
    if enlarged == "disparity":  # inverse depth is linear in it, so that both up-sample alike
        return jnp.stack([_framed(1 / depth, size, align_corners) for depth in depths])
    raise ValueError(f"enlarged is {enlarged!r}; use 'disparity' or 'depth'")


def _framed(level: jax.Array, size: Sequence[int], align_corners: bool) -> jax.Array:
    """Returns a map [B, h, w], up-sampled and framed [B, H+6, W+6]."""
    rows, columns = (
        jnp.asarray(
            sampling.resize_matrix(small, large, align_corners)[framed.frame_indices(large)],
            level.dtype,
        )
        for small, large in zip(level.shape[1:], size, strict=True)
    )
    high = lax.Precision.HIGHEST
    level = jnp.einsum("yh,bhw->byw", rows, level, precision=high)
    return jnp.einsum("byw,xw->byx", level, columns, precision=high)


def _project(projections: jax.Array, inverse_depth: jax.Array) -> Position:
    """Returns u / w, v / w, 1 / w, in front, each [B, S, H+6, W+6]; points behind go to NOWHERE."""
    y, x = framed.frame_positions(inverse_depth)
    near = inverse_depth[:, None]
    u, v, w = (
        p[..., 0] * x + p[..., 1] * y + p[..., 2] + p[..., 3] * near
        for p in (projections[:, :, i, None, None, :] for i in range(3))
    )
    in_front = w >= camera.NEAREST * near  # w is the depth over the target's depth
    scale = 1 / jnp.where(in_front, w, 1)
    x, y = (jnp.where(in_front, n * scale, camera.NOWHERE) for n in (u, v))
    return x, y, scale, in_front


def _project_derivative(
    along_x: jax.Array,
    along_y: jax.Array,
    position: Position,
    projections: jax.Array,
    inverse_depth: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Turns derivatives with respect to x = u / w and y = v / w into those of _project's inputs.

    dE/du = dE/dx / w, dE/dv = dE/dy / w, dE/dw = -(x dE/dx + y dE/dy) / w; then
    dE/dP = sum over pixels of dE/d(u, v, w) (x, y, 1, 1 / depth)^T.

    Args:
      along_x: [B, S, H+2, W+2], with a frame of one pixel; along_y likewise.
      position: what _project returned for the other arguments.

    Returns:
      [B, S, 3, 4] and, with a frame of one pixel, [B, H+2, W+2].
    """
    x, y, scale, in_front = (framed.inside(p, FRAME - 1) for p in position)
    along_u, along_v = (jnp.where(in_front, a * scale, 0) for a in (along_x, along_y))
    along = apart((along_u, along_v, -(x * along_u + y * along_v)))
    rows, columns = framed.frame_positions(inverse_depth)
    rows, columns = rows[FRAME - 1 : 1 - FRAME, 0], columns[FRAME - 1 : 1 - FRAME]
    near = framed.inside(inverse_depth, FRAME - 1)
    by_projections = jnp.stack([_moments(a, rows, columns, near) for a in along], axis=2)
    by_depth = sum(
        projections[:, view, i, 3, None, None] * along[i][:, view]
        for view in range(projections.shape[1])
        for i in range(3)
    )
    return by_projections, cast(jax.Array, by_depth)


def _moments(maps: jax.Array, rows: jax.Array, columns: jax.Array, near: jax.Array) -> jax.Array:
    """Adds up maps (x, y, 1, near) over pixels: [B, S, h, w] -> [B, S, 4]. Products, no reductions:
    a reduction adds one number at a time on a CPU.
    """
    high = lax.Precision.HIGHEST
    of_rows = jnp.stack([columns, jnp.ones_like(columns)], axis=1)
    of_rows = jnp.einsum("bsyx,xk->bsyk", maps, of_rows, precision=high)
    flat = maps.reshape(*maps.shape[:2], -1), near.reshape(near.shape[0], -1)
    by_near = jnp.einsum("bsn,bn->bs", *flat, precision=high)
    by_y = (of_rows[..., 1] * rows).sum(axis=-1)
    return jnp.stack(
        [of_rows[..., 0].sum(axis=-1), by_y, of_rows[..., 1].sum(axis=-1), by_near], -1
    )


def _masked(
    error: jax.Array, any_valid: jax.Array, views: Views
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns each pixel's error under the auto-mask, where its derivative counts, and who won.

    The mask lets a wrong motion lower the error: pixels that it makes worse cost no more than
    unwarped ones, those that it happens to make better cost less. So `mask_counts` can hold it back
    until the motion is about right. Until then a pixel's error counts as it is, and where no source
    sees the point, the larger of it (there the source's border) and the identity error: else points
    pushed out of view would be another way to a low error.
    """
    if views.identity is None:
        return error, jnp.ones_like(any_valid), any_valid
    won = any_valid & (error < views.identity)
    counts = won | (views.mask_counts == 0) & (any_valid | (error > views.identity))
    return jnp.where(counts, error, views.identity), counts, won


def _scale_error(
    inverse_depth: jax.Array,
    projections: jax.Array,
    views: Views,
    ssim_weight: float,
    slopes: bool,
) -> tuple[Pair, Pair | None]:
    """Computes a scale's error, mean over batch and pixels, the share of pixels where a source won,
    and, if asked for, the derivative of the error with respect to the first two arguments.
    """
    height, width = (n - 2 * FRAME for n in inverse_depth.shape[1:])
    channels = views.target.planes.shape[2]
    position = apart(_project(projections, inverse_depth))
    taps = read_taps(views.sources, position[0], position[1], height, width)
    predicted = interpolate(taps, channels)
    statistics = framed.window_statistics(predicted, views.target.planes)
    errors = framed.inside(framed.errors(predicted, statistics, views.target, ssim_weight), 2)
    valid = framed.inside(taps.inside_x & taps.inside_y, FRAME)
    view, any_valid = photometric.best_view(errors, valid)
    error = photometric.take_view(errors, view)
    error, counts, mask = _masked(error, any_valid, views)
    outputs = error.mean(), mask.mean(dtype=error.dtype)
    if not slopes:
        return outputs, None
    wins = jnp.stack([counts & (view == s) for s in range(errors.shape[1])], axis=1)
    wins = wins.astype(error.dtype) / error.size
    wins = apart(jnp.pad(wins, [(0, 0), (0, 0), (FRAME, FRAME), (FRAME, FRAME)]))
    derivative = framed.error_derivative(wins, predicted, statistics, views.target, ssim_weight)
    taps = jax.tree.map(lambda m: m[:, :, 2:-2, 2:-2], taps)
    along = position_derivative(derivative, taps)
    return outputs, _project_derivative(*along, position, projections, inverse_depth)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _reprojection(
    inverse_depths: jax.Array, projections: jax.Array, views: Views, ssim_weight: float
) -> Pair:
    """Computes error and share of reprojected pixels of every scale [L] from framed inverse depth.

    The error being a mean, its derivative is known up to a factor as soon as the error is: it is
    computed in the same pass over each scale. Nothing but one map a scale is kept for the backward
    pass, and all scales share the memory of their intermediate arrays.

    inverse_depths [L, B, H+6, W+6], projections [B, S, 3, 4].
    """
    one = functools.partial(
        _scale_error, projections=projections, views=views, ssim_weight=ssim_weight, slopes=False
    )
    return lax.map(one, inverse_depths)[0]


def _reprojection_forward(
    inverse_depths: jax.Array, projections: jax.Array, views: Views, ssim_weight: float
) -> tuple[Pair, tuple[Pair, Views]]:
    one = functools.partial(
        _scale_error, projections=projections, views=views, ssim_weight=ssim_weight, slopes=True
    )
    outputs, slopes = lax.map(one, inverse_depths)
    return outputs, (slopes, views)


def _reprojection_backward(
    ssim_weight: float, residuals: tuple[Pair, Views], cotangents: Pair
) -> tuple[jax.Array, jax.Array, Views]:
    (by_projections, by_depths), views = residuals
    factor = cotangents[0]
    by_projections = (factor[:, None, None, None, None] * by_projections).sum(axis=0)
    by_depths = factor[:, None, None, None] * by_depths
    by_depths = jnp.pad(by_depths, [(0, 0), (0, 0), (FRAME - 1,) * 2, (FRAME - 1,) * 2])
    return by_depths, by_projections, jax.tree.map(jnp.zeros_like, views)


_reprojection.defvjp(_reprojection_forward, _reprojection_backward)


def _smoothness(
    disparities: Sequence[jax.Array], target: jax.Array, weight: float, order: int
) -> jax.Array:
    total = jnp.zeros((), target.dtype)
    for scale, level in enumerate(disparities):
        picture = sampling.resize_bilinear(target, *level.shape[1:])
        maps = smooth.edge_aware_smoothness(smooth.mean_normalised(level), picture, order)
        total += weight / 2**scale * sum(m.mean() for m in maps if m.size)
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
    """Draws what the loss sees, by the plain kernels.

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
