"""Ranks the right answer among all answers."""

import jax
import jax.numpy as jnp


def rank(logits: jax.Array, category: jax.Array) -> jax.Array:
    """Counts the classes that are ranked before the true one: 0 where it is the answer.

    Of equal logits the lower class comes first, as argmax and top_k have it, so that a network
    whose answers are all equal is right about class 0 alone. One that is not a number is last.

    Args:
      logits: float [..., C].
      category: int [...], in [0, C).

    Returns:
      int32 [...], from 0 to C; C where the true class's logit is not a number.
    """
    classes = jnp.arange(logits.shape[-1])
    true = jnp.sum(jnp.where(classes == category[..., None], logits, 0), axis=-1, keepdims=True)
    before = (logits > true) | ((logits == true) & (classes < category[..., None]))
    count = jnp.sum(before, axis=-1, dtype=jnp.int32)
    return jnp.where(jnp.isnan(true[..., 0]), logits.shape[-1], count)
