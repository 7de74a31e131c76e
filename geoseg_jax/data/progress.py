"""Progress of what takes more than a few seconds, and nothing for what doesn't."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import rich.console
import rich.progress

from geoseg_jax.core.tell import tell_error

T = TypeVar("T")

_SILENT_SECONDS = 2.0
_SECONDS_PER_LINE = 10.0  # where the output is no terminal but a log


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yields the items; after two seconds stderr shows how far it is and how long it will take.

    A bar on a terminal, now and then a line elsewhere.
    """
    console = rich.console.Console(stderr=True)
    bar = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task(what, total=len(items))
    start = time.monotonic()
    due = start + _SILENT_SECONDS
    try:
        for done, item in enumerate(items):
            yield item
            now = time.monotonic()
            bar.update(task, completed=done + 1)
            if now < due:
                continue
            if console.is_terminal:
                bar.start()
            else:
                left = (now - start) * (len(items) / (done + 1) - 1)
                line = f"{what}: {done + 1}/{len(items)}, {left:.0f} s left"
                tell_error(line)
                due = now + _SECONDS_PER_LINE
    finally:
        if bar.live.is_started:
            with contextlib.suppress(OSError):  # the terminal has gone
                bar.stop()
