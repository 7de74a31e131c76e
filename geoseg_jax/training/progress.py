"""Reports a run's steps: means, speed, time left, frames replaced."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from geoseg_jax.data.source import DataError
from geoseg_jax.training import writers
from geoseg_jax.training.bar import Bar
from geoseg_jax.training.steps import LEARNING_RATE, REPLACED, STOP

# A line comes at least this often, however rare the log steps are.
SILENCE = 15.0  # seconds


class Progress:
    """Collects the values of steps that passed and writes a line every log_every steps, or a bar.

    All that later lines depend on is in `as_json`, so that a run that was killed and started again
    writes the same means as one that ran through.
    """

    def __init__(
        self,
        *,
        start: int,
        steps: int,
        batch_size: int,
        log_every: int,
        train_size: int,
        bad_share: float,
        writer: writers.Writer,
        say: Callable[[str], None],
        opened: float,
        saved: Mapping[str, Any] | None = None,
        bar: Bar | None = None,
    ) -> None:
        """
        Args:
          start: steps done so far; steps: the run's length.
          train_size: records in the training set; bad_share: of them may be replaced.
          writer, say: take scalars and lines of text.
          opened: time.monotonic() at the start of the run.
          saved: what as_json returned in the run that is continued.
          bar: shows the progress in place of lines.
        """
        saved = saved or {}
        self.bad_frames: int = saved.get("bad_frames", 0)
        self._sums: dict[str, float] = dict(saved.get("sums", {}))
        self._count: int = saved.get("count", 0)
        self._seconds_before: float = saved.get("seconds", 0.0)
        self._steps, self._batch_size, self._log_every = steps, batch_size, log_every
        self._train_size, self._bad_share = train_size, bad_share
        self._writer, self._say, self._bar = writer, say, bar
        self._opened, self._spoken = opened, time.monotonic()
        self.lap(start)

    def passed(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the values of one step; `step` counts it in.

        Raises:
          DataError: more frames were replaced than bad_share allows.
        """
        self.bad_frames += round(values[REPLACED])
        check_bad_share(self.bad_frames, step * self._batch_size, self._train_size, self._bad_share)
        for name, value in values.items():
            if name not in (REPLACED, STOP, LEARNING_RATE):
                self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        scalars = self._scalars(step, values[LEARNING_RATE])
        if self._bar:
            self._bar.show(step, writers.progress(scalars))
        if step % self._log_every == 0 or step == self._steps:
            self._sums, self._count = {}, 0
            self.lap(step)  # before the writing, which takes its time too
            self._writer.write_scalars(step, scalars)
            self._spoken = time.monotonic()
        elif not self._bar and self._is_silent_for_long(step, scalars):
            self._say(writers.describe(step, self._steps, scalars))
            self._spoken = time.monotonic()

    def _is_silent_for_long(self, step: int, scalars: Mapping[str, float]) -> bool:
        """Tells whether no line has come for long, and the next log step's is not near either."""
        steps_to_line = min(self._log_every - step % self._log_every, self._steps - step)
        next_line = steps_to_line * self._batch_size / scalars["examples_per_second"]
        return time.monotonic() - self._spoken > SILENCE and next_line > SILENCE

    def _scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Returns the means and the speed since the last log step."""
        elapsed = max(time.monotonic() - self._lap_start - self._paused, 1e-9)
        rate = max(step - self._lap_step, 1) / elapsed
        means = {name: total / self._count for name, total in self._sums.items()}
        return {
            "loss": means.pop("loss"),
            **means,
            "learning_rate": learning_rate,
            "examples_per_second": rate * self._batch_size,
            "seconds_left": (self._steps - step) / rate,
            "data_wait_share": min(self._waited / elapsed, 1.0),
            "bad_frames": self.bad_frames,
        }

    def lap(self, step: int) -> None:
        """Begins to measure the speed anew."""
        self._lap_step, self._lap_start = step, time.monotonic()
        self._waited = self._paused = 0.0

    @contextlib.contextmanager
    def waiting(self, device_is_idle: Callable[[], bool]) -> Iterator[None]:
        """Times the fetching of a batch: it counts as waiting if the device ran out of work."""
        start = time.monotonic()
        yield
        if device_is_idle():
            self._waited += time.monotonic() - start

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the time of what is not training out of the speed."""
        start = time.monotonic()
        yield
        self._paused += time.monotonic() - start

    def seconds(self) -> float:
        """Adds up the wall-clock time of all starts of the run, compilation included."""
        return self._seconds_before + time.monotonic() - self._opened

    def as_json(self) -> dict[str, Any]:
        return {
            "bad_frames": self.bad_frames,
            "sums": dict(self._sums),
            "count": self._count,
            "seconds": self.seconds(),
        }


def check_bad_share(replaced: int, seen: int, size: int, share: float) -> None:
    """Raises DataError where more unreadable records were replaced than config.data.bad_share.

    The share is of the examples seen, and of one round through the data at least, so that one bad
    record early on does not end a run that allows for a few.
    """
    if replaced > share * max(seen, size):
        raise DataError(
            f"{replaced} unreadable frames were replaced in {seen} examples, more than "
            f"config.data.bad_share={share:g} allows; repair the data or raise the share"
        )
