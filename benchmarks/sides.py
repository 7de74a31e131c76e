"""Sides of a benchmark, each in a process of its own, timed in turns: A B C A B C.

A process that has imported jax can hold PyTorch to one thread, and one that imports both gives
neither the memory that it would have. So the parent imports neither: it asks, a side answers, and
the side itself takes the time, by the clock and by its processors. While one works the others
wait, and must not use a processor: what they use is taken too.
"""

import contextlib
import importlib
import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """An answer and its cost; idle: cores that the side kept busy since its answer before."""

    value: Any
    seconds: float
    cpu_seconds: float
    idle: float


class SideError(RuntimeError):
    """A side that failed or died; the message is one line."""


def restrict(threads: int) -> int:
    """Gives this process and those it starts so many processors; returns how many there are.

    Must run before any side starts. Idle threads of OpenMP, which PyTorch has, sleep at once
    unless OMP_WAIT_POLICY says otherwise.
    """
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = str(len(cores))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return len(cores)


class Side:
    """A process that holds an object and calls its methods on request.

    Args:
      name: in tables and errors.
      target: 'module:Class', imported there.
      args: of the class; all must pickle.
    """

    def __init__(self, name: str, target: str, *args: Any) -> None:
        self.name, context = name, multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, target, args), daemon=True)
        self._process.start()
        theirs.close()
        self.start = self._receive("start")

    def ask(self, method: str, *args: Any) -> Answer:
        """Calls a method there. Raises SideError where it raises, or the process dies."""
        with contextlib.suppress(BrokenPipeError):  # what it died of is told by the next line
            self._connection.send((method, args))
        return self._receive(method)

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _receive(self, method: str) -> Answer:
        try:
            error, answer = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise SideError(
                f"{self.name}: its process died in {method!r}, exit code {self._process.exitcode}"
                " (-9: it was killed, as a machine without memory left does)"
            ) from None
        if error:
            raise SideError(f"{self.name}: {method}: {error}")
        return Answer(*answer)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _serve(connection: Any, target: str, args: tuple) -> None:
    """Makes the object and answers requests until the pipe closes."""
    module, _, name = target.partition(":")

    def make(*args: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args)

    found, before, request = None, _clocks(), ("start", args)
    while True:
        begin = _clocks()
        try:
            method, args = request
            value = make(*args) if method == "start" else getattr(found, method)(*args)
            if method == "start":
                found, value = value, None
        except Exception as error:
            if not isinstance(error, (ValueError, OSError)):  # which are told in a line
                traceback.print_exc(file=sys.stderr)
            first = str(error).strip().partition("\n")[0]
            connection.send((f"{type(error).__name__}: {first}", None))
            return
        end = _clocks()
        idle = (begin[1] - before[1]) / max(begin[0] - before[0], 1e-9)
        connection.send((None, (value, end[0] - begin[0], end[1] - begin[1], idle)))
        before = end
        try:
            request = connection.recv()
        except (EOFError, ConnectionResetError):
            return


def in_turns(
    sides: Sequence[Side], method: str, rounds: int, label: str
) -> dict[str, list[Answer]]:
    """Calls a method of each side once to warm up, then of all in turns; the answers by side."""
    import rich.progress

    for side in sides:
        side.ask(method)
    answers: dict[str, list[Answer]] = {side.name: [] for side in sides}
    for _ in rich.progress.track(range(rounds), description=label, transient=True):
        for side in sides:
            answers[side.name].append(side.ask(method))
    return answers


def summary(what: str, answers: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """Summarises each side by medians, its fastest and slowest call, and the cores it kept busy."""
    figures: dict[str, Any] = {}
    for name, each in answers.items():
        seconds = [answer.seconds for answer in each]
        cpu = [answer.cpu_seconds for answer in each]
        figures |= {
            f"{what}_{name}_seconds": statistics.median(seconds),
            f"{what}_{name}_range": [min(seconds), max(seconds)],
            f"{what}_{name}_cpu_seconds": statistics.median(cpu),
            f"{what}_{name}_cores": sum(cpu) / sum(seconds),
            f"{what}_{name}_idle_cores": statistics.median(answer.idle for answer in each),
        }
    return figures
