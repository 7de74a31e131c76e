"""SIGTERM, SIGHUP and Ctrl-C: leave at once while there is nothing to lose, later save first.

SIGHUP is what a closed terminal or ssh session sends; where it is ignored, as by nohup, it stays
ignored.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from geoseg_jax.core.tell import tell

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# A terminal or a service manager may tell a process and its parent, which hands it on.
_SAME = 1.0  # seconds


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """Signals that arrive meanwhile, instead of what else they would do; of use between runs."""
    received: list[int] = []
    with handled(lambda number, _: received.append(number)):
        yield received


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[dict[int, Any]]:
    """Gives HANDLED to a handler meanwhile, but for what is ignored; yields the handlers before."""
    previous: dict[int, Any] = {}
    for number in HANDLED:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # by nohup
        try:
            previous[number] = signal.signal(number, handler)
        except ValueError:
            # Only the main thread may handle signals; in a notebook's thread we do without.
            break
    try:
        yield previous
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


class Interrupts:
    """Context manager over a run.

    Until `arm` is called, while data is prepared and steps are compiled, a signal ends the program
    by SystemExit(128 + number). Afterwards the first one is noted in `received` (0 = none so far),
    so that the loop can save and leave; a second one, a second later or more, ends the program at
    once.
    """

    def __init__(self) -> None:
        self.received, self._when = 0, 0.0
        self._armed = False
        self._stack = contextlib.ExitStack()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        self._previous = self._stack.enter_context(handled(self._handle))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def arm(self) -> None:
        """Notes signals from now on: there is something to save."""
        self._armed = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        before = self._previous.get(number)
        if callable(before) and before is not signal.default_int_handler:
            before(number, frame)  # whoever runs this wants to know as well
        name = signal.Signals(number).name
        if self.received:
            if time.monotonic() - self._when < _SAME:
                return
            tell(f"{name}: left without saving")
            os._exit(128 + number)
        if not self._armed:
            self._stack.close()
            tell(f"{name}: stopped before the first step; nothing to save")
            raise SystemExit(128 + number)
        self.received, self._when = int(number), time.monotonic()
        tell(f"{name}: finishing the step, then saving; once more to quit without saving")
