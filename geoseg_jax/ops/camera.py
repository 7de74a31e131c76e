"""Pinhole cameras and rigid motion. Camera axes: x right, y down, z forward, metres.

A pose source_from_target [..., 4, 4] maps points of the target camera to the source camera.
Intrinsics [..., 3, 3] are upper triangular, in pixels: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]].
"""

import jax
import jax.numpy as jnp
from jax import lax

from geoseg_jax.ops import sampling

# Nearer than this, in metres, a point counts as not in front of the camera.
NEAREST = 1e-3
# Where projections of points that are not in front of the camera are put: outside of any picture.
NOWHERE = -1e6


def backproject(depth: jax.Array, intrinsics: jax.Array) -> jax.Array:
    """Returns the point that each pixel sees.

    Args:
      depth: [..., H, W] in metres along the optical axis.
      intrinsics: [..., 3, 3] in pixels of this picture.

    Returns:
      points [..., H, W, 3] in metres, in the camera's frame: depth * K^-1 (x, y, 1).
    """
    rays = pixel_rays(intrinsics, *depth.shape[-2:])
    return depth[..., None] * rays


def pixel_rays(intrinsics: jax.Array, height: int, width: int) -> jax.Array:
    """Computes K^-1 (x, y, 1) for every pixel: [..., height, width, 3], of depth one."""
    matrix = intrinsics[..., None, None, :, :]
    grid = sampling.pixel_grid(height, width, intrinsics.dtype)
    y = (grid[..., 1] - matrix[..., 1, 2]) / matrix[..., 1, 1]
    x = (grid[..., 0] - matrix[..., 0, 2] - matrix[..., 0, 1] * y) / matrix[..., 0, 0]
    return jnp.stack([x, y, jnp.ones_like(x)], axis=-1)


def inverse_intrinsics(intrinsics: jax.Array) -> jax.Array:
    """Computes K^-1 [..., 3, 3] in closed form: from pixels to directions of depth one."""
    fx, skew, cx = (intrinsics[..., 0, i] for i in range(3))
    fy, cy = intrinsics[..., 1, 1], intrinsics[..., 1, 2]
    zero, one = jnp.zeros_like(fx), jnp.ones_like(fx)
    rows = [[1 / fx, -skew / (fx * fy), (skew * cy / fy - cx) / fx], [zero, 1 / fy, -cy / fy]]
    rows.append([zero, zero, one])
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def project(points: jax.Array, intrinsics: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Projects points into the picture.

    Args:
      points: [..., H, W, 3] in metres, in the camera's frame; any value.
      intrinsics: [..., 3, 3] in pixels.

    Returns:
      xy [..., H, W, 2] in pixels, finite for points within 1e30 m: those that are not at least
      NEAREST in front of the camera (or not finite) get NOWHERE, outside of every picture, with
      zero derivative.
      z [..., H, W], the points' depth in metres, as given.
    """
    matrix = intrinsics[..., None, None, :, :]
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    seen = (z >= NEAREST) & jnp.isfinite(x) & jnp.isfinite(y) & jnp.isfinite(z)
    # Made harmless before the division: a where after it would let NaN into the derivative.
    x, y, depth = jnp.where(seen, x, 0), jnp.where(seen, y, 0), jnp.where(seen, z, 1)
    x, y = x / depth, y / depth
    u = matrix[..., 0, 0] * x + matrix[..., 0, 1] * y + matrix[..., 0, 2]
    v = matrix[..., 1, 1] * y + matrix[..., 1, 2]
    xy = jnp.stack([u, v], axis=-1)
    return jnp.where(seen[..., None], xy, NOWHERE), z


def transform(pose: jax.Array, points: jax.Array) -> jax.Array:
    """Applies a pose [..., 4, 4] to points [..., H, W, 3]."""
    rotation = pose[..., None, None, :3, :3]
    moved = sum(rotation[..., i] * points[..., i, None] for i in range(3))
    return moved + pose[..., None, None, :3, 3]


def pose_from_twist(twist: jax.Array) -> jax.Array:
    """Computes the exponential of se(3); its derivatives are right at zero rotation too.

    With W the cross-product matrix of the rotation part w, a = |w| and v the translation part,
    R = 1 + sin(a)/a W + (1 - cos a)/a^2 W^2 and t = (1 + (1 - cos a)/a^2 W + (a - sin a)/a^3 W^2) v
    (Rodrigues; Murray, Li, Sastry, "A Mathematical Introduction to Robotic Manipulation", 2.36).

    Args:
      twist: [..., 6], translation part (metres) then rotation part (axis times angle, radians).

    Returns:
      pose [..., 4, 4].
    """
    v, w = twist[..., :3], twist[..., 3:]
    sine, cosine, cubic = _rodrigues(jnp.sum(w * w, axis=-1)[..., None, None])
    cross = _cross_matrix(w)
    square = _matmul(cross, cross)
    eye = jnp.eye(3, dtype=twist.dtype)
    rotation = eye + sine * cross + cosine * square
    translation = _matmul(eye + cosine * cross + cubic * square, v[..., None])
    return _assemble(rotation, translation)


def _rodrigues(square: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Computes sin(a)/a, (1 - cos a)/a^2, (a - sin a)/a^3 as smooth functions of a^2.

    Below a = 1/2 by their series (the first term left out is below 1e-12 of the first), for there
    the closed forms cancel and the derivative of the root is infinite at zero.
    """
    small = square < 0.25
    s = jnp.where(small, square, 0)
    sine = 1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110))))
    cosine = 0.5 * (1 - s / 12 * (1 - s / 30 * (1 - s / 56 * (1 - s / 90 * (1 - s / 132)))))
    cubic = (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110 * (1 - s / 156))))) / 6
    a = jnp.sqrt(jnp.where(small, 1, square))
    half = jnp.sin(a / 2)
    closed = jnp.sin(a) / a, 2 * half * half / (a * a), (a - jnp.sin(a)) / (a * a * a)
    series = sine, cosine, cubic
    sine, cosine, cubic = (jnp.where(small, s, c) for s, c in zip(series, closed, strict=True))
    return sine, cosine, cubic


def _cross_matrix(w: jax.Array) -> jax.Array:
    """Turns [..., 3] into [..., 3, 3] with _cross_matrix(w) @ p = w x p."""
    x, y, z = w[..., 0], w[..., 1], w[..., 2]
    zero = jnp.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    # Default precision would round to bfloat16 on TPU and TF32 on GPU: metres of error at depth.
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _assemble(rotation: jax.Array, translation: jax.Array) -> jax.Array:
    top = jnp.concatenate([rotation, translation], axis=-1)
    bottom = jnp.broadcast_to(jnp.array([0, 0, 0, 1], top.dtype), (*top.shape[:-2], 1, 4))
    return jnp.concatenate([top, bottom], axis=-2)


def compose(a: jax.Array, b: jax.Array) -> jax.Array:
    """Composes poses [..., 4, 4], first b, then a: compose(a_from_b, b_from_c) = a_from_c."""
    return _matmul(a, b)


def inverse(pose: jax.Array) -> jax.Array:
    """Inverts a rigid pose [..., 4, 4]: (R^T, -R^T t)."""
    rotation = jnp.swapaxes(pose[..., :3, :3], -1, -2)
    return _assemble(rotation, -_matmul(rotation, pose[..., :3, 3:]))


def warp_with_depth(
    source: jax.Array,
    depth: jax.Array,
    intrinsics: jax.Array,
    source_intrinsics: jax.Array,
    pose: jax.Array,
    *,
    border: sampling.Border = "clamp",
) -> tuple[jax.Array, jax.Array]:
    """Warps the source picture to the target, through the target's depth.

    Args:
      source: [..., Hs, Ws, C].
      depth: of the target, [..., H, W] in metres.
      intrinsics: of the target, [..., 3, 3].
      source_intrinsics: of the source, [..., 3, 3].
      pose: source_from_target [..., 4, 4].
      border: see sampling.bilinear_sample.

    Returns:
      The picture [..., H, W, C] and valid [..., H, W]: the depth is positive and finite, its point
      in front of the source camera and inside of its picture.
    """
    known = jnp.isfinite(depth) & (depth > 0)
    # Made harmless first: the derivative of the pose multiplies by the points, 0 * NaN included.
    points = transform(pose, backproject(jnp.where(known, depth, 1), intrinsics))
    xy, _ = project(points, source_intrinsics)
    image, inside = sampling.bilinear_sample(source, xy, border=border)
    return image, inside & known
