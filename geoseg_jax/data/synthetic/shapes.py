"""Unit shapes: where a ray meets them, and their normals.

All live in [-1, 1]^3 with y down: the box; the sphere; the cylinder round the y axis; the cone with
its apex at y = -1 and its base at y = 1; the quad, which is the plane y = 0 seen from y < 0; and
the prism, a gable roof with its ridge along z at y = -1.

A ray is origin + t * direction. `origin` is three scalars or arrays, `direction` three arrays of
one shape; t comes back in that shape, inf where the ray misses or starts inside.
"""

from collections.abc import Sequence

import numpy as np

BOX, SPHERE, CYLINDER, CONE, QUAD, PRISM = range(6)

Origin = Sequence[float] | Sequence[np.ndarray]
Directions = Sequence[np.ndarray]


def _nonzero(component: np.ndarray) -> np.ndarray:
    """Replaces exact zeros, which would make 0/0 of a ray parallel to a face."""
    component[component == 0] = 1e-12
    return component


def _slab(origin: float | np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inverse = 1 / _nonzero(direction)
    middle = inverse * -origin
    np.abs(inverse, out=inverse)
    return middle - inverse, middle + inverse


def _enter(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    near[(near > far) | (near <= 0)] = np.inf
    return near


def hit_box(origin: Origin, direction: Directions) -> np.ndarray:
    """Intersects the box by the slab test (Kay and Kajiya, 1986)."""
    near, far = _slab(origin[0], direction[0])
    for axis in (1, 2):
        low, high = _slab(origin[axis], direction[axis])
        np.maximum(near, low, out=near)
        np.minimum(far, high, out=far)
    return _enter(near, far)


def hit_sphere(origin: Origin, direction: Directions) -> np.ndarray:
    """Returns the nearer root of the quadratic."""
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    a = dx * dx + dy * dy + dz * dz
    b = dx * ox + dy * oy + dz * oz
    disc = b * b - a * (ox * ox + oy * oy + oz * oz - 1)
    t = (-b - np.sqrt(np.maximum(disc, 0))) / a
    t[(disc <= 0) | (t <= 0)] = np.inf
    return t


def _cap(origin: Origin, direction: Directions, y: float | np.ndarray) -> np.ndarray:
    """Returns the disc of radius 1 at height y."""
    t = (y - origin[1]) / _nonzero(direction[1])
    x, z = origin[0] + t * direction[0], origin[2] + t * direction[2]
    t[(x * x + z * z > 1) | (t <= 0)] = np.inf
    return t


def hit_cylinder(origin: Origin, direction: Directions) -> np.ndarray:
    """Returns the nearer of the mantle, a quadratic in x and z, and the two caps."""
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    a = _nonzero(dx * dx + dz * dz)
    b = dx * ox + dz * oz
    disc = b * b - a * (ox * ox + oz * oz - 1)
    t = (-b - np.sqrt(np.maximum(disc, 0))) / a
    t[(disc <= 0) | (t <= 0) | (np.abs(oy + t * dy) > 1)] = np.inf
    if np.any(np.abs(oy) > 1):
        # From between the caps' planes the side hides them.
        np.minimum(t, _cap(origin, direction, np.sign(oy)), out=t, where=np.abs(oy) > 1)
    return t


def hit_cone(origin: Origin, direction: Directions) -> np.ndarray:
    """Returns the nearer of the mantle, on one side of the apex, and the base."""
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    height = oy + 1
    a = _nonzero(dx * dx + dz * dz - dy * dy / 4)
    b = dx * ox + dz * oz - dy * (height / 4)
    disc = b * b - a * (ox * ox + oz * oz - height * height / 4)
    root = np.sqrt(np.maximum(disc, 0))
    best = np.full_like(a, np.inf)
    for t in ((-b - root) / a, (-b + root) / a):
        y = height + t * dy
        t[(disc <= 0) | (t <= 0) | (y < 0) | (y > 2)] = np.inf
        np.minimum(best, t, out=best)
    if np.any(oy > 1):
        np.minimum(best, _cap(origin, direction, 1.0), out=best, where=oy > 1)
    return best


def hit_quad(origin: Origin, direction: Directions) -> np.ndarray:
    """Returns the plane y = 0 where |x| and |z| are at most 1."""
    t = -origin[1] / _nonzero(direction[1])
    x, z = origin[0] + t * direction[0], origin[2] + t * direction[2]
    t[(np.abs(x) > 1) | (np.abs(z) > 1) | (t <= 0)] = np.inf
    return t


def hit_prism(origin: Origin, direction: Directions) -> np.ndarray:
    """Clips the ray by z in [-1, 1], y <= 1 and the slopes |x| <= (y + 1) / 2."""
    (ox, oy, _), (dx, dy, _) = origin, direction
    near, far = _slab(origin[2], direction[2])
    planes = (
        (oy - 1, dy),
        (ox - (oy + 1) / 2, dx - dy / 2),
        (-ox - (oy + 1) / 2, -dx - dy / 2),
    )
    for distance, rate in planes:
        rate = _nonzero(rate.copy())
        t = -distance / rate
        np.maximum(near, np.where(rate < 0, t, -np.inf), out=near)
        np.minimum(far, np.where(rate > 0, t, np.inf), out=far)
    return _enter(near, far)


HIT = {
    BOX: hit_box,
    SPHERE: hit_sphere,
    CYLINDER: hit_cylinder,
    CONE: hit_cone,
    QUAD: hit_quad,
    PRISM: hit_prism,
}


def normals(kind: int, points: np.ndarray) -> np.ndarray:
    """Returns outward normals, not normalised, of unit shape `kind` at surface points [n, 3]."""
    x, y, z = points.T
    normal = np.zeros_like(points)
    if kind == SPHERE:
        return points
    if kind == QUAD:
        normal[:, 1] = -1
    elif kind == BOX:
        axis = np.abs(points).argmax(axis=1)
        rows = np.arange(len(points))
        normal[rows, axis] = np.sign(points[rows, axis])
    elif kind == CYLINDER:
        cap = np.abs(y) > np.hypot(x, z)
        normal[:, 0], normal[:, 2] = np.where(cap, 0, x), np.where(cap, 0, z)
        normal[:, 1] = np.where(cap, np.sign(y), 0)
    elif kind == CONE:
        base = y > 1 - 1e-3
        normal[:, 0], normal[:, 2] = np.where(base, 0, x), np.where(base, 0, z)
        normal[:, 1] = np.where(base, 1, -(y + 1) / 4)
    elif kind == PRISM:
        excess = np.stack([np.abs(x) - (y + 1) / 2, np.abs(z) - 1, y - 1])
        face = excess.argmax(axis=0)
        normal[:, 0] = np.where(face == 0, np.sign(x), 0)
        normal[:, 1] = np.where(face == 0, -0.5, np.where(face == 2, 1, 0))
        normal[:, 2] = np.where(face == 1, np.sign(z), 0)
    else:
        raise ValueError(f"shape kind {kind} is unknown; known: {sorted(HIT)}")
    return normal
