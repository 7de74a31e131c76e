"""Measures how well each pixel of one feature map matches its neighbourhood in another."""

import jax
import jax.numpy as jnp
from jax import lax


def cost_volume(first: jax.Array, second: jax.Array, radius: int = 4) -> jax.Array:
    """Correlates two feature maps over a square of displacements.

    Sun, Yang, Liu, Kautz, "PWC-Net", CVPR 2018, eq. 2: the mean over the channels of
    first(p) * second(p + d), for every whole displacement d = (dx, dy) with |dx|, |dy| <= radius.
    Outside of its borders second is 0.

    Row after row of displacements, in a loop: the program stays small, and so does the memory, of
    which the backward pass keeps the two maps alone and computes their products again.

    Args:
      first: [..., H, W, C], floating.
      second: the same shape.
      radius: of the square, 0 or more.

    Returns:
      [..., H, W, (2 radius + 1)^2] of the inputs' dtype, summed up in float32 at least; channel
      (dy + radius) * (2 radius + 1) + dx + radius holds the displacement (dx, dy).

    Raises:
      ValueError: where the shapes differ, or on a negative radius.
    """
    if first.shape != second.shape or first.ndim < 3:
        raise ValueError(
            f"feature maps have shapes {list(first.shape)} and {list(second.shape)}; expected "
            "twice the same [..., H, W, C]"
        )
    if radius < 0:
        raise ValueError(f"cost volume's radius is {radius}; use 0 or more")
    height, width, channels = first.shape[-3:]
    side = 2 * radius + 1
    edges = [(0, 0)] * (first.ndim - 3) + [(radius, radius), (radius, radius), (0, 0)]
    padded = jnp.pad(second, edges)
    wide = jnp.promote_types(first.dtype, jnp.float32)

    @jax.checkpoint
    def row(dy: jax.Array) -> jax.Array:
        rows = lax.dynamic_slice_in_dim(padded, dy, height, axis=padded.ndim - 3)
        products = [
            jnp.sum(first * rows[..., dx : dx + width, :], axis=-1, dtype=wide)
            for dx in range(side)
        ]
        return (jnp.stack(products, axis=-1) / channels).astype(first.dtype)

    costs = lax.map(row, jnp.arange(side))
    # [dy, ..., H, W, dx] -> [..., H, W, dy * dx]
    return jnp.moveaxis(costs, 0, -2).reshape(*first.shape[:-1], side * side)


def normalise_pair(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Normalises both maps [..., H, W, C]: each channel by its common mean and deviation.

    Over all pixels of the two maps of an example, so that a correlation does not depend on the
    features' scale (Jonschkowski et al., "What Matters in Unsupervised Optical Flow", ECCV 2020,
    section 4.1: cost volume normalisation). They normalise all channels together. Channel by
    channel, none matches everything because it is large everywhere, as what follows a ReLU is: a
    network then finds its first matches in half of the steps (see docs/arms.md).
    """
    axes = (-3, -2)
    wide = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in (first, second)]
    mean = sum(x.mean(axes, keepdims=True) for x in wide) / 2
    centred = [x - mean for x in wide]
    variance = sum((x * x).mean(axes, keepdims=True) for x in centred) / 2
    scale = lax.rsqrt(variance + 1e-5)
    a, b = (x * scale for x in centred)
    return a.astype(first.dtype), b.astype(second.dtype)
