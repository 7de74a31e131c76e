"""Pictures alone: every PNG and JPEG below a folder, for pre-training that needs no neighbours.

    ROOT/any/folders/NAME.jpg

Which of them are trained on and which are judged is a pattern each, or a share held out.
"""

import fnmatch
import hashlib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data import pictures, walk
from geoseg_jax.data.fit import Fit, fits
from geoseg_jax.data.name_splits import held_out
from geoseg_jax.data.reader import ANY_SIZE, SHARE_HELD_OUT, Reader
from geoseg_jax.data.source import DataError, Record

LAYOUT = "ROOT/.../*.jpg (or .jpeg, .png), in any folders"
HOW_TO_GET = "put your pictures there"
HELD_OUT, HELD_OUT_FOLDERS = "held_out", "held_out_folders"
_SIZES_IN_FINGERPRINT = 1000
# KITTI's frames tell their drive wherever they lie, and so whether a test split shares it.
_DRIVE = re.compile(r"\d{4}_\d{2}_\d{2}_drive_\d{4}")


def make(data: ConfigDict) -> tuple["PictureFolder", "PictureFolder"]:
    """Makes the sources to train and to evaluate on.

    config.data: root; train_split, a pattern that the paths within ROOT must match as fnmatch has
    it ('*' stands for any letters, '/' too), '' = all; eval_split, a pattern, or 'held_out', a
    share (held_out) of the pictures by the hash of their names, or 'held_out_folders', a share of
    the folders, for frames of videos, whose neighbours look alike. What is judged is not trained
    on. For the size of pictures see `fit.fits`.

    Raises DataError where no picture is left to train or to evaluate on.
    """
    root = pathlib.Path(data.root).expanduser()
    names, passed_over = walk.walk(root, walk.PICTURES)
    if not names:
        raise DataError(f"config.data.root={str(root)!r} holds no picture; looked for {LAYOUT}")
    pool = _matching(names, data.train_split or "*", "train_split", root)
    judged = _judged(names, pool, data.eval_split or HELD_OUT, data.get("held_out", 0.05), root)
    taken = set(judged)
    train = [name for name in pool if name not in taken]
    if not train:
        raise DataError(
            f"config.data.eval_split={data.eval_split!r} takes all {len(pool)} pictures of "
            f"config.data.train_split={data.train_split!r}; none is left to train on"
        )
    to_train, to_judge = fits(data)
    return (
        PictureFolder(root, train, to_train, passed_over),
        PictureFolder(root, judged, to_judge),
    )


class PictureFolder:
    """Picture files as a Source of {image}.

    root: where names begin. names: paths within it, with their endings, in the order to serve.
    fit: what is kept of a picture. left_out: reason -> number of files.
    """

    def __init__(
        self,
        root: pathlib.Path,
        names: Sequence[str],
        fit: Fit,
        left_out: Mapping[str, int] | None = None,
    ):
        self.left_out = dict(left_out or {})
        self._root, self._fit = root, fit
        # Of a million pictures a list of names would take 100 MB in each worker.
        self._names = np.array([os.fsencode(name) for name in names], np.bytes_)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord where the picture can't be read."""
        return {"image": pictures.to_rgb(self._fit(pictures.read_picture(self._path(index))))}

    def describe(self, index: int) -> str:
        return os.fsdecode(self._names[index])

    def drive(self, index: int) -> str | None:
        """Returns KITTI's name of the recording where the path has one, else ''."""
        found = _DRIVE.search(self.describe(index))
        return found[0] if found else ""

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns (name, path) of the picture."""
        return ((self.describe(index), self._path(index)),)

    def fingerprint(self) -> str:
        """Hashes the names, the fit and a sample of the pictures' sizes on disk."""
        return self._hash(tuple(self._fit))

    def _hash(self, what: Any, numbers: bytes = b"") -> str:
        digest = hashlib.sha256(repr(what).encode())
        digest.update(b"\n".join(self._names.tolist()) + numbers)
        # All sizes would take minutes on a network file system.
        for index in range(0, len(self), max(1, len(self) // _SIZES_IN_FINGERPRINT)):
            digest.update(str(self._path(index).stat().st_size).encode())
        return digest.hexdigest()

    def _path(self, index: int) -> pathlib.Path:
        return self._root / self.describe(index)


def _matching(names: Sequence[str], pattern: str, key: str, root: pathlib.Path) -> list[str]:
    matches = re.compile(fnmatch.translate(pattern)).match
    found = [name for name in names if matches(name)]
    if not found:
        raise DataError(
            f"config.data.{key}={pattern!r} matches none of the {len(names)} pictures below "
            f"{root}, e.g. {names[0]!r}; '*' stands for any letters, as in 'train/*'"
        )
    return found


def _judged(
    names: Sequence[str], pool: Sequence[str], split: str, share: float, root: pathlib.Path
) -> list[str]:
    if split == HELD_OUT:
        return held_out(pool, share)
    if split == HELD_OUT_FOLDERS:
        folder_of = os.path.dirname
        folders = held_out(sorted(set(map(folder_of, pool))), share)
        return [name for name in pool if folder_of(name) in set(folders)]
    return _matching(names, split, "eval_split", root)


READER = Reader(make, ANY_SIZE | SHARE_HELD_OUT, layout=LAYOUT, how_to_get=HOW_TO_GET)
