"""Takes from a batch what every task needs: pictures as numbers, and a key for each example."""

import jax
import jax.numpy as jnp


def to_unit_range(images: jax.Array) -> jax.Array:
    """Converts bytes to float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255


def keys_of(key: jax.Array, ids: jax.Array) -> jax.Array:
    """Returns a key for each example, [B].

    It follows from the example's id, wherever the example lies in the batch, so that neither the
    order of processes nor the device matters.

    Args:
      key: of the step.
      ids: int32 [B].
    """
    return jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
