"""The tasks: a new one is a file here and a line in make_task."""

from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
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
from geoseg_jax.tasks.base import Task

TASKS = {
    "selfsup_depth": selfsup_depth.make,
    "depth_supervised": depth_supervised.make,
    "flow": flow.make,
    "classification": classification.make,
    "reconstruction": reconstruction.make,
    "mae": mae.make,
    "moco": moco.make,
    "segmentation": segmentation.make,
}


def make_task(config: Any, data: Any = None) -> Task:
    """Makes the task that config.task.name asks for; ValueError names the near misses.

    data: the Data whose batches it will see, for tasks that depend on it (a number of classes).
    """
    name = config.task.name
    if name not in TASKS:
        raise ValueError(
            f"config.task.name={name!r} is not one of {sorted(TASKS)}{did_you_mean(name, TASKS)}"
        )
    return TASKS[name](config, data)
