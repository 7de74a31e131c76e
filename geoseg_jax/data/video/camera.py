"""The camera of a video: calibrated by numbers or a file, or guessed from its field of view."""

import math
import pathlib
import re

import numpy as np
from absl import logging

from geoseg_jax.data import pictures
from geoseg_jax.data.cameras import misplaced
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import read_lines

GIVEN, FOV = "given", "fov"
_KEY = "config.data.calibration"
_FORMAT = "four numbers, fx fy cx cy"
_FILE = f"{_FORMAT} in pixels, and perhaps the width and height of the pictures that they are of"
_SHAPE = 0.02  # by which the proportions of those pictures and of the frames may differ


def from_fov(fov: float, size: tuple[int, int]) -> np.ndarray:
    """Makes K [3, 3] for a picture of `size` (height, width): square pixels, axis in the middle.

    fov: horizontal, degrees. (0, 0) is the centre of the top-left pixel.
    """
    height, width = size
    focal = width / 2 / math.tan(math.radians(fov) / 2)
    return _matrix(focal, focal, (width - 1) / 2, (height - 1) / 2)


def from_calibration(
    text: str, place: pathlib.Path, size: tuple[int, int], key: str = _KEY
) -> np.ndarray:
    """Returns K [3, 3] in pixels of a picture of `size` (height, width).

    Args:
      text: fx, fy, cx, cy as shares of width and height (0.5 is the middle), or the name of a file
        that holds them in pixels, looked for beside the video and then as a path. Where width and
        height follow there the numbers are of pictures of that size, and brought to `size`.
      place: the video's folder or file.
      key: the setting to name in errors.

    Raises:
      DataError: for a file that isn't there, and numbers that are no camera of these pictures.
    """
    numbers = _numbers(text, 4)
    if numbers is not None:
        height, width = size
        fx, fy, cx, cy = _checked(numbers, f"{key}={text!r}", 1, 1)
        shares = _matrix(fx * width, fy * height, cx * width - 0.5, cy * height - 0.5)
        return _placed(shares, size, f"{key}={text!r}")
    beside = (place if place.is_dir() else place.parent) / text
    path = beside if text and beside.is_file() else pathlib.Path(text).expanduser()
    if not text or not path.is_file():
        raise DataError(
            f"{key}={text!r} is neither {_FORMAT} as shares of width and height, nor a file at "
            f"{beside} or elsewhere; write one with {_FORMAT} in pixels, or learn the camera by "
            "config.task.intrinsics='learned' with config.data.intrinsics='fov'"
        )
    content = " ".join(line for _, line in read_lines(path))
    numbers = _numbers(content, 4, 6)
    if numbers is None:
        raise DataError(f"{path}: {content.strip()[:60]!r} is not {_FILE}; correct it")
    width, height = map(round, numbers[4:] or (size[1], size[0]))
    matrix = _matrix(*_checked(numbers[:4], str(path), width, height))
    if abs(width * size[0] / (height * size[1]) - 1) > _SHAPE:
        raise DataError(
            f"{path}: it is of pictures of {width}x{height}, whose proportions are not those of "
            f"the frames, {size[1]}x{size[0]}; calibrate these, or cut the others likewise"
        )
    return _placed(pictures.scale_intrinsics(matrix, (height, width), size), size, str(path))


def _placed(matrix: np.ndarray, size: tuple[int, int], what: str) -> np.ndarray:
    """Returns the matrix, which is refused where it can't be, and told where it is unusual."""
    if problem := misplaced(matrix, size):
        raise DataError(
            f"{what}: {problem} Add their width and height behind fx fy cx cy, or correct these"
        )
    if problem := misplaced(matrix, size, usual=True):
        logging.warning("%s: %s", what, problem)
    return matrix


def _numbers(text: str, *counts: int) -> list[float] | None:
    """Reads so many finite numbers between spaces, commas or line ends, or None."""
    try:
        numbers = [float(word) for word in re.split(r"[\s,]+", text.strip())]
    except ValueError:
        return None
    return numbers if len(numbers) in counts and all(map(math.isfinite, numbers)) else None


def _checked(numbers: list[float], what: str, width: float, height: float) -> list[float]:
    """Shares taken for pixels, or pixels for shares, would train without a word."""
    fx, fy, cx, cy = numbers
    good = (
        width > 0 < height and 0.1 * width <= fx <= 20 * width and 0.1 * height <= fy <= 20 * height
    )
    if not good or not 0 < cx < width or not 0 < cy < height:
        raise DataError(
            f"{what}: fx fy cx cy = {fx:g} {fy:g} {cx:g} {cy:g} are no camera of a picture of "
            f"{width:g} x {height:g}; a file holds pixels, the setting shares of width and height"
        )
    return numbers


def _matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
