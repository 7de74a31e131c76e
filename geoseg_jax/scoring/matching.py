"""Matches predictions with label files, by the data set's naming or by name."""

import os
import pathlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from geoseg_jax.data import walk
from geoseg_jax.data.source import DataError

# CITY_SEQUENCE_FRAME, what the names of one Cityscapes frame have in common.
CITYSCAPES = re.compile(r"([^_/]+_\d{6}_\d{6})(?!\d)")
_CITYSCAPES_LABEL = re.compile(CITYSCAPES.pattern + r"_gt(Fine|Coarse)_labelIds")
_SHOWN = 5  # names in an error
Found = tuple[pathlib.Path, list[pathlib.Path]]  # a label, its predictions


class Pair(NamedTuple):
    """A prediction and its label; name: what they are matched by."""

    name: str
    prediction: pathlib.Path
    label: pathlib.Path


class Matched(NamedTuple):
    """The result of `match`."""

    pairs: list[Pair]  # sorted by name
    missing: list[str]  # names of labels without a prediction
    passed_over: Counter[str]  # files of both folders that were not looked at, see walk


def match(predictions: pathlib.Path, labels: pathlib.Path, partial: bool = False) -> Matched:
    """Pairs every label file below `labels` with its prediction.

    Where there are files named CITY_SEQUENCE_FRAME_gtFine_labelIds.png (or gtCoarse), as Cityscapes
    has them, these are the labels, whatever lies beside them, and a prediction is a PNG anywhere
    below `predictions` whose name starts with CITY_SEQUENCE_FRAME, as for cityscapesscripts; of
    several, the one that ends in _labelIds.png.
    Otherwise every PNG is a label, and its prediction has the same path in its folder, or, where no
    prediction has, the same file name anywhere (KITTI: 000000_10.png). Of all names the ending
    .png may be in capitals.

    Predictions without a label are passed over; with `partial` labels without a prediction too.

    Raises DataError, naming files, where a folder is missing or holds no PNG, a label has no
    prediction (with partial: where none has) or several, or two labels would have the same.
    """
    label_files, passed_over = _pngs(labels, "LABELS", besides=predictions)
    prediction_files, others = _pngs(predictions, "PREDICTIONS", besides=labels)
    cityscapes = [p for p in label_files if _CITYSCAPES_LABEL.fullmatch(p.stem)]
    if cityscapes:
        pairs = _by_key(cityscapes, prediction_files, _cityscapes_key)
        pairs = {name: (label, _label_ids(found)) for name, (label, found) in pairs.items()}
    else:
        pairs = _by_path(label_files, prediction_files, labels, predictions)
    missing = [name for name, (label, found) in pairs.items() if not found]
    if missing and (not partial or len(missing) == len(pairs)):
        raise DataError(
            f"{predictions}: {len(missing)} of {len(pairs)} labels have no prediction: "
            f"{_some(missing)}; predict them too, or skip them with --partial"
        )
    several = [found for _, found in pairs.values() if len(found) > 1]
    if several:
        raise DataError(
            f"several predictions for one label: {_some(map(str, several[0]))}; keep one of them"
        )
    matched = [Pair(name, found[0], label) for name, (label, found) in pairs.items() if found]
    return Matched(sorted(matched), sorted(missing), passed_over + others)


def _pngs(
    folder: pathlib.Path, what: str, besides: pathlib.Path
) -> tuple[list[pathlib.Path], Counter[str]]:
    """Lists PNG files below a folder, but not those of the other one where it lies within."""
    if not folder.is_dir():
        raise DataError(f"{what}={folder}: no such folder")
    within = besides.resolve() if folder.resolve() in besides.resolve().parents else None
    names, passed_over = walk.walk(folder, (".png",))
    files = [folder / name for name in names]
    if within:
        files = [path for path in files if within not in path.resolve().parents]
    if not files:
        raise DataError(f"{what}={folder}: no PNG file in it or below")
    return files, passed_over


def _cityscapes_key(path: pathlib.Path) -> str:
    found = CITYSCAPES.match(path.name)
    return found[1] if found else ""


def _label_ids(paths: list[pathlib.Path]) -> list[pathlib.Path]:
    """Prefers predictions whose name says that they hold label ids, if any does."""
    return [path for path in paths if path.stem.endswith("_labelIds")] or paths


def _by_key(
    label_files: Sequence[pathlib.Path],
    prediction_files: Sequence[pathlib.Path],
    key: Callable[[pathlib.Path], str],
) -> dict[str, Found]:
    """Matches by key: key -> (label, its predictions)."""
    by_key = defaultdict(list)
    for path in prediction_files:
        by_key[key(path)].append(path)
    labels: dict[str, pathlib.Path] = {}
    for path in label_files:
        if key(path) in labels:
            raise DataError(
                f"two labels for one prediction: {labels[key(path)]} and {path}; name a folder "
                "that holds only one of them"
            )
        labels[key(path)] = path
    return {name: (path, by_key[name]) for name, path in labels.items()}


def _by_path(
    label_files: Sequence[pathlib.Path],
    prediction_files: Sequence[pathlib.Path],
    labels: pathlib.Path,
    predictions: pathlib.Path,
) -> dict[str, Found]:
    """Matches as _by_key, by path within the folder where any has it, else by file name."""
    within = {
        path: _lower_ending(path.relative_to(folder).as_posix())
        for folder, files in ((labels, label_files), (predictions, prediction_files))
        for path in files
    }
    if {within[path] for path in label_files} & {within[path] for path in prediction_files}:
        return _by_key(label_files, prediction_files, within.__getitem__)
    return _by_key(label_files, prediction_files, lambda path: _lower_ending(path.name))


def _lower_ending(name: str) -> str:
    """Returns the name with its ending in small letters."""
    stem, ending = os.path.splitext(name)
    return stem + ending.lower()


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
