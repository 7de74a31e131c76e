"""Programs that the runs of one process share: to trace and compile takes longer than a short run.

What comes out must not depend on who ran before. A program is shared by runs whose configs are
equal but for INDEPENDENT, whose tasks hold the same of their data, and whose batches and devices
are alike.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from jax.sharding import Mesh
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.tasks.base import Task
from geoseg_jax.training.steps import Shapes

# Settings that no program depends on: arguments of the step (the seed, the schedule's numbers), and
# what decides on values alone. A test holds the programs of every task to it.
INDEPENDENT = frozenset(
    {
        *("seed", "init_from", "data.labels", "data.subset", "data.cache_dir"),
        *("data.folds", "data.fold"),
        *("optimizer.learning_rate", "optimizer.warmup_steps", "optimizer.power"),
        *("optimizer.decay_at", "optimizer.decay_factor"),
        *(
            "train.steps",
            "train.log_every",
            "train.eval_every",
            "train.checkpoint_every",
            "train.pictures_every",
            "train.writers",
        ),
    }
)

Key = tuple[str, Mesh]
Made = TypeVar("Made")


def key_of(config: ConfigDict, task: Task, shapes: Shapes, mesh: Mesh) -> Key | None:
    """Collects all that a run's programs depend on; None where it is unknown (see Task.holds).

    Args:
      shapes: of a batch to train on.
    """
    if task.holds is None:
        return None
    relevant = {k: v for k, v in settings.flatten(config).items() if k not in INDEPENDENT}
    batch = {name: (list(s.shape), str(s.dtype)) for name, s in shapes.items()}
    return json.dumps([relevant, task.holds, batch], sort_keys=True), mesh


class Programs:
    """Those made so far, by key and name."""

    def __init__(self) -> None:
        self._made: dict[tuple[Key, str], Any] = {}

    def once(self, key: Key | None, name: str, make: Callable[[], Made]) -> Made:
        """Returns what `make` made first for this key and name; made anew without a key."""
        if key is None:
            return make()
        if (key, name) not in self._made:
            self._made[key, name] = make()
        return self._made[key, name]
