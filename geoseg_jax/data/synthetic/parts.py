"""Things made of primitives: cars, trees, people, furniture. Each stands on the ground at a spot.

In a thing's own frame x is to its right, z to its front, and heights count upwards from its foot.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic.scene import (
    STILL,
    Material,
    Motion,
    SceneBuilder,
    rotation_x,
    rotation_y,
    rotation_z,
)
from geoseg_jax.data.synthetic.shapes import BOX, CONE, CYLINDER, PRISM, QUAD, SPHERE

Color = Sequence[float]

# fmt: off
WOODS = ((0.55, 0.36, 0.20), (0.42, 0.27, 0.16), (0.70, 0.52, 0.33), (0.82, 0.70, 0.52))
FABRICS = ((0.62, 0.25, 0.22), (0.25, 0.38, 0.52), (0.36, 0.48, 0.33), (0.70, 0.62, 0.48),
           (0.45, 0.34, 0.50), (0.30, 0.30, 0.34))
PAINTS = ((0.75, 0.12, 0.10), (0.12, 0.22, 0.50), (0.82, 0.82, 0.80), (0.14, 0.14, 0.16),
          (0.50, 0.53, 0.55), (0.80, 0.62, 0.15), (0.13, 0.38, 0.28), (0.55, 0.28, 0.16))
CLOTHES = ((0.20, 0.24, 0.36), (0.70, 0.22, 0.20), (0.85, 0.80, 0.70), (0.22, 0.42, 0.35),
           (0.85, 0.60, 0.20), (0.35, 0.30, 0.30), (0.45, 0.55, 0.75))
SKINS = ((0.87, 0.68, 0.56), (0.72, 0.52, 0.38), (0.48, 0.33, 0.24))
GREENS = ((0.20, 0.38, 0.12), (0.28, 0.44, 0.16), (0.36, 0.46, 0.18), (0.17, 0.33, 0.18),
          (0.52, 0.44, 0.16))
WINDOW = (0.16, 0.22, 0.28)
# fmt: on


def pick(rng: np.random.Generator, colors: Sequence[Color], spread: float = 0.06) -> np.ndarray:
    """Picks one of the colours, a little off."""
    chosen = np.asarray(colors[rng.integers(len(colors))])
    return np.clip(chosen * rng.uniform(1 - spread * 2, 1 + spread * 2), 0.02, 0.95)


class Spot(NamedTuple):
    """Where a thing stands: foot (x, y, z) in the world, heading, its class and motion."""

    builder: SceneBuilder
    foot: tuple[float, float, float]
    yaw: float
    label: int
    motion: Motion = STILL

    def add(
        self,
        kind: int,
        centre: Sequence[float],
        half: Sequence[float],
        material: Material,
        rotation: np.ndarray | None = None,
        label: int | None = None,
    ) -> None:
        """Adds a primitive at centre (right, height, front) in the thing's frame, metres."""
        turn = rotation_y(self.yaw)
        local = np.array([centre[0], -centre[1], centre[2]])
        self.builder.add(
            kind,
            turn @ local + self.foot,
            half,
            material,
            self.label if label is None else label,
            turn if rotation is None else turn @ rotation,
            self.motion,
        )

    def box(self, centre, size, material: Material, label: int | None = None) -> None:
        """Builds an upright box of `size` (right, height, front), its foot centred on `centre`."""
        half = np.asarray(size) / 2
        self.add(BOX, (centre[0], centre[1] + half[1], centre[2]), half, material, label=label)

    def column(self, centre, radius: float, height: float, material: Material, kind=CYLINDER):
        """Adds an upright cylinder (or cone) standing on `centre`."""
        centre = (centre[0], centre[1] + height / 2, centre[2])
        self.add(kind, centre, (radius, height / 2, radius), material)


def car(spot: Spot, rng: np.random.Generator) -> None:
    """Adds a saloon, estate or hatchback of 3.8 to 4.8 m."""
    spot.builder.new_object()
    length, width, height = rng.uniform(3.8, 4.8), rng.uniform(1.7, 1.85), rng.uniform(1.35, 1.6)
    paint = pick(rng, PAINTS)
    body = Material(paint, noise=0.7, contrast=0.22)
    dark = Material((0.06, 0.06, 0.07), noise=0.2, contrast=0.3)
    waist = height * 0.6
    spot.box((0, 0.16, 0), (width * 0.94, 0.3, length * 0.96), dark)
    spot.box((0, 0.34, 0), (width, waist - 0.34, length), body)
    back = -length * rng.uniform(0.08, 0.16)
    cabin = length * rng.uniform(0.48, 0.62)
    glass = Material(paint, "glass", (0.10, 0.13, 0.16), noise=0.6, contrast=0.2)
    spot.box((0, waist, back), (width * 0.84, height - waist, cabin), glass)
    tyre = Material((0.07, 0.07, 0.07), noise=0.15, contrast=0.5)
    hub = Material((0.62, 0.63, 0.65), noise=0.12, contrast=0.4)
    sideways = rotation_z(np.pi / 2)
    for front in (-0.31, 0.31):
        axle = (0, 0.32, front * length)
        spot.add(CYLINDER, axle, (0.32, width / 2 + 0.02, 0.32), tyre, sideways)
        spot.add(CYLINDER, axle, (0.17, width / 2 + 0.03, 0.17), hub, sideways)
    lamp = {"front": ((0.95, 0.93, 0.80), 1), "rear": ((0.72, 0.05, 0.04), -1)}
    for color, side in lamp.values():
        for x in (-0.36, 0.36):
            centre = (x * width, waist - 0.22, side * (length / 2 - 0.03))
            spot.box(centre, (width * 0.22, 0.14, 0.1), Material(color, contrast=0.1))
    plate = Material((0.9, 0.9, 0.85), "stripes", (0.2, 0.2, 0.3), (0.1, 1), contrast=0.1)
    for side in (-1, 1):
        spot.box((0, 0.42, side * (length / 2 - 0.04)), (0.5, 0.12, 0.1), plate)


def truck(spot: Spot, rng: np.random.Generator) -> None:
    """Adds a box van or lorry of 6 to 9 m."""
    spot.builder.new_object()
    length, width, height = rng.uniform(6, 9), 2.3, rng.uniform(2.8, 3.4)
    paint = pick(rng, PAINTS)
    cargo = Material(
        pick(rng, ((0.85, 0.85, 0.82), (0.7, 0.74, 0.8), (0.8, 0.7, 0.4))), "panel",
        paint, (length * 0.35, height), 1.0, 0.25,
    )  # fmt: skip
    dark = Material((0.08, 0.08, 0.09), noise=0.3)
    spot.box((0, 0.4, 0), (width * 0.9, 0.4, length), dark)
    spot.box((0, 0.8, -length * 0.12), (width, height - 0.8, length * 0.72), cargo)
    glass = Material(paint, "glass", (0.10, 0.13, 0.16), noise=0.6, contrast=0.2)
    spot.box((0, 0.5, length * 0.38), (width * 0.95, 0.9, length * 0.2), Material(paint))
    spot.box((0, 1.4, length * 0.37), (width * 0.93, height * 0.3, length * 0.18), glass)
    tyre = Material((0.07, 0.07, 0.07), noise=0.15, contrast=0.5)
    for front in (-0.32, 0.34):
        spot.add(
            CYLINDER, (0, 0.48, front * length), (0.48, width / 2, 0.48), tyre,
            rotation_z(np.pi / 2),
        )  # fmt: skip


def tree(spot: Spot, rng: np.random.Generator, height: float) -> None:
    """Adds a broad-leaved tree or a fir of `height` metres."""
    spot.builder.new_object()
    bark = Material((0.32, 0.24, 0.17), noise=0.25, contrast=0.9)
    green = pick(rng, GREENS)
    crown = Material(green * 0.62, "leaves", green * 1.45, noise=0.5, contrast=1.1)
    if rng.random() < 0.25:
        spot.column((0, 0, 0), height * 0.03, height * 0.25, bark)
        for level, radius in ((0.15, 0.26), (0.4, 0.2), (0.64, 0.13)):
            spot.column((0, level * height, 0), radius * height, height * 0.36, crown, CONE)
        return
    spot.column((0, 0, 0), height * 0.035, height * 0.5, bark)
    radius = height * rng.uniform(0.22, 0.3)
    for _ in range(4):
        shift = rng.uniform(-0.45, 0.45, 3) * radius
        size = radius * rng.uniform(0.65, 1.0, 3)
        spot.add(SPHERE, (shift[0], height * 0.68 + shift[1], shift[2]), size, crown)


def person(spot: Spot, rng: np.random.Generator) -> None:
    """Adds a standing or walking person of 1.55 to 1.9 m, one foot ahead of the other."""
    spot.builder.new_object()
    tall = rng.uniform(1.55, 1.9)
    top, trousers = pick(rng, CLOTHES), pick(rng, CLOTHES) * 0.6
    shirt = Material(top, "stripes" if rng.random() < 0.3 else "plain", top * 0.5, (0.12, 1), 0.2)
    cloth = Material(trousers, noise=0.2, contrast=0.5)
    skin = Material(pick(rng, SKINS), noise=0.1, contrast=0.2)
    hair = Material(pick(rng, ((0.12, 0.09, 0.07), (0.35, 0.22, 0.12), (0.6, 0.5, 0.35))))
    stride = rng.uniform(-0.16, 0.16)
    for side in (-1, 1):
        swing = rotation_x(np.arctan2(side * stride, tall * 0.47))
        leg = (side * 0.085, tall * 0.235, side * stride / 2)
        spot.add(CYLINDER, leg, (0.075, tall * 0.24, 0.085), cloth, swing)
        arm = (side * 0.235, tall * 0.63, -side * stride / 2)
        spot.add(CYLINDER, arm, (0.05, tall * 0.165, 0.055), shirt, swing.T)
    spot.add(SPHERE, (0, tall * 0.65, 0), (0.21, tall * 0.2, 0.14), shirt)
    spot.add(SPHERE, (0, tall * 0.91, 0), (0.09, tall * 0.075, 0.1), skin)
    spot.add(SPHERE, (0, tall * 0.935, -0.02), (0.098, tall * 0.065, 0.1), hair)


def house(spot: Spot, rng: np.random.Generator, size, wall: Material, roof: Material) -> None:
    """Adds a body of `size` (right, height, front) with a gable roof and a door."""
    spot.builder.new_object()
    width, height, depth = size
    spot.box((0, 0, 0), size, wall)
    ridge = rng.uniform(0.3, 0.45) * min(width, depth)
    along = (width + 0.4, ridge, depth + 0.4)
    if width > depth:  # the ridge runs along the longer side
        half = (along[2] / 2, ridge / 2, along[0] / 2)
        spot.add(PRISM, (0, height + ridge / 2, 0), half, roof, rotation_y(np.pi / 2))
    else:
        spot.add(PRISM, (0, height + ridge / 2, 0), np.array(along) / 2, roof)


def table(spot: Spot, rng: np.random.Generator, size) -> None:
    """Adds a table of `size` (right, height, front)."""
    spot.builder.new_object()
    width, height, depth = size
    wood = pick(rng, WOODS)
    top = Material(wood, "planks", wood * 0.4, (0.16, 1.4), 0.2, 0.3)
    legs = Material(wood * 0.8, noise=0.1, contrast=0.4)
    spot.box((0, height - 0.05, 0), (width, 0.05, depth), top)
    for x in (-1, 1):
        for z in (-1, 1):
            foot = (x * (width / 2 - 0.06), 0, z * (depth / 2 - 0.06))
            spot.box(foot, (0.07, height - 0.05, 0.07), legs)


def chair(spot: Spot, rng: np.random.Generator) -> None:
    """Adds a chair that faces the front."""
    spot.builder.new_object()
    wood, fabric = pick(rng, WOODS), pick(rng, FABRICS)
    legs = Material(wood, noise=0.1, contrast=0.4)
    seat = Material(fabric, "checks", fabric * 0.65, (0.09, 0.09), 0.15, 0.3)
    width, height, back = rng.uniform(0.4, 0.5), rng.uniform(0.43, 0.48), rng.uniform(0.42, 0.55)
    spot.box((0, height - 0.06, 0), (width, 0.06, width), seat)
    for x in (-1, 1):
        for z in (-1, 1):
            foot = (x * (width / 2 - 0.03), 0, z * (width / 2 - 0.03))
            tall = height - 0.06 + (back + 0.06 if z < 0 else 0)
            spot.box(foot, (0.05, tall, 0.05), legs)
    spot.box((0, height + back * 0.4, -width / 2 + 0.03), (width, back * 0.55, 0.06), seat)


def sofa(spot: Spot, rng: np.random.Generator, width: float) -> None:
    """Adds a sofa of `width` metres, its front towards z."""
    spot.builder.new_object()
    fabric = pick(rng, FABRICS)
    cloth = Material(fabric, "stripes", fabric * 0.8, (0.14, 1), 0.25, 0.35)
    cover = Material(fabric * 1.15, noise=0.2, contrast=0.35)
    spot.box((0, 0.08, 0), (width, 0.3, 0.85), cloth)
    spot.box((0, 0.08, -0.36), (width, 0.75, 0.2), cloth)
    for side in (-1, 1):
        spot.box((side * (width / 2 - 0.09), 0.08, 0.02), (0.18, 0.52, 0.85), cloth)
        spot.box((side * (width / 4 - 0.05), 0.38, 0.08), (width / 2 - 0.14, 0.14, 0.62), cover)
        pillow = Material(pick(rng, FABRICS), "checks", pick(rng, FABRICS), (0.1, 0.1), 0.2)
        tilt = rotation_x(-0.35) @ rotation_z(rng.uniform(-0.3, 0.3))
        where = (side * (width / 2 - 0.42), 0.68, -0.16)
        spot.add(SPHERE, where, (0.2, 0.2, 0.08), pillow, tilt)


def bed(spot: Spot, rng: np.random.Generator, width: float) -> None:
    """Adds a bed, its head at the back."""
    spot.builder.new_object()
    wood, linen = pick(rng, WOODS), pick(rng, FABRICS)
    frame = Material(wood, "planks", wood * 0.5, (0.3, 2.0), 0.2, 0.3)
    blanket = Material(linen, "checks", linen * 1.35, (0.22, 0.22), 0.3, 0.3)
    white = Material((0.88, 0.87, 0.83), noise=0.3, contrast=0.3)
    spot.box((0, 0.1, 0), (width, 0.22, 2.05), frame)
    spot.box((0, 0.32, 0), (width - 0.06, 0.16, 2.0), white)
    spot.box((0, 0.34, 0.28), (width, 0.18, 1.46), blanket)
    spot.box((0, 0, -1.03), (width + 0.06, 0.95, 0.06), frame)
    for side in (-1, 1):
        spot.add(SPHERE, (side * width / 4, 0.55, -0.72), (width / 5, 0.11, 0.24), white)


def cabinet(spot: Spot, rng: np.random.Generator, size) -> None:
    """Adds a bookcase or a chest of `size` (right, height, front)."""
    spot.builder.new_object()
    wood = pick(rng, WOODS)
    if rng.random() < 0.55:
        look = Material(wood, "books", pick(rng, FABRICS) * 1.3, (0.045, 0.34), 0.3, 0.2)
    else:
        look = Material(wood, "panel", wood * 0.4, (size[0] / 2, size[1] / 3), 0.2, 0.35)
    spot.box((0, 0, 0), size, look)


def lamp(spot: Spot, rng: np.random.Generator) -> None:
    """Adds a standard lamp with a conical shade."""
    spot.builder.new_object()
    metal = Material((0.35, 0.33, 0.30), noise=0.1)
    shade = Material(
        pick(rng, ((0.95, 0.85, 0.62), (0.92, 0.9, 0.82), (0.85, 0.55, 0.4))), noise=0.2
    )
    tall = rng.uniform(1.4, 1.7)
    spot.column((0, 0, 0), 0.16, 0.03, metal)
    spot.column((0, 0, 0), 0.018, tall - 0.2, metal)
    spot.column((0, tall - 0.3, 0), 0.22, 0.36, shade, CONE)


def plant(spot: Spot, rng: np.random.Generator) -> None:
    """Adds a pot plant."""
    spot.builder.new_object()
    pot = Material(pick(rng, ((0.7, 0.38, 0.25), (0.85, 0.84, 0.8), (0.3, 0.36, 0.42))), noise=0.15)
    green = pick(rng, GREENS)
    look = Material(green * 0.7, "leaves", green * 1.6, noise=0.2, contrast=1.0)
    spot.column((0, 0, 0), 0.17, 0.32, pot)
    for _ in range(5):
        lean = rotation_y(rng.uniform(0, 6.28)) @ rotation_x(rng.uniform(0.15, 0.6))
        leaf = rng.uniform(0.3, 0.5)
        x, z = (lean @ (0, -leaf * 0.7, 0))[[0, 2]]
        spot.add(SPHERE, (x, 0.34 + leaf * 0.75, z), (0.11, leaf, 0.07), look, lean)


def ground(builder: SceneBuilder, x: tuple, z: tuple, height: float, look: Material, label: int):
    """Adds a level quad over x and z at `height` above y = 0."""
    centre = (sum(x) / 2, -height, sum(z) / 2)
    builder.add(QUAD, centre, ((x[1] - x[0]) / 2, 1, (z[1] - z[0]) / 2), look, label)
