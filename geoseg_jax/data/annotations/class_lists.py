"""Class lists that lie beside labels: with colours or without, CVAT's and Roboflow's."""

import pathlib
import re
from collections.abc import Callable, Sequence

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data.annotations.found import BACKGROUND, Row
from geoseg_jax.data.labels.class_list import VOID, read_class_list, table_of_rows
from geoseg_jax.data.labels.table import IGNORE, Colour, LabelTable, voc_colours
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import read_lines, read_text

BLACK = (0, 0, 0)
LISTS = ("classes.txt", "classes.csv", "class_dict.csv", "labels.txt", "label_names.txt")
LISTS += ("class_names.txt",)  # of LabelMe's converter to VOC's folders
_BACKGROUNDS = (BACKGROUND, "_background_", "__background__")
_IGNORED = (*VOID, "__ignore__", "_ignore_")
_COLOUR = re.compile(r"\d+[,\s]+\d+[,\s]+\d+\s*,?\s*$")
_PIXEL_VALUES = re.compile(r"pixel value\s*,\s*class", re.IGNORECASE)
_HEADER = {"id", "index", "value", "class", "label", "name"}
_HEADER_ALONE = {"name", "names", "class", "classes", "label", "labels", "class_name"}
_ID_FIRST = re.compile(r'"?(\d{1,9})"?[.)]?[\s,:;=](.+)')
_ID_LAST = re.compile(r'[\s,:;=]"?\d+"?$')
_AROUND = " \"',:;="


def read_classes(path: pathlib.Path) -> list[Row]:
    """Returns the classes of a list in any of these ways, told by its lines.

    `name r g b` or `id name r g b`, see `labels/class_list.py`; `id name`; names alone, whose ids
    are their lines from 0 on (`__ignore__`, which LabelMe's lists start with, has none); CVAT's
    labelmap.txt, `name:r,g,b:parts:actions`; Roboflow's _classes.csv, `id, name` below
    `Pixel Value, Class`. A first line `id,name`, or `name`, `class` or `label` alone, is a header.

    Raises DataError for a file that can't be read, is empty or malformed, and where numbers that
    may be ids stand behind the names, or before all but the first.
    """
    if path.name == "labelmap.txt":
        return read_labelmap(path)
    lines = _lines(path)
    if _PIXEL_VALUES.fullmatch(lines[0]):
        return _read_pixel_values(path, lines[1:])
    if any(_COLOUR.search(line) for line in lines):
        table = read_class_list(path)
        names = dict(zip(table.file_ids, table.classes, strict=True))
        return [Row(i, names.get(i, VOID[0]), c) for c, i in (table.colours or {}).items()]
    lines = lines[1:] if lines[1:] and _is_header(lines[0].lower()) else lines
    first = [_ID_FIRST.fullmatch(line) for line in lines]
    if all(first):
        return [Row(int(found[1]), found[2].strip(_AROUND)) for found in first if found]
    last = len(lines) > 1 and all(_ID_LAST.search(line) for line in lines)
    if last or (len(lines) > 2 and all(first[1:])):
        raise DataError(
            f"{path}: the lines hold numbers that may be ids, as {lines[-1]!r}; begin each with "
            "its id, as `0 background` or `1 lane 1`"
        )
    names = [line.strip(" \"',") for line in lines if line.lower() not in _IGNORED[-2:]]
    return [Row(i, name) for i, name in enumerate(names)]


def find_list(folder: pathlib.Path) -> list[Row]:
    """Returns the classes of the list that lies in a folder, [] where none does.

    Raises DataError for a bad list, and for two that differ.
    """
    found = [folder / name for name in LISTS if (folder / name).is_file()]
    lists = [read_classes(path) for path in found]
    for path, rows in zip(found, lists, strict=True):
        if rows != lists[0]:
            raise DataError(f"{found[0]} and {path} are both class lists; give one by --classes")
    return lists[0] if lists else []


def read_labelmap(path: pathlib.Path) -> list[Row]:
    """Returns the classes of CVAT's labelmap.txt; ids are their order. Raises DataError."""
    rows = []
    for line in _lines(path):
        parts = line.split(":")
        colour = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", parts[1] if parts[1:] else "")
        if colour is None or max(map(int, colour.groups())) > 255:
            raise DataError(f"{path}: {line!r} is not `name:r,g,b:parts:actions` (0 to 255)")
        red, green, blue = map(int, colour.groups())
        rows.append(Row(len(rows), parts[0].strip(), (red, green, blue)))
    return rows


def rows_of_names(names: Sequence[str], path: pathlib.Path | None) -> list[Row]:
    """Classes of shapes: a background, whose id is 0, and the names that occur, or those of a list.

    names: as they are first met. path: a class list, which gives order and colours, and must have
    each name. Raises DataError for a name that it lacks.
    """
    known = read_classes(path) if path else [Row(0, name) for name in names]
    colours = {row.name: row.colour for row in known}
    for name in names:
        if name not in colours and not is_background(name) and not is_void(name):
            hint = did_you_mean(name, colours)
            raise DataError(f"{path}: lacks the class {name!r}, which was annotated{hint}; add it")
    background = next((name for name in colours if is_background(name)), BACKGROUND)
    objects = [n for n in dict.fromkeys(colours) if not is_background(n) and not is_void(n)]
    rows = [Row(0, background, colours.get(background))]
    return rows + [Row(i, name, colours[name]) for i, name in enumerate(objects, start=1)]


def id_of(rows: Sequence[Row]) -> Callable[[str], int]:
    """Returns the id of a class by its name: 0 for a background's, 255 for one to be ignored."""
    ids = {row.name: row.id for row in rows}

    def find(name: str) -> int:
        return 0 if is_background(name) else IGNORE if is_void(name) else ids[name]

    return find


def make_table(rows: Sequence[Row], ignore_background: bool, where: str) -> LabelTable:
    """The table of classes: with colours for those that have none, names that a list can hold.

    ignore_background: whether what was not annotated is ignored instead of being a class. Raises
    DataError for no class, more than fit, and a name, id or colour that occurs twice.
    """
    taken = {row.colour for row in rows}
    free = iter(c for c in voc_colours(len(rows) + len(taken)) if c not in taken)
    done: list[tuple[int, str, Colour]] = []
    for row in rows:
        name = clean(row.name)
        empty = row.colour is None and is_background(row.name) and BLACK not in taken
        colour = row.colour or (BLACK if empty else next(free))
        if is_background(name):
            name = VOID[0] if ignore_background else BACKGROUND
        done.append((row.id, VOID[0] if is_void(name) else name, colour))
    return table_of_rows(where, done)


def clean(name: str) -> str:
    """Returns a class's name without what a list can't hold.

    That is what divides its columns or starts a comment, zero bytes, and halves of letters.
    """
    return re.sub(r"[\s,#\"'\x00\ud800-\udfff]+", " ", name).strip() or "unnamed"


def is_background(name: str) -> bool:
    """Tells whether a class is what was not annotated."""
    return name.strip().lower() in _BACKGROUNDS


def is_void(name: str) -> bool:
    """Tells whether pixels of that name are ignored."""
    return name.strip().lower() in _IGNORED


def _lines(path: pathlib.Path) -> list[str]:
    """Lines that say something, without comments."""
    lines = [line for _, line in read_lines(path)]
    if path.name == "labelmap.txt":  # a # further on is part of a name
        lines = [
            line for line in map(str.strip, read_text(path).split("\n")) if line[:1] not in "#"
        ]
    if not lines:
        raise DataError(f"{path}: the class list is empty; write a name a line")
    return lines


def _is_header(line: str) -> bool:
    words = re.findall("[a-z]+", line)
    return line.strip(_AROUND) in _HEADER_ALONE or bool(words[1:] and _HEADER.issuperset(words))


def _read_pixel_values(path: pathlib.Path, lines: Sequence[str]) -> list[Row]:
    rows = []
    for line in lines:
        value, comma, name = line.partition(",")
        if not comma or not re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
            raise DataError(f"{path}: {line!r} is not `Pixel Value, Class`")
        rows.append(Row(int(value), name.strip()))
    return rows
