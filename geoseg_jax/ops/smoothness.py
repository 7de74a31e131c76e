"""Edge-aware smoothness: maps should be even where the picture is."""

import jax
import jax.numpy as jnp

from geoseg_jax.ops.checks import check_pictures


def mean_normalised(disparity: jax.Array) -> jax.Array:
    """Divides disparity [..., H, W] by its mean, against shrinking (Wang et al., CVPR 2018)."""
    return disparity / (disparity.mean(axis=(-2, -1), keepdims=True) + 1e-7)


def edge_weights(image: jax.Array, order: int = 1) -> tuple[jax.Array, jax.Array]:
    """Computes exp(-|difference of the picture across the stencil|), channel mean, along x and y.

    image [..., H, W, C] in [0, 1] -> [..., H, W-order, ], [..., H-order, W].
    """
    if order not in (1, 2):
        raise ValueError(f"smoothness order is {order}; use 1 or 2")
    along_x = jnp.abs(image[..., order:, :] - image[..., :-order, :]).mean(axis=-1)
    along_y = jnp.abs(image[..., order:, :, :] - image[..., :-order, :, :]).mean(axis=-1)
    return jnp.exp(-along_x), jnp.exp(-along_y)


def edge_aware_smoothness(
    disparity: jax.Array, image: jax.Array, order: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Computes |difference of the disparity| * exp(-|difference of the picture|), along x and y.

    First order: Godard et al., CVPR 2017. Second order, which lets planes be slanted: Jonschkowski
    et al., "What Matters in Unsupervised Optical Flow", ECCV 2020 (the picture's difference is
    taken across the three pixels of the stencil).

    Args:
      disparity: [..., H, W], any unit.
      image: [..., H, W, C] in [0, 1].
      order: 1 or 2, the difference's.

    Returns:
      along x [..., H, W-order] and along y [..., H-order, W], in the disparity's unit.

    Raises:
      ValueError: on another order, and on a picture of whole numbers.
    """
    check_pictures(image=image)
    weights_x, weights_y = edge_weights(image, order)
    along_x = jnp.abs(jnp.diff(disparity, n=order, axis=-1))
    along_y = jnp.abs(jnp.diff(disparity, n=order, axis=-2))
    return along_x * weights_x, along_y * weights_y
