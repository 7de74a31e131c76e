"""Labelled pictures of one's own: ROOT/images, ROOT/labels and a class list.

    ROOT/images/NAME.jpg (or .png), in folders below it if you like
    ROOT/labels/NAME.png  with class ids (grey or with a palette), or in the colours of the list
    ROOT/classes.txt      (or .csv) with `name r g b` or `id name r g b` a line
    ROOT/train.txt, ROOT/val.txt  with a NAME a line, each of which must be there, if you like

Without val.txt a fixed share of the pictures, by the hash of their names, is held out.
"""

import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data import walk
from geoseg_jax.data.labels.class_list import read_class_list
from geoseg_jax.data.labels.segmentation import (
    LabelledPictures,
    find_items,
    make_pair,
    no_pairs,
)
from geoseg_jax.data.labels.table import TABLES, USUAL, LabelTable, label_table
from geoseg_jax.data.name_splits import POOL, held_out, split_names
from geoseg_jax.data.reader import LABELLED_FILES, SHARE_HELD_OUT, Reader
from geoseg_jax.data.source import DataError

LAYOUT = "ROOT/images/NAME.jpg (or .png) with ROOT/labels/NAME.png and ROOT/classes.txt"
HOW_TO_GET = "put your pictures and labels there; a line of classes.txt is `name r g b`"
CLASS_LISTS = ("classes.txt", "classes.csv")
HELD_OUT = "held_out"


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.classes: a class list's path or a table's name; '' = the list in ROOT.
    train_split: 'pool' (all that is not evaluated), a NAME of ROOT/NAME.txt, or a file of names;
    eval_split: 'held_out' (a share, config.data.held_out), 'rest', 'train' (what was trained on),
    NAME or a file. '' = train.txt and val.txt where they are there, else 'pool' and 'held_out'.
    Raises DataError where nothing is there, and for a name in a file that isn't.
    """
    root = pathlib.Path(data.root).expanduser()
    labels = walk.by_name(root / "labels", endings=(".png",))
    items, left_out = find_items(walk.by_name(root / "images"), labels)
    if not items:
        raise no_pairs(root, left_out, LAYOUT, HOW_TO_GET)
    table = _table(root, data.get("classes", ""))
    by_name = {item.name: item for item in items}
    named = {HELD_OUT: held_out(list(by_name), data.get("held_out", 0.2))}
    texts = walk.list_folder(root, (".txt",)).files
    lists = {pathlib.PurePath(n).stem: root / n for n in texts if n not in CLASS_LISTS}
    train_split = data.train_split or ("train" if "train" in lists else POOL)
    eval_split = data.eval_split or ("val" if "val" in lists else HELD_OUT)
    pool, judged = split_names(list(by_name), train_split, eval_split, named, lists)
    train, evaluation = ([by_name[name] for name in names] for names in (pool, judged))
    return make_pair(data, table, train, evaluation, left_out)


def _table(root: pathlib.Path, classes: str) -> LabelTable:
    if classes in TABLES or classes in USUAL:
        return label_table(classes)
    if classes:
        return read_class_list(classes)
    for name in CLASS_LISTS:
        if (root / name).is_file():
            return read_class_list(root / name)
    raise DataError(
        f"config.data.root={str(root)!r} holds no class list; write {root / CLASS_LISTS[0]} with "
        "`name r g b` a line, or name a table by config.data.classes"
    )


READER = Reader(
    make,
    LABELLED_FILES | SHARE_HELD_OUT,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
)
