"""Makes the vectors that tell where a patch lies in its picture, to be added to its token."""

import jax
import jax.numpy as jnp
import numpy as np

WAYS = ("timm", "dino")  # of resampling
# DINO's kernel (PyTorch's), and what it adds to the number of patches that it divides by.
_A, _OFFSET = -0.75, 0.1


def sincos(height: int, width: int, features: int, temperature: float = 1e4) -> np.ndarray:
    """Computes sines and cosines of both coordinates, as MAE and MoCo v3 (arXiv:2111.06377, A.1).

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


def resample(grid: jax.Array, height: int, width: int, way: str = "timm") -> jax.Array:
    """Stretches the position vectors of a grid over a picture of another size.

    Bicubic in either way. 'timm' (resample_abs_pos_embed) has Keys' a = -1/2, and antialiasing
    where the new grid is coarser; so has DINOv2 with registers. 'dino' has a = -3/4, no
    antialiasing, and a grid that is a tenth of a patch larger than it is: DINO, and DINOv2 without
    registers (interpolate_pos_encoding).

    Args:
      grid: [h, w, C].
      height, width: of the result.
      way: one of WAYS.

    Returns:
      [height, width, C] float32; the grid itself where it has that size.

    Raises:
      ValueError: for another way.
    """
    if way not in WAYS:
        raise ValueError(f"way={way!r} must be one of {WAYS}")
    grid = grid.astype(jnp.float32)
    if grid.shape[:2] == (height, width):
        return grid
    if way == "timm":
        return jax.image.resize(grid, (height, width, grid.shape[-1]), "cubic", antialias=True)
    rows, columns = (_cubic(*sizes) for sizes in zip(grid.shape, (height, width), strict=False))
    return jnp.einsum("yh,xw,hwc->yxc", rows, columns, grid, precision="highest")


def _cubic(old: int, new: int) -> np.ndarray:
    """Makes DINO's interpolation along a side, [new, old] float32; beyond the border it goes on."""
    source = (np.arange(new) + 0.5) * old / (new + _OFFSET) - 0.5
    first = np.floor(source).astype(int) - 1
    matrix = np.zeros((new, old))
    for tap in range(4):
        distance = np.abs(source - (first + tap))
        near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
        far = _A * (((distance - 5) * distance + 8) * distance - 4)
        place = np.clip(first + tap, 0, old - 1)
        np.add.at(matrix, (np.arange(new), place), np.where(distance <= 1, near, far))
    return matrix.astype(np.float32)
