"""SIGTERM and Ctrl-C: leave at once while there is nothing to lose, later save first."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

from geoseg_jax.core.tell import tell

HANDLED = (signal.SIGTERM, signal.SIGINT)
# A terminal or a service manager may tell a process and its parent, which hands it on.
_SAME = 1.0  # seconds


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """Signals that arrive meanwhile, instead of what else they would do; of use between runs."""
    received: list[int] = []
    previous = {}
    for number in HANDLED:
        try:
            previous[number] = signal.signal(number, lambda number, _: received.append(number))
        except ValueError:  # see Interrupts.__enter__
            break
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in HANDLED:
            try:
                self._previous[number] = signal.signal(number, self._handle)
            except ValueError:
                # Only the main thread may handle signals; in a notebook's thread we do without.
                break
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def arm(self) -> None:
        """Notes signals from now on: there is something to save."""
        self._armed = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        before = self._previous[number]
        if callable(before) and before is not signal.default_int_handler:
            before(number, frame)  # whoever runs this wants to know as well
        name = signal.Signals(number).name
        if self.received:
            if time.monotonic() - self._when < _SAME:
                return
            tell(f"{name}: left without saving")
            os._exit(128 + number)
        if not self._armed:
            self._restore()
            tell(f"{name}: stopped before the first step; nothing to save")
            raise SystemExit(128 + number)
        self.received, self._when = int(number), time.monotonic()
        tell(f"{name}: finishing the step, then saving; once more to quit without saving")

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
