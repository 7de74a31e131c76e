"""The same work by several processes of one machine, each on cores of its own.

Small steps leave most cores idle, and between them a process traces, compiles and writes alone. Two
processes on one core each do more than one on two: they share a study's jobs by its locks.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection
from typing import Any, TextIO

from geoseg_jax.interrupts import HANDLED


def run(count: int, function: Callable[..., int], *arguments: Any) -> list[int]:
    """Calls function(*arguments) in `count` processes at once; returns their exit codes.

    What they print begins with their number. SIGTERM and Ctrl-C are handed on to all of them; they
    also get SIGTERM where this process ends without a word.

    Args:
      function: of a module, with arguments that can be pickled; returns an exit code.
    """
    spawning = multiprocessing.get_context("spawn")  # a fork of a process that runs jax hangs
    children = [
        spawning.Process(target=_child, args=(i, count, function, arguments)) for i in range(count)
    ]
    with _handed_on(children):
        for child in children:
            child.start()
        for child in children:
            child.join()
    return [child.exitcode for child in children]


@contextlib.contextmanager
def _handed_on(children: list[Any]) -> Iterator[None]:
    def hand_on(number: int, _: Any) -> None:
        for child in children:
            if child.pid and child.exitcode is None:
                os.kill(child.pid, number)

    previous = {number: signal.signal(number, hand_on) for number in HANDLED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _child(index: int, count: int, function: Callable[..., int], arguments: tuple) -> None:
    # Else Ctrl-C would reach it twice, from the terminal and from its parent.
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):  # not on macOS
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[index::count] or cores)
    with contextlib.redirect_stdout(_Numbered(sys.stdout, f"{index} | ")):
        sys.exit(function(*arguments))


def _end_with_parent() -> None:
    connection.wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


class _Numbered:
    """A stream whose lines begin with the process's number."""

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
