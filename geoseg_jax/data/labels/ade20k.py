"""ADE20K's scene parsing benchmark (ADEChallengeData2016) with 150 classes, in its own layout."""

import functools
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data.labels.layouts import items_of_folders
from geoseg_jax.data.labels.segmentation import LabelledPictures, make_by_splits
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.reader import LABELLED_FILES, Reader

LAYOUT = (
    "ROOT/images/training/ADE_train_00000001.jpg with "
    "ROOT/annotations/training/ADE_train_00000001.png; validation alike"
)
HOW_TO_GET = (
    "get ADEChallengeData2016.zip (release of the scene parsing benchmark, 20,210 training and "
    "2,000 validation pictures) from http://sceneparsing.csail.mit.edu and unpack it"
)
SPLITS = {"train": "training", "val": "validation"}

_table = functools.partial(table_by, usual="ade20k")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split and eval_split: 'train' or 'val'; eval_split may also be 'rest' (of the
    training split) or 'train' (what was trained on). Id 0, none of the classes, is ignored. Raises
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
