"""From a scene and a camera to what every ray hits first. Nothing here knows about colours.

A ray through pixel (x, y) has direction K^-1 (x, y, 1) in the camera's frame, so its parameter t is
the depth along the optical axis. In the frame of a primitive, scaled to its unit shape, that
direction is linear in (x, y, 1): three multiply-adds a pixel, and one code serves pictures and
scattered points alike. A primitive is only tested where its projected bounding rectangle lies.
"""

import itertools
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic import shapes
from geoseg_jax.data.synthetic.scene import Scene

NEAR = 0.05  # metres; nothing nearer is seen


class View(NamedTuple):
    """A pinhole camera at a moment: intrinsics [3, 3] in pixels, camera_from_world [4, 4]."""

    intrinsics: np.ndarray
    camera_from_world: np.ndarray
    height: int
    width: int
    time: float = 0.0


class Posed(NamedTuple):
    """A scene's N primitives as one view sees them."""

    origin: np.ndarray  # [N, 3] the camera's centre in unit-shape coordinates
    rays: np.ndarray  # [N, 3, 3] maps (x, y, 1) to a direction in unit-shape coordinates
    camera_from_unit: np.ndarray  # [N, 3, 4]
    bounds: np.ndarray  # [N, 4] left, right, top, bottom in pixels
    near: np.ndarray  # [N] depth of the nearest corner
    order: np.ndarray  # indices of those that can be seen, nearest first


class Hits(NamedTuple):
    """What rays meet: index of the primitive (-1: none) and depth (inf: none), any shape."""

    index: np.ndarray
    depth: np.ndarray


_CORNERS = np.array(list(itertools.product((-1, 1), repeat=3)), np.float64)
_EDGES = np.array(
    [(a, b) for a in range(8) for b in range(a) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 2]
)


def _bounds(camera_from_unit: np.ndarray, flat: np.ndarray, intrinsics: np.ndarray):
    """Pixel rectangles [N, 4] round the unit boxes, nearest depth [N] and whether in front [N]."""
    corners = np.broadcast_to(_CORNERS, (len(camera_from_unit), 8, 3)).copy()
    corners[flat, :, 1] = 0  # a quad has no thickness
    points = np.einsum("nij,nkj->nki", camera_from_unit[:, :, :3], corners)
    points += camera_from_unit[:, None, :, 3]
    # Where an edge runs through the near plane, the crossing bounds what can be seen of it.
    a, b = points[:, _EDGES[:, 0]], points[:, _EDGES[:, 1]]
    crossing = (a[..., 2] < NEAR) != (b[..., 2] < NEAR)
    rise = np.where(crossing, b[..., 2] - a[..., 2], 1)
    cut = a + ((NEAR - a[..., 2]) / rise)[..., None] * (b - a)
    points = np.concatenate([points, cut], axis=1)
    seen = np.concatenate([points[:, :8, 2] >= NEAR, crossing], axis=1)
    pixels = points @ intrinsics.T
    xy = pixels[..., :2] / np.where(seen, pixels[..., 2], 1)[..., None]
    low = np.where(seen[..., None], xy, np.inf).min(axis=1)
    high = np.where(seen[..., None], xy, -np.inf).max(axis=1)
    depth = np.where(seen, points[..., 2], np.inf).min(axis=1)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1), depth, seen.any(axis=1)


def pose(scene: Scene, view: View) -> Posed:
    """Brings all primitives into the frame of `view`, at its time."""
    rotation, centre = scene.at(view.time)
    turn, shift = view.camera_from_world[:3, :3], view.camera_from_world[:3, 3]
    rotation, centre = turn @ rotation, centre @ turn.T + shift
    camera_from_unit = np.concatenate([rotation * scene.half[:, None], centre[..., None]], axis=2)
    unit_from_camera = rotation.transpose(0, 2, 1) / scene.half[..., None]
    bounds, near, seen = _bounds(camera_from_unit, scene.kind == shapes.QUAD, view.intrinsics)
    seen &= (bounds[:, 0] < view.width) & (bounds[:, 1] > -1)
    seen &= (bounds[:, 2] < view.height) & (bounds[:, 3] > -1)
    order = np.argsort(near, kind="stable")
    return Posed(
        origin=-np.einsum("nij,nj->ni", unit_from_camera, centre),
        rays=unit_from_camera @ np.linalg.inv(view.intrinsics),
        camera_from_unit=camera_from_unit,
        bounds=bounds,
        near=near,
        order=order[seen[order]],
    )


def _hit(scene: Scene, posed: Posed, i: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth at which rays through pixels (x, y), broadcast together, meet primitive i."""
    rays = posed.rays[i].astype(x.dtype)
    direction = [ray[0] * x + (ray[1] * y + ray[2]) for ray in rays]
    return shapes.HIT[int(scene.kind[i])](posed.origin[i].astype(x.dtype), direction)


def trace_grid(scene: Scene, posed: Posed, x: np.ndarray, y: np.ndarray) -> Hits:
    """First hits of the rays through columns x [w] and rows y [h], both ascending; arrays [h, w].

    The precision of x and y is that of the depth.
    """
    index = np.full((len(y), len(x)), -1, np.int32)
    depth = np.full((len(y), len(x)), np.inf, x.dtype)
    left, right = (
        np.searchsorted(x, posed.bounds[:, 0] - 1),
        np.searchsorted(x, posed.bounds[:, 1] + 1),
    )
    top, bottom = (
        np.searchsorted(y, posed.bounds[:, 2] - 1),
        np.searchsorted(y, posed.bounds[:, 3] + 1),
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in posed.order:
            window = slice(top[i], bottom[i]), slice(left[i], right[i])
            best = depth[window]
            if best.size == 0 or best.max() <= posed.near[i]:
                continue
            t = _hit(scene, posed, i, x[None, window[1]], y[window[0], None])
            nearer = t < best
            np.copyto(best, t, where=nearer)
            np.copyto(index[window], i, where=nearer)
    return Hits(index, depth)


def trace_points(scene: Scene, posed: Posed, x: np.ndarray, y: np.ndarray) -> Hits:
    """First hits of the rays through scattered pixels x, y [n]; arrays [n]."""
    index = np.full(x.shape, -1, np.int32)
    depth = np.full(x.shape, np.inf, x.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in posed.order:
            left, right, top, bottom = posed.bounds[i]
            inside = (x > left - 1) & (x < right + 1) & (y > top - 1) & (y < bottom + 1)
            chosen = np.flatnonzero(inside & (depth > posed.near[i]))
            if chosen.size == 0:
                continue
            t = _hit(scene, posed, i, x[chosen], y[chosen])
            nearer = t < depth[chosen]
            depth[chosen[nearer]] = t[nearer]
            index[chosen[nearer]] = i
    return Hits(index, depth)


def unit_points(
    posed: Posed, hits: Hits, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hit points and ray directions in unit-shape coordinates, both 3 x the shape of the hits.

    Rays that hit nothing get those of primitive 0 at depth 0; mask them by index < 0.
    """
    index = np.maximum(hits.index, 0)
    depth = np.where(hits.index < 0, 0, hits.depth).astype(x.dtype)
    rays, origin = posed.rays.astype(x.dtype), posed.origin.astype(x.dtype)
    direction = np.stack(
        [rays[index, k, 0] * x + rays[index, k, 1] * y + rays[index, k, 2] for k in range(3)]
    )
    start = np.stack([origin[index, k] for k in range(3)])
    return start + depth * direction, direction
