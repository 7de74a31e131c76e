"""Records of the synthetic worlds: random access, a pure function of (parameters, index)."""

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.labels.tables.synthetic import CLASSES, OBJECT_CATEGORIES
from geoseg_jax.data.source import DataError
from geoseg_jax.data.synthetic import objects, room, street
from geoseg_jax.data.synthetic.raycast import View
from geoseg_jax.data.synthetic.render import render
from geoseg_jax.data.synthetic.scene import Scene
from geoseg_jax.data.synthetic.truth import depth_map, flow_to, label_map, trace

# Part of every fingerprint and cache key: raise it with any change to what is drawn.
WORLD_VERSION = 2
# What evaluation adds to the seed: its worlds have one of their own, so that none is trained on.
EVAL_SEED = 1_000_000

_WORLDS = {"room": room, "street": street}  # their order is part of the seed


class Shot(NamedTuple):
    """A scene, the target view, and the source views: temporal frames in order, then stereo."""

    scene: Scene
    target: View
    sources: tuple[View, ...]


def _fingerprint(parameters: dict) -> str:
    text = json.dumps({"world_version": WORLD_VERSION, **parameters}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class SyntheticSource:
    """Street or room sequences with exact truth; the keys are those of geoseg_jax/core/batch.py.

    Each record is a world of its own: the target at time 0 and its neighbours. `frames` are offsets
    in steps of a tenth of a second, `stereo` adds the right-hand camera (0.54 m in the street,
    0.12 m in the room). Depth is 0 beyond 80 m in the street. Flow leads to sources[0] and is left
    out where there is no source; moving objects move with their own motion, the sky with the
    camera's rotation; it is valid wherever the point is not behind the source's camera, and visible
    where it is in the source's picture and nothing hides it there. `samples` squared rays are
    averaged in a pixel of a picture.
    """

    def __init__(
        self,
        world: str = "street",
        size: int = 512,
        seed: int = 0,
        height: int = 192,
        width: int = 640,
        frames: Sequence[int] = (-1, 1),
        stereo: bool = True,
        samples: int = 2,
    ):
        if world not in _WORLDS:
            raise DataError(f"config.data.world={world!r} is unknown; known: {sorted(_WORLDS)}")
        if size < 1 or height < 8 or width < 8 or samples < 1 or seed < 0:
            raise DataError(
                "the synthetic world needs size >= 1, seed >= 0, height and width >= 8 and "
                f"samples >= 1; got size={size}, seed={seed}, {height}x{width}, samples={samples}"
            )
        if 0 in frames or len(set(frames)) != len(frames):
            raise DataError(f"config.data.frames={tuple(frames)} must be distinct and other than 0")
        self.parameters = {
            "world": world, "size": int(size), "seed": int(seed), "height": int(height),
            "width": int(width), "frames": [int(frame) for frame in frames],
            "stereo": bool(stereo), "samples": int(samples),
        }  # fmt: skip
        self.world, self.size, self.seed = world, int(size), int(seed)
        self.height, self.width, self.samples = int(height), int(width), int(samples)
        self.frames, self.stereo = tuple(int(frame) for frame in frames), bool(stereo)
        self.classes = CLASSES[world]
        self.left_out: dict[str, int] = {}

    def __len__(self) -> int:
        return self.size

    @property
    def intrinsics(self) -> np.ndarray:
        """Returns f32 [3, 3]: square pixels, the optical axis through the middle."""
        focal = _WORLDS[self.world].FOCAL * self.width
        x, y = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]], np.float32)

    @property
    def stereo_pose(self) -> np.ndarray:
        """Returns f32 [4, 4] stereo partner <- target in metres; the identity without stereo."""
        pose = np.eye(4, dtype=np.float32)
        pose[0, 3] = -_WORLDS[self.world].BASELINE if self.stereo else 0
        return pose

    def shot(self, i: int) -> Shot:
        """Returns the scene and the views of record i."""
        i = _checked(i, self.size)
        scene, way = _WORLDS[self.world].make(
            np.random.default_rng([self.seed, list(_WORLDS).index(self.world), i])
        )
        intrinsics = self.intrinsics.astype(np.float64)

        def view(time: float, side: np.ndarray) -> View:
            pose = side @ way.camera_from_world(time)
            return View(intrinsics, pose, self.height, self.width, time)

        middle = np.eye(4)
        sources = [view(frame / _WORLDS[self.world].FPS, middle) for frame in self.frames]
        if self.stereo:
            sources.append(view(0.0, self.stereo_pose.astype(np.float64)))
        return Shot(scene, view(0.0, middle), tuple(sources))

    def poses(self, i: int) -> np.ndarray:
        """Returns true source_from_target [S, 4, 4] of record i, metres."""
        shot = self.shot(i)
        inverse = np.linalg.inv(shot.target.camera_from_world)
        poses = [source.camera_from_world @ inverse for source in shot.sources]
        return np.array(poses).reshape(-1, 4, 4)

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        i = _checked(i, self.size)
        scene, target, sources = self.shot(i)
        hits = trace(scene, target)
        pictures = [render(scene, source, self.samples) for source in sources]
        record = {
            "image": render(scene, target, self.samples),
            "sources": np.array(pictures, np.uint8).reshape(-1, self.height, self.width, 3),
            "intrinsics": self.intrinsics,
            "stereo_pose": self.stereo_pose,
            "depth": depth_map(hits, _WORLDS[self.world].MAX_DEPTH),
            "depth_size": np.array([self.height, self.width], np.int32),
            "label": label_map(scene, hits),
            "id": np.int32(i),
            "replaced": np.int32(0),
        }
        if sources:
            truth = flow_to(scene, target, hits, sources[0])
            record |= {"flow": truth.flow, "flow_valid": truth.known, "flow_visible": truth.visible}
        return record

    def depth(self, i: int) -> np.ndarray:
        """Traces record i's depth, f32 [height, width] metres, without drawing anything."""
        scene, target, _ = self.shot(i)
        return depth_map(trace(scene, target), _WORLDS[self.world].MAX_DEPTH)

    def has_depth(self, i: int) -> bool:
        """Returns all records have it."""
        del i
        return True

    def flow(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Traces record i's flow, and where it is known; DataError without source views."""
        scene, target, sources = self.shot(i)
        if not sources:
            raise DataError(
                "config.data.frames=() and config.data.stereo=False leave no view for the flow to "
                "lead to; use frames=(1,)"
            )
        truth = flow_to(scene, target, trace(scene, target), sources[0])
        return truth.flow, truth.known

    def label(self, i: int) -> np.ndarray:
        """Returns the label of record i alone, uint8 [height, width], without drawing anything."""
        scene, target, _ = self.shot(i)
        return label_map(scene, trace(scene, target))

    def describe(self, i: int) -> str:
        """Names record i in one line."""
        return f"synthetic {self.world} seed {self.seed} record {_checked(i, self.size)}"

    def files(self, i: int) -> tuple[tuple[str, None], ...]:
        """Returns the name of the record's world, the same at any size; there is no file."""
        return ((self.describe(i), None),)

    def drive(self, i: int) -> None:
        """Returns None: each record is a world of its own."""

    def fingerprint(self) -> str:
        """Hashes all that the records depend on (sha256)."""
        return _fingerprint(self.parameters)


class ObjectSource:
    """Single objects with a category (OBJECT_CATEGORIES), as many of each, in a shuffled order."""

    def __init__(
        self, size: int = 1000, seed: int = 0, height: int = 64, width: int = 64, samples: int = 2
    ):
        if size < 1 or height < 8 or width < 8 or samples < 1 or seed < 0:
            raise DataError(
                "synthetic objects need size >= 1, seed >= 0, height and width >= 8 and "
                f"samples >= 1; got size={size}, seed={seed}, {height}x{width}, samples={samples}"
            )
        self.parameters = {
            "world": "objects", "size": int(size), "seed": int(seed), "height": int(height),
            "width": int(width), "samples": int(samples),
        }  # fmt: skip
        self.size, self.seed, self.samples = int(size), int(seed), int(samples)
        self.height, self.width = int(height), int(width)
        self.categories = OBJECT_CATEGORIES
        self.left_out: dict[str, int] = {}

    def __len__(self) -> int:
        return self.size

    def category(self, i: int) -> int:
        """Returns the category of record i: each block of records holds every category once."""
        block, place = divmod(_checked(i, self.size), len(self.categories))
        order = np.random.default_rng([self.seed, 2, block]).permutation(len(self.categories))
        return int(order[place])

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        i, category = _checked(i, self.size), self.category(i)
        rng = np.random.default_rng([self.seed, 3, i])
        scene, view = objects.make_object(rng, category, self.height, self.width)
        return {
            "image": render(scene, view, self.samples),
            "category": np.int32(category),
            "id": np.int32(i),
            "replaced": np.int32(0),
        }

    def describe(self, i: int) -> str:
        """Names record i in one line."""
        name = self.categories[self.category(i)]
        return f"synthetic object seed {self.seed} record {i} ({name})"

    def files(self, i: int) -> tuple[tuple[str, None], ...]:
        """Returns the name of the record's object, the same at any size; there is no file."""
        return ((self.describe(i), None),)

    def drive(self, i: int) -> None:
        """Returns None: each record is a world of its own."""

    def fingerprint(self) -> str:
        """Hashes all that the records depend on (sha256)."""
        return _fingerprint(self.parameters)


def source_from(parameters: dict) -> SyntheticSource | ObjectSource:
    """Returns the source whose `parameters` these are."""
    if parameters["world"] == "objects":
        return ObjectSource(**{k: v for k, v in parameters.items() if k != "world"})
    return SyntheticSource(**parameters)


def _checked(i: int, size: int) -> int:
    i = int(i)
    if not 0 <= i < size:
        raise IndexError(f"record {i} is not in 0..{size - 1}")
    return i
