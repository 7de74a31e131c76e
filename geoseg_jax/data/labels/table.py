"""What the numbers in label pictures mean: tables of classes, and the way between ids.

Label files hold ids of their data set; networks are trained on train ids, 0 to the number of
classes - 1, and 255 = ignored. A table knows both, with the names and colours.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data.labels.tables import (
    ade20k,
    camvid,
    cityscapes,
    coco_stuff,
    nyu,
    pascal_context,
    voc,
)
from geoseg_jax.data.labels.tables.synthetic import CLASSES as SYNTHETIC
from geoseg_jax.data.source import BadRecord, DataError

IGNORE = 255
Colour = tuple[int, int, int]


class LabelTable(NamedTuple):
    """The classes of a data set; the tuples are indexed by train id.

    train_ids: every id that a label file may hold -> its train id, or 255 = ignored.
    file_ids: the id that a label file or a submission holds for each train id.
    categories: the coarser class of each class; () where the data set has none.
    paper_classes: train ids of the classes that the paper averages over; () = none.
    colours: RGB -> id, for data sets whose label files may be in colour; None for the others.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    train_ids: Mapping[int, int]
    file_ids: tuple[int, ...]
    categories: tuple[str, ...] = ()
    paper_classes: tuple[int, ...] = ()
    colours: Mapping[Colour, int] | None = None


def label_table(name: str, key: str = "config.data.classes") -> LabelTable:
    """Returns the table of that name; a data set's name alone gives its usual table (see USUAL).

    key: the setting to name in an error. Raises DataError for an unknown name, with the near miss.
    """
    wanted = USUAL.get(name, name)
    if wanted not in _MAKERS:
        hint = did_you_mean(name, (*TABLES, *USUAL))
        raise DataError(f"{key}={name!r} is none of {', '.join(TABLES)}{hint}")
    return _MAKERS[wanted]()


def table_by(data: Mapping[str, Any], usual: str) -> LabelTable:
    """Returns the table that config.data.classes names, by default the data set's usual one."""
    return label_table(data.get("classes", "") or usual)


def to_train_ids(ids: np.ndarray, table: LabelTable, what: str) -> np.ndarray:
    """Converts ids of a label file, integers of any shape, to train ids, uint8, 255 = ignored.

    what: the file, to be named in an error. Raises BadRecord for an id that the table doesn't know.
    """
    least, most = min(table.train_ids), max(table.train_ids)
    lookup = np.full(most - least + 1, -1, np.int16)
    lookup[[i - least for i in table.train_ids]] = list(table.train_ids.values())
    # uint8 ids can't leave a lookup of 256 entries: no copy of the ids is needed.
    if ids.dtype == np.uint8:
        known = np.full(256, -1, np.int16)
        inside = [i for i in range(256) if least <= i <= most]
        known[inside] = lookup[[i - least for i in inside]]
        train = known[ids]
    else:
        place = ids.astype(np.int64) - least
        outside = (place < 0) | (place >= len(lookup))
        train = np.where(outside, -1, lookup[np.where(outside, 0, place)])
    if (train < 0).any():
        unknown = [int(i) for i in np.unique(ids[train < 0])]
        some = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise BadRecord(
            f"{what}: label id {some} is not in the table {table.name}, which knows "
            f"{_ranges(table.train_ids)}; correct the file, or choose its table by "
            "config.data.classes"
        )
    return train.astype(np.uint8)


def to_file_ids(train: np.ndarray, table: LabelTable) -> np.ndarray:
    """Converts train ids, uint8, to the ids of the data set's label files; ignored ones to
    `void_id`.

    uint8, or uint16 for a table with larger ids. Raises ValueError for a train id without a class.
    """
    ids = (*table.file_ids, void_id(table))
    kind = np.uint8 if max(ids) < 256 else np.uint16
    return np.array(ids, kind)[_rows(train, table)]


def void_id(table: LabelTable) -> int:
    """Returns the id that stands for ignored in label files: the least one from 0 on, or 255."""
    void = [i for i, train in table.train_ids.items() if train == IGNORE and i >= 0]
    return min(void, default=IGNORE)


def colour(train: np.ndarray, table: LabelTable) -> np.ndarray:
    """Draws train ids [...] in the table's colours: uint8 [..., 3] RGB, ignored ones black.

    Raises ValueError for a train id without a class.
    """
    return np.array([*table.palette, (0, 0, 0)], np.uint8)[_rows(train, table)]


def _rows(train: np.ndarray, table: LabelTable) -> np.ndarray:
    """Moves ignored train ids behind the last class."""
    count = len(table.classes)
    ignored = train == IGNORE
    if ((train >= count) & ~ignored).any() or (train < 0).any():
        raise ValueError(f"train ids {np.unique(train)} are not all below {count} or {IGNORE}")
    return np.where(ignored, count, train)


def _ranges(ids: Iterable[int]) -> str:
    """Writes 0, 1, 2, 3, 7 as '0-3, 7'."""
    parts: list[list[int]] = []
    for i in sorted(ids):
        if parts and parts[-1][1] == i - 1:
            parts[-1][1] = i
        else:
            parts.append([i, i])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in parts)


def _cityscapes19() -> LabelTable:
    rows = [row for row in cityscapes.ROWS if row[2] != IGNORE]
    rows.sort(key=lambda row: row[2])
    ids = tuple(row[0] for row in rows)
    return LabelTable(
        name="cityscapes19",
        classes=tuple(row[1] for row in rows),
        palette=tuple(row[4] for row in rows),
        train_ids={row[0]: row[2] for row in cityscapes.ROWS},
        file_ids=ids,
        categories=tuple(row[3] for row in rows),
        paper_classes=tuple(ids.index(i) for i in cityscapes.PAPER),
    )


def _cityscapes34() -> LabelTable:
    """Returns the paper's: the train id is the id; unlabelled ones are never in the truth."""
    rows = sorted(row for row in cityscapes.ROWS if row[0] >= 0)
    unlabelled = cityscapes.PAPER_UNLABELLED
    return LabelTable(
        name="cityscapes34",
        classes=tuple(row[1] for row in rows),
        palette=tuple(row[4] for row in rows),
        train_ids={r[0]: IGNORE if r[0] in unlabelled else r[0] for r in cityscapes.ROWS},
        file_ids=tuple(row[0] for row in rows),
        categories=tuple(row[3] for row in rows),
        paper_classes=cityscapes.PAPER,
    )


def _camvid11() -> LabelTable:
    names, colours = zip(*camvid.CLASSES, strict=True)
    ids = tuple(range(len(names)))
    train_ids = {**{i: i for i in ids}, camvid.VOID: IGNORE}
    return LabelTable("camvid11", names, colours, train_ids, ids)


def _nyu40() -> LabelTable:
    names, categories, _ = zip(*nyu.CLASSES40, strict=True)
    ids = tuple(range(1, len(names) + 1))
    train_ids = {0: IGNORE, **{i: i - 1 for i in ids}}
    return LabelTable("nyu40", names, voc_colours(len(names)), train_ids, ids, categories)


def _nyu13() -> LabelTable:
    ids = tuple(range(1, len(nyu.CLASSES13) + 1))
    train_ids = {0: IGNORE, **{i: i - 1 for i in ids}}
    return LabelTable("nyu13", nyu.CLASSES13, voc_colours(len(ids)), train_ids, ids)


def _nyu13_from40() -> LabelTable:
    """Makes nyu13 for files that hold the 40 classes; what is written holds the 13."""
    groups = {i + 1: row[2] - 1 for i, row in enumerate(nyu.CLASSES40)}
    return _nyu13()._replace(name="nyu13_from40", train_ids={0: IGNORE, **groups})


def _voc21() -> LabelTable:
    ids = tuple(range(len(voc.CLASSES)))
    palette = ((0, 0, 0), *voc_colours(len(ids) - 1))
    return LabelTable("voc21", voc.CLASSES, palette, {i: i for i in ids} | {IGNORE: IGNORE}, ids)


def _ade150() -> LabelTable:
    ids = tuple(range(1, len(ade20k.CLASSES) + 1))
    train_ids = {0: IGNORE, **{i: i - 1 for i in ids}}
    return LabelTable("ade150", ade20k.CLASSES, voc_colours(len(ids)), train_ids, ids)


def _context59() -> LabelTable:
    names, ids = zip(*pascal_context.CLASSES, strict=True)
    train_ids = dict.fromkeys(range(pascal_context.COUNT + 1), IGNORE)
    train_ids |= {i: train for train, i in enumerate(ids)}
    return LabelTable("context59", names, voc_colours(len(ids)), train_ids, ids)


def _cocostuff171() -> LabelTable:
    pairs = enumerate(coco_stuff.CATEGORIES)
    rows = [(i, name) for i, name in pairs if name not in coco_stuff.NOT_ANNOTATED]
    ids, names = zip(*rows, strict=True)
    train_ids = dict.fromkeys((*range(len(coco_stuff.CATEGORIES)), IGNORE), IGNORE)
    train_ids |= {i: train for train, i in enumerate(ids)}
    return LabelTable("cocostuff171", names, voc_colours(len(ids)), train_ids, ids)


def _synthetic(world: str) -> LabelTable:
    names, colours = zip(*SYNTHETIC[world], strict=True)
    ids = tuple(range(len(names)))
    train_ids = {**{i: i for i in ids}, IGNORE: IGNORE}
    return LabelTable(f"synthetic_{world}", names, colours, train_ids, ids)


def _synthetic_street() -> LabelTable:
    return _synthetic("street")


def _synthetic_room() -> LabelTable:
    return _synthetic("room")


def voc_colours(count: int) -> tuple[Colour, ...]:
    """Colours for data sets that have none of their own: PASCAL VOC's, from its id 1 on.

    In the colour map of the VOC development kit (Everingham et al., IJCV 2010) the bits of the id
    are dealt to red, green and blue in turn, the lowest to the highest bit of the colour.
    """

    def one(i: int) -> Colour:
        bits = [[(i >> (3 * place + c)) & 1 for place in range(3)] for c in range(3)]
        red, green, blue = (sum(b << (7 - place) for place, b in enumerate(c)) for c in bits)
        return red, green, blue

    return tuple(one(i) for i in range(1, count + 1))


_MAKERS: Mapping[str, Callable[[], LabelTable]] = {
    "cityscapes19": _cityscapes19,
    "cityscapes34": _cityscapes34,
    "camvid11": _camvid11,
    "nyu40": _nyu40,
    "nyu13": _nyu13,
    "nyu13_from40": _nyu13_from40,
    "voc21": _voc21,
    "ade150": _ade150,
    "context59": _context59,
    "cocostuff171": _cocostuff171,
    "synthetic_street": _synthetic_street,
    "synthetic_room": _synthetic_room,
}
TABLES = tuple(_MAKERS)
# The table that a data set's name alone stands for.
USUAL = {
    "cityscapes": "cityscapes19",
    "kitti": "cityscapes19",
    "kitti_semantics": "cityscapes19",
    "camvid": "camvid11",
    "nyu": "nyu40",
    "voc": "voc21",
    "ade20k": "ade150",
    "pascal_context": "context59",
    "coco_stuff": "cocostuff171",
}
