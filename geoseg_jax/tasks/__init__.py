"""The tasks: a new one is a file and a line in TASKS, or a package of its own (core/plugins.py)."""

from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.plugins import Registry
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.tasks import (
    classification,
    depth_supervised,
    flow,
    mae,
    moco,
    reconstruction,
    segmentation,
    selfsup_depth,
)
from geoseg_jax.tasks.base import Task, TaskSpec

_OWN = {
    "selfsup_depth": selfsup_depth.SPEC,
    "depth_supervised": depth_supervised.SPEC,
    "flow": flow.SPEC,
    "classification": classification.SPEC,
    "reconstruction": reconstruction.SPEC,
    "mae": mae.SPEC,
    "moco": moco.SPEC,
    "segmentation": segmentation.SPEC,
}
TASKS: Registry[TaskSpec] = Registry("geoseg_jax.tasks", _OWN)


def task_named(name: str) -> TaskSpec:
    """Looks up config.task.name.

    Raises:
      ConfigError: for an unknown name, with the nearest.
    """
    if name not in TASKS:
        hint = did_you_mean(name, TASKS)
        raise ConfigError(f"config.task.name={name!r} must be one of {', '.join(TASKS)}{hint}")
    return TASKS[name]


def make_task(config: Any, data: Any = None) -> Task:
    """Makes the task that config.task.name asks for.

    Args:
      data: the Data whose batches it will see, for tasks that depend on it (a number of classes).

    Raises:
      ConfigError: for an unknown name, with the nearest.
    """
    return task_named(config.task.name).make(config, data)
