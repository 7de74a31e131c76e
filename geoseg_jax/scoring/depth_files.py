"""Predicted depth for programs, 16-bit PNGs in KITTI's format, and for people, in colour."""

import functools
import pathlib

import cv2
import matplotlib
import numpy as np

from geoseg_jax.scoring.label_files import file_name, write_png

DEPTHS = "depth"  # the folder beside that of the colours
# KITTI's depth development kit: uint16 = metres * 256, 0 = nothing known.
_PER_METRE = 256
_PALETTE, _STEPS = "magma", 256


def write_depth(folder: str | pathlib.Path, name: str, inverse_depth: np.ndarray) -> pathlib.Path:
    """Writes FOLDER/depth/NAME.png.

    Args:
      name: as published, '/' between folders.
      inverse_depth: [H, W] in 1 / metres, above zero, of the picture's own size.

    Returns:
      The path of the depth, which ends at 1/256 and at 65535/256 metres.

    Raises:
      OSError: where it can't be written.
    """
    steps = np.round(_PER_METRE / np.maximum(inverse_depth, 1e-6))
    path = pathlib.Path(folder) / DEPTHS / file_name(name)
    write_png(path, np.clip(steps, 1, np.iinfo(np.uint16).max).astype(np.uint16))
    return path


def resize_inverse_depth(inverse_depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes it to (height, width), linearly, as it is across a plane."""
    return cv2.resize(inverse_depth, tuple(size[::-1]), interpolation=cv2.INTER_LINEAR)


def brightest(inverse_depth: np.ndarray) -> float:
    """Returns what is drawn in the brightest colour: the 95th percentile, so that one outlier
    darkens nothing.
    """
    return float(np.percentile(inverse_depth, 95))


def colour(inverse_depth: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Colours it uint8 [H, W, 3] RGB, near is bright.

    scale: what is brightest; None for `brightest` of the picture.
    """
    scale = brightest(inverse_depth) if scale is None else scale
    steps = np.clip(inverse_depth / scale, 0, 1) * _STEPS
    return cv2.applyColorMap(np.minimum(steps, _STEPS - 1).astype(np.uint8), _colours())


@functools.cache
def _colours() -> np.ndarray:
    """Returns the palette, uint8 [256, 1, 3] RGB: looking a step up is cheaper than a number."""
    palette = matplotlib.colormaps[_PALETTE](np.arange(_STEPS))[:, None, :3]
    return (palette * 255).round().astype(np.uint8)
