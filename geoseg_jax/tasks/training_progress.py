"""How much of the training is done, for losses that change on the way.

A loss sees neither the step nor the number of steps. So the share travels with the batch
statistics, as a part of its own, and is in every checkpoint: a run continues exactly.
"""

from typing import Any

import jax.numpy as jnp

PROGRESS = "progress"


def begin(batch_stats: dict[str, Any]) -> dict[str, Any]:
    """Adds the share 0 to batch statistics, {part: ...}."""
    return {**batch_stats, PROGRESS: {"share": jnp.zeros((), jnp.float32)}}


def split(batch_stats: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Parts the networks' own batch statistics from the share, which is 1 where there is none."""
    own = {part: value for part, value in batch_stats.items() if part != PROGRESS}
    return own, batch_stats.get(PROGRESS, {"share": 1.0})["share"]


def advance(batch_stats: dict[str, Any], share: Any, steps: int) -> dict[str, Any]:
    """Adds the share after one more of `steps` steps to the networks' batch statistics."""
    return {**batch_stats, PROGRESS: {"share": share + 1 / steps}}
