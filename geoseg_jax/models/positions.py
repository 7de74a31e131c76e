"""Where a patch lies in its picture, as vectors that are added to its token."""

import jax
import jax.numpy as jnp
import numpy as np


def sincos(height: int, width: int, features: int, temperature: float = 1e4) -> np.ndarray:
    """Sines and cosines of both coordinates, as MAE and MoCo v3 have them (arXiv:2111.06377, A.1).

    Args:
      height, width: of the grid, whose positions are 0, 1, ... along either axis.
      features: length of a vector, a multiple of 4: a quarter each for sin x, cos x, sin y, cos y.
      temperature: wave lengths run from 2 pi to 2 pi times this, evenly in their logarithm.

    Returns:
      [height, width, features] float32.

    Raises:
      ValueError: for features that are not a multiple of 4.
    """
    if features % 4:
        raise ValueError(f"features={features} must be a multiple of 4: sin and cos of x and y")
    quarter = features // 4
    frequency = temperature ** -(np.arange(quarter) / quarter)

    def waves(size: int) -> np.ndarray:
        angle = np.arange(size)[:, None] * frequency
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)

    shape = (height, width, 2 * quarter)
    columns = np.broadcast_to(waves(width)[None, :], shape)
    rows = np.broadcast_to(waves(height)[:, None], shape)
    return np.concatenate([columns, rows], axis=-1).astype(np.float32)


def resample(grid: jax.Array, height: int, width: int) -> jax.Array:
    """Position vectors of a grid stretched over a picture of another size.

    Bicubic (Keys, a = -1/2), with antialiasing where the new grid is coarser: what timm does
    (resample_abs_pos_embed), and DINOv2 with registers. DINOv2 without them interpolates by
    a = -3/4 and without antialiasing, which differs by little.

    Args:
      grid: [h, w, C].
      height, width: of the result.

    Returns:
      [height, width, C] float32; the grid itself where it has that size.
    """
    grid = grid.astype(jnp.float32)
    if grid.shape[:2] == (height, width):
        return grid
    return jax.image.resize(grid, (height, width, grid.shape[-1]), "cubic", antialias=True)
