"""Pascal Context on the pictures of VOC 2010, by its 59 usual classes, from its MATLAB files."""

import functools
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data.labels.layouts import items_of, read_list
from geoseg_jax.data.labels.segmentation import Item, LabelledPictures, make_by_splits, no_pairs
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.labels.tables import pascal_context as classes
from geoseg_jax.data.name_splits import read_names
from geoseg_jax.data.reader import LABELLED_FRAMES, Reader
from geoseg_jax.data.source import DataError

LAYOUT = (
    "ROOT/JPEGImages/2008_000002.jpg with ROOT/trainval/2008_000002.mat, by "
    "ROOT/ImageSets/Main/train.txt"
)
HOW_TO_GET = (
    "unpack VOCtrainval_03-May-2010.tar, and trainval.tar.gz and labels.txt of "
    "https://cs.stanford.edu/~roozbeh/pascal-context/ in VOCdevkit/VOC2010, and name that"
)

_table = functools.partial(table_by, usual="pascal_context")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split and eval_split: a list of ImageSets/Main, 'train' (4,998 pictures) or
    'val' (5,105); eval_split may also be 'rest' (of the training split) or 'train' (what was
    trained on). All of the 459 categories that are not among the 59 are ignored. Raises DataError
    where nothing is there, and for a labels.txt whose numbers are not ours.
    """
    root = pathlib.Path(data.root).expanduser()
    _check_numbers(root / "labels.txt")
    return make_by_splits(data, _table(data), functools.partial(_items, root))


def _items(root: pathlib.Path, split: str, key: str) -> tuple[list[Item], dict[str, int]]:
    names = read_list(root / "ImageSets" / "Main", split, key)
    items, left_out = items_of(root, names, ("trainval",), (".mat",))
    if not items:
        raise no_pairs(root, left_out, LAYOUT, HOW_TO_GET)
    return items, left_out


def _check_numbers(path: pathlib.Path) -> None:
    """Compares the numbers of the classes with the data set's own list, `2: aeroplane` a line."""
    if not path.is_file():
        return
    lines = (line.partition(":") for line in read_names(path))
    theirs = {name.strip(): number.strip() for number, _, name in lines}
    for name, number in classes.CLASSES:
        if theirs.get(name, str(number)) != str(number):
            raise DataError(
                f"{path}: {name!r} is number {theirs[name]}, in the release of 2014 {number}; get "
                "the original files"
            )


READER = Reader(
    make,
    LABELLED_FRAMES,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=_table,
)
