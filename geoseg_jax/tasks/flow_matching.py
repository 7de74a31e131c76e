"""Flow drawn to where a search over the whole picture finds the same thing again.

Brox and Malik, PAMI 2011 (E_match): matches beside the photometric error, for motion that is longer
than things are large. Theirs are of descriptors and stay; here both pictures are small ones, and
the pull ends within the training, so that the photometric loss has the last word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.ops import flow_losses, matching
from geoseg_jax.ops.sampling import reduce_mean, resize_bilinear
from geoseg_jax.tasks import displacement


def matching_loss(
    flows: Sequence[jax.Array],
    frames: jax.Array,
    settings: Mapping[str, Any],
    shift: jax.Array | None = None,
) -> jax.Array:
    """How far the flows of all scales are from trusted matches.

    Args:
      flows: for each scale [B, D, h, w, 2] in pixels of the picture, see photometric_loss.
      frames: [B, 2, H, W, 3] in [0, 1].
      settings: config.task.matches: `reduction`, how many times smaller the pictures are that the
        search is done on; the sides must be multiples of it.
      shift: [B, 2] in pixels, how far the network saw frame 1 displaced, see photometric_loss.

    Returns:
      A scalar: L1 distance in pixels of those pictures, mean over trusted pixels and scales. Few
      matches are wrong, and a flow far from the rest must feel them as much as one nearby.
    """
    height, width = (size // settings["reduction"] for size in frames.shape[2:4])
    small = reduce_mean(frames, height, width)
    truth, trusted = jax.vmap(_both_ways)(small)
    directions = flows[0].shape[1]
    truth, trusted = truth[:, :directions], trusted[:, :directions]
    if shift is not None:
        seen = displacement.known(shift / settings["reduction"], directions, height, width)
        trusted &= seen > 0
    full = [_at_size(flow, height, width) / settings["reduction"] for flow in flows]
    weights = (1 / len(full),) * len(full)
    return flow_losses.multi_scale_error(full, truth, trusted, weights, power=1.0)


def _at_size(flow: jax.Array, height: int, width: int) -> jax.Array:
    resize = reduce_mean if flow.shape[2] > height else resize_bilinear
    return resize(flow, height, width)


def _both_ways(frames: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[2, h, w, 3] -> matches [2, h, w, 2] there and back, and bool [2, h, w]."""
    there = matching.trusted_matches(frames[0], frames[1])
    back = matching.trusted_matches(frames[1], frames[0])
    filled = (
        matching.filled_from_reverse(*there, *back),
        matching.filled_from_reverse(*back, *there),
    )
    return tuple(jnp.stack(both) for both in zip(*filled, strict=True))
