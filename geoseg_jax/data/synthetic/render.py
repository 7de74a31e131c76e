"""Pictures and exact truth of a scene. Shading is fixed in the world: the same point has the same
colour in every view, up to what the sampling of the picture blurs.
"""

from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic import shapes
from geoseg_jax.data.synthetic.materials import PATTERNS, Patch
from geoseg_jax.data.synthetic.noise import fractal_noise, value_noise
from geoseg_jax.data.synthetic.raycast import Hits, View, pose, trace_grid, unit_points
from geoseg_jax.data.synthetic.scene import Scene, Sky


class _Surface(NamedTuple):
    """Surface samples as maps [h, w], lengths in metres."""

    u: np.ndarray
    v: np.ndarray
    footprint_u: np.ndarray
    footprint_v: np.ndarray
    width: np.ndarray
    height: np.ndarray
    upright: np.ndarray
    normal: np.ndarray  # [h, w, 3] in the world
    altitude: np.ndarray  # above y = 0


def _surface(scene: Scene, view: View, hits: Hits, x, y, spacing: float) -> _Surface:
    posed = pose(scene, view)
    point, direction = unit_points(posed, hits, x, y)
    index = np.maximum(hits.index, 0)
    shape = index.shape
    half = scene.half.astype(np.float32)[index]  # [h, w, 3]
    point, direction = np.moveaxis(point, 0, -1), np.moveaxis(direction, 0, -1)
    normal = np.empty_like(point)
    kinds = scene.kind[index]
    for kind in np.unique(kinds):
        chosen = kinds == kind
        normal[chosen] = shapes.normals(int(kind), point[chosen])
    normal /= half
    normal /= np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-12
    metres, ray = point * half, direction * half
    axis = np.abs(normal).argmax(-1)
    level = axis == 1
    u_axis, v_axis = np.where(axis == 0, 2, 0), np.where(level, 2, 1)

    def pick(values: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, which[..., None], -1)[..., 0]

    half_u, half_v = pick(half, u_axis), pick(half, v_axis)
    u = pick(metres, u_axis) + half_u
    v = half_v + np.where(level, 1, -1) * pick(metres, v_axis)
    # A pixel's circle of rays meets the surface in an ellipse, longer along the ray's slant.
    across = np.abs((ray * normal).sum(-1)) + 1e-3
    depth = np.where(hits.index < 0, 0, hits.depth)
    pixel = depth * np.float32(spacing / view.intrinsics[0, 0])
    rotation, centre = scene.at(view.time)
    to_world = rotation.astype(np.float32)[index.ravel()].reshape(*shape, 3, 3)
    height = np.einsum("hwj,hwj->hw", to_world[..., 1, :], metres)
    return _Surface(
        u=u,
        v=v,
        footprint_u=pixel * np.sqrt(1 + (pick(ray, u_axis) / across) ** 2),
        footprint_v=pixel * np.sqrt(1 + (pick(ray, v_axis) / across) ** 2),
        width=2 * half_u,
        height=2 * half_v,
        upright=~level,
        normal=np.einsum("hwij,hwj->hwi", to_world, normal),
        altitude=-(height + centre.astype(np.float32)[index, 1]),
    )


def _albedo(scene: Scene, index: np.ndarray, surface: _Surface) -> np.ndarray:
    """Colours [h, w, 3] before light."""
    materials = scene.materials
    size = np.array([m.size for m in materials], np.float32)[index]
    names = sorted({m.pattern for m in materials})
    pattern = np.array([names.index(m.pattern) for m in materials])[index]
    accent, bright = np.zeros(index.shape, np.float32), np.ones(index.shape, np.float32)
    for number, name in enumerate(names):
        chosen = pattern == number
        if name == "plain" or not chosen.any():
            continue
        accent[chosen], bright[chosen] = PATTERNS[name](
            Patch(
                u=surface.u[chosen],
                v=surface.v[chosen],
                footprint_u=surface.footprint_u[chosen],
                footprint_v=surface.footprint_v[chosen],
                size_u=size[chosen][:, 0],
                size_v=size[chosen][:, 1],
                width=surface.width[chosen],
                height=surface.height[chosen],
                upright=surface.upright[chosen],
                seed=scene.instance[index[chosen]],
            )
        )
    offset = scene.offset.astype(np.float32)[index]
    # The geometric mean keeps some texture on grazed ground; supersampling takes the rest.
    footprint = np.sqrt(surface.footprint_u * surface.footprint_v)
    rough = fractal_noise(
        surface.u + offset[..., 0],
        surface.v + offset[..., 1],
        np.array([m.noise for m in materials], np.float32)[index],
        footprint,
    )
    bright *= 1 + np.array([m.contrast for m in materials], np.float32)[index] * rough
    colors = np.array([m.color for m in materials], np.float32)[index]
    accents = np.array([m.accent for m in materials], np.float32)[index]
    return (colors + accent[..., None] * (accents - colors)) * bright[..., None]


def _light(scene: Scene, surface: _Surface) -> np.ndarray:
    """Sun after Lambert, sky from above, and less of it low down; RGB factors [h, w, 3]."""
    light = scene.light
    towards = np.asarray(light.direction, np.float32)
    towards = towards / np.linalg.norm(towards)
    sun = np.maximum(surface.normal @ towards, 0)[..., None]
    sky = 0.85 - 0.15 * surface.normal[..., 1:2]
    near_ground = 0.35 * np.exp(-np.maximum(surface.altitude, 0) / 0.4) * surface.upright
    sky = sky * (1 - near_ground[..., None])
    return sun * np.asarray(light.sun, np.float32) + sky * np.asarray(light.ambient, np.float32)


def sky_color(sky: Sky, direction: np.ndarray) -> np.ndarray:
    """Colours [..., 3] of the sky in world directions [h, w, 3]: a gradient and drifting clouds."""
    length = np.sqrt((direction * direction).sum(-1))
    up = np.clip(-direction[..., 1] / length, 0, 1)
    plane = 1 / (up + 0.12)
    u, v = direction[..., 0] / length * plane, direction[..., 2] / length * plane
    noise = value_noise(u * 2.5, v * 2.5) + 0.5 * value_noise(u * 6.0 + 9, v * 6.0)
    noise += 0.25 * value_noise(u * 14.0, v * 14.0 + 5)
    cloud = np.clip(noise * 0.9 + sky.clouds * 1.6 - 0.8, 0, 1)[..., None]
    blend = (up**0.45)[..., None]
    base = np.asarray(sky.horizon, np.float32) * (1 - blend) + blend * np.asarray(
        sky.zenith, np.float32
    )
    return base + cloud * (np.float32(0.96) - base) * 0.85


def shade(scene: Scene, view: View, hits: Hits, x, y, spacing: float) -> np.ndarray:
    """Colours [h, w, 3] f32 of hits at pixels x [w], y [h] that are `spacing` pixels apart."""
    x, y = np.broadcast_arrays(x[None], y[:, None])
    surface = _surface(scene, view, hits, x, y, spacing)
    index = np.maximum(hits.index, 0)
    color = _albedo(scene, index, surface) * _light(scene, surface)
    empty = hits.index < 0
    if empty.any():
        world_from_pixel = view.camera_from_world[:3, :3].T @ np.linalg.inv(view.intrinsics)
        direction = np.stack([x, y, np.ones_like(x)], -1) @ world_from_pixel.T.astype(np.float32)
        color = np.where(empty[..., None], sky_color(scene.sky, direction), color)
    return color


def render(scene: Scene, view: View, samples: int = 2) -> np.ndarray:
    """The picture, uint8 [H, W, 3], the mean of samples x samples rays in each pixel."""
    spots = (np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5
    x = (np.arange(view.width, dtype=np.float32)[:, None] + spots).ravel()
    y = (np.arange(view.height, dtype=np.float32)[:, None] + spots).ravel()
    hits = trace_grid(scene, pose(scene, view), x, y)
    color = np.clip(shade(scene, view, hits, x, y, 1 / samples), 0, 1)
    color = color.reshape(view.height, samples, view.width, samples, 3).mean((1, 3))
    return np.round(color * 255).astype(np.uint8)
