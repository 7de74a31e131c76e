"""The procedural room: four walls, furniture along them, and a camera held in the hand.

The floor is y = 0, the room's middle x = z = 0.
"""

from typing import NamedTuple

import numpy as np

from geoseg_jax.data.labels.tables.synthetic import class_index
from geoseg_jax.data.synthetic import parts
from geoseg_jax.data.synthetic.parts import Spot, ground, pick
from geoseg_jax.data.synthetic.scene import (
    Light,
    Material,
    Motion,
    Scene,
    SceneBuilder,
    Sky,
    rotation_x,
    rotation_y,
    rotation_z,
)
from geoseg_jax.data.synthetic.shapes import BOX, CYLINDER, QUAD, SPHERE

FPS = 10.0
MAX_DEPTH = 12.0
BASELINE = 0.12
FOCAL = 0.62  # of the picture's width

WALL, FLOOR, CEILING, BED, CHAIR, SOFA, TABLE, DOOR, WINDOW, PICTURE, CABINET, LAMP, PLANT, TOY = (
    class_index("room", name)
    for name in (
        "wall", "floor", "ceiling", "bed", "chair", "sofa", "table", "door", "window", "picture",
        "cabinet", "lamp", "plant", "toy",
    )
)  # fmt: skip

WALLS = ((0.80, 0.76, 0.66), (0.62, 0.70, 0.72), (0.74, 0.62, 0.56), (0.66, 0.72, 0.58),
         (0.82, 0.80, 0.78), (0.72, 0.68, 0.78), (0.50, 0.58, 0.66))  # fmt: skip
TOYS = ((0.85, 0.20, 0.15), (0.95, 0.72, 0.15), (0.20, 0.45, 0.80), (0.30, 0.65, 0.30))


class Walk(NamedTuple):
    """A hand-held camera: place [3] and velocity [3], heading, pitch and roll with their rates."""

    centre: np.ndarray
    velocity: np.ndarray
    angles: np.ndarray  # yaw, pitch, roll in rad
    rates: np.ndarray  # rad/s

    def camera_from_world(self, time: float) -> np.ndarray:
        """Returns the camera's pose [4, 4], `time` seconds from the record's target frame."""
        yaw, pitch, roll = self.angles + self.rates * time
        rotation = (rotation_y(yaw) @ rotation_x(pitch) @ rotation_z(roll)).T
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = -rotation @ (self.centre + self.velocity * time)
        return pose


class Side(NamedTuple):
    """A wall: where it is, which way it faces, and its free stretches from one end."""

    middle: np.ndarray  # [3], at the floor
    yaw: float  # of a thing that stands against it and faces the room
    length: float

    def spot(self, builder: SceneBuilder, along: float, out: float, label: int) -> Spot:
        """Returns the spot `along` metres right of the wall's middle, `out` in front of it."""
        foot = self.middle + rotation_y(self.yaw) @ np.array([along, 0, out])
        return Spot(builder, tuple(foot), self.yaw, label)


def _sides(width: float, depth: float) -> list[Side]:
    """Returns the walls; a thing's front is +z at yaw 0, so the one at z = -depth/2 comes first."""
    return [
        Side(np.array([0, 0, -depth / 2]), 0.0, width),
        Side(np.array([-width / 2, 0, 0]), np.pi / 2, depth),
        Side(np.array([0, 0, depth / 2]), np.pi, width),
        Side(np.array([width / 2, 0, 0]), -np.pi / 2, depth),
    ]


def _shell(builder: SceneBuilder, rng: np.random.Generator, sides, size) -> None:
    width, height, depth = size
    wood = pick(rng, parts.WOODS)
    floor = (
        Material(wood, "planks", wood * 0.35, (0.17, 1.6), 0.25, 0.25),
        Material(wood * 0.5 + 0.35, "tiles", wood * 0.5, (0.45, 0.45), 0.3, 0.3),
        Material(wood * 0.4 + 0.45, "checks", wood * 0.7, (0.4, 0.4), 0.3, 0.2),
    )[rng.choice(3, p=[0.6, 0.2, 0.2])]
    ground(builder, (-width / 2, width / 2), (-depth / 2, depth / 2), 0, floor, FLOOR)
    white = Material((0.86, 0.85, 0.83), noise=0.7, contrast=0.16)
    middle = (0, -height, 0)
    builder.add(QUAD, middle, (width / 2, 1, depth / 2), white, CEILING, rotation_z(np.pi))
    color = pick(rng, WALLS)
    paper = (
        Material(color, noise=0.5, contrast=0.22),
        Material(color, "stripes", color * 0.9, (0.3, 1), 0.4, 0.2),
        Material(color, "bricks", color * 0.75, (0.4, 0.13), 0.4, 0.3),
    )[rng.choice(3, p=[0.5, 0.35, 0.15])]
    skirting = Material((0.85, 0.84, 0.8), noise=0.3, contrast=0.2)
    for side in sides:
        spot = side.spot(builder, 0, 0, WALL)
        # The shape's upper side, local -y, turns to the room.
        half = (side.length / 2, 1, height / 2)
        spot.add(QUAD, (0, height / 2, 0), half, paper, rotation_x(-np.pi / 2))
        spot.box((0, 0, 0), (side.length, 0.09, 0.03), skirting)


def _window(spot: Spot, rng: np.random.Generator) -> None:
    spot.builder.new_object()
    wide, tall = rng.uniform(1.0, 1.7), rng.uniform(1.1, 1.4)
    view = Material((0.9, 0.9, 0.88), "panes", (0.72, 0.85, 0.98), (wide / 2, tall / 2), 0.8, 0.2)
    spot.box((0, 0.9, 0.02), (wide, tall, 0.05), view)
    spot.box((0, 0.85, 0.06), (wide + 0.2, 0.05, 0.2), Material((0.85, 0.84, 0.8), contrast=0.15))
    if rng.random() < 0.6:
        cloth = pick(rng, parts.FABRICS) * 1.2
        curtain = Material(cloth, "stripes", cloth * 0.72, (0.09, 1), 0.3, 0.25)
        for side in (-1, 1):
            place = (side * (wide / 2 + 0.16), 0.35, 0.08)
            spot.box(place, (0.34, tall + 0.7, 0.06), curtain)


def _door(spot: Spot, rng: np.random.Generator) -> None:
    spot.builder.new_object()
    wood = pick(rng, (*parts.WOODS, (0.85, 0.83, 0.78)))
    leaf = Material(wood, "panel", wood * 0.4, (0.45, 0.68), 0.25, 0.3)
    spot.box((0, 0, 0), (1.04, 2.12, 0.04), Material(wood * 0.75, noise=0.3, contrast=0.3))
    spot.box((0, 0, 0.02), (0.9, 2.04, 0.04), leaf)
    spot.add(SPHERE, (0.37, 1.02, 0.09), (0.035,) * 3, Material((0.75, 0.68, 0.4), contrast=0.1))


def _picture(spot: Spot, rng: np.random.Generator) -> None:
    spot.builder.new_object()
    wide, tall = rng.uniform(0.45, 1.1), rng.uniform(0.4, 0.75)
    look = Material(
        rng.uniform(0.1, 0.9, 3), "blobs", rng.uniform(0.1, 0.95, 3), noise=0.15, contrast=0.5
    )
    spot.box((0, rng.uniform(1.35, 1.6), 0.0), (wide, tall, 0.04), look)


def _against_wall(builder, rng: np.random.Generator, side: Side) -> None:
    """Places furniture side by side along one wall, with pictures above what is low."""
    at = -side.length / 2 + 0.15
    end = side.length / 2 - 0.15
    while at < end - 0.5:
        what = rng.choice(
            ["bed", "sofa", "cabinet", "shelf", "lamp", "plant", "window", "door", "desk"],
            p=[0.12, 0.14, 0.13, 0.11, 0.08, 0.09, 0.14, 0.09, 0.1],
        )
        wide = {
            "bed": rng.uniform(1.0, 1.7), "sofa": rng.uniform(1.4, 2.1), "desk": 1.3,
            "cabinet": rng.uniform(0.8, 1.5), "shelf": rng.uniform(0.7, 1.2), "lamp": 0.6,
            "plant": 0.6, "window": 2.0, "door": 1.2,
        }[what]  # fmt: skip
        if at + wide > end:
            at += 0.4
            continue
        middle = at + wide / 2

        def spot(out: float, label: int, middle: float = middle) -> Spot:
            return side.spot(builder, middle, out, label)

        if what == "bed":
            parts.bed(spot(1.1, BED), rng, wide - 0.1)
        elif what == "sofa":
            parts.sofa(spot(0.52, SOFA), rng, wide - 0.1)
        elif what == "desk":
            parts.table(spot(0.42, TABLE), rng, (wide - 0.1, 0.75, 0.65))
            seat = spot(0.85, CHAIR)
            parts.chair(seat._replace(yaw=side.yaw + np.pi + rng.normal() * 0.3), rng)
        elif what == "cabinet":
            parts.cabinet(spot(0.26, CABINET), rng, (wide - 0.06, rng.uniform(0.7, 1.1), 0.45))
        elif what == "shelf":
            parts.cabinet(spot(0.2, CABINET), rng, (wide - 0.06, rng.uniform(1.7, 2.1), 0.34))
        elif what in ("lamp", "plant"):
            make, label = (parts.lamp, LAMP) if what == "lamp" else (parts.plant, PLANT)
            make(spot(0.35, label), rng)
        else:
            (_window if what == "window" else _door)(
                spot(0, WINDOW if what == "window" else DOOR), rng
            )
        if what in ("bed", "sofa", "desk", "cabinet", "lamp", "plant") and rng.random() < 0.7:
            _picture(spot(0, PICTURE), rng)
        at += wide + rng.uniform(0.05, 0.4)


def _in_the_middle(builder: SceneBuilder, rng: np.random.Generator, size, camera) -> None:
    """Adds a rug, a table with chairs, and toys, some of which roll; not where the camera is."""
    width, _, depth = size
    x, z = rng.uniform(-0.18, 0.18) * width, rng.uniform(-0.18, 0.18) * depth
    cloth = pick(rng, parts.FABRICS)
    rug = Material(
        cloth,
        rng.choice(["checks", "stripes", "blobs"]),
        cloth * 0.6 + 0.25,
        (0.25, 0.25),
        0.3,
        0.4,
    )
    spread = rng.uniform(0.8, 1.4, 2)
    builder.new_object()
    ground(
        builder, (x - spread[0], x + spread[0]), (z - spread[1], z + spread[1]), 0.006, rug, FLOOR
    )
    if rng.random() < 0.75 and np.hypot(x - camera[0], z - camera[2]) > 1.5:
        yaw = rng.uniform(0, np.pi)
        wide, deep = rng.uniform(0.9, 1.6), rng.uniform(0.7, 0.95)
        table = Spot(builder, (x, 0, z), yaw, TABLE)
        parts.table(table, rng, (wide, rng.uniform(0.7, 0.78), deep))
        for angle, out in ((0, deep), (np.pi, deep), (np.pi / 2, wide), (-np.pi / 2, wide)):
            facing = yaw + angle + np.pi + rng.normal() * 0.25
            shift = rotation_y(yaw + angle) @ np.array([0, 0, out / 2 + rng.uniform(0.1, 0.4)])
            foot = np.array([x, 0, z]) + shift
            if rng.random() < 0.6 and np.hypot(*(foot - camera)[[0, 2]]) > 1.0:
                parts.chair(Spot(builder, tuple(foot), facing, CHAIR), rng)
        _toy(builder, rng, np.array([x, -0.78, z]), still=True)
    for _ in range(rng.integers(1, 4)):
        place = np.array([rng.uniform(-0.4, 0.4) * width, 0, rng.uniform(-0.4, 0.4) * depth])
        if np.hypot(*(place - camera)[[0, 2]]) > 0.9:
            _toy(builder, rng, place, still=rng.random() < 0.4)


def _toy(builder: SceneBuilder, rng: np.random.Generator, foot: np.ndarray, still: bool) -> None:
    """Adds a ball or a block; unless still it slides over the floor and turns."""
    builder.new_object()
    size = rng.uniform(0.1, 0.2)
    motion = Motion()
    if not still:
        way = rng.uniform(0, 2 * np.pi)
        velocity = rng.uniform(0.3, 1.0) * np.array([np.cos(way), 0, np.sin(way)])
        motion = Motion(velocity, rng.uniform(-1.5, 1.5), foot)
    first, second = pick(rng, TOYS), pick(rng, (*TOYS, (0.92, 0.92, 0.9)))
    pattern = rng.choice(["checks", "stripes", "blobs"])
    look = Material(first, pattern, second, (size * 0.6, size * 0.6), 0.1, 0.25)
    kind = rng.choice([SPHERE, SPHERE, BOX, CYLINDER])
    centre = foot - (0, size, 0)
    builder.add(kind, centre, (size,) * 3, look, TOY, rotation_y(rng.uniform(0, 3)), motion)


def _camera(rng: np.random.Generator, size) -> Walk:
    """Places the camera near one wall or corner, looking across the room."""
    width, _, depth = size
    around = rng.uniform(0, 2 * np.pi)
    x, z = np.sin(around), np.cos(around)
    reach = min((width / 2 - 0.6) / max(abs(x), 1e-3), (depth / 2 - 0.6) / max(abs(z), 1e-3))
    far = reach * rng.uniform(0.7, 1.0)
    speed = rng.choice([0.0, rng.uniform(0.2, 0.9)], p=[0.1, 0.9])
    way = rng.normal(size=3) * (1, 0.35, 1)
    velocity = speed * way / np.linalg.norm(way)
    angles = np.array([around + np.pi + rng.normal() * 0.3, rng.uniform(-0.3, 0.02), 0])
    angles[2] = rng.normal() * 0.03
    rates = rng.normal(size=3) * (0.18, 0.1, 0.06)
    return Walk(np.array([far * x, -rng.uniform(1.2, 1.7), far * z]), velocity, angles, rates)


def make(rng: np.random.Generator) -> tuple[Scene, Walk]:
    """Returns a furnished room and the camera's way through it."""
    size = rng.uniform(4.0, 7.0), rng.uniform(2.4, 2.9), rng.uniform(3.6, 6.0)
    walk = _camera(rng, size)
    builder = SceneBuilder(rng)
    sides = _sides(size[0], size[2])
    _shell(builder, rng, sides, size)
    towards = walk.centre * (1, 0, 1)
    for side in sides:
        # Nothing high where the camera stands: its back is to the nearest wall.
        if (
            np.linalg.norm(side.middle - towards) > 1.3
            and (rotation_y(side.yaw) @ np.array([0, 0, 1])) @ (side.middle - towards) < -2.3
        ):
            _against_wall(builder, rng, side)
    _in_the_middle(builder, rng, size, walk.centre)
    builder.new_object()
    spot = Spot(builder, (0, -size[1] + 0.35, 0), 0.0, LAMP)
    spot.add(SPHERE, (0, 0.1, 0), (0.2, 0.1, 0.2), Material((0.98, 0.94, 0.82), contrast=0.1))
    spot.column((0, 0.15, 0), 0.012, 0.2, Material((0.3, 0.3, 0.3)))
    turn = rng.uniform(0, 2 * np.pi)
    direction = (0.5 * np.cos(turn), -0.8, 0.5 * np.sin(turn))
    warm = rng.uniform(0, 1)
    sun = np.array((0.42, 0.38 - 0.03 * warm, 0.33 - 0.08 * warm)) * rng.uniform(0.7, 1.1)
    ambient = np.array((0.74, 0.72, 0.70)) * rng.uniform(0.85, 1.15)
    return builder.build(Light(direction, sun, ambient), Sky()), walk
