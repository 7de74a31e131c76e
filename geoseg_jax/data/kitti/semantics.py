"""KITTI semantics: 200 pictures of the KITTI 2015 training set with Cityscapes label ids."""

import functools
import pathlib
import re

from ml_collections import ConfigDict

from geoseg_jax.data import walk
from geoseg_jax.data.kitti.drives_2015 import drives
from geoseg_jax.data.labels.segmentation import (
    Item,
    LabelledPictures,
    find_items,
    make_pair,
    no_pairs,
)
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.name_splits import POOL, REST, TRAIN, split_names
from geoseg_jax.data.reader import LABELLED_FILES, Reader

LAYOUT = "ROOT/training/image_2/000000_10.png with ROOT/training/semantic/000000_10.png"
HOW_TO_GET = (
    "get data_semantics.zip from "
    "https://www.cvlibs.net/datasets/kitti/eval_semseg.php?benchmark=semantics2015 and unpack it"
)
COUNT, FOLDS = 200, 4
SAME_DRIVE = "picture of a drive that evaluates"
_NAME = re.compile(r"(\d{6})_10")


def fold(k: int) -> list[str]:
    """Returns the names of fold k of 4: blocks of 50 by number, since neighbours share a drive.

    fold(0) is 000000_10 to 000049_10. Only 200 pictures have labels, and the data set has no
    official split of them. The borders cut drives: 0018 (pictures 47 to 53) lies in folds 0 and 1,
    0104 (149, 150) in 2 and 3. What a fold's drives have outside of it is in no pool, see `make`.
    """
    size = COUNT // FOLDS
    return [f"{number:06d}_10" for number in range(k * size, (k + 1) * size)]


_table = functools.partial(table_by, usual="cityscapes19")


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.train_split: 'pool' or a file of names; eval_split: 'fold0' to 'fold3', 'rest',
    'train' or a file. The pool is all that is not evaluated and not of a drive that is, as far as
    drives are known (58 of the 200 are not, which eval.json counts in leakage_unknown_drives);
    with 'rest', the paper's way, it is everything, and eval.json tells what is shared.
    Raises DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    table = _table(data)
    images, labels = (_numbered(root / "training" / name) for name in ("image_2", "semantic"))
    known = drives()
    drive = {name: known.get(int(_NAME.fullmatch(name)[1]), "") for name in images.paths}
    items, left_out = find_items(images, labels, drive)
    if not items:
        raise no_pairs(root, left_out, LAYOUT, HOW_TO_GET)
    folds = {f"fold{k}": fold(k) for k in range(FOLDS)}
    by_name = {item.name: item for item in items}
    pool, judged = split_names(list(by_name), data.train_split, data.eval_split, folds)
    train, evaluation = ([by_name[name] for name in names] for names in (pool, judged))
    if data.train_split == POOL and data.eval_split not in (REST, TRAIN):
        train, shared = _of_other_drives(train, evaluation)
        left_out |= {SAME_DRIVE: shared} if shared else {}
    return make_pair(data, table, train, evaluation, left_out)


def _of_other_drives(train: list[Item], judged: list[Item]) -> tuple[list[Item], int]:
    """Returns those to train on whose drive is not known to be evaluated, and how many are."""
    drives = {item.drive for item in judged} - {""}
    others = [item for item in train if item.drive not in drives]
    return others, len(train) - len(others)


def _numbered(folder: pathlib.Path) -> walk.Named:
    """Lists pictures at time 10, those that have labels."""
    paths, passed_over = walk.by_name(folder)
    return walk.Named({n: p for n, p in paths.items() if _NAME.fullmatch(n)}, passed_over)


READER = Reader(
    make,
    LABELLED_FILES,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    table=_table,
)
