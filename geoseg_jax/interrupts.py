"""SIGTERM and Ctrl-C: note the first, so that the run saves and leaves; obey the second at once."""

import signal
from types import FrameType

HANDLED = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Context manager that notes the signals of HANDLED in `received` (0 = none so far)."""

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in HANDLED:
            try:
                self._previous[number] = signal.signal(number, self._note)
            except ValueError:
                # Only the main thread may handle signals; in a notebook's thread we do without.
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = int(number)
        print(
            f"{signal.Signals(number).name}: finishing the step, then saving; once more to quit "
            "without saving",
            flush=True,
        )
        for each, handler in self._previous.items():
            signal.signal(each, handler)
