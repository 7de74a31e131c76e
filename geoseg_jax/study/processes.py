"""Runs the same work in several processes of one machine, each on its own cores where possible.

Small steps leave most cores idle, and between them a process traces, compiles and writes alone. Two
processes on one core each do more than one on two: they share a study's jobs by its locks.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection
from typing import Any, NamedTuple, TextIO

from geoseg_jax.training.interrupts import handled


class Ended(NamedTuple):
    """The end of all processes."""

    codes: list[int]  # exit codes; -N where signal N ended one
    signal: int  # that stopped them all, else 0


def run(
    count: int,
    function: Callable[..., int],
    *arguments: Any,
    environments: Sequence[Mapping[str, str | None]] = (),
) -> Ended:
    """Calls function(*arguments) in `count` processes at once.

    What they print to standard output begins with their number. SIGTERM, SIGHUP and Ctrl-C are
    handed on to all of them; they also get SIGTERM where this process ends without a word.

    Args:
      function: of a module, with arguments that can be pickled; returns an exit code.
      environments: for each process what differs in it, name -> value or None for unset.
    """
    spawning = multiprocessing.get_context("spawn")  # a fork of a process that runs jax hangs
    children = [
        spawning.Process(target=_child, args=(i, count, function, arguments)) for i in range(count)
    ]
    with _handed_on(children) as received:
        for child, own in itertools.zip_longest(children, environments[:count], fillvalue={}):
            if received:
                break
            try:
                with _environment(own):  # before it imports anything, which reads it
                    child.start()
            except OSError:  # Ctrl-C reached a child that was not yet on its own
                if not received:
                    raise
            if received:  # while it was started, when it had no number yet
                _send(child, received[0])
        started = [child for child in children if child.pid]
        for child in started:
            child.join()
    return Ended([child.exitcode for child in started], received[0] if received else 0)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Sets and unsets variables within the block."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _handed_on(children: list[Any]) -> Iterator[list[int]]:
    """Yields the signals received; each is sent to the children that run."""
    received: list[int] = []

    def hand_on(number: int, _: Any) -> None:
        received.append(number)
        for child in children:
            _send(child, received[-1])

    with handled(hand_on):
        yield received


def _send(child: Any, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        if child.pid and child.exitcode is None:
            os.kill(child.pid, number)


def _child(index: int, count: int, function: Callable[..., int], arguments: tuple) -> None:
    # Else Ctrl-C would reach it twice, from the terminal and from its parent.
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):  # Linux
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[index::count] or cores)
    with contextlib.redirect_stdout(_Numbered(sys.stdout, f"{index} | ")):
        try:
            code = function(*arguments)
        except (
            SystemExit
        ) as stopped:  # by a signal while compiling, which the usual end can't stand
            os._exit(stopped.code)
    sys.exit(code)


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

    @property
    def encoding(self) -> str:
        return self._stream.encoding
