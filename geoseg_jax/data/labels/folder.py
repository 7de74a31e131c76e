"""Labelled pictures of one's own: ROOT/images, ROOT/labels and a class list.

    ROOT/images/NAME.jpg (or .png), in folders below it if you like
    ROOT/labels/NAME.png  with class ids (grey or with a palette), or in the colours of the list
    ROOT/classes.txt      (or .csv) with `name r g b` or `id name r g b` a line
    ROOT/train.txt, ROOT/val.txt  with a NAME a line, each of which must be there, if you like

Where nobody gave a list, the pictures are dealt into folds: one judges, the others train, and over
all folds each picture judges once. Folders below images/ count as recordings, whose frames look
alike: none of them is on both sides, where there are enough. Nor are versions of one picture, which
Roboflow's augmentation makes (NAME.rf.HASH).
"""

import pathlib
from collections.abc import Sequence

from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.core.rules import whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.data import walk
from geoseg_jax.data.annotations.splits import split_named
from geoseg_jax.data.labels.class_list import read_class_list
from geoseg_jax.data.labels.segmentation import (
    Item,
    LabelledPictures,
    find_items,
    make_pair,
    no_pairs,
)
from geoseg_jax.data.labels.table import TABLES, USUAL, LabelTable, label_table
from geoseg_jax.data.name_splits import POOL, TRAIN, deal, held_out, original, split_names
from geoseg_jax.data.reader import LABELLED_FILES, SHARE_HELD_OUT, Reader
from geoseg_jax.data.source import DataError

LAYOUT = "ROOT/images/NAME.jpg (or .png) with ROOT/labels/NAME.png and ROOT/classes.txt"
HOW_TO_GET = (
    "`python -m geoseg_jax.labels SOURCE --out=ROOT` makes it from what annotation tools write; "
    "a line of classes.txt is `name r g b`"
)
CLASS_LISTS = ("classes.txt", "classes.csv")
HELD_OUT, FOLD, UNLISTED = "held_out", "fold", "unlisted"
FOLDS = 5  # where config.data has no folds


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on.

    config.data.classes: a class list's path or a table's name; '' = the list in ROOT.
    train_split: 'pool' (all that is not evaluated), a NAME of ROOT/NAME.txt, or a file of names;
    eval_split: 'fold' (config.data.fold of config.data.folds), 'held_out' (a share by the hash of
    the names, config.data.held_out), 'unlisted' (what train_split doesn't name), 'rest', 'train'
    (what was trained on), NAME or a file. '' = train.txt and val.txt where they are there; without
    val.txt 'unlisted', without both 'pool' and 'fold'.
    Raises DataError where nothing is there, and for a name in a file that isn't.
    """
    root = pathlib.Path(data.root).expanduser()
    labels = walk.by_name(root / "labels", endings=(".png",))
    images = walk.by_name(root / "images")
    items, left_out = find_items(images, labels, _recordings(list(images.paths)))
    if not items:
        raise no_pairs(root, left_out, LAYOUT, HOW_TO_GET)
    table = _table(root, data.get("classes", ""))
    by_name = {item.name: item for item in items}
    texts = walk.list_folder(root, (".txt",)).files
    lists = {pathlib.PurePath(n).stem: root / n for n in texts if n not in CLASS_LISTS}
    train_split = data.train_split or ("train" if "train" in lists else POOL)
    unsaid = FOLD if train_split == POOL else UNLISTED
    eval_split = data.eval_split or ("val" if "val" in lists else unsaid)
    names, folds = list(by_name), data.get("folds", FOLDS) if eval_split == FOLD else 0
    named = {HELD_OUT: held_out(names, data.get("held_out", 0.2))}
    if folds:
        folds = _as_many(len(set(map(original, names))), data.get("fold", 0), folds)
        named[FOLD] = _fold(items, data.get("fold", 0), folds)
    if eval_split == UNLISTED:
        listed = set(map(original, split_names(names, train_split, TRAIN, {}, lists)[0]))
        named[UNLISTED] = [name for name in names if original(name) not in listed]
    pool, judged = split_names(names, train_split, eval_split, named, lists)
    train, evaluation = ([by_name[name] for name in names] for names in (pool, judged))
    return make_pair(data, table, train, evaluation, left_out, folds=folds)


def _recordings(names: Sequence[str]) -> dict[str, str]:
    """Finds the recording of each name: its folder, '' where it is in none or all are in one.

    Folders called as a split (train/, valid/) are an export's, and no recordings.
    """
    parts = {name: pathlib.PurePosixPath(name).parent.parts for name in names}
    folders = {
        name: "/".join(part for part in above if not split_named(part))
        for name, above in parts.items()
    }
    return folders if len(set(folders.values())) > 1 else {}


def _as_many(pictures: int, fold: int, folds: int) -> int:
    """Returns as many folds as are asked for, of fewer pictures one for each."""
    if not max(fold, 1) < pictures < folds:
        return folds
    logging.warning(
        "config.data.folds=%d: there are %d labelled pictures, so there are %d folds",
        folds, pictures, pictures,
    )  # fmt: skip
    return pictures


def _fold(items: Sequence[Item], fold: int, folds: int) -> list[str]:
    """Lists the names in a fold; recordings are whole where there are as many as folds."""
    names, groups = [item.name for item in items], [item.drive for item in items]
    alone = {original(item.name) for item in items if not item.drive}
    several = len(set(filter(None, groups))) + len(alone)
    if several < folds <= len(items):
        logging.warning(
            "config.data.folds=%d: the labelled pictures are of %d recordings (folders below "
            "images/), too few: frames of one recording train and judge, so scores are higher "
            "than on a new one; set that to %d or fewer (in a study config.target.set.data.folds), "
            "or label more recordings",
            folds, several, several,
        )  # fmt: skip
        groups = [""] * len(items)
    dealt = deal(names, groups, folds)
    unknown = (
        "; nothing says of which recordings they are (images/RECORDING/NAME would): frames of one "
        "that train and judge make scores higher than on a new one"
    )
    logging.info(
        "no list says which of %d labelled pictures judge: they are dealt into %d folds, of which "
        "config.data.fold judges and the others train%s", len(names), folds,
        "" if any(item.drive for item in items) else unknown,
    )  # fmt: skip
    return [name for name, own in zip(names, dealt, strict=True) if own == fold]


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


SETTINGS = {
    "data.folds": Setting(
        whole(2), "parts that labelled pictures are dealt into without a list", operations=False
    ),
    "data.fold": Setting(whole(0), "which of them judges; the others train", operations=False),
}


def check(flat: Flat) -> None:
    """Refuses a fold that there isn't. Raises ConfigError."""
    folds, fold = flat.get("data.folds", FOLDS), flat.get("data.fold", 0)
    refuse(flat, ("data.fold", fold >= folds, f"must be below config.data.folds={folds}"))


READER = Reader(
    make,
    LABELLED_FILES | SHARE_HELD_OUT | SETTINGS,
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    labelled=True,
    check=check,
)
