"""The class list of a folder of one's own: names, colours and perhaps ids, a class a line."""

import pathlib
import re
from collections import Counter
from collections.abc import Sequence

from absl import logging

from geoseg_jax.data.labels.table import IGNORE, Colour, LabelTable
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import read_lines

FORMAT = "`name r g b` or `id name r g b`, separated by spaces or commas"
# Classes of these names are not trained: their pixels are ignored.
VOID = ("void", "ignore", "ignored", "unlabelled", "unlabeled")
_WHITE = (255, 255, 255)
_WORD = re.compile(r"[^,\s]+")
_NUMBER = re.compile(r"[0-9]{1,9}")
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
        row = _row(text)
        if row is None or max(row[2]) > 255:
            raise DataError(f"{path}:{number}: {line!r} is not {FORMAT} (0 to 255)")
        if with_ids not in (None, row[0] is not None):
            raise DataError(f"{path}:{number}: {line!r}: give all lines an id, or none")
        with_ids = row[0] is not None
        rows.append((len(rows) if row[0] is None else row[0], *row[1:]))
    return table_of_rows(path, rows, bool(with_ids))


def _row(text: str) -> tuple[int | None, str, Colour] | None:
    """Splits a line into id, name and colour; None where it is of another form.

    Read word by word from both ends: whatever a line holds, this takes as long as it is.
    """
    words = list(_WORD.finditer(text))
    numbers = [int(word[0]) for word in words[-3:] if _NUMBER.fullmatch(word[0])]
    if len(words) < 4 or len(numbers) < 3:
        return None
    with_id = len(words) > 4 and _NUMBER.fullmatch(words[0][0])
    name = text[words[1 if with_id else 0].start() : words[-4].end()]
    red, green, blue = numbers
    return int(words[0][0]) if with_id else None, name.strip(" \"'"), (red, green, blue)


def table_of_rows(
    path: str | pathlib.Path, rows: Sequence[tuple[int, str, Colour]], with_ids: bool = True
) -> LabelTable:
    """Returns the table of (id, name, colour); `path` names the list in an error.

    with_ids: the list has numbers, not their order alone.

    Raises DataError as `read_class_list` does.
    """
    classes = [row for row in rows if row[1].lower() not in VOID]
    if not classes:
        raise DataError(f"{path}: the class list holds no class; write a line for each: {FORMAT}")
    for what, values in (
        ("id", [row[0] for row in rows]),
        ("name", [row[1] for row in classes]),
        ("colour", [row[2] for row in rows]),
    ):
        twice = [value for value, count in Counter(values).items() if count > 1]
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
