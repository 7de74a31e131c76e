"""Pictures and labels of published data sets, by the folders or the lists of their splits."""

import pathlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data import walk
from geoseg_jax.data.labels.segmentation import Item, find_items, no_pairs
from geoseg_jax.data.name_splits import read_names
from geoseg_jax.data.source import DataError


def items_of_folders(
    root: pathlib.Path,
    folders: Mapping[str, str],
    layout: str,
    how_to_get: str,
    split: str,
    key: str,
) -> tuple[list[Item], dict[str, int]]:
    """Pictures of ROOT/images/FOLDER with labels of ROOT/annotations/FOLDER, and what was left out.

    folders: split -> FOLDER. layout, how_to_get: the reader's, for errors. key: the setting that
    names the split. Raises DataError for an unknown split, and where nothing is there.
    """
    if split not in folders:
        raise DataError(f"{key}={split!r} is none of {', '.join(folders)}")
    images, labels = (
        walk.by_name(root / name / folders[split]) for name in ("images", "annotations")
    )
    items, left_out = find_items(images, labels)
    if not items:
        first = next(iter(folders.values()))
        raise no_pairs(root, left_out, layout.replace(first, folders[split]), how_to_get)
    return items, left_out


def read_list(folder: pathlib.Path, split: str, key: str) -> list[str]:
    """Reads FOLDER/SPLIT.txt: names, or `/JPEGImages/NAME.jpg /SegmentationClassAug/NAME.png`.

    key: the setting to name in an error. Raises DataError where there is no such list, with those
    that there are.
    """
    path = folder / f"{split}.txt"
    if pathlib.PurePath(split).name != split or not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.txt"))
        raise DataError(
            f"{key}={split!r} is no list of {folder}; there are {', '.join(known) or 'none'}"
            f"{did_you_mean(split, known)}"
        )
    return [pathlib.PurePosixPath(line.split()[0]).stem for line in read_names(path)]


def items_of(
    root: pathlib.Path, names: Sequence[str], folders: Sequence[str], endings: Sequence[str]
) -> tuple[list[Item], dict[str, int]]:
    """Pictures of JPEGImages by their names, with labels, and what was left out.

    folders: of labels, within root; of two that have a label the first counts.
    """
    wanted = set(names)
    images = _only(walk.by_name(root / "JPEGImages"), wanted)
    labels = walk.Named({}, Counter())
    for folder in reversed(folders):
        there = _only(walk.by_name(root / folder, endings=endings), wanted)
        labels = walk.Named(labels.paths | there.paths, labels.passed_over + there.passed_over)
    items, left_out = find_items(images, labels)
    missing = len(wanted - images.paths.keys() - labels.paths.keys())
    return items, left_out | ({"name of the list without any file": missing} if missing else {})


def _only(found: walk.Named, wanted: Collection[str]) -> walk.Named:
    return found._replace(paths={n: path for n, path in found.paths.items() if n in wanted})
