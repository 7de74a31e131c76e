"""NYUv2's labelled frames from nyu_depth_v2_labeled.mat, in 40 or 13 classes.

Nothing else of the data set is needed: the official split and the way from its 894 names to the
classes are in label_tables (nyu_split, nyu894, nyu). For a folder of pictures see nyu_folder.
"""

import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data import pictures
from geoseg_jax.data.labels.pictures import resize_labels
from geoseg_jax.data.labels.segmentation import no_pairs
from geoseg_jax.data.labels.table import IGNORE, LabelTable, label_table
from geoseg_jax.data.labels.tables import nyu894
from geoseg_jax.data.name_splits import split_names
from geoseg_jax.data.nyu import folder as nyu_folder
from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.data.nyu.mat import MatFile
from geoseg_jax.data.provenance.reads import quick_hash
from geoseg_jax.data.source import BadRecord, DataError, Record

FILE = "nyu_depth_v2_labeled.mat"
_LABELS_IN_FINGERPRINT = 50


class NyuMat:
    """Frames of the file as a Source of {image, label, label_size}, with true depth beside.

    path: the .mat, which is opened by each process for itself. split: 'train' or 'test' (the
    official ones), 'all', or names of frames: their official numbers, with four digits. table:
    nyu40 or nyu13. height, width: that pictures are brought to, and labels too (nearest neighbour)
    unless full_labels is set.

    A file with fewer than the 1449 frames is a part of the data set; see `MatFile.numbers`. Where
    its numbers are unknown, the names are the places in the file from 1 on.

    Raises DataError for a file that can't be used, another table, and names that aren't there.
    """

    def __init__(
        self,
        path: str | pathlib.Path,
        split: str | Sequence[str],
        table: LabelTable,
        height: int,
        width: int,
        full_labels: bool = False,
    ):
        self._mat = MatFile(path)
        self.table, self.left_out = table, {}
        self._size, self._full = (height, width), full_labels
        self._lookup = _lookup(table)
        there = frame_names(self._mat)
        if isinstance(split, str):
            split = there if split == "all" else official(self._mat, split, "split")
        places = {name: place for place, name in enumerate(there)}
        missing = [name for name in split if name not in places]
        if missing:
            raise DataError(f"{path}: there is no frame {missing[0]} in the file")
        self.names = list(split)
        self._places = [places[name] for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for a frame that can't be read or has an unknown label."""
        label = self.label(index)
        return {
            "image": pictures.resize(self._mat.image(self._places[index]), *self._size),
            "label": label,
            "label_size": np.array(label.shape, np.int32),
        }

    def label(self, index: int) -> np.ndarray:
        """Returns the record's label alone, uint8 [h, w] train ids. Raises BadRecord."""
        label = self._read_labels(self._places[index])
        return label if self._full else resize_labels(label, *self._size)

    def check(self, index: int) -> float:
        """Returns the share of the frame's pixels that have a class.

        Raises BadRecord where the frame's labels can't be read or one is unknown.
        """
        return float((self._read_labels(self._places[index]) != IGNORE).mean())

    def depth(self, index: int) -> np.ndarray:
        """Reads the Kinect's depth, gaps filled in, float32 [H, W] metres at the frame's size.

        Raises DataError where the file has no `depths`.
        """
        return self._mat.depth(self._places[index])

    def describe(self, index: int) -> str:
        return f"{self._mat.path.name} frame {self.names[index]}"

    def original(self, index: int) -> tuple[int, int]:
        """Returns height and width of the frame before any resizing."""
        del index  # all are alike
        return self._mat.size

    def drive(self, index: int) -> str:
        """Returns the scene, e.g. `kitchen_0004`; '' where the file doesn't tell."""
        return self._mat.scenes[self._places[index]] if self._mat.scenes else ""

    def files(self, index: int) -> tuple[tuple[str, None], ...]:
        """Returns the frame's official number alone: it has no file of its own."""
        known = self._mat.numbers is not None
        return ((f"{'nyuv2' if known else self._mat.path.name} {self.names[index]}", None),)

    def fingerprint(self) -> str:
        """Hashes the frames, the classes, the settings, a sample of the labels and `quick_hash`."""
        settings = (self.names, self._size, self._full, self._lookup.tolist())
        digest = hashlib.sha256(f"{settings} {quick_hash(self._mat.path)}".encode())
        # All labels would take seconds.
        for place in self._places[:: max(1, len(self) // _LABELS_IN_FINGERPRINT)]:
            try:
                digest.update(self._mat.labels(place))
            except BadRecord:
                digest.update(b"unreadable")
        return digest.hexdigest()

    def _read_labels(self, place: int) -> np.ndarray:
        """Reads train ids, uint8 [H, W], of the frame."""
        labels = self._mat.labels(place)
        if labels.min() < 0 or labels.max() > nyu894.COUNT:
            raise BadRecord(
                f"{self._mat.path}: frame {place + 1} has a label {labels.min()} or "
                f"{labels.max()}, which is none of 0 to {nyu894.COUNT}; get the file again"
            )
        return self._lookup[labels]


def make(data: ConfigDict) -> tuple[NyuMat, NyuMat]:
    """Makes the sources; config.data.root is the file or its folder.

    config.data.classes: nyu40 (default) or nyu13. train_split: 'train' (official), 'pool' (all that
    is not evaluated) or a file of names; eval_split: 'test' (official), 'held_out' (blocks
    of consecutive frames, a share of config.data.held_out: the same that depth's 'held_out' is),
    'rest', 'train' (what was trained on) or a file of names. Raises
    DataError as NyuMat does, and where a split has no frame in the file.
    """
    path = find(data.root)
    mat = MatFile(path)
    names = frame_names(mat)
    named = {"held_out": nyu_split.held_out(names, data.get("held_out", 0.2))}
    for key, split in (("train_split", "train"), ("eval_split", "test")):
        try:
            named[split] = official(mat, split, f"config.data.{key}")
        except DataError:
            if data[key] == split:
                raise
    train, judged = split_names(names, data.train_split, data.eval_split, named)
    settings = (label_table(data.get("classes", "") or "nyu40"), data.height, data.width)
    full = data.get("eval_labels", "full") == "full"
    return NyuMat(path, train, *settings), NyuMat(path, judged, *settings, full_labels=full)


def find(root: str) -> pathlib.Path:
    """Returns the .mat that config.data.root names: itself, or in that folder under its own name.

    A part under another name is found where it is the only one that begins alike. Raises DataError.
    """
    path = pathlib.Path(root).expanduser()
    if not path.is_dir() and path.suffix == ".mat":
        return path
    stem = FILE.removesuffix(".mat")
    found = [path / FILE] if (path / FILE).is_file() else sorted(path.glob(f"{stem}*.mat"))
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(file.name for file in found)
        raise DataError(f"config.data.root={root!r} holds {some}; name one of these files")
    raise no_pairs(path, {}, nyu_folder.LAYOUT, nyu_folder.HOW_TO_GET)


def frame_names(mat: MatFile) -> list[str]:
    """Names all frames: official numbers where known, else places in the file from 1 on."""
    return [f"{number:04d}" for number in mat.numbers or range(1, mat.count + 1)]


def official(mat: MatFile, split: str, key: str) -> list[str]:
    """Lists the names of the file's frames in the official split, 'train' or 'test'.

    key: the setting to name in an error. Raises DataError for another word, where the frames'
    numbers are unknown, and where none is in the split.
    """
    numbers = {"train": nyu_split.train_numbers, "test": nyu_split.test_numbers}
    if split not in numbers:
        raise DataError(f"{key}={split!r} is none of train, test, all")
    other = (
        "use config.data.train_split=pool with config.data.eval_split=held_out (or train), or "
        "files of names"
    )
    part = f"{mat.path} holds {mat.count} of the {nyu_split.COUNT} frames"
    if mat.numbers is None:
        raise DataError(
            f"{key}={split!r}: {part}, and there is no {mat.numbers_file.name} with their official "
            f"numbers; {other}"
        )
    wanted = set(numbers[split]())
    found = [f"{number:04d}" for number in mat.numbers if number in wanted]
    if not found:
        raise DataError(f"{key}={split!r}: {part}, none of them of this split; {other}")
    return found


def _lookup(table: LabelTable) -> np.ndarray:
    """Maps label of the file -> train id, uint8 [895]. Raises DataError for other tables."""
    of40 = {"nyu40": "nyu40", "nyu13": "nyu13_from40", "nyu13_from40": "nyu13_from40"}
    if table.name not in of40:
        raise DataError(f"config.data.classes={table.name!r}: NYUv2 has nyu40 and nyu13")
    train_ids = label_table(of40[table.name]).train_ids
    assert train_ids[0] == IGNORE
    return np.array([train_ids[i] for i in nyu894.classes40()], np.uint8)
