"""Pictures with label pictures beside them, whatever data set they are of, as a Source."""

import hashlib
import pathlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data import pictures
from geoseg_jax.data.labels.pictures import CROPS, RESIZES, read_label
from geoseg_jax.data.labels.table import IGNORE, LabelTable
from geoseg_jax.data.name_splits import REST, TRAIN
from geoseg_jax.data.scans import check_scan
from geoseg_jax.data.source import LABEL, DataError, Record
from geoseg_jax.data.walk import Named

NO_LABEL, NO_PICTURE = "picture without a label", "label without a picture"


class Item(NamedTuple):
    """A picture and its label.

    name: the published one, without a file's ending; unique in its set, with '/' where it has
    folders. drive: the recording that it comes from, '' where unknown.
    """

    name: str
    image: pathlib.Path
    label: pathlib.Path
    drive: str = ""


class LabelledPictures:
    """Items as a Source of {image, label, label_size}; `names`, `items` and `table` are public.

    items: what to serve, in this order. table: of the ids in the label files. height, width: that
    pictures are brought to. full_labels: labels keep their own size and are padded to the largest
    of the items with 255 at the bottom and right (evaluation); otherwise they have the pictures'.
    picture_resize: see `pictures.resize`.
    label_resize: 'nearest'; 'bicubic' reproduces a fault. label_crop: 'none', or 'bottom_right'
    for whole labels of cropped pictures. For both see `label_pictures`. folds: into how many parts
    the pictures were dealt of which one judges, see `name_splits.deal`; 0: they were not.

    Raises DataError for another word, and BadRecord where full_labels is set and the header of a
    picture can't be read.
    """

    def __init__(
        self,
        items: Sequence[Item],
        table: LabelTable,
        *,
        height: int,
        width: int,
        full_labels: bool = False,
        picture_resize: str = "area",
        label_resize: str = "nearest",
        label_crop: str = "none",
        left_out: Mapping[str, int] | None = None,
        folds: int = 0,
    ):
        for key, value, known in (
            ("picture_resize", picture_resize, pictures.RESIZES),
            ("label_resize", label_resize, RESIZES),
            ("label_crop", label_crop, CROPS),
        ):
            if value not in known:
                raise DataError(f"config.data.{key}={value!r} is none of {', '.join(known)}")
        self.items, self.table, self.folds = tuple(items), table, folds
        self.left_out = dict(left_out or {})
        self._size, self._full = (height, width), full_labels
        self._picture_resize = picture_resize
        self._reading = {"resize": label_resize, "crop": label_crop}
        self._padded = self._size
        if full_labels:
            sizes = [pictures.picture_size(item.image) for item in self.items]
            self._padded = tuple(map(max, zip(*sizes, strict=True))) if sizes else self._size

    @property
    def names(self) -> list[str]:
        """Lists the published names of the records, in their order."""
        return [item.name for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for files that can't be read or don't belong together."""
        picture = pictures.read_picture(self.items[index].image)
        label = self._read_label(index, picture.shape[:2])
        padded = np.full(self._padded, IGNORE, np.uint8)
        padded[: label.shape[0], : label.shape[1]] = label
        return {
            "image": pictures.to_rgb(pictures.resize(picture, *self._size, self._picture_resize)),
            "label": padded,
            "label_size": np.array(label.shape, np.int32),
        }

    def label(self, index: int) -> np.ndarray:
        """Reads the label alone, uint8 [h, w] train ids, without padding. Raises BadRecord."""
        return self._read_label(index, self.original(index))

    def check(self, index: int) -> float:
        """Returns the share of the label's pixels that have a class.

        Raises BadRecord where the label can't be used, or is not of the picture's size, and where
        the picture's scan is damaged.
        """
        item = self.items[index]
        check_scan(item.image)
        label = read_label(item.label, self.table, self.original(index), **self._reading)
        return float((label != IGNORE).mean())

    def describe(self, index: int) -> str:
        return self.items[index].name

    def original(self, index: int) -> tuple[int, int]:
        """Returns height and width of the picture before any resizing."""
        return pictures.picture_size(self.items[index].image)

    def drive(self, index: int) -> str:
        """Returns the recording that the record comes from, '' where unknown."""
        return self.items[index].drive

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns (name, path) of the picture and of its label."""
        item = self.items[index]
        return (item.name, item.image), (item.name + LABEL, item.label)

    def fingerprint(self) -> str:
        """Hashes the names, the classes, the settings, the label files and the pictures' sizes."""
        digest = hashlib.sha256()
        reading = (*self._reading.values(), sorted(self.table.train_ids.items()))
        digest.update(repr((self._size, self._full, self._picture_resize, *reading)).encode())
        for item in self.items:
            # Pictures are many gigabytes in some sets: their contents are left to `files`.
            content = _read(item.label)
            line = (item.name, _bytes(item.image), hashlib.sha256(content).hexdigest())
            digest.update(f"{line}\n".encode())  # repr: names need not be UTF-8
        return digest.hexdigest()

    def _read_label(self, index: int, picture_size: tuple[int, int]) -> np.ndarray:
        """Reads train ids at the size that records have them."""
        size = None if self._full else self._size
        return read_label(self.items[index].label, self.table, picture_size, size, **self._reading)


def find_items(
    images: Named, labels: Named, drives: Mapping[str, str] | None = None
) -> tuple[list[Item], dict[str, int]]:
    """Pairs files by name, sorted, and counts what was left out: reason -> files.

    Accented letters may be spelt in two ways. The name is the picture's.
    """
    plain = {unicodedata.normalize("NFC", name): name for name in labels.paths}
    fits = {
        name: name if name in labels.paths else plain.get(unicodedata.normalize("NFC", name), "")
        for name in sorted(images.paths)
    }
    items = [
        Item(name, images.paths[name], labels.paths[own], (drives or {}).get(name, ""))
        for name, own in fits.items()
        if own
    ]
    left_out = images.passed_over + labels.passed_over
    left_out[NO_LABEL] = len(fits) - len(items)
    left_out[NO_PICTURE] = len(labels.paths.keys() - set(fits.values()))
    return items, {reason: count for reason, count in left_out.items() if count}


def make_pair(
    data: ConfigDict,
    table: LabelTable,
    train: Sequence[Item],
    judged: Sequence[Item],
    left_out: Mapping[str, int],
    judged_left_out: Mapping[str, int] | None = None,
    folds: int = 0,
) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on, by the settings of config.data."""
    settings = {
        "height": data.height,
        "width": data.width,
        "picture_resize": data.get("picture_resize", "area"),
        "label_resize": data.get("label_resize", "nearest"),
        "label_crop": data.get("label_crop", "none"),
        "folds": folds,
    }
    full = data.get("eval_labels", "full") == "full"
    return (
        LabelledPictures(train, table, **settings, left_out=left_out),
        LabelledPictures(judged, table, **settings, full_labels=full, left_out=judged_left_out),
    )


def make_by_splits(
    data: ConfigDict,
    table: LabelTable,
    read: Callable[[str, str], tuple[list[Item], dict[str, int]]],
) -> tuple[LabelledPictures, LabelledPictures]:
    """The sources of two splits that a data set has; 'rest' and 'train' are of the first.

    read: (split, the setting that names it) -> its items and what was left out. It raises DataError
    for a split that isn't known or is empty.
    """
    items, left_out = read(data.train_split, "config.data.train_split")
    if data.eval_split in (REST, TRAIN):
        return make_pair(data, table, items, items, left_out)
    judged, judged_left_out = read(data.eval_split, "config.data.eval_split")
    return make_pair(data, table, items, judged, left_out, judged_left_out)


def no_pairs(
    root: str | pathlib.Path, left_out: Mapping[str, int], layout: str, how_to_get: str
) -> DataError:
    """Returns the error for a root without a single picture that has a label."""
    counts = ", ".join(f"{count} x {why}" for why, count in left_out.items())
    found = f" (found {counts})" if counts else ""
    return DataError(
        f"config.data.root={str(root)!r} holds no picture with a label{found}; looked for "
        f"{layout}; {how_to_get}"
    )


def _bytes(path: pathlib.Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _read(path: pathlib.Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
