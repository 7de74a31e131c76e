"""Reads text files that people write: lists of names, splits, calibrations, classes.

Editors on Windows leave a byte order mark, CRLF, backslashes and sometimes UTF-16; a Mac spells
accented letters in two. None of that is part of a name.
"""

import codecs
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable

from geoseg_jax.data.source import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16's mark does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMENT = re.compile(r"(^|\s)#.*")


def read_text(path: str | os.PathLike[str]) -> str:
    """Reads a text in UTF-8, or in what its byte order mark says; lines end in '\\n' alone.

    Raises:
      DataError: where the file can't be read or is no such text.
    """
    try:
        content = pathlib.Path(path).expanduser().read_bytes()
    except OSError as error:
        raise DataError(f"{path}: it can't be read ({error.strerror})") from error
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8")
    )
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: it is no text in {encoding.upper()}; save it as UTF-8") from error
    if "\0" in text:
        raise DataError(f"{path}: it is no text (it holds zero bytes); save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    """Reads the lines that say something, each with its number from 1 on.

    A # at the beginning or behind a space begins a comment: within a name it is part of it.

    Raises:
      DataError: as `read_text` does.
    """
    lines = enumerate(read_text(path).split("\n"), start=1)
    bare = ((number, _COMMENT.sub("", line).strip()) for number, line in lines)
    return [(number, line) for number, line in bare if line]


def plain_path(name: str) -> str:
    """Writes a path from a list with '/' and without a './' before it."""
    return name.replace("\\", "/").removeprefix("./")


class Spellings:
    """The names that there are, found by what somebody wrote in a list."""

    def __init__(self, names: Iterable[str]):
        self._names = frozenset(names)
        self._plain = {unicodedata.normalize("NFC", name): name for name in self._names}

    def find(self, written: str) -> str | None:
        """Returns the name that was meant, None where there is none.

        As it is written; else without the ending of a file, with '/' for '\\', and with accented
        letters spelt as in the name.
        """
        for name in dict.fromkeys((written, plain_path(written))):
            for candidate in (name, os.path.splitext(name)[0]):
                if candidate in self._names:
                    return candidate
                found = self._plain.get(unicodedata.normalize("NFC", candidate))
                if found is not None:
                    return found
        return None
