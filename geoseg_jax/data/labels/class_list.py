"""The class list of a folder of one's own: names, colours and perhaps ids, a class a line."""

import pathlib
import re

from absl import logging

from geoseg_jax.data.labels.table import IGNORE, Colour, LabelTable
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import read_lines

FORMAT = "`name r g b` or `id name r g b`, separated by spaces or commas"
# Classes of these names are not trained: their pixels are ignored.
VOID = ("void", "ignore", "ignored", "unlabelled", "unlabeled")
_WHITE = (255, 255, 255)
_LINE = re.compile(r"(?:(\d+)[,\s]+)?(\S.*?)[,\s]+(\d+)[,\s]+(\d+)[,\s]+(\d+)")
_HEADER = re.compile(
    r"(id[,\s]+)?(name|class)[,\s]+r(ed)?[,\s]+g(reen)?[,\s]+b(lue)?", re.IGNORECASE
)


def read_class_list(path: str | pathlib.Path) -> LabelTable:
    """Reads a class list: train ids in the order of the lines, void classes left out.

    Without ids the lines count from 0, void ones too. What follows a # is a comment; a first line
    `name,r,g,b` is a header. Label files hold the ids, or colours. The id 255 is ignored as well;
    but where the lines give no ids and a class is white it is that class, as in masks of 0 and 255.

    Raises DataError for a file that can't be read or holds no class, a malformed line, and a name,
    id or colour that occurs twice.
    """
    path = pathlib.Path(path).expanduser()
    rows: list[tuple[int, str, Colour]] = []
    with_ids: bool | None = None
    for number, line in read_lines(path):
        text = line.rstrip(",")
        if not text or (not rows and _HEADER.fullmatch(text)):
            continue
        match = _LINE.fullmatch(text)
        if match is None or max(map(int, match.group(3, 4, 5))) > 255:
            raise DataError(f"{path}:{number}: {line!r} is not {FORMAT} (0 to 255)")
        if with_ids not in (None, match[1] is not None):
            raise DataError(f"{path}:{number}: {line!r}: give all lines an id, or none")
        with_ids = match[1] is not None
        i = int(match[1]) if with_ids else len(rows)
        red, green, blue = map(int, match.group(3, 4, 5))
        rows.append((i, match[2].strip(" \"'"), (red, green, blue)))
    return _table(path, rows, bool(with_ids))


def _table(path: pathlib.Path, rows: list[tuple[int, str, Colour]], with_ids: bool) -> LabelTable:
    classes = [row for row in rows if row[1].lower() not in VOID]
    if not classes:
        raise DataError(f"{path}: the class list holds no class; write a line for each: {FORMAT}")
    for what, values in (
        ("id", [row[0] for row in rows]),
        ("name", [row[1] for row in classes]),
        ("colour", [row[2] for row in rows]),
    ):
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise DataError(f"{path}: the {what} {twice[0]!r} occurs twice; each needs its own")
    if max(row[0] for row in classes) >= IGNORE or max(row[0] for row in rows) > IGNORE:
        raise DataError(f"{path}: ids go from 0 to 254, 255 is ignored; use smaller ones")
    train_ids = {row[0]: IGNORE for row in rows} | {IGNORE: IGNORE}
    train_ids |= {row[0]: train for train, row in enumerate(classes)}
    white = next((train for train, row in enumerate(classes) if row[2] == _WHITE), None)
    if white is not None and not with_ids:
        train_ids[IGNORE] = white
        logging.info(
            "%s: 255 in a label file is %r, which is white; where it means ignored, begin the "
            "lines with ids", path, classes[white][1],
        )  # fmt: skip
    return LabelTable(
        name=str(path),
        classes=tuple(row[1] for row in classes),
        palette=tuple(row[2] for row in classes),
        train_ids=train_ids,
        file_ids=tuple(row[0] for row in classes),
        colours={row[2]: row[0] for row in rows},
    )
