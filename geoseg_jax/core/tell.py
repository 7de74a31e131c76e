"""Prints lines on the terminal; one that is closed, or knows few letters, never stops a run."""

import os
import sys
from typing import TextIO


def tell(text: str) -> None:
    """Prints at once. After a pipe or terminal was closed, this and all later text is dropped: a
    training is worth more than its log. Letters that the terminal doesn't know become '?'.
    """
    _write(sys.stdout, sys.__stdout__, text)


def tell_error(text: str) -> None:
    """Prints on standard error, as `tell` does."""
    _write(sys.stderr, sys.__stderr__, text)


def _write(stream: TextIO | None, original: TextIO | None, text: str) -> None:
    if stream is None:  # closed before the program began
        return
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            known = stream.encoding or "ascii"
            print(text.encode(known, "replace").decode(known), file=stream, flush=True)
    except OSError:
        if original:
            os.dup2(os.open(os.devnull, os.O_WRONLY), original.fileno())


def open_streams() -> None:
    """Gives standard input, output and error a place where they were closed before the program
    began: else the first files that it opens would take their numbers, and get what is printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


class Numbered:
    """A stream whose lines begin with a number: of a process, or of a run."""

    def __init__(self, stream: TextIO, start: str):
        self._stream, self._start, self._line = stream, start, ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            # In one piece, so that lines of several processes don't mix.
            self._stream.write(f"{self._start}{line}\n" if line else "\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def encoding(self) -> str:
        return self._stream.encoding
