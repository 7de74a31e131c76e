"""A progress bar for what takes more than a few seconds, and nothing for what doesn't."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import rich.console
import rich.progress

T = TypeVar("T")

_SILENT_SECONDS = 2.0


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yields the items; after two seconds shows on stderr how far it is and how long it takes."""
    start = time.monotonic()
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(
        *columns, console=rich.console.Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(what, total=len(items), visible=False)
        for done, item in enumerate(items):
            yield item
            bar.update(task, completed=done + 1, visible=time.monotonic() - start > _SILENT_SECONDS)
