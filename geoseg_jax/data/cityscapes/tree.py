"""Where the files of Cityscapes with stereo, sequences and disparity lie in its original layout."""

import json
import os
import pathlib
import re
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.data import walk
from geoseg_jax.data.reading import reason
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.text_files import read_text

LAYOUT = (
    "ROOT/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png (and rightImg8bit, "
    "leftImg8bit_sequence, disparity, camera likewise)"
)
HOW_TO_GET = (
    "get leftImg8bit, rightImg8bit, leftImg8bit_sequence, disparity and camera (_trainvaltest.zip, "
    "_trainextra.zip) from https://www.cityscapes-dataset.com/downloads/ and unpack them into one "
    "folder"
)
# What lies where, by kind: folders in the order of preference, and how a file's name ends.
_KINDS = {
    "left": (("leftImg8bit", "leftImg8bit_sequence"), "_leftImg8bit", (".jpg", ".png")),
    "right": (("rightImg8bit", "rightImg8bit_sequence"), "_rightImg8bit", (".jpg", ".png")),
    "disparity": (("disparity", "disparity_sequence"), "_disparity", (".png",)),
    "camera": (("camera",), "_camera", (".json",)),
}
_NAME = re.compile(r"(.+)_(\d{6})_(\d{6})")
_REMEDY = "unpack camera_trainvaltest.zip (or _trainextra.zip) again"


class Frame(NamedTuple):
    """One moment of the car: the split's folder, the city, the sequence and the frame in it."""

    split: str
    city: str
    sequence: int
    number: int

    def __str__(self) -> str:
        return f"{self.city}/{self.city}_{self.sequence:06d}_{self.number:06d}"


class Camera(NamedTuple):
    """Calibration of the left camera, as in a camera file."""

    intrinsics: np.ndarray  # [3, 3] float64, pixels of the original picture
    baseline: float  # metres, to the right camera

    def pose(self, side: str) -> np.ndarray:
        """Returns the pose [4, 4] float64 metres, stereo partner <- camera of that side."""
        pose = np.eye(4)
        pose[0, 3] = -self.baseline if side == "left" else self.baseline
        return pose


class CityscapesTree:
    """The files of some splits below one root, listed once.

    splits: folders below leftImg8bit, e.g. ('train', 'train_extra'). Raises DataError where the
    root isn't there, or one of them holds no picture.
    """

    def __init__(self, root: str | pathlib.Path, splits: tuple[str, ...], key: str):
        self.root = pathlib.Path(root).expanduser()
        self.sequences: set[Frame] = set()  # those of leftImg8bit_sequence alone
        self.passed_over: Counter[str] = Counter()
        self._files: dict[str, dict[Frame, str]] = {kind: {} for kind in _KINDS}
        for split in splits:
            before = len(self._files["left"])
            for kind in _KINDS:
                self._list(kind, split)
            if len(self._files["left"]) == before:
                where = f"config.data.root={str(root)!r}"
                state = "is not there" if not self.root.is_dir() else f"holds no split {split!r}"
                raise DataError(f"{key}: {where} {state}; looked for {LAYOUT}; {HOW_TO_GET}")
        self._cameras_of: dict[tuple, list[int]] = {}
        for frame in sorted(self._files["camera"]):
            self._cameras_of.setdefault(frame[:3], []).append(frame.number)

    def frames(self, sequences: bool) -> list[Frame]:
        """Lists frames with a left picture, sorted; `sequences`: those of sequences alone."""
        return sorted(f for f in self._files["left"] if sequences or f not in self.sequences)

    def has(self, kind: str, frame: Frame) -> bool:
        """Tells whether there is a file of that kind: left, right, disparity or camera."""
        if kind == "camera":
            return frame[:3] in self._cameras_of
        return frame in self._files[kind]

    def name(self, kind: str, frame: Frame) -> str:
        """Returns a file's name relative to the root."""
        return self._files[kind][frame]

    def path(self, kind: str, frame: Frame) -> pathlib.Path:
        """Returns a file's path."""
        return self.root / self._files[kind][frame]

    def camera_file(self, frame: Frame) -> pathlib.Path:
        """Returns a frame's calibration: that of the nearest one in its sequence that has a file.

        There is one for the annotated frame of each snippet of 30, and the sequence goes on
        through several snippets in some cities.
        """
        numbers = self._cameras_of[frame[:3]]
        nearest = min(numbers, key=lambda number: abs(number - frame.number))
        return self.path("camera", frame._replace(number=nearest))

    def camera(self, frame: Frame) -> Camera:
        """Reads a frame's calibration. Raises BadRecord where it is malformed."""
        return read_camera(self.camera_file(frame))

    def _list(self, kind: str, split: str) -> None:
        folders, suffix, endings = _KINDS[kind]
        for folder in folders:
            for city in walk.list_folder(self.root / folder / split).folders:
                place = f"{folder}/{split}/{city}"
                # Sorted by name, so that .png comes after .jpg and wins.
                new = {}
                inside = walk.list_folder(self.root / place, endings)
                self.passed_over += inside.passed_over
                for name in inside.files:
                    stem = os.path.splitext(name)[0]
                    match = _NAME.fullmatch(stem.removesuffix(suffix))
                    if match and stem.endswith(suffix):
                        frame = Frame(split, match[1], int(match[2]), int(match[3]))
                        new[frame] = f"{place}/{name}"
                known = self._files[kind]
                if kind == "left" and folder.endswith("_sequence"):
                    self.sequences |= new.keys() - known.keys()
                for frame, name in new.items():
                    known.setdefault(frame, name)


def read_camera(path: pathlib.Path) -> Camera:
    """Reads intrinsics and baseline. Raises BadRecord where one is missing or absurd."""
    try:
        content = json.loads(read_text(path))
    except (DataError, ValueError, RecursionError) as error:
        raise BadRecord(f"{path}: the camera can't be read ({error}); {_REMEDY}") from error
    inside = [_number(path, content, "intrinsic", name) for name in ("fx", "fy", "u0", "v0")]
    baseline = _number(path, content, "extrinsic", "baseline")
    if min(inside[0], inside[1], baseline) <= 0:
        raise BadRecord(
            f"{path}: fx={inside[0]}, fy={inside[1]} and baseline={baseline} must be positive; "
            + _REMEDY
        )
    fx, fy, u0, v0 = inside
    return Camera(np.array([[fx, 0, u0], [0, fy, v0], [0, 0, 1]]), baseline)


def _number(path: pathlib.Path, content: Any, section: str, name: str) -> float:
    try:
        value = float(content[section][name])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        what = f"no number {section}.{name} ({reason(error)})"
        raise BadRecord(f"{path}: {what}; {_REMEDY}") from error
    if not np.isfinite(value):
        raise BadRecord(f"{path}: {section}.{name}={value} is not finite; {_REMEDY}")
    return value
