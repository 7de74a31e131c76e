"""Pictures cut into square patches: which of them are seen, and what they are compared with."""

import jax
import jax.numpy as jnp


def choose_patches(key: jax.Array, count: int, kept: int) -> tuple[jax.Array, jax.Array]:
    """Chooses which patches of one picture are seen, each choice as likely as any other.

    Args:
      key: of the picture.
      count: of its patches.
      kept: how many are seen.

    Returns:
      (int32 [kept], their numbers in no order; bool [count], True for those that are hidden).
    """
    keep = jax.random.permutation(key, count)[:kept].astype(jnp.int32)
    return keep, jnp.ones((count,), bool).at[keep].set(False)


def normalise_patches(patches: jax.Array, epsilon: float = 1e-6) -> jax.Array:
    """Subtracts each patch's [..., P] mean, divides by its deviation (He et al., MAE, section 3).

    The variance is the unbiased one and epsilon is added to it, as in the authors' publication of
    the method. P are the numbers of a patch, its colours included.
    """
    mean = jnp.mean(patches, axis=-1, keepdims=True)
    variance = jnp.var(patches, axis=-1, keepdims=True, ddof=1)
    return (patches - mean) * jax.lax.rsqrt(variance + epsilon)


def restore_patches(normalised: jax.Array, patches: jax.Array, epsilon: float = 1e-6) -> jax.Array:
    """Undoes normalise_patches by the mean and deviation of `patches`, of the same shape."""
    mean = jnp.mean(patches, axis=-1, keepdims=True)
    variance = jnp.var(patches, axis=-1, keepdims=True, ddof=1)
    return normalised * jnp.sqrt(variance + epsilon) + mean


def unpatchify(patches: jax.Array, height: int, width: int, side: int) -> jax.Array:
    """Joins patches: [N, height / side * width / side, side * side * C] -> [N, height, width, C].

    Patches lie row by row; in each its pixels row by row, a pixel's channels side by side.
    """
    n, _, numbers = patches.shape
    rows, columns = height // side, width // side
    x = patches.reshape(n, rows, columns, side, side, numbers // side**2).swapaxes(2, 3)
    return x.reshape(n, height, width, -1)
