"""Pascal VOC's segmentation with 20 classes and background, as in its development kit.

The labels of Hariharan et al. (ICCV 2011) that are usually trained on beside it may lie in
SegmentationClassAug, with their list train_aug.txt.
"""

import functools
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data.labels.layouts import items_of, read_list
from geoseg_jax.data.labels.segmentation import Item, LabelledPictures, make_by_splits, no_pairs
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.reader import LABELLED_FILES, Reader

LAYOUT = (
    "ROOT/JPEGImages/2007_000032.jpg with ROOT/SegmentationClass/2007_000032.png (and "
    "ROOT/SegmentationClassAug), by ROOT/ImageSets/Segmentation/train.txt"
)
HOW_TO_GET = (
    "get VOCtrainval_11-May-2012.tar from http://host.robots.ox.ac.uk/pascal/VOC/voc2012 and name "
    "VOCdevkit/VOC2012; for 10,582 training pictures add SegmentationClassAug and train_aug.txt"
)
FOLDERS = ("SegmentationClass", "SegmentationClassAug")

_table = functools.partial(table_by, usual="voc")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split and eval_split: a list of ImageSets/Segmentation, as 'train', 'val' or
    'train_aug'; eval_split may also be 'rest' (of the training split) or 'train' (what was trained
    on). Where a picture has a label of VOC itself that one is taken. 255, the border of objects, is
    ignored. Raises DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    return make_by_splits(data, _table(data), functools.partial(_items, root))


def _items(root: pathlib.Path, split: str, key: str) -> tuple[list[Item], dict[str, int]]:
    names = read_list(root / "ImageSets" / "Segmentation", split, key)
    items, left_out = items_of(root, names, FOLDERS, (".png",))
    if not items:
        raise no_pairs(root, left_out, LAYOUT, HOW_TO_GET)
    return items, left_out


READER = Reader(
    make,
    LABELLED_FILES,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=_table,
)
