"""SIGTERM and Ctrl-C: leave at once while there is nothing to lose, later save first."""

import os
import signal
from types import FrameType

HANDLED = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Context manager over a run.

    Until `arm` is called, while data is prepared and steps are compiled, a signal ends the program
    by SystemExit(128 + number). Afterwards the first one is noted in `received` (0 = none so far),
    so that the loop can save and leave; a second one ends the program at once.
    """

    def __init__(self) -> None:
        self.received = 0
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
        """From now on there is something to save."""
        self._armed = True

    def _handle(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.received:
            print(f"{name}: left without saving", flush=True)
            os._exit(128 + number)
        if not self._armed:
            self._restore()
            print(f"{name}: stopped before the first step; nothing to save", flush=True)
            raise SystemExit(128 + number)
        self.received = int(number)
        print(
            f"{name}: finishing the step, then saving; once more to quit without saving", flush=True
        )

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
