"""Cityscapes with fine labels, in its original layout; label ids are mapped to train ids by us."""

import functools
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.rules import each, text
from geoseg_jax.core.setting import Setting
from geoseg_jax.data import walk
from geoseg_jax.data.labels.segmentation import (
    Item,
    LabelledPictures,
    find_items,
    make_pair,
    no_pairs,
)
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.name_splits import REST, TRAIN
from geoseg_jax.data.reader import LABELLED_FILES, Reader
from geoseg_jax.data.source import DataError

LAYOUT = (
    "ROOT/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png with "
    "ROOT/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
)
HOW_TO_GET = (
    "get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from "
    "https://www.cityscapes-dataset.com/downloads/ and unpack both into one folder"
)

_table = functools.partial(table_by, usual="cityscapes19")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split and eval_split: folders of leftImg8bit, usually 'train' and 'val';
    eval_split may also be 'rest' (of the training split) or 'train' (what was trained on).
    config.data.cities: to train on, () = all. Names are CITY/CITY_SEQUENCE_FRAME.
    Raises DataError where nothing is there or a city isn't known.
    """
    root = pathlib.Path(data.root).expanduser()
    table = _table(data)
    items, left_out = _items(root, data.train_split, "config.data.train_split")
    items = _of_cities(items, tuple(data.get("cities", ())))
    if data.eval_split in (REST, TRAIN):
        return make_pair(data, table, items, items, left_out)
    judged, judged_left_out = _items(root, data.eval_split, "config.data.eval_split")
    return make_pair(data, table, items, judged, left_out, judged_left_out)


def _items(root: pathlib.Path, split: str, key: str) -> tuple[list[Item], dict[str, int]]:
    images = walk.by_name(root / "leftImg8bit" / split, "_leftImg8bit")
    labels = walk.by_name(root / "gtFine" / split, "_gtFine_labelIds")
    items, left_out = find_items(images, labels, {name: _drive(name) for name in images.paths})
    if items:
        return items, left_out
    folder = root / "leftImg8bit"
    splits = walk.list_folder(folder).folders
    if splits and split not in splits:
        raise DataError(f"{key}={split!r}: {folder} holds {', '.join(splits)}; choose one of them")
    raise no_pairs(root, left_out, LAYOUT.replace("/train/", f"/{split}/"), HOW_TO_GET)


def _of_cities(items: list[Item], cities: tuple[str, ...]) -> list[Item]:
    known = sorted({item.name.split("/")[0] for item in items})
    for city in cities:
        if city not in known:
            hint = did_you_mean(city, known) or f"; there are {', '.join(known)}"
            raise DataError(f"config.data.cities: no city {city!r} to train on{hint}")
    return [item for item in items if not cities or item.name.split("/")[0] in cities]


def _drive(name: str) -> str:
    """Returns the sequence, aachen_000000 for aachen/aachen_000000_000019."""
    return name.rsplit("/", 1)[-1].rsplit("_", 1)[0]


READER = Reader(
    make,
    LABELLED_FILES | {"data.cities": Setting(each(text), "cities to train on; () = all")},
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=_table,
)
