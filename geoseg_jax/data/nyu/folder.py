"""NYUv2 as a folder of pictures and label pictures of the 40 classes.

    ROOT/images/0003.jpg (or .png) with ROOT/labels40/0003.png (0 = unlabelled, 1 to 40)

The number is the official one, from 1 on. The 13 classes are made of the 40.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.data import walk
from geoseg_jax.data.labels.segmentation import (
    LabelledPictures,
    find_items,
    make_pair,
    no_pairs,
)
from geoseg_jax.data.labels.table import LabelTable, label_table
from geoseg_jax.data.name_splits import split_names
from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.data.reader import LABELLED_FRAMES, SHARE_HELD_OUT, Reader
from geoseg_jax.data.source import Source

LABELS = "labels40"
LAYOUT = f"ROOT/nyu_depth_v2_labeled.mat, or ROOT/images/0003.jpg with ROOT/{LABELS}/0003.png"
HOW_TO_GET = (
    "get nyu_depth_v2_labeled.mat from "
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html and put it there"
)


def is_one(root: str) -> bool:
    """Tells whether the root holds this layout."""
    return bool(root) and (pathlib.Path(root).expanduser() / LABELS).is_dir()


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.classes: nyu40 (default) or nyu13. train_split: 'train' (the official one), 'pool'
    (all that is not evaluated) or a file of names; eval_split: 'test' (official), 'held_out'
    (blocks of consecutive frames, a share of config.data.held_out: the same that depth's 'held_out'
    is), 'rest', 'train' (what was trained on) or a file.
    Raises DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    labels = walk.by_name(root / LABELS, endings=(".png",))
    items, left_out = find_items(walk.by_name(root / "images"), labels)
    if not items:
        raise no_pairs(root, left_out, LAYOUT, HOW_TO_GET)
    by_name = {item.name: item for item in items}
    names = list(by_name)
    named = {"held_out": nyu_split.held_out(names, data.get("held_out", 0.2)), **official(names)}
    pool, judged = split_names(names, data.train_split, data.eval_split, named)
    train, evaluation = ([by_name[name] for name in chosen] for chosen in (pool, judged))
    return make_pair(data, table_of(data), train, evaluation, left_out)


def make_any(data: ConfigDict) -> tuple[Source, Source]:
    """Does as `make`, or reads the .mat where the root is or holds one."""
    if is_one(data.root):
        return make(data)
    from geoseg_jax.data.nyu import semantics  # needs h5py, which no other data set does

    return semantics.make(data)


def table_of(data: Mapping[str, Any]) -> LabelTable:
    """Returns the table for label files of the 40 classes."""
    classes = data.get("classes", "")
    return label_table("nyu13_from40" if classes == "nyu13" else classes or "nyu40")


def official(names: list[str]) -> dict[str, list[str]]:
    """Returns the official lists of names; numbers may have any number of leading zeros."""
    by_number = {int(name): name for name in names if name.isdecimal()}
    lists = {"train": nyu_split.train_numbers(), "test": nyu_split.test_numbers()}
    return {
        key: [by_number[i] for i in numbers if i in by_number] for key, numbers in lists.items()
    }


READER = Reader(
    make_any,
    LABELLED_FRAMES | SHARE_HELD_OUT,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=table_of,
)
