"""Colour jitter of a batch, on the device."""

from collections.abc import Mapping
from typing import Any

import jax

from geoseg_jax.ops import color
from geoseg_jax.tasks.examples import keys_of


def jitter_views(
    key: jax.Array, ids: jax.Array, views: jax.Array, settings: Mapping[str, Any]
) -> jax.Array:
    """Draws one colour jitter per example, the same for all its views.

    The key of an example comes from its id, not from its place in the batch, so that the order of
    processes does not matter.

    Args:
      key: of the step.
      ids: int32 [B].
      views: float [B, N, H, W, 3] in [0, 1].
      settings: config.task.jitter, the arguments of ops.color.color_jitter.

    Returns:
      The views, changed.
    """
    keys = keys_of(key, ids)
    return jax.vmap(lambda k, v: color.color_jitter(k, v, **settings))(keys, views)
