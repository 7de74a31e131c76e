"""Soft shade on the ground where things stand, so that they don't seem to float.

No shadow rays: each thing that reaches down to the ground darkens it by the distance from its
outline. That is smooth, moves with the thing and costs little.
"""

import numpy as np

from geoseg_jax.data.synthetic import shapes
from geoseg_jax.data.synthetic.raycast import Posed, View
from geoseg_jax.data.synthetic.scene import Scene

_REACH = 0.3  # metres in which the shade falls by e
_DEEPEST = 0.75
_CLEARANCE = 0.6  # metres above the ground in which a thing's shade falls by e


def _casters(scene: Scene) -> np.ndarray:
    """Finds upright primitives of some size whose lower side is near y = 0."""
    clearance = -(scene.centre[:, 1] + scene.half[:, 1])
    upright = np.abs(scene.rotation[:, 1, 1]) > 0.99
    wide = scene.half[:, 0] * scene.half[:, 2] > 0.004
    solid = (scene.kind != shapes.QUAD) & (scene.half[:, 1] > 0.1)
    return np.flatnonzero(upright & wide & solid & (clearance < _CLEARANCE / 2))


def contact_shade(
    scene: Scene, view: View, posed: Posed, x: np.ndarray, y: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """Returns the share of light, f32 [n], left at ground points seen at pixels x, y at a depth."""
    to_world = view.camera_from_world[:3, :3].T
    eye = -to_world @ view.camera_from_world[:3, 3]
    rays = (to_world @ np.linalg.inv(view.intrinsics)).astype(np.float32)
    east = depth * (rays[0, 0] * x + rays[0, 1] * y + rays[0, 2]) + np.float32(eye[0])
    north = depth * (rays[2, 0] * x + rays[2, 1] * y + rays[2, 2]) + np.float32(eye[2])
    share = np.ones_like(depth)
    rotation, centre = scene.at(view.time)
    seen = np.isin(_casters(scene), posed.order[posed.near[posed.order] < 45])
    for i in _casters(scene)[seen]:
        half = scene.half[i].astype(np.float32)
        right, on = east - np.float32(centre[i, 0]), north - np.float32(centre[i, 2])
        radius = np.hypot(half[0], half[2]) + 4 * _REACH
        near = np.flatnonzero((np.abs(right) < radius) & (np.abs(on) < radius))
        if near.size == 0:
            continue
        (a, _, b), _, (c, _, d) = rotation[i].astype(np.float32)
        right, on = right[near], on[near]
        out = np.maximum(np.abs(a * right + c * on) - half[0], 0)
        beyond = np.maximum(np.abs(b * right + d * on) - half[2], 0)
        clearance = max(-(centre[i, 1] + half[1]), 0.0)
        deep = _DEEPEST * np.exp(-clearance / _CLEARANCE)
        fall = np.exp(np.sqrt(out * out + beyond * beyond) * np.float32(-1 / _REACH))
        share[near] *= 1 - np.float32(deep) * fall
    return share
