"""A map enlarged by weights that a network chooses for each of its new pixels."""

import jax
import jax.numpy as jnp

NEIGHBOURS = 9  # of 3x3, row by row


def convex_upsample(values: jax.Array, logits: jax.Array, factor: int) -> jax.Array:
    """Every new pixel a convex combination of the 3x3 old ones around the one that it lies in.

    Teed and Deng, "RAFT", ECCV 2020, section 3.3. Bilinear enlargement smears an edge over two old
    pixels; here it lies wherever the weights put it. Beyond the border the border's values go on:
    with RAFT's zeros there, flow would be drawn to no motion.

    Args:
      values: [..., h, w, C]; flow in whatever pixels, its length does not change.
      logits: [..., h, w, factor^2 * NEIGHBOURS] of the same leading dimensions, the weights before
        their softmax: channel (y * factor + x) * NEIGHBOURS + n is that of neighbour n for the new
        pixel in row y and column x of the old one.
      factor: how many times larger, 1 or more.

    Returns:
      [..., factor h, factor w, C] of values' dtype.

    Raises:
      ValueError: where the shapes don't fit together.
    """
    *lead, height, width, channels = values.shape
    expected = (*lead, height, width, factor * factor * NEIGHBOURS)
    if logits.shape != expected:
        raise ValueError(
            f"logits have shape {list(logits.shape)}; values {list(values.shape)} enlarged "
            f"{factor} times want {list(expected)}"
        )
    edges = [(0, 0)] * len(lead) + [(1, 1), (1, 1), (0, 0)]
    padded = jnp.pad(values, edges, mode="edge")
    weights = logits.reshape(*lead, height, width, factor, factor, NEIGHBOURS)
    weights = jax.nn.softmax(weights.astype(jnp.float32), axis=-1).astype(values.dtype)
    total = jnp.zeros((*lead, height, width, factor, factor, channels), values.dtype)
    for n in range(NEIGHBOURS):
        y, x = divmod(n, 3)
        neighbour = padded[..., y : y + height, x : x + width, :]
        total += weights[..., n, None] * neighbour[..., None, None, :]
    # [h, w, y, x, C] -> [h, y, w, x, C]
    return jnp.moveaxis(total, -3, -4).reshape(*lead, factor * height, factor * width, channels)
