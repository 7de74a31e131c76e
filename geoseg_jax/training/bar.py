"""The one line at the bottom of a terminal that shows how far a training is."""

import contextlib
import sys
import time
from collections.abc import Iterator

import rich.console
import rich.progress
from rich.table import Column

_EVERY = 0.2  # seconds between two drawings


class Bar:
    """A bar of a run's steps; lines that are printed meanwhile scroll by above it."""

    def __init__(self, console: rich.console.Console, steps: int) -> None:
        self._progress = rich.progress.Progress(
            rich.progress.BarColumn(bar_width=20),
            rich.progress.MofNCompleteColumn(),
            # Not what rich reckons of the time: pictures and evaluations are no steps.
            rich.progress.TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task, self._steps = self._progress.add_task("", total=steps), steps
        self._drawn = 0.0

    def show(self, step: int, text: str) -> None:
        """Draws the bar at `step` with a text beside it, a few times a second at most."""
        now = time.monotonic()
        if now - self._drawn < _EVERY and step < self._steps:
            return
        self._drawn = now
        self._progress.update(self._task, completed=step, description=text)
        self._progress.start()
        self._progress.refresh()

    def close(self) -> None:
        """Removes the bar."""
        with contextlib.suppress(OSError):  # the terminal has gone
            self._progress.stop()


@contextlib.contextmanager
def on_terminal(steps: int, wanted: bool) -> Iterator[Bar | None]:
    """Yields a bar that is removed at the end; None where there is no terminal to draw it on.

    wanted: this process prints.
    """
    console = rich.console.Console()
    # What rich takes for a terminal may also be a log that asks for colours; not all streams know.
    isatty = getattr(sys.stdout, "isatty", lambda: False)
    can_draw = isatty() and not console.is_dumb_terminal
    bar = Bar(console, steps) if wanted and can_draw else None
    try:
        yield bar
    finally:
        if bar:
            bar.close()
