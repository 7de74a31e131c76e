"""Refuses configurations that can't be used, before anything is started.

A config file is plain data, so a typo in it or on the command line would otherwise show hours
later, or never. What there is to set is declared by its owners; see table.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from geoseg_jax.config import table
from geoseg_jax.config.settings import flatten
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.setting import ConfigError, Flat
from geoseg_jax.data import settings as of_data
from geoseg_jax.tasks import TASKS, task_named
from geoseg_jax.training import settings as of_training


def check(config: Mapping[str, Any], skip: tuple[str, ...] = ()) -> None:
    """Refuses unknown keys, keys of other tasks, missing keys, bad values and contradictions.

    Args:
      config: a ConfigDict or nested dicts.
      skip: top-level sections that someone else answers for ('task', 'model', 'data').

    Raises:
      ConfigError: naming the key, its value, what it may be and the near miss.
    """
    flat = {k: v for k, v in flatten(config).items() if k.split(".")[0] not in skip}
    known, task = table.shared(), None
    if "task" not in skip:
        _require(flat, ["task.name"])
        task = task_named(flat["task.name"])
        known = {**known, **task.settings}
    for key, value in flat.items():
        if key not in known:
            raise ConfigError(_unknown(flat, key, known))
        problem = known[key].rule(value)
        if problem:
            raise ConfigError(f"config.{key}={value!r} {problem}")
    _require(flat, (k for k, s in of_training.SETTINGS.items() if not s.optional))
    of_training.check(flat)
    if "data" not in skip:
        _require(flat, ["data.name"])
        of_data.check(flat)
    if task:
        _require(flat, (k for k, s in task.settings.items() if not s.optional))
        task.check(flat)


def check_warm_up(config: Mapping[str, Any]) -> None:
    """Refuses a warm-up as long as the training; see training.settings.check_warm_up."""
    of_training.check_warm_up(flatten(config))


def _unknown(flat: Flat, key: str, known: Iterable[str]) -> str:
    """Says what is wrong with a key that the run has no use for."""
    others = [name for name, task in TASKS.items() if key in task.settings]
    if not others:
        return f"config.{key} is not a setting{did_you_mean(key, known)}"
    task = flat.get("task.name")
    return f"config.{key} is a setting of {', '.join(others)}, not of {task}; remove it"


def _require(flat: Flat, keys: Iterable[str]) -> None:
    for key in keys:
        if key not in flat:
            raise ConfigError(f"config.{key} is missing; add it to the config file")
