"""Prints lines on the terminal; one that is closed, or knows few letters, never stops a run."""

import contextlib
import contextvars
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_START = contextvars.ContextVar("start", default="")


@contextlib.contextmanager
def lines_begin_with(start: str) -> Iterator[None]:
    """Tells with this before each line, in the block and in threads that copy its context."""
    token = _START.set(start)
    try:
        yield
    finally:
        _START.reset(token)


def tell(text: str) -> None:
    """Prints at once. After a pipe or terminal was closed, this and all later text is dropped: a
    training is worth more than its log. Letters that the terminal doesn't know become '?'.
    """
    start = _START.get()
    _write(sys.stdout, sys.__stdout__, "\n".join(start + line for line in text.split("\n")))


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
