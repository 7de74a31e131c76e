"""The procedural street: a road with what stands along it, and a car's camera that drives on it.

The road runs along z, its middle at x = `Layout.middle`; traffic keeps to the right.
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
)
from geoseg_jax.data.synthetic.shapes import BOX, CYLINDER, SPHERE

FPS = 10.0  # frames a second, as KITTI
MAX_DEPTH = 80.0
BASELINE = 0.54
FOCAL = 0.58  # of the picture's width
KERB = 0.13

ROAD, SIDEWALK, BUILDING, WALL, POLE, SIGN, VEGETATION, TERRAIN, SKY, PERSON, CAR, TRUCK = (
    class_index("street", name)
    for name in (
        "road", "sidewalk", "building", "wall", "pole", "traffic sign", "vegetation", "terrain",
        "sky", "person", "car", "truck",
    )
)  # fmt: skip

FACADES = ((0.72, 0.60, 0.46), (0.66, 0.42, 0.32), (0.80, 0.74, 0.62), (0.56, 0.56, 0.55),
           (0.74, 0.66, 0.40), (0.58, 0.34, 0.27), (0.62, 0.68, 0.70))  # fmt: skip
ROOFS = ((0.46, 0.20, 0.14), (0.30, 0.28, 0.28), (0.40, 0.30, 0.24))


class Layout(NamedTuple):
    """What all parts of one street agree on; lengths in metres."""

    half_road: float
    sidewalk: float
    verge: float  # between the sidewalk and the houses
    middle: float  # x of the road's middle; the camera starts at x = 0
    end: float  # where the street meets a row of houses across
    built: float  # share of the roadside that is houses rather than trees


class Drive(NamedTuple):
    """A camera's way: height, speed m/s, heading and its rate, pitch, and a sway's phase."""

    height: float
    speed: float
    yaw: float
    yaw_rate: float
    pitch: float
    phase: float

    def camera_from_world(self, time: float) -> np.ndarray:
        """Returns the camera's pose [4, 4], `time` seconds from the record's target frame."""
        yaw = self.yaw + self.yaw_rate * time
        moving = min(self.speed / 5, 1.0)
        pitch = self.pitch + moving * 0.006 * np.sin(self.phase + 9 * time)
        bounce = moving * 0.015 * np.sin(2 * self.phase + 11 * time)
        # Along the arc of a constant turn, its chord's heading being half-way.
        chord = self.yaw + self.yaw_rate * time / 2
        way = self.speed * time
        centre = np.array([way * np.sin(chord), -self.height + bounce, way * np.cos(chord)])
        rotation = (rotation_y(yaw) @ rotation_x(pitch)).T
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ centre
        return pose


def _layout(rng: np.random.Generator) -> Layout:
    half_road = rng.uniform(3.0, 5.5)
    return Layout(
        half_road=half_road,
        sidewalk=rng.uniform(1.5, 3.2),
        verge=rng.choice([0.0, rng.uniform(0.5, 7.0)], p=[0.4, 0.6]),
        middle=-half_road * rng.uniform(0.3, 0.6),
        end=rng.choice([rng.uniform(16, 60), 400.0], p=[0.35, 0.65]),
        built=rng.choice([rng.uniform(0.75, 1.0), rng.uniform(0.0, 0.5)], p=[0.65, 0.35]),
    )


def _surfaces(builder: SceneBuilder, rng: np.random.Generator, layout: Layout) -> None:
    grass = np.array((0.30, 0.38, 0.14)) * rng.uniform(0.85, 1.15)
    look = Material(grass, "leaves", grass * 1.35, noise=0.6, contrast=0.9)
    ground(builder, (-300, 300), (-60, 400), -0.02, look, TERRAIN)
    gray = rng.uniform(0.27, 0.40)
    asphalt = Material(
        np.array((1.0, 1.0, 1.03)) * gray, "road", (0.86, 0.86, 0.82),
        (2 * layout.half_road - rng.uniform(0.4, 2.5), rng.uniform(5, 8)), 1.3, 0.5,
    )  # fmt: skip
    x = (layout.middle - layout.half_road, layout.middle + layout.half_road)
    ground(builder, x, (-40, min(layout.end - 6, 300)), 0, asphalt, ROAD)
    if layout.end < 300:
        ground(builder, (-120, 120), (layout.end - 6.01, layout.end), 0, asphalt, ROAD)
    stone = np.array((0.60, 0.57, 0.53)) * rng.uniform(0.8, 1.1)
    slabs = Material(stone, "tiles", stone * 0.55, (rng.uniform(0.5, 1.0),) * 2, 0.6, 0.4)
    for side in (-1, 1):
        inner = layout.middle + side * layout.half_road
        centre = inner + side * layout.sidewalk / 2
        back, front = -40.0, min(layout.end - 6, 300)
        builder.add(
            BOX, (centre, -KERB / 2, (back + front) / 2),
            (layout.sidewalk / 2, KERB / 2, (front - back) / 2), slabs, SIDEWALK,
        )  # fmt: skip


def _house_looks(rng: np.random.Generator) -> tuple[Material, Material]:
    color = pick(rng, FACADES)
    window = np.asarray(parts.WINDOW) * rng.uniform(0.7, 1.3)
    bays = (rng.uniform(2.2, 3.6), rng.uniform(2.8, 3.4))
    roof = pick(rng, ROOFS)
    return (
        Material(color, "facade", window, bays, 1.6, 0.38),
        Material(roof, "tiles", roof * 0.5, (0.4, 0.5), 0.5, 0.5),
    )


def _row(builder: SceneBuilder, rng: np.random.Generator, layout: Layout, side: int) -> None:
    """Places houses, or hedges, walls and trees in the gaps, along one side of the street."""
    edge = layout.middle + side * (layout.half_road + layout.sidewalk + layout.verge)
    z = rng.uniform(-14, -4)
    while z < min(layout.end - 4, 130):
        length = rng.uniform(8, 22)
        middle = z + length / 2
        if rng.random() < layout.built:
            depth, height = rng.uniform(8, 12), rng.integers(2, 6) * 3.1
            back = rng.uniform(0, 1.5) if rng.random() < 0.5 else 0.0
            wall, roof = _house_looks(rng)
            spot = Spot(builder, (edge + side * (back + depth / 2), 0, middle), 0.0, BUILDING)
            parts.house(spot, rng, (depth, height, length - rng.uniform(0, 1.5)), wall, roof)
        else:
            _gap(builder, rng, edge, side, middle, length)
        z += length


def _gap(builder: SceneBuilder, rng: np.random.Generator, edge, side, middle, length) -> None:
    builder.new_object()
    height = rng.uniform(0.9, 2.0)
    if rng.random() < 0.5:
        green = pick(rng, parts.GREENS)
        look, label = (
            Material(green * 0.6, "leaves", green * 1.3, noise=0.3, contrast=1.1),
            VEGETATION,
        )
    else:
        color = pick(rng, FACADES)
        brick = rng.random() < 0.6
        size = (0.5, 0.2) if brick else (0.25, 3.0)
        look = Material(color, "bricks" if brick else "planks", color * 0.6, size, 0.8, 0.4)
        label = WALL
    centre = (edge + side * 0.3, -height / 2, middle)
    builder.add(BOX, centre, (0.2, height / 2, length / 2 - 0.2), look, label)
    for _ in range(rng.integers(1, 4)):
        where = (edge + side * rng.uniform(2.5, 9), 0, middle + rng.uniform(-0.5, 0.5) * length)
        parts.tree(Spot(builder, where, 0.0, VEGETATION), rng, rng.uniform(5, 10))


def _roadside(builder: SceneBuilder, rng: np.random.Generator, layout: Layout, side: int) -> None:
    """Places lamp posts, signs and street trees at the kerb."""
    kerb = layout.middle + side * (layout.half_road + 0.4)
    steel = Material((0.42, 0.44, 0.45), noise=0.3, contrast=0.4)
    trees = rng.random() < 0.5
    z = rng.uniform(2, 14)
    while z < min(layout.end - 7, 75):
        spot = Spot(builder, (kerb, -KERB, z), 0.0 if side > 0 else np.pi, POLE)
        builder.new_object()
        what = rng.random()
        if what < 0.35:
            tall = rng.uniform(5.5, 7.5)
            spot.column((0, 0, 0), 0.08, tall, steel)
            spot.box((-0.8, tall - 0.05, 0), (1.7, 0.08, 0.08), steel)
            spot.box((-1.5, tall - 0.12, 0), (0.6, 0.1, 0.22), Material((0.8, 0.8, 0.75)))
        elif what < 0.65:
            _sign(spot, rng, steel)
        elif trees:
            foot = (kerb + side * 0.3, 0, z)
            parts.tree(Spot(builder, foot, 0.0, VEGETATION), rng, rng.uniform(4.5, 7))
        z += rng.uniform(7, 15)


def _sign(spot: Spot, rng: np.random.Generator, steel: Material) -> None:
    tall = rng.uniform(2.2, 2.8)
    spot.column((0, 0, 0), 0.035, tall, steel)
    red, blue, yellow = (0.78, 0.10, 0.10), (0.10, 0.25, 0.65), (0.92, 0.75, 0.12)
    look = Material(
        pick(rng, (red, blue, yellow)), "blobs", (0.92, 0.92, 0.9), noise=0.2, contrast=0.2
    )
    face = (0, tall + 0.05, -0.05 if spot.yaw == 0 else 0.05)
    if rng.random() < 0.5:
        disc = rotation_x(np.pi / 2)
        spot.add(CYLINDER, face, (0.36, 0.015, 0.36), look, disc, label=SIGN)
    else:
        spot.add(BOX, face, (0.33, 0.38, 0.015), look, label=SIGN)


def _parked(builder: SceneBuilder, rng: np.random.Generator, layout: Layout, side: int) -> None:
    share = rng.choice([0.0, 0.35, 0.8], p=[0.3, 0.4, 0.3])
    x = layout.middle + side * (layout.half_road - 0.98)
    if side > 0 and x < 1.95 + 0.1:  # the camera's own way must stay free
        x = layout.middle + layout.half_road + 0.6
        share *= 0.6
    z = rng.uniform(3, 9)
    while z < min(layout.end - 9, 70):
        if rng.random() < share:
            yaw = (0.0 if side > 0 else np.pi) + rng.normal() * 0.02
            parts.car(Spot(builder, (x, 0, z), yaw, CAR), rng)
        z += rng.uniform(5.2, 6.5)


def _traffic(builder: SceneBuilder, rng: np.random.Generator, layout: Layout, drive: Drive) -> None:
    """Places cars on both lanes; where the camera stands still, at least one that moves."""
    end = min(layout.end - 12, 70)
    oncoming = layout.middle - layout.half_road * 0.38
    z = rng.uniform(5, 30)
    while z < end:
        if rng.random() < (0.8 if drive.speed == 0 else 0.4):
            motion = Motion((0, 0, -rng.uniform(5, 13)))
            kind = (parts.truck, TRUCK) if rng.random() < 0.25 else (parts.car, CAR)
            kind[0](Spot(builder, (oncoming, 0, z), np.pi, kind[1], motion), rng)
        z += rng.uniform(11, 30)
    lead = rng.uniform(9, 40)
    if rng.random() < 0.5 and lead < end:
        speed = max(drive.speed + rng.normal() * 1.5, 0) if drive.speed else rng.uniform(0, 8)
        kind = (parts.truck, TRUCK) if rng.random() < 0.3 else (parts.car, CAR)
        spot = Spot(builder, (rng.normal() * 0.2, 0, lead), 0.0, kind[1], Motion((0, 0, speed)))
        kind[0](spot, rng)
    if layout.end < 300:
        for _ in range(rng.integers(1, 3)):
            way = rng.choice([-1, 1])
            where = (rng.uniform(-14, 14), 0, layout.end - 3 - way * 1.5)
            motion = Motion((way * rng.uniform(3, 9), 0, 0))
            parts.car(Spot(builder, where, way * np.pi / 2, CAR, motion), rng)


def _people(builder: SceneBuilder, rng: np.random.Generator, layout: Layout) -> None:
    for _ in range(rng.integers(2, 8)):
        side = rng.choice([-1, 1])
        x = layout.middle + side * (layout.half_road + layout.sidewalk * rng.uniform(0.35, 0.9))
        way, pace = rng.choice([-1, 1]), rng.choice([0.0, rng.uniform(0.8, 1.8)], p=[0.2, 0.8])
        z = rng.uniform(5, min(layout.end - 6, 35))
        spot = Spot(
            builder, (x, -KERB, z), 0.0 if way > 0 else np.pi, PERSON, Motion((0, 0, way * pace))
        )
        parts.person(spot, rng)
    if rng.random() < 0.3:  # someone crosses
        way = rng.choice([-1, 1])
        where = (rng.uniform(-4, 4), 0, rng.uniform(9, 22))
        motion = Motion((way * rng.uniform(0.9, 1.6), 0, 0))
        parts.person(Spot(builder, where, way * np.pi / 2, PERSON, motion), rng)


def _distance(builder: SceneBuilder, rng: np.random.Generator, layout: Layout) -> None:
    """Closes the view: houses across the end of the street, hills and woods far away."""
    if layout.end < 300:
        x = -60 + rng.uniform(0, 8)
        while x < 60:
            wide = rng.uniform(9, 20)
            wall, roof = _house_looks(rng)
            spot = Spot(builder, (x + wide / 2, 0, layout.end + 6.5), 0.0, BUILDING)
            parts.house(spot, rng, (wide - 0.5, rng.integers(2, 5) * 3.1, 8), wall, roof)
            x += wide
    builder.new_object()
    for _ in range(7):
        green = pick(rng, parts.GREENS) * 0.9
        look = Material(green * 0.8, "leaves", green * 1.2, noise=14, contrast=0.8)
        centre = (rng.uniform(-230, 230), 0, rng.uniform(190, 330))
        half = (rng.uniform(50, 110), rng.uniform(9, 30), rng.uniform(25, 40))
        builder.add(SPHERE, centre, half, look, VEGETATION)


def _weather(rng: np.random.Generator) -> tuple[Light, Sky]:
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.1)
    direction = (
        np.cos(azimuth) * np.cos(height),
        -np.sin(height),
        np.sin(azimuth) * np.cos(height),
    )
    clear = rng.uniform(0.25, 1.0)
    sun = np.array((0.78, 0.70, 0.56)) * clear
    ambient = np.array((0.50, 0.54, 0.62)) + 0.16 * (1 - clear)
    zenith = np.array((0.26, 0.47, 0.80)) * clear + (1 - clear) * np.array((0.62, 0.66, 0.72))
    return Light(direction, sun, ambient), Sky(zenith, (0.84, 0.88, 0.92), 1.1 - 0.8 * clear, SKY)


def make(rng: np.random.Generator) -> tuple[Scene, Drive]:
    """Returns a street and the camera's way through it."""
    layout = _layout(rng)
    speed = rng.choice([0.0, rng.uniform(3, 12)], p=[0.12, 0.88])
    turn = rng.choice([0.0, rng.normal() * 0.12], p=[0.5, 0.5])
    drive = Drive(
        height=rng.uniform(1.5, 1.75),
        speed=speed,
        yaw=rng.normal() * 0.05,
        yaw_rate=turn * min(speed / 6, 1),
        pitch=rng.normal() * 0.012 - 0.01,
        phase=rng.uniform(0, 6.28),
    )
    builder = SceneBuilder(rng)
    _surfaces(builder, rng, layout)
    for side in (-1, 1):
        _row(builder, rng, layout, side)
        _roadside(builder, rng, layout, side)
        _parked(builder, rng, layout, side)
    _traffic(builder, rng, layout, drive)
    _people(builder, rng, layout)
    _distance(builder, rng, layout)
    return builder.build(*_weather(rng)), drive
