"""Evaluation on a whole split: sums per batch on the devices, totals in 64 bits on the host."""

import collections
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.tasks.base import EACH
from geoseg_jax.training import sharding
from geoseg_jax.training.monitor import LAG
from geoseg_jax.training.steps import EvalStep

Totals = dict[str, Any]  # float, int, or an array of float64 or int64


def evaluate(
    step: EvalStep,
    variables: Any,
    batches: Iterable[dict[str, np.ndarray]],
    mesh: Mesh,
    stop: Callable[[], jax.Array],
    say: Callable[[str], None],
) -> Totals | None:
    """Adds up a task's sums over all batches, the same for every batch size and device count.

    Rows of single examples (names that begin with tasks.base.EACH) are kept, one under the other.

    Args:
      batches: this process's part of every batch; all processes have the same number of them.
      stop: the flags of `steps.stop_flags` for this moment.
      say: takes lines of progress where it takes long.

    Returns:
      The totals, or None where a process was asked to stop; all processes return the same.
    """
    totals: Totals = {}
    pending: collections.deque = collections.deque()
    spoken = time.monotonic()
    for done, batch in enumerate(batches, start=1):
        pending.append(step.run(variables, sharding.to_devices(batch, mesh), stop()))
        if len(pending) > LAG and not _add(totals, *pending.popleft()):
            return None
        if time.monotonic() - spoken > 10:
            say(f"evaluating: batch {done}")
            spoken = time.monotonic()
    while pending:
        if not _add(totals, *pending.popleft()):
            return None
    return {name: v.item() if v.ndim == 0 else v for name, v in totals.items()}


def _add(totals: Totals, sums: dict[str, jax.Array], stop: jax.Array) -> bool:
    """Adds one batch's sums; False where it carried the request to stop."""
    if int(stop):
        return False
    for name, value in sums.items():
        value = np.asarray(value)
        wide = value.astype(np.int64 if np.issubdtype(value.dtype, np.integer) else np.float64)
        if name in totals:
            whole = name.startswith(EACH)
            wide = np.concatenate([totals[name], wide]) if whole else totals[name] + wide
        totals[name] = wide
    return True


def better(
    best: Mapping[str, Any] | None,
    step: int,
    evaluation: Mapping[str, float],
    metric: str,
    mode: str,
) -> Mapping[str, Any] | None:
    """Returns the better of the best so far and this evaluation, as {'step': ..., 'value': ...}.

    Args:
      best: what this returned before, or None.
      metric: the number to compare, '' for none; mode: 'min' where lower is better, or 'max'.

    Raises:
      ConfigError: the evaluation has no such number.
    """
    if not metric:
        return None
    if metric not in evaluation:
        raise ConfigError(
            f"config.train.best_metric={metric!r} is not one of {', '.join(evaluation)}"
            f"{did_you_mean(metric, evaluation)}"
        )
    value = float(evaluation[metric])
    sign = -1 if mode == "max" else 1
    if not math.isfinite(value) or (best and sign * value >= sign * best["value"]):
        return best
    return {"step": step, "value": value}
