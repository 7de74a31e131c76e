"""The colour of surface samples. It is fixed in the world: the same point looks the same from
everywhere, up to what the size of a pixel blurs.

Samples are flat arrays [n] in float32, small enough to stay in a core's cache.
"""

from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic import shapes
from geoseg_jax.data.synthetic.contact import contact_shade
from geoseg_jax.data.synthetic.materials import PATTERNS, Patch
from geoseg_jax.data.synthetic.noise import fractal_noise, value_noise
from geoseg_jax.data.synthetic.raycast import Posed, View, gather
from geoseg_jax.data.synthetic.scene import Scene, Sky


class Samples(NamedTuple):
    """n rays: pixel (x, y), the primitive hit, its depth, and the width of the sample in pixels."""

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    depth: np.ndarray
    spacing: np.ndarray


class _Faces(NamedTuple):
    """Where samples lie on their primitive: the face's axis, and light's geometry there."""

    axis: np.ndarray  # of the primitive's frame, nearest to the normal
    across: np.ndarray  # cosine between ray and normal, times the ray's length
    sun: np.ndarray  # cosine between normal and sun, 0 where it is turned away
    down: np.ndarray  # y of the world normal


def _towards(scene: Scene) -> np.ndarray:
    towards = np.asarray(scene.light.direction, np.float64)
    return towards / np.linalg.norm(towards)


def _faces(scene: Scene, rotation: np.ndarray, index, unit, ray) -> _Faces:
    """Finds the face at each point; unit, ray [3, n]: on the unit shape, in metres."""
    magnitude = np.abs(unit)
    axis = (magnitude[1] > magnitude[0]).astype(np.intp)
    axis[magnitude[2] > np.maximum(magnitude[0], magnitude[1])] = 2
    quad = gather(scene.kind == shapes.QUAD, index)
    axis[quad] = 1
    component = axis * index.size + np.arange(index.size)
    positive = (gather(unit, component) > 0) & ~quad
    sign = 2 * positive.astype(np.float32) - 1
    # Flat faces share their light: a table by primitive and axis.
    cosine = np.einsum("nij,i->nj", rotation, _towards(scene)).astype(np.float32)
    level = np.ascontiguousarray(rotation[:, 1], np.float32)
    entry = index * 3 + axis
    sun = sign * gather(cosine.ravel(), entry)
    down = sign * gather(level.ravel(), entry)
    across = np.abs(gather(ray, component))
    curved = np.flatnonzero(gather(~np.isin(scene.kind, (shapes.BOX, shapes.QUAD)), index))
    if curved.size:
        chosen = index[curved]
        normal = np.empty((curved.size, 3), np.float32)
        kinds = scene.kind[chosen]
        for kind in np.unique(kinds):
            of_kind = np.flatnonzero(kinds == kind)
            normal[of_kind] = shapes.normals(int(kind), unit[:, curved[of_kind]].T)
        normal /= scene.half[chosen].astype(np.float32)
        normal /= np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-12
        axis[curved] = np.abs(normal).argmax(-1)
        across[curved] = np.abs((ray[:, curved].T * normal).sum(-1))
        sun[curved] = (normal * cosine[chosen]).sum(-1)
        down[curved] = (normal * level[chosen]).sum(-1)
    return _Faces(axis, across, np.maximum(sun, 0), down)


def _look(scene: Scene, index: np.ndarray, patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Returns accent share and brightness [n], patterns and noise."""
    accent, bright = np.zeros(index.shape, np.float32), np.ones(index.shape, np.float32)
    pattern = gather(scene.pattern, index)
    for number in np.flatnonzero(np.bincount(pattern)):
        if number == 0:  # plain
            continue
        chosen = np.flatnonzero(pattern == number)
        look = PATTERNS[number](Patch(*(gather(column, chosen) for column in patch)))
        accent[chosen], bright[chosen] = look
    # The geometric mean keeps some texture on ground seen at a slant.
    rough = fractal_noise(
        patch.u + gather(scene.offset[:, 0].astype(np.float32), index),
        patch.v + gather(scene.offset[:, 1].astype(np.float32), index),
        gather(scene.noise, index),
        np.sqrt(patch.footprint_u * patch.footprint_v),
    )
    bright *= 1 + gather(scene.contrast, index) * rough
    return accent, bright


def surface_color(scene: Scene, view: View, posed: Posed, samples: Samples) -> np.ndarray:
    """Colours [n, 3] of samples that hit something."""
    index, x, y, depth = samples.index.astype(np.intp), samples.x, samples.y, samples.depth
    # Tables with the primitive last, each component contiguous; lengths in metres.
    half = np.ascontiguousarray(scene.half.T, np.float32)
    rays = (posed.rays * scene.half[..., None]).transpose(1, 2, 0).astype(np.float32, order="C")
    origin = (posed.origin * scene.half).T.astype(np.float32, order="C")
    rotation, centre = scene.at(view.time)
    level_row = rotation[:, 1].T.astype(np.float32, order="C")
    n = index.size
    ray, point, unit, size = np.empty((4, 3, n), np.float32)
    height = gather(centre[:, 1].astype(np.float32), index)
    for k in range(3):
        a, b, c = (gather(row, index) for row in rays[k])
        ray[k] = a * x + b * y + c
        point[k] = gather(origin[k], index) + depth * ray[k]
        size[k] = gather(half[k], index)
        unit[k] = point[k] / size[k]
        height += gather(level_row[k], index) * point[k]
    faces = _faces(scene, rotation, index, unit, ray)
    level = faces.axis == 1
    along_u = np.where(faces.axis == 0, 2 * n, 0) + np.arange(n)
    along_v = np.where(level, 2 * n, n) + np.arange(n)
    half_u, half_v = gather(size, along_u), gather(size, along_v)
    # A round bundle of rays meets the surface in an ellipse, longer along the ray's slant.
    pixel = depth * samples.spacing * np.float32(1 / view.intrinsics[0, 0])
    slant = 1 / (faces.across + np.float32(1e-3))
    patch = Patch(
        u=gather(point, along_u) + half_u,
        v=half_v + (2 * level.astype(np.float32) - 1) * gather(point, along_v),
        footprint_u=pixel * np.sqrt(1 + (gather(ray, along_u) * slant) ** 2),
        footprint_v=pixel * np.sqrt(1 + (gather(ray, along_v) * slant) ** 2),
        size_u=gather(scene.size[:, 0], index),
        size_v=gather(scene.size[:, 1], index),
        width=2 * half_u,
        height=2 * half_v,
        upright=~level,
        seed=gather(scene.instance, index),
    )
    accent, bright = _look(scene, index, patch)
    ground = np.flatnonzero(level & (height > -0.25) & (faces.down < -0.9))
    spots = (gather(values, ground) for values in (x, y, depth))
    bright[ground] *= contact_shade(scene, view, posed, *spots)
    low = np.exp(np.minimum(height, 0) * np.float32(1 / 0.4)) * patch.upright
    sky = (0.85 - 0.15 * faces.down) * (1 - 0.35 * low)
    color = np.empty((n, 3), np.float32)
    for c in range(3):
        base, other = scene.color[:, c], scene.accent[:, c]
        light = faces.sun * np.float32(scene.light.sun[c]) + sky * np.float32(
            scene.light.ambient[c]
        )
        color[:, c] = (gather(base, index) + accent * gather(other - base, index)) * bright * light
    return color


def sky_color(sky: Sky, view: View, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours [n, 3] of the sky at pixels x, y: a gradient, and clouds fixed to the direction."""
    pixel_to_world = view.camera_from_world[:3, :3].T @ np.linalg.inv(view.intrinsics)
    rows = pixel_to_world.astype(np.float32)
    right, down, on = (row[0] * x + row[1] * y + row[2] for row in rows)
    inverse = 1 / np.sqrt(right * right + down * down + on * on)
    up = np.maximum(-down * inverse, 0)
    plane = inverse / (up + np.float32(0.12))
    u, v = right * plane, on * plane
    noise = value_noise(u * 2.5, v * 2.5) + 0.5 * value_noise(u * 6.0 + 9, v * 6.0)
    noise += 0.25 * value_noise(u * 14.0, v * 14.0 + 5)
    cloud = 0.85 * np.clip(noise * 0.9 + np.float32(sky.clouds * 1.6 - 0.8), 0, 1)
    blend = up**0.45
    color = np.empty((x.size, 3), np.float32)
    for c in range(3):
        zenith, horizon = np.float32(sky.zenith[c]), np.float32(sky.horizon[c])
        base = horizon + blend * (zenith - horizon)
        color[:, c] = base + cloud * (np.float32(0.96) - base)
    return color
