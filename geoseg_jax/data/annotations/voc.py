"""Pascal VOC's folders: JPEGImages and SegmentationClass, from VOC itself or CVAT.

Formats: the development kit of VOC 2012, and CVAT's "Segmentation mask 1.1", which adds
labelmap.txt; LabelMe's converter, which adds class_names.txt. Masks are in the colours of the list
(in a palette or not), or values, the ids of the list. Without a list the classes are VOC's, with
255, the border of objects, ignored.
"""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from geoseg_jax.data.annotations import mask_files
from geoseg_jax.data.annotations.class_lists import (
    find_list,
    is_background,
    is_void,
    read_classes,
)
from geoseg_jax.data.annotations.found import BACKGROUND, Asked, Example, Found, Frame, Notes, Row
from geoseg_jax.data.annotations.masks import NO_LABEL
from geoseg_jax.data.annotations.places import ENDINGS, Pictures, list_below, nfc
from geoseg_jax.data.annotations.splits import SPLITS, split_of
from geoseg_jax.data.labels.table import IGNORE, label_table
from geoseg_jax.data.labels.tables.voc import VOID_COLOUR
from geoseg_jax.data.name_splits import read_names
from geoseg_jax.data.source import DataError

CVAT = 'CVAT "Segmentation mask"'
VOC = "Pascal VOC"
MASKS = "SegmentationClass"
NO_PICTURE = "masks whose picture isn't there"
NO_LIST = "class list is missing: the names are Pascal VOC's (--classes=FILE gives others)"


def folders_of(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders SegmentationClass at or below root."""
    deep = [p for depth in ("", "*/", "*/*/") for p in root.glob(f"{depth}{MASKS}") if p.is_dir()]
    return ([root] if root.name == MASKS else []) + sorted(deep)


def read(asked: Asked, folders: Sequence[pathlib.Path]) -> Found:
    """Reads the folder.

    Raises DataError where there are several, for a bad class list, and for JPEG masks.
    """
    if len(folders) > 1:
        raise DataError(
            f"{asked.source} holds several VOC data sets, {folders[0]} and {folders[1]}; name one"
        )
    root = folders[0].parent
    labelmap = root / "labelmap.txt"
    notes = Notes()
    images = root / "JPEGImages"  # not CVAT's where it was told not to save them
    below = [images] * images.is_dir() + [asked.images] * bool(asked.images)
    paths = list_below(folders[0], ENDINGS)
    masks = {path: path.relative_to(folders[0]).with_suffix("").as_posix() for path in paths}
    pictures = Pictures(below, masks.values())
    if asked.classes or labelmap.is_file():
        rows = read_classes(asked.classes or labelmap)
    else:
        rows = _listed(root) or _usual(notes, root)
    splits = _splits(root)
    examples = []
    for path, name in masks.items():
        mask_files.check_ending(path)
        picture = pictures.find(name, images, str(path), stem=True)
        if picture is None:
            notes.add(NO_PICTURE, path)
            continue
        drawing = functools.partial(_ids, path, rows)
        split = splits.get(str(nfc(pathlib.PurePath(name)))) or split_of(picture, [root, *below])
        examples.append(Example(picture, str(picture), drawing, str(path), split))
    labelled = {example.picture for example in examples}
    for picture in pictures.paths:
        if picture not in labelled:
            notes.add(NO_LABEL, picture)
    return Found(CVAT if labelmap.is_file() else VOC, rows, examples, notes)


def _listed(root: pathlib.Path) -> list[Row]:
    """Reads the list beside the masks, whose value 0 is background in this format."""
    rows = find_list(root)
    first = next((row.name for row in rows if row.id == 0), BACKGROUND)
    if not is_background(first) and not is_void(first):
        raise DataError(
            f"{root}: its class list gives {first!r} the id 0, which is background in VOC's masks; "
            "begin the list with `background`, or give it by --classes to take it as it is"
        )
    return rows


def _usual(notes: Notes, root: pathlib.Path) -> list[Row]:
    notes.add(NO_LIST, root)
    table = label_table("voc21")
    pairs = zip(table.classes, table.palette, strict=True)
    rows = [Row(i, name, colour) for i, (name, colour) in enumerate(pairs)]
    return [*rows, Row(IGNORE, "void", VOID_COLOUR)]


def _ids(path: pathlib.Path, rows: Sequence[Row], frame: Frame) -> np.ndarray:
    return mask_files.ids_of(mask_files.read(path), rows, frame, str(path))


def _splits(root: pathlib.Path) -> dict[str, str]:
    """The split of each name in ImageSets/Segmentation; lists of other names are no splits."""
    found: dict[str, str] = {}
    for split in SPLITS:
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        if path.is_file():
            found |= dict.fromkeys(read_names(path), split)
    return found
