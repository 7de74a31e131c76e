"""From a scene and a camera to what every ray hits first. Nothing here knows about colours.

A ray through pixel (x, y) has direction K^-1 (x, y, 1) in the camera's frame, so its parameter t is
the depth along the optical axis. In the frame of a primitive, scaled to its unit shape, that
direction is linear in (x, y, 1). A primitive is only tested where its projected bounding rectangle
lies: large ones one after the other on whole windows of the picture, the many small ones together,
where a loop over them would spend its time in the interpreter.
"""

import itertools
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic import shapes
from geoseg_jax.data.synthetic.scene import Scene

NEAR = 0.05  # metres; nothing nearer is seen
_SMALL = 1500  # rays in a window up to which primitives are tested together
_BLOCK = 16384


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
    """Bounds the unit boxes: pixel rectangles [N, 4], nearest depth [N], whether in front [N]."""
    corners = np.tile(_CORNERS, (len(camera_from_unit), 1, 1))
    corners[flat, :, 1] = 0  # a quad has no thickness
    points = corners @ camera_from_unit[:, :, :3].transpose(0, 2, 1)
    points += camera_from_unit[:, None, :, 3]
    seen = points[..., 2] >= NEAR
    low, high = _extent(points, seen, intrinsics)
    near = np.where(seen, points[..., 2], np.inf).min(axis=1)
    # Where an edge runs through the near plane, the crossing bounds what can be seen of it.
    cut = np.flatnonzero(seen.any(axis=1) & ~seen.all(axis=1))
    a, b = points[cut][:, _EDGES[:, 0]], points[cut][:, _EDGES[:, 1]]
    crossing = (a[..., 2] < NEAR) != (b[..., 2] < NEAR)
    rise = np.where(crossing, b[..., 2] - a[..., 2], 1)
    cut_low, cut_high = _extent(
        a + ((NEAR - a[..., 2]) / rise)[..., None] * (b - a), crossing, intrinsics
    )
    low[cut], high[cut] = np.minimum(low[cut], cut_low), np.maximum(high[cut], cut_high)
    near[cut] = NEAR
    bounds = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)
    return bounds, near, seen.any(axis=1)


def _extent(points: np.ndarray, seen: np.ndarray, intrinsics: np.ndarray):
    """Finds the lowest and highest pixel [N, 2] of the points [N, k, 3] that are seen [N, k]."""
    pixels = points @ intrinsics.T
    xy = pixels[..., :2] / np.where(seen, pixels[..., 2], 1)[..., None]
    low = np.where(seen[..., None], xy, np.inf).min(axis=1)
    return low, np.where(seen[..., None], xy, -np.inf).max(axis=1)


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


def _windows(posed: Posed, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Finds what each primitive may cover: int [N, 4] columns from, to, rows from, to.

    A pixel's width is added all round, far more than rounding could need.
    """
    left, right, top, bottom = posed.bounds.T
    columns = np.searchsorted(x, left - 1), np.searchsorted(x, right + 1)
    rows = np.searchsorted(y, top - 1), np.searchsorted(y, bottom + 1)
    return np.stack([*columns, *rows], axis=1)


def _ranges(start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists, for each element of each range, the range's number and start + 0, 1, ..."""
    owner = np.repeat(np.arange(length.size), length)
    shift = start - (np.cumsum(length) - length)
    return owner, np.arange(owner.size) + np.repeat(shift, length)


def gather(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Reads table[index] for indices known to be in range, without the check: twice the speed."""
    return table.take(index, mode="clip")


def _hit_pairs(scene: Scene, posed: Posed, which: np.ndarray, x, y) -> np.ndarray:
    """Finds the depth [n] of ray (x, y)[k] on primitive which[k]; kinds must lie together."""
    depth = np.empty(x.shape, x.dtype)
    # [3, 3, N] and [3, N], so that each component is one contiguous table.
    rays = np.ascontiguousarray(posed.rays.transpose(1, 2, 0), x.dtype)
    origin = np.ascontiguousarray(posed.origin.T, x.dtype)
    kinds = gather(scene.kind, which)
    edges = np.flatnonzero(np.diff(kinds, prepend=-1, append=-1))
    for start, end in itertools.pairwise(edges):
        hit = shapes.HIT[int(kinds[start])]
        # Blocks that stay in a core's cache.
        for low in range(start, end, _BLOCK):
            block = slice(low, min(low + _BLOCK, end))
            i, at_x, at_y = which[block], x[block], y[block]
            direction = [
                gather(ray[0], i) * at_x + gather(ray[1], i) * at_y + gather(ray[2], i)
                for ray in rays
            ]
            depth[block] = hit([gather(o, i) for o in origin], direction)
    return depth


def _trace_large(scene: Scene, posed: Posed, windows, x, y, hits: Hits) -> None:
    """Traces primitive by primitive, nearest first, whole windows at a time."""
    for i in posed.order:
        left, right, top, bottom = windows[i]
        window = slice(top, bottom), slice(left, right)
        best = hits.depth[window]
        if best.size <= _SMALL or best.max() <= posed.near[i]:
            continue
        rays, origin = posed.rays[i].astype(x.dtype), posed.origin[i].astype(x.dtype)
        columns, rows = x[None, left:right], y[top:bottom, None]
        direction = [ray[0] * columns + (ray[1] * rows + ray[2]) for ray in rays]
        t = shapes.HIT[int(scene.kind[i])](origin, direction)
        nearer = t < best
        np.copyto(best, t, where=nearer)
        np.copyto(hits.index[window], i, where=nearer)


def _trace_small(scene: Scene, posed: Posed, windows, x, y, hits: Hits) -> None:
    """Traces all small primitives at once, as pairs of primitive and ray."""
    order = posed.order
    left, right, top, bottom = windows[order].T
    area = (right - left) * (bottom - top)
    chosen = np.flatnonzero((area > 0) & (area <= _SMALL))
    chosen = chosen[np.argsort(scene.kind[order[chosen]], kind="stable")]
    order, left, right, top = order[chosen], left[chosen], right[chosen], top[chosen]
    # A window is its rows, a row its rays.
    owner, row = _ranges(top, (bottom[chosen] - top))
    start = row * len(x) + gather(left, owner)
    line, pixel = _ranges(start, gather(right - left, owner))
    which = gather(gather(order, owner), line)
    depth, index = hits.depth.reshape(-1), hits.index.reshape(-1)
    keep = np.flatnonzero(gather(depth, pixel) > gather(posed.near, which))
    which, pixel = gather(which, keep), gather(pixel, keep)
    row = pixel // len(x)
    t = _hit_pairs(scene, posed, which, gather(x, pixel - row * len(x)), gather(y, row))
    nearer = np.flatnonzero(t < gather(depth, pixel))
    # Of several hits of a ray the last one written stays, which is the nearest.
    nearer = nearer[np.argsort(-t[nearer], kind="stable")]
    depth[pixel[nearer]] = t[nearer]
    index[pixel[nearer]] = which[nearer]


def trace_grid(scene: Scene, posed: Posed, x: np.ndarray, y: np.ndarray) -> Hits:
    """Traces first hits [h, w] of rays through columns x [w] and rows y [h], both ascending.

    The precision of x and y is that of the depth.
    """
    hits = Hits(np.full((len(y), len(x)), -1, np.int32), np.full((len(y), len(x)), np.inf, x.dtype))
    windows = _windows(posed, x, y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        _trace_large(scene, posed, windows, x, y, hits)
        _trace_small(scene, posed, windows, x, y, hits)
    return hits


def blocked(
    scene: Scene, posed: Posed, x: np.ndarray, y: np.ndarray, reach: np.ndarray, size
) -> np.ndarray:
    """Tells whether rays through pixels x, y [n] hit something at a depth below reach [n].

    The pixels must lie in the picture of `size` (height, width).
    """
    height, width = size
    stride = width + 1.0
    row = np.floor(y)
    key = row * stride + x
    order = np.argsort(key)
    key, x, y, reach = key[order], x[order], y[order], reach[order]
    which = posed.order[np.argsort(scene.kind[posed.order], kind="stable")]
    left, right, top, bottom = posed.bounds[which].T
    first = np.clip(np.floor(top - 1), 0, height).astype(int)
    last = np.clip(np.floor(bottom + 1), -1, height - 1).astype(int)
    owner, row = _ranges(first, np.maximum(last - first + 1, 0))
    left, right = np.clip(left - 1, 0, width), np.clip(right + 1, 0, width)
    start = np.searchsorted(key, row * stride + left[owner])
    end = np.searchsorted(key, row * stride + right[owner])
    line, point = _ranges(start, end - start)
    which = gather(gather(which, owner), line)
    keep = np.flatnonzero(gather(posed.near, which) < gather(reach, point))
    which, point = gather(which, keep), gather(point, keep)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t = _hit_pairs(scene, posed, which, x[point], y[point])
    hidden = np.zeros(x.size, bool)
    hidden[order[point[t < reach[point]]]] = True
    return hidden


def unit_points(
    posed: Posed, hits: Hits, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns hit points and ray directions in unit-shape coordinates, both 3 x the hits' shape.

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
