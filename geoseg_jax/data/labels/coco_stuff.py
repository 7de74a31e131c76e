"""COCO-Stuff on the pictures of COCO 2017, with 171 classes, in its own layout."""

import functools
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data.labels.layouts import items_of_folders
from geoseg_jax.data.labels.segmentation import LabelledPictures, make_by_splits
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.reader import LABELLED_FILES, Reader

LAYOUT = (
    "ROOT/images/train2017/000000000009.jpg with ROOT/annotations/train2017/000000000009.png; "
    "val2017 alike"
)
HOW_TO_GET = (
    "unpack train2017.zip and val2017.zip of https://cocodataset.org into ROOT/images, and "
    "stuffthingmaps_trainval2017.zip of https://github.com/nightrome/cocostuff into "
    "ROOT/annotations"
)
SPLITS = {"train": "train2017", "val": "val2017"}

_table = functools.partial(table_by, usual="coco_stuff")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split and eval_split: 'train' or 'val' (of 2017); eval_split may also be
    'rest' (of the training split) or 'train' (what was trained on). 255 is ignored. Raises
    DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    read = functools.partial(items_of_folders, root, SPLITS, LAYOUT, HOW_TO_GET)
    return make_by_splits(data, _table(data), read)


READER = Reader(
    make,
    LABELLED_FILES,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=_table,
)
