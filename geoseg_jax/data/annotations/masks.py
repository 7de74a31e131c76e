"""Masks as picture files beside pictures: class ids, colours, or 0 and 255; Roboflow's among them.

images/NAME.jpg with masks/NAME.png, in any folders, alike below both (or labels/, gt/, ...)
NAME.jpg with NAME_mask.png (or _label, _gt, _seg) beside it
a class list, see class_lists.py; Roboflow's is _classes.csv in each folder
"""

import functools
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.annotations import mask_files
from geoseg_jax.data.annotations.class_lists import LISTS, find_list, read_classes
from geoseg_jax.data.annotations.found import (
    BACKGROUND,
    Asked,
    Example,
    Found,
    Frame,
    Notes,
    Row,
    upright,
)
from geoseg_jax.data.annotations.places import ENDINGS, list_below, nfc
from geoseg_jax.data.annotations.splits import split_of
from geoseg_jax.data.source import BadRecord, DataError

ROBOFLOW, BINARY = "Roboflow masks", "masks of two values"
IDS, COLOURS = "masks of class ids", "colour-coded masks"
ROBOFLOW_LIST = "_classes.csv"
NO_LABEL, NO_PICTURE = "pictures without a mask", "masks without a picture"
NO_NAMES = "no class list: classes are called by their values (name them by --classes=FILE)"
_LABEL_FOLDERS = {
    *("mask", "masks", "label", "labels", "annotation", "annotations", "annot", "gt", "seg"),
    *("segmentation", "segmentations", "segmentation_masks", "ground_truth", "groundtruth"),
    *("target", "targets", "labelids", "label_ids"),
}
_PICTURE_FOLDERS = {
    *("image", "images", "img", "imgs", "jpegimages", "picture", "pictures", "frames", "rgb"),
    *("input", "inputs"),
}
_SUFFIX = re.compile(r"([_-](mask|label|gt|seg|segmentation|annotation)s?|_L)$", re.IGNORECASE)
_MOST_COLOURS = 255
_MANY, _HIGH = 16, 200  # values, and one below 255: no ids without a list reach both


class Pair(NamedTuple):
    """A picture and its mask."""

    picture: pathlib.Path
    mask: pathlib.Path


def find_pairs(asked: Asked) -> tuple[list[Pair], Notes]:
    """Pairs pictures and masks by their names below the folders of each; counts what is left over.

    Raises DataError where two pictures lay claim to one mask, or two masks to one picture.
    """
    root = asked.source
    files = list_below(root, ENDINGS)
    stems = {nfc(path.with_suffix("")) for path in files}
    masks = [path for path in files if asked.images or _is_mask(path, root, stems)]
    inside = set(masks)
    base, candidates = root, [path for path in files if path not in inside]
    if asked.images:
        base, candidates = asked.images, list_below(asked.images, ENDINGS)
        masks = [path for path in masks if not path.is_relative_to(asked.images)]
    pictures: dict[tuple[str, ...], list[pathlib.Path]] = {}
    for path in candidates:
        pictures.setdefault(_key(path, base, _PICTURE_FOLDERS), []).append(path)
    pairs: dict[pathlib.Path, Pair] = {}
    left = Notes()
    for path in masks:
        key = _key(path, root, _LABEL_FOLDERS)
        short = (*key[:-1], _SUFFIX.sub("", key[-1]))
        fits = pictures.get(key) or pictures.get(short) or []
        if len(fits) > 1:
            raise DataError(
                f"two pictures, {fits[0]} and {fits[1]}, lay claim to the label {path}; remove one"
            )
        if not fits:
            left.add(NO_PICTURE, path)
            continue
        if fits[0] in pairs:
            raise DataError(
                f"two labels, {pairs[fits[0]].mask} and {path}, lay claim to the picture "
                f"{fits[0]}; remove one"
            )
        pairs[fits[0]] = Pair(fits[0], path)
    for path in candidates:
        if path not in pairs:
            left.add(NO_LABEL, path)
    return [pairs[path] for path in sorted(pairs)], left


def read(asked: Asked, pairs: Sequence[Pair], notes: Notes) -> Found:
    """Reads what the masks' values mean.

    Raises DataError for JPEG masks and smoothed ones, for colours without a class list that has
    them, whose message holds a list to fill in, and for masks of which some are in colour and some
    are not.
    """
    for pair in pairs:
        mask_files.check_ending(pair.mask)
    rows, is_roboflow = _given(asked)
    values, colours = _survey(pairs, bool(rows))
    binary = values == {0, 255} or values == {255}
    if colours and not any(row.colour for row in rows):
        raise DataError(_need_colours(asked.source, colours, bool(rows)))
    if colours:
        name = COLOURS
    elif binary and len(rows) <= 2:
        rows = sorted(rows, key=lambda row: (sum(row.colour or ()), row.id))
        name, names = BINARY, [row.name for row in rows]
        names = [BACKGROUND, *names] if len(names) == 1 else names or [BACKGROUND, "foreground"]
        rows = [Row(i, text) for i, text in enumerate(names)]
    elif not rows:
        name = IDS
        notes[NO_NAMES] += 1
        rows = [Row(v, BACKGROUND if v == 0 else f"class {v}") for v in sorted(values - {255})]
    else:
        name = IDS
    examples = [
        Example(
            pair.picture,
            str(pair.picture),
            functools.partial(_draw, pair.mask, rows, name == BINARY),
            str(pair.mask),
            split_of(pair.picture, asked.folders),
        )
        for pair in pairs
    ]
    return Found(ROBOFLOW if is_roboflow else name, rows, examples, notes)


def _is_mask(path: pathlib.Path, root: pathlib.Path, stems: set[pathlib.PurePath]) -> bool:
    """Tells whether a file lies where masks do, or is called as one beside its picture."""
    if any(part.lower() in _LABEL_FOLDERS for part in path.relative_to(root).parts[:-1]):
        return True
    short = _SUFFIX.sub("", path.stem)
    return short != path.stem and nfc(path.with_name(short)) in stems


def _key(path: pathlib.Path, root: pathlib.Path, folders: Iterable[str]) -> tuple[str, ...]:
    """Returns the folders between, less those of that kind, and the name without ending."""
    parts = nfc(path.relative_to(root).with_suffix("")).parts
    return (*(part for part in parts[:-1] if part.lower() not in folders), parts[-1])


def _given(asked: Asked) -> tuple[list[Row], bool]:
    """The classes that are given, or lie there; and whether they are Roboflow's."""
    if asked.classes:
        return read_classes(asked.classes), False
    theirs = [p for p in list_below(asked.source, (".csv",)) if p.name == ROBOFLOW_LIST]
    if theirs:
        lists = [read_classes(path) for path in theirs]
        for path, rows in zip(theirs, lists, strict=True):
            if rows != lists[0]:
                raise DataError(f"{path} and {theirs[0]} differ; give one by --classes")
        return lists[0], True
    return find_list(asked.source), False


def _survey(pairs: Sequence[Pair], listed: bool) -> tuple[set[int], Counter[tuple[int, int, int]]]:
    """The values of all grey masks, and the colours of all others with their pixels."""
    values: set[int] = set()
    colours: Counter[tuple[int, int, int]] = Counter()
    first: dict[bool, pathlib.Path] = {}
    for pair in pairs:
        mask = mask_files.read(pair.mask)
        if mask.values is None:
            assert mask.rgb is not None
            first.setdefault(True, pair.mask)
            colours.update(mask_files.colours_of(mask.rgb))
            if len(colours) > _MOST_COLOURS:
                raise DataError(
                    f"{pair.mask}: masks up to this one have {len(colours)} colours, more than "
                    "classes can be; they may be photographs, or were smoothed: export them as PNG"
                )
        else:
            seen = set(np.unique(mask.values).tolist())
            if mask.rgb is None and seen != {0}:  # black alone may be of either kind
                first.setdefault(False, pair.mask)
            values |= seen
            between = values - {0, 255}
            if not listed and {0, 255} <= values and len(between) > _MANY and max(between) > _HIGH:
                raise DataError(
                    f"{pair.mask}: masks up to this one have {len(between)} values between 0 and "
                    "255; they may be smoothed masks of two values: export them as 0 and 255, or "
                    "name the classes by --classes=FILE"
                )
    if len(first) > 1:
        raise DataError(f"{first[True]} is in colour and {first[False]} is grey; export them alike")
    return values, colours


def _need_colours(source: pathlib.Path, colours: Counter[tuple[int, int, int]], names: bool) -> str:
    lines = "; ".join(f"NAME {r} {g} {b}" for (r, g, b), _ in colours.most_common(20))
    more = f" (and {len(colours) - 20} more)" if len(colours) > 20 else ""
    has = "its class list has names alone" if names else "no class list lies there"
    return (
        f"{source}: {COLOURS}, and {has}; write {source / LISTS[0]}, or a file for --classes, with "
        f"a line for each colour (void: ignored): {lines}{more}"
    )


def _draw(path: pathlib.Path, rows: Sequence[Row], binary: bool, frame: Frame) -> np.ndarray:
    mask = mask_files.read(path)
    if not binary:
        return mask_files.ids_of(mask, rows, frame, str(path))
    if mask.values is None:
        raise BadRecord(f"{path}: is in colour, others are of 0 and 255; export them alike")
    return upright((mask.values > 0).astype(np.uint8), frame, str(path))
