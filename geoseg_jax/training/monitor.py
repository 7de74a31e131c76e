"""Looks at every step's numbers, a little late: all finite? was a process asked to stop?"""

import collections
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from geoseg_jax.data.source import Source
from geoseg_jax.training import sharding
from geoseg_jax.training.steps import CHECKED, REPLACED, STOP

# Steps that may be under way while an older one is looked at, so that the device never waits for
# the host. All processes look at the same step at the same point, hence agree on what they do.
LAG = 2


class TrainingError(RuntimeError):
    """The training can't go on: one line with the step, the cause and the remedy."""


class Report(NamedTuple):
    """The numbers of one step."""

    step: int  # steps done with it
    values: jax.Array  # float32 [names]
    ids: np.ndarray | None  # this process's part of the batch


class Monitor:
    """Looks at every step's report, in order, at most LAG steps late."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        on_step: Callable[[int, dict[str, float]], None],
        on_failure: Callable[[Report, dict[str, float]], Exception],
    ) -> None:
        """
        Args:
          names: of the values in a report.
          on_step: called with (steps done, values) for every step that passed.
          on_failure: makes the exception for a step that did not; called by all processes alike.
        """
        self._names = tuple(names)
        self._on_step = on_step
        self._on_failure = on_failure
        self._pending: collections.deque[Report] = collections.deque()
        self.stop = 0  # the signal that some process got, once a step has told of it

    def push(self, report: Report) -> None:
        """Takes the report of a step that was just started."""
        report.values.copy_to_host_async()
        self._pending.append(report)
        while len(self._pending) > LAG:
            self._look(self._pending.popleft())

    def drain(self) -> None:
        """Waits for all steps under way; none is left unchecked afterwards."""
        while self._pending:
            self._look(self._pending.popleft())

    def device_is_idle(self) -> bool:
        """Tells whether the newest step is done, so that the device has nothing to do."""
        return not self._pending or self._pending[-1].values.is_ready()

    def _look(self, report: Report) -> None:
        values = dict(zip(self._names, np.asarray(report.values).tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            raise self._on_failure(report, values)
        self.stop = max(self.stop, int(values[STOP]))
        self._on_step(report.step, values)


def failure(
    source: Source, latest: Callable[[], int | None], report: Report, values: dict[str, float]
) -> TrainingError:
    """Makes the error for a step with a number that is not finite; all processes must call it.

    source: of the training set. latest: returns the step of the newest checkpoint.
    """
    ids = sharding.gather_rows(report.ids) if report.ids is not None else np.zeros(0, int)
    names = "; ".join(f"{i} = {source.describe(int(i))}" for i in ids[:8])
    names += f"; and {ids[8:].tolist()}" if len(ids) > 8 else ""
    last = latest()
    kept = f"checkpoint {last} is good" if last else "no checkpoint was written before"
    return TrainingError(
        f"step {report.step}: {offending(values)}; batch ids: {names}; {kept}. Look at these "
        "examples, lower config.optimizer.learning_rate or set config.optimizer.clip_norm"
    )


def offending(values: dict[str, float]) -> str:
    """Names what is not finite, the task's own terms first: 'photometric is nan'."""
    terms = [n for n in values if n not in CHECKED] + list(CHECKED)
    bad = [f"{n} is {values[n]}" for n in terms if n in values and not math.isfinite(values[n])]
    good = [f"{n} {values[n]:.4g}" for n in terms if n in values and math.isfinite(values[n])]
    good = [text for text in good if text.split()[0] not in (REPLACED, STOP)]
    return ", ".join(bad) + (f" ({', '.join(good)})" if good else "")
