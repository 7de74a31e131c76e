"""Exact truth from the geometry, at pixel centres: depth, labels, flow and what is hidden."""

from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic.raycast import (
    NEAR,
    Hits,
    View,
    blocked,
    pose,
    trace_grid,
    unit_points,
)
from geoseg_jax.data.synthetic.scene import Scene

# A point counts as hidden where the other view's ray stops this much short of it. What is left of
# rounding in float64 is far below, the thinnest object far above.
_SHORT = 1e-4
_ROUNDING = 1e-6  # pixels


class Flow(NamedTuple):
    """Displacement [H, W, 2] in pixels to another view, and two bool [H, W].

    known: the point lies before the other camera, so that it has a place there, though maybe out of
    the picture or hidden. visible: it is seen there.
    """

    flow: np.ndarray
    known: np.ndarray
    visible: np.ndarray


def trace(scene: Scene, view: View) -> Hits:
    """Returns first hits [H, W] of the rays through the pixel centres, in float64."""
    x = np.arange(view.width, dtype=np.float64)
    y = np.arange(view.height, dtype=np.float64)
    return trace_grid(scene, pose(scene, view), x, y)


def depth_map(hits: Hits, max_depth: float = np.inf) -> np.ndarray:
    """Returns metres along the optical axis, f32; 0 where nothing is hit up to max_depth."""
    return np.where(hits.depth <= max_depth, hits.depth, 0).astype(np.float32)


def label_map(scene: Scene, hits: Hits) -> np.ndarray:
    """Returns classes, uint8; the sky's where nothing is hit."""
    return np.where(hits.index < 0, scene.sky.label, scene.label[hits.index]).astype(np.uint8)


def flow_to(scene: Scene, view: View, hits: Hits, source: View) -> Flow:
    """Tells where the points seen in `view` lie in `source`, moving objects having moved.

    The sky is infinitely far away: its flow is that of the camera's rotation, and counts as known.
    Not visible: outside the source's picture, behind its camera, or hidden there by something
    nearer, which a ray of its own through the very spot decides.
    """
    x, y = np.meshgrid(
        np.arange(view.width, dtype=np.float64), np.arange(view.height, dtype=np.float64)
    )
    point, _ = unit_points(pose(scene, view), hits, x, y)
    there = pose(scene, source)
    transform = there.camera_from_unit[np.maximum(hits.index, 0)]
    moved = np.einsum("hwij,jhw->hwi", transform[..., :3], point) + transform[..., 3]
    turn = source.camera_from_world[:3, :3] @ view.camera_from_world[:3, :3].T
    ray = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(view.intrinsics).T
    sky = hits.index < 0
    moved = np.where(sky[..., None], ray @ turn.T, moved)
    depth = moved[..., 2]
    front = depth > NEAR
    pixels = moved @ source.intrinsics.T
    xy = pixels[..., :2] / np.where(front, depth, 1)[..., None]
    # A point that stays where it is, on the border, must not fall out by rounding.
    last = np.array([source.width - 1, source.height - 1], np.float64)
    inside = front & (xy > -_ROUNDING).all(-1) & (xy < last + _ROUNDING).all(-1)
    reach = np.where(sky, np.inf, depth)
    visible = inside.copy()
    spots = np.clip(xy[inside], 0, last)
    visible[inside] = ~blocked(
        scene,
        there,
        spots[:, 0],
        spots[:, 1],
        reach[inside] * (1 - _SHORT),
        (source.height, source.width),
    )
    flow = np.where(front[..., None], xy - np.stack([x, y], -1), 0)
    return Flow(flow.astype(np.float32), front, visible)
