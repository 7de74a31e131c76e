"""Pictures of one thing: its category shows in its shape, whatever pose, texture and background."""

from collections.abc import Callable

import numpy as np

from geoseg_jax.data.labels.tables.synthetic import OBJECT_CATEGORIES
from geoseg_jax.data.synthetic import parts
from geoseg_jax.data.synthetic.parts import Spot, pick
from geoseg_jax.data.synthetic.raycast import View
from geoseg_jax.data.synthetic.scene import (
    Light,
    Material,
    Scene,
    SceneBuilder,
    Sky,
    rotation_x,
    rotation_y,
    rotation_z,
)
from geoseg_jax.data.synthetic.shapes import BOX, QUAD, SPHERE

FOCAL = 1.2  # of the picture's shorter side

_SURFACES = ("plain", "tiles", "checks", "stripes", "bricks", "planks", "leaves")


def _surface(rng: np.random.Generator) -> Material:
    first, second = rng.uniform(0.15, 0.85, 3), rng.uniform(0.15, 0.85, 3)
    size = rng.uniform(0.15, 0.6, 2)
    return Material(
        first,
        rng.choice(_SURFACES),
        second,
        tuple(size),
        rng.uniform(0.1, 0.8),
        rng.uniform(0.2, 0.6),
    )


def _ball(spot: Spot, rng: np.random.Generator) -> None:
    spot.add(SPHERE, (0, 0.3, 0), (0.3,) * 3, _surface(rng), rotation_x(rng.uniform(0, 6.28)))


def _box(spot: Spot, rng: np.random.Generator) -> None:
    spot.box((0, 0, 0), rng.uniform(0.4, 0.9, 3), _surface(rng))


def _table(spot: Spot, rng: np.random.Generator) -> None:
    parts.table(spot, rng, (rng.uniform(0.8, 1.5), rng.uniform(0.55, 0.8), rng.uniform(0.6, 0.9)))


def _tree(spot: Spot, rng: np.random.Generator) -> None:
    parts.tree(spot, rng, rng.uniform(3, 6))


def _house(spot: Spot, rng: np.random.Generator) -> None:
    color = rng.uniform(0.3, 0.85, 3)
    wall = Material(color, "facade", parts.WINDOW, (1.8, 2.6), 0.8, 0.3)
    roof = rng.uniform(0.2, 0.6, 3)
    size = (rng.uniform(5, 8), rng.uniform(2.8, 5.5), rng.uniform(5, 8))
    parts.house(spot, rng, size, wall, Material(roof, "tiles", roof * 0.5, (0.4, 0.4)))


def _airplane(spot: Spot, rng: np.random.Generator) -> None:
    """Builds an airplane in the air, banked and pitched as one piece."""
    paint, trim = rng.uniform(0.35, 0.95, 3), pick(rng, parts.PAINTS)
    skin = Material(paint, "stripes", paint * 0.85, (0.5, 0.5), 0.5, 0.2)
    wing = Material(trim, noise=0.4, contrast=0.3)
    lean = rotation_x(rng.uniform(-0.3, 0.4)) @ rotation_z(rng.uniform(-0.5, 0.5))
    height, span = 1.2, rng.uniform(2.2, 3.0)

    def add(kind: int, centre, half, material: Material) -> None:
        x, y, z = lean @ (centre[0], -centre[1], centre[2])
        spot.add(kind, (x, height - y, z), half, material, lean)

    add(SPHERE, (0, 0, 0), (0.3, 0.32, 2.2), skin)
    add(BOX, (0, 0, 0.2), (span, 0.05, 0.38), wing)
    add(BOX, (0, 0.1, -1.85), (0.9, 0.04, 0.22), wing)
    add(BOX, (0, 0.5, -1.85), (0.04, 0.45, 0.25), wing)
    for side in (-1, 1):
        add(SPHERE, (side * span * 0.45, -0.2, 0.35), (0.16, 0.16, 0.4), skin)


_MAKE: dict[str, Callable[[Spot, np.random.Generator], None]] = {
    "ball": _ball, "box": _box, "car": parts.car, "chair": parts.chair, "table": _table,
    "tree": _tree, "house": _house, "person": parts.person, "lamp": parts.lamp,
    "airplane": _airplane,
}  # fmt: skip


def make_object(
    rng: np.random.Generator, category: int, height: int, width: int
) -> tuple[Scene, View]:
    """Builds an object of OBJECT_CATEGORIES[category] on a random backdrop, and its camera."""
    builder = SceneBuilder(rng)
    spot = Spot(builder, (0, 0, 0), rng.uniform(0, 2 * np.pi), 0)
    spot.builder.new_object()
    _MAKE[OBJECT_CATEGORIES[category]](spot, rng)
    thing = builder.build(Light(), Sky())
    reach = np.abs(thing.rotation) @ thing.half[..., None]
    low, high = (thing.centre - reach[..., 0]).min(0), (thing.centre + reach[..., 0]).max(0)
    middle, radius = (low + high) / 2, np.linalg.norm(high - low) / 2
    # The backdrop grows with the thing, so that its texture says nothing about the category.
    ground, wall = (_surface(rng), _surface(rng))
    ground, wall = (
        m._replace(size=(m.size[0] * radius * 2, m.size[1] * radius * 2), noise=m.noise * radius)
        for m in (ground, wall)
    )
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.6)
    turn = rotation_y(azimuth)
    builder.new_object()
    builder.add(QUAD, (0, low[1] * 0, 0), (9 * radius, 1, 9 * radius), ground, 0, turn)
    if rng.random() < 0.7:
        away = turn @ np.array([0, 0, rng.uniform(1.6, 4) * radius])
        centre = away * (1, 0, 1) - (0, 3 * radius, 0)
        upright = turn @ rotation_x(-np.pi / 2)
        half = (12 * radius, 1, 3.001 * radius)
        builder.add(QUAD, centre, half, wall, 0, upright)
    light = Light(
        tuple(rotation_y(rng.uniform(0, 6.28)) @ np.array([0.5, -0.8, -0.4])),
        np.array((0.6, 0.57, 0.5)) * rng.uniform(0.6, 1.1),
        np.array((0.55, 0.57, 0.6)) * rng.uniform(0.8, 1.2),
    )
    sky = Sky(tuple(rng.uniform(0.2, 0.8, 3)), tuple(rng.uniform(0.5, 0.95, 3)), rng.uniform(0, 1))
    focal = FOCAL * min(height, width)
    distance = radius * FOCAL / 0.5 * rng.uniform(0.95, 1.35)
    rotation = (turn @ rotation_x(-elevation)).T
    eye = middle + rng.uniform(-0.12, 0.12, 3) * radius - distance * rotation[2]
    eye[1] = min(eye[1], -0.05 * radius)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return builder.build(light, sky), View(intrinsics, pose, height, width)
