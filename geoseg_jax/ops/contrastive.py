"""Contrast of a query with its key and with the keys of other pictures."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Contrast(NamedTuple):
    """The result for every query: its loss, whether its key is the nearest, and how near it is."""

    loss: jax.Array  # float32 [N]
    hit: jax.Array  # bool [N]
    similarity: jax.Array  # float32 [N], cosine


def info_nce(
    query: jax.Array, key: jax.Array, negatives: jax.Array, *, temperature: float
) -> Contrast:
    """Computes InfoNCE (van den Oord et al., arXiv:1807.03748; He et al., MoCo, CVPR 2020, eq. 1).

    -log exp(q k+ / T) / (exp(q k+ / T) + sum_i exp(q k_i / T)), the picture's own key among the
    negatives' as one class of K + 1.

    Args:
      query, key: [N, C] of unit length, the two views of each picture.
      negatives: [K, C] of unit length, keys of other pictures.
      temperature: T, above 0.

    Returns:
      Contrast; a hit is strictly nearer than all negatives, so that equal answers to everything
      are none.
    """
    query, key, negatives = (x.astype(jnp.float32) for x in (query, key, negatives))
    similarity = jnp.sum(query * key, axis=-1)
    others = query @ negatives.T
    logits = jnp.concatenate([similarity[:, None], others], axis=-1) / temperature
    loss = jax.nn.logsumexp(logits, axis=-1) - logits[:, 0]
    return Contrast(loss, similarity > jnp.max(others, axis=-1), similarity)


def unit_length(vectors: jax.Array) -> jax.Array:
    """Divides [..., C] by their lengths, float32; the zero vector stays, with a finite gradient."""
    vectors = vectors.astype(jnp.float32)
    square = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(square, 1e-24))


def enqueue(queue: jax.Array, keys: jax.Array) -> jax.Array:
    """Puts keys [N, C] at the head of the queue [K, C]; as many of the oldest are gone.

    Moved along instead of written at a pointer, so that N need not divide K. The logits of a step
    read the whole queue anyway: one copy more is nothing beside that.
    """
    return jnp.concatenate([keys.astype(queue.dtype), queue])[: queue.shape[0]]
