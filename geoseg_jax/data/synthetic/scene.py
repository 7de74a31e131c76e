"""A scene: textured primitives that may move, a sun and a sky. World axes: x right, y down, z on.

The ground is near y = 0, so that heights above it are negative y.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PATTERN_NAMES = (
    "plain", "road", "tiles", "checks", "stripes", "bricks", "planks", "facade", "leaves", "blobs",
    "panes", "books", "glass", "panel",
)  # fmt: skip
_UPRIGHT = np.eye(3)


class Material(NamedTuple):
    """How a surface looks; colours are RGB in [0, 1], lengths in metres.

    `pattern`, of PATTERN_NAMES, is a function in materials.py that mixes color and accent, with
    periods `size` along the surface; noise of the given wavelength and contrast lies over it.
    """

    color: Sequence[float]
    pattern: str = "plain"
    accent: Sequence[float] = (0.0, 0.0, 0.0)
    size: tuple[float, float] = (1.0, 1.0)
    noise: float = 0.5
    contrast: float = 0.3


class Motion(NamedTuple):
    """Rigid motion: velocity in m/s and a spin in rad/s about the vertical through `pivot`."""

    velocity: Sequence[float] = (0.0, 0.0, 0.0)
    spin: float = 0.0
    pivot: Sequence[float] = (0.0, 0.0, 0.0)


STILL = Motion()


class Sky(NamedTuple):
    """Colours of the sky and the share of clouds in [0, 1]; `label` is its class, 255 if none."""

    zenith: Sequence[float] = (0.32, 0.52, 0.82)
    horizon: Sequence[float] = (0.80, 0.87, 0.93)
    clouds: float = 0.5
    label: int = 255


class Light(NamedTuple):
    """A sun (unit vector towards it, RGB) over ambient light (RGB), fixed in the world."""

    direction: Sequence[float] = (0.4, -0.8, -0.45)
    sun: Sequence[float] = (0.62, 0.58, 0.50)
    ambient: Sequence[float] = (0.52, 0.55, 0.60)


class Scene(NamedTuple):
    """N primitives as arrays, and the surroundings. `rotation` @ diag(half) maps a unit shape."""

    kind: np.ndarray  # int [N], shapes.py
    centre: np.ndarray  # [N, 3] metres at time 0
    rotation: np.ndarray  # [N, 3, 3] at time 0
    half: np.ndarray  # [N, 3] metres
    velocity: np.ndarray  # [N, 3] m/s
    spin: np.ndarray  # [N] rad/s
    pivot: np.ndarray  # [N, 3]
    label: np.ndarray  # uint8 [N]
    instance: np.ndarray  # int [N], parts of one object share it
    offset: np.ndarray  # [N, 2] metres, shifts the texture
    pattern: np.ndarray  # int [N], into PATTERN_NAMES
    color: np.ndarray  # [N, 3]
    accent: np.ndarray  # [N, 3]
    size: np.ndarray  # [N, 2] metres
    noise: np.ndarray  # [N] metres
    contrast: np.ndarray  # [N]
    light: Light
    sky: Sky

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns rotations [N, 3, 3] and centres [N, 3] of all primitives `time` seconds later."""
        turn = rotation_y(self.spin * time)
        moved = np.einsum("nij,nj->ni", turn, self.centre - self.pivot) + self.pivot
        return turn @ self.rotation, moved + self.velocity * time

    @property
    def moving(self) -> np.ndarray:
        """Tells which primitives have a motion of their own, bool [N]."""
        return (self.velocity != 0).any(axis=1) | (self.spin != 0)


def rotation_x(angle: np.ndarray | float) -> np.ndarray:
    """Returns rotations [..., 3, 3] about x (y towards z), radians; positive looks up."""
    return _rotation(angle, 1, 2)


def rotation_y(angle: np.ndarray | float) -> np.ndarray:
    """Returns rotations [..., 3, 3] about y (z towards x), radians; positive looks right."""
    return _rotation(angle, 2, 0)


def rotation_z(angle: np.ndarray | float) -> np.ndarray:
    """Returns rotations [..., 3, 3] about z (x towards y), radians."""
    return _rotation(angle, 0, 1)


def _rotation(angle: np.ndarray | float, a: int, b: int) -> np.ndarray:
    angle = np.asarray(angle, np.float64)
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., 3 - a - b, 3 - a - b] = 1
    matrix[..., a, a] = matrix[..., b, b] = np.cos(angle)
    matrix[..., b, a], matrix[..., a, b] = np.sin(angle), -np.sin(angle)
    return matrix


class SceneBuilder:
    """Collects primitives; `build` packs them into a Scene."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self._rows: list[tuple] = []
        self._instance = 0

    def new_object(self) -> None:
        """Starts a new object, which the primitives added from here on belong to."""
        self._instance += 1

    def add(
        self,
        kind: int,
        centre: Sequence[float],
        half: Sequence[float],
        material: Material,
        label: int,
        rotation: np.ndarray | None = None,
        motion: Motion = STILL,
    ) -> None:
        """Adds one primitive; lengths in metres, `rotation` [3, 3] world <- shape."""
        rotation = _UPRIGHT if rotation is None else rotation
        self._rows.append((kind, centre, rotation, half, motion, label, self._instance, material))

    def build(self, light: Light, sky: Sky) -> Scene:
        """Returns the scene; its textures are shifted at random."""
        kind, centre, rotation, half, motion, label, instance, material = zip(
            *self._rows, strict=True
        )
        velocity, spin, pivot = zip(*motion, strict=True)
        color, pattern, accent, size, noise, contrast = zip(*material, strict=True)
        return Scene(
            kind=np.array(kind),
            centre=np.array(centre, np.float64),
            rotation=np.array(rotation, np.float64),
            half=np.array(half, np.float64),
            velocity=np.array(velocity, np.float64),
            spin=np.array(spin, np.float64),
            pivot=np.array(pivot, np.float64),
            label=np.array(label, np.uint8),
            instance=np.array(instance),
            offset=self.rng.uniform(0, 50, (len(kind), 2)),
            pattern=np.array([PATTERN_NAMES.index(name) for name in pattern]),
            color=np.array(color, np.float32),
            accent=np.array(accent, np.float32),
            size=np.array(size, np.float32),
            noise=np.array(noise, np.float32),
            contrast=np.array(contrast, np.float32),
            light=light,
            sky=sky,
        )
