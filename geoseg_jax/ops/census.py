"""Census distance: compares the order of grey values, not the values; robust to exposure."""

from typing import cast

import jax
import jax.numpy as jnp
from jax import lax

from geoseg_jax.ops.checks import check_pictures
from geoseg_jax.ops.color import LUMA


def census_distance(a: jax.Array, b: jax.Array, *, patch: int = 7) -> jax.Array:
    """Computes a soft Hamming distance of soft census transforms (Meister et al., AAAI 2018).

    Each neighbour's grey difference d to the pixel (in steps of 1/255) becomes
    d / sqrt(0.81 + d^2); the squared differences e of these between the pictures count as
    e / (0.1 + e).

    Args:
      a: [..., H, W, 3] in [0, 1], RGB.
      b: the same shape.
      patch: side of the window, odd; beyond the border the border pixels go on.

    Returns:
      [..., H, W], the mean over the window's other pixels, in [0, 1).

    Raises:
      ValueError: on a patch that is even or below 3, and on pictures of whole numbers.
    """
    check_pictures(a=a, b=b)
    if patch < 3 or patch % 2 == 0:
        raise ValueError(f"census patch is {patch}; use an odd number from 3 on")
    grey_a, grey_b = _grey(a), _grey(b)
    padded_a, padded_b = _pad(grey_a, patch // 2), _pad(grey_b, patch // 2)
    height, width = grey_a.shape[-2:]

    # Row after row of neighbours, in a loop: of one expression with all 48 of them the compiler
    # makes a single kernel, for minutes. The pixel itself adds nothing. What the backward pass
    # needs is computed again: stored, it would be many times the pictures' size.
    @jax.checkpoint
    def row(y: jax.Array) -> jax.Array:
        total: jax.Array | float = 0.0
        lines_a, lines_b = (
            lax.dynamic_slice_in_dim(padded, y, height, axis=padded.ndim - 2)
            for padded in (padded_a, padded_b)
        )
        for x in range(patch):
            window = (..., slice(x, x + width))
            squared = (_soft(lines_a[window] - grey_a) - _soft(lines_b[window] - grey_b)) ** 2
            total += squared / (0.1 + squared)
        return cast(jax.Array, total)

    return lax.map(row, jnp.arange(patch)).sum(axis=0) / (patch * patch - 1)


def _grey(image: jax.Array) -> jax.Array:
    red, green, blue = (image[..., i] * (255 * LUMA[i]) for i in range(3))
    return red + green + blue


def _pad(grey: jax.Array, margin: int) -> jax.Array:
    return jnp.pad(grey, [(0, 0)] * (grey.ndim - 2) + [(margin, margin)] * 2, mode="edge")


def _soft(difference: jax.Array) -> jax.Array:
    return difference / jnp.sqrt(0.81 + difference * difference)
