"""nyu_depth_v2_labeled.mat, read frame by frame: an HDF5 file as MATLAB 7.3 writes it.

MATLAB keeps the first axis of an array together, so in HDF5 all axes stand in reverse: images are
[N, 3, W, H], all other maps [N, W, H], and a frame is transposed to be upright.
"""

import math
import os
import pathlib
import threading
from typing import Any

import h5py
import numpy as np

from geoseg_jax.data.labels.tables import nyu894
from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError

_MATLAB_5 = b"MATLAB 5.0"
_FAULT = "the file is cut short or damaged"
# What a file may announce: an array that nobody has written takes no room in it.
_FRAMES, _PIXELS, _LETTERS, _CHUNK = 1 << 20, 1 << 24, 1000, 1 << 26


class MatFile:
    """The frames of one file; the file is opened by each process for itself, when first needed.

    count: frames. size: their height and width. numbers: the official number of each frame, from 1
    on, None where unknown: a part of the data set needs the list of its numbers beside it, in
    NAME_frames.txt for NAME.mat. scenes: the scene of each frame, () where the file lacks them.

    Raises DataError for a file that isn't there, is no HDF5 file, is cut short, or lacks what is
    needed in its place and shape.
    """

    def __init__(self, path: str | pathlib.Path):
        self.path = pathlib.Path(path).expanduser()
        self._file: h5py.File | None = None
        self._process, self._lock = 0, threading.Lock()
        _check_kind(self.path)
        with reading(self.path, kind=DataError, fault=_FAULT):
            self._look(self._open())

    def _look(self, file: h5py.File) -> None:
        """Finds what is in the file, and whether it is of the right shape."""
        images, labels = (self._dataset(file, name) for name in ("images", "labels"))
        self._check_shape("images", images, "[N, 3, W, H]", np.uint8, 4)
        self.count, self.size = images.shape[0], (images.shape[3], images.shape[2])
        self._check_shape("labels", labels, "[N, W, H]", np.integer, 3)
        for name in ("depths", "rawDepths"):
            if name in file:
                dataset = self._dataset(file, name)
                self._check_shape(name, dataset, "[N, W, H]", np.floating, 3)
        self._check_names(file)
        self.numbers = self._numbers()
        self.scenes = self._scenes(file)

    def image(self, place: int) -> np.ndarray:
        """Returns uint8 [H, W, 3] RGB of the frame at a place from 0 on. Raises BadRecord."""
        return np.ascontiguousarray(self._frame("images", place).transpose(2, 1, 0))

    def labels(self, place: int) -> np.ndarray:
        """Reads integers [H, W], 0 = unlabelled, 1 to 894 = places in the file's names."""
        return np.ascontiguousarray(self._frame("labels", place).T)

    def depth(self, place: int, raw: bool = False) -> np.ndarray:
        """Returns float32 [H, W] metres, filled in where the sensor measured nothing.

        raw: as measured, 0 where nothing was; it is not in every file.
        """
        depth = self._frame("rawDepths" if raw else "depths", place)
        return np.ascontiguousarray(depth.T, np.float32)

    def has(self, name: str) -> bool:
        """Tells whether the file has that array."""
        return name in self._open()

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the open file, which can't travel to another process."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_file", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _file=None, _lock=threading.Lock())

    def _open(self) -> h5py.File:
        with self._lock:
            # After a fork the file is the parent's; its handle must not be shared.
            if self._file is None or self._process != os.getpid():
                with reading(self.path, kind=DataError, fault=_FAULT):
                    # Some network file systems can't lock, and nobody writes.
                    self._file = h5py.File(self.path, "r", locking="best-effort")
                self._process = os.getpid()
            return self._file

    def _frame(self, name: str, place: int) -> np.ndarray:
        if not 0 <= place < self.count:
            raise IndexError(f"frame {place} is not in 0..{self.count - 1}")
        # Threads take turns: h5py holds a lock of its own while it reads.
        with reading(self.path, fault=f"{name} of frame {place + 1} can't be read"):
            return self._dataset(self._open(), name)[place]

    def _dataset(self, file: h5py.File, name: str) -> h5py.Dataset:
        link = file.get(name, getlink=True) if name in file else None
        dataset = file[name] if isinstance(link, h5py.HardLink) else None
        if isinstance(dataset, h5py.Dataset):
            if dataset.is_virtual or dataset.external:
                raise DataError(f"{self.path}: `{name}` lies in another file; get the original")
            if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _CHUNK:
                raise DataError(
                    f"{self.path}: `{name}` is kept in pieces of more than {_CHUNK >> 20} MiB, "
                    "which can only be unpacked whole; get the original"
                )
            return dataset
        there = ", ".join(sorted(key for key in file if not key.startswith("#"))) or "nothing"
        raise DataError(
            f"{self.path}: there is no `{name}` in the file, only {there}; it must be "
            "nyu_depth_v2_labeled.mat or made like it"
        )

    def _check_shape(
        self, name: str, dataset: h5py.Dataset, axes: str, kind: type, dimensions: int
    ) -> None:
        shape = list(dataset.shape)
        good = len(shape) == dimensions and np.issubdtype(dataset.dtype, kind)
        if good and name == "images":
            good = shape[1] == 3 and min(shape) > 0 and shape[0] <= _FRAMES
            good = good and shape[2] * shape[3] <= _PIXELS
        elif good:
            good = shape == [self.count, *self.size[::-1]]
        if not good:
            beside = "" if name == "images" else f" beside images [{self.count}, 3, "
            beside += f"{self.size[1]}, {self.size[0]}]" if beside else ""
            raise DataError(
                f"{self.path}: `{name}` is {dataset.dtype} {shape}{beside}, expected "
                f"{kind.__name__} {axes} as MATLAB 7.3 writes it; get the original file again"
            )

    def _check_names(self, file: h5py.File) -> None:
        size = self._dataset(file, "names").size if "names" in file else nyu894.COUNT
        if size != nyu894.COUNT:
            raise DataError(
                f"{self.path}: `names` has {size} entries, the 40 classes are made "
                f"of {nyu894.COUNT}; get the original file again"
            )

    def _numbers(self) -> tuple[int, ...] | None:
        if self.count == nyu_split.COUNT:
            return tuple(range(1, self.count + 1))
        path = self.numbers_file
        if not path.is_file():
            return None
        words = path.read_text(encoding="utf-8", errors="replace").split()
        numbers = [int(word) if word.isdecimal() and len(word) < 9 else 0 for word in words]
        known = all(1 <= number <= nyu_split.COUNT for number in numbers)
        if not known or len(set(numbers)) != self.count or len(numbers) != self.count:
            raise DataError(
                f"{path}: it must hold {self.count} different numbers from 1 to "
                f"{nyu_split.COUNT}, one for each frame of {self.path.name}"
            )
        return tuple(numbers)

    @property
    def numbers_file(self) -> pathlib.Path:
        """Returns the file with the official numbers of a part's frames, one a line."""
        return self.path.with_name(f"{self.path.stem}_frames.txt")

    def _scenes(self, file: h5py.File) -> tuple[str, ...]:
        """Reads cells of strings, which are references to arrays of character codes."""
        if "scenes" not in file:
            return ()
        dataset = self._dataset(file, "scenes")
        if dataset.size != self.count or h5py.check_ref_dtype(dataset.dtype) is not h5py.Reference:
            raise DataError(
                f"{self.path}: `scenes` has {dataset.size} entries for {self.count} frames, or no "
                "texts; get the original file again"
            )
        return tuple(self._text(file[reference]) for reference in dataset[()].ravel())

    def _text(self, codes: h5py.Dataset) -> str:
        """The text of an array of character codes."""
        if codes.size > _LETTERS:
            raise DataError(f"{self.path}: a scene's name has {codes.size} letters; get it again")
        return "".join(map(chr, codes[()].ravel()))


def _check_kind(path: pathlib.Path) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(len(_MATLAB_5))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name nyu_depth_v2_labeled.mat") from error
    if start == _MATLAB_5:
        raise DataError(
            f"{path}: a file of MATLAB 5, not of 7.3 (HDF5) as nyu_depth_v2_labeled.mat is; get "
            "the original file, or save it with -v7.3"
        )
    if not h5py.is_hdf5(path):
        raise DataError(
            f"{path}: no HDF5 file, which a .mat of MATLAB 7.3 is ({path.stat().st_size} bytes); "
            "get nyu_depth_v2_labeled.mat again"
        )
