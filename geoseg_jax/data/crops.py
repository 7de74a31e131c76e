"""Windows of a picture brought to one size: at random for training, from the middle to judge."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from geoseg_jax.core.batch import field_of
from geoseg_jax.data import pictures
from geoseg_jax.data.source import DataError, Record

# Width over height of a random window (Szegedy et al., "Going Deeper with Convolutions", CVPR 2015,
# section 6), drawn evenly on a logarithmic scale.
RATIO = (3 / 4, 4 / 3)
# Short side of the picture that the middle is cut out of, as a share: 224 of 256.
CENTRAL_SHARE = 0.875
_TRIES = 10

Change = Callable[[np.ndarray], np.ndarray]


class Window(NamedTuple):
    """A part of a picture in pixels: its first row and column, its height and width."""

    top: int
    left: int
    height: int
    width: int


def random_window(
    size: tuple[int, int], generator: np.random.Generator, area: tuple[float, float]
) -> Window:
    """Returns a window of a random share of the picture's area and of a random ratio of its sides.

    Where ten draws give none that fits, as in very long pictures, it is the largest window in the
    middle whose ratio is within RATIO.

    Args:
      size: height and width of the picture.
      generator: whose will it is.
      area: the least and the largest share, each in (0, 1], drawn evenly.
    """
    height, width = size
    for _ in range(_TRIES):
        pixels = height * width * generator.uniform(*area)
        ratio = math.exp(generator.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(generator.integers(height - h, endpoint=True))
            return Window(top, int(generator.integers(width - w, endpoint=True)), h, w)
    w = min(width, round(height * RATIO[1]))
    h = min(height, round(width / RATIO[0]))
    return Window((height - h) // 2, (width - w) // 2, h, w)


def central_window(size: tuple[int, int], height: int, width: int, share: float) -> Window:
    """Returns the middle of a picture, of the proportions height : width.

    The window that the picture would show at height x width after it was resized so as to just
    cover height / share x width / share: cutting first and resizing once is the same and cheaper.
    """
    scale = share * min(size[0] / height, size[1] / width)
    h, w = (max(1, round(side * scale)) for side in (height, width))
    return Window((size[0] - h) // 2, (size[1] - w) // 2, h, w)


def cut(picture: np.ndarray, window: Window, height: int, width: int) -> np.ndarray:
    """Returns the window of a picture [h, w, C], brought to [height, width, C]."""
    top, left, h, w = window
    return pictures.resize(picture[top : top + h, left : left + w], height, width)


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the whole picture, as small as still covers height x width; never enlarged."""
    h, w = picture.shape[:2]
    scale = max(height / h, width / w)
    if scale >= 1:
        return picture
    return pictures.resize(picture, max(height, round(h * scale)), max(width, round(w * scale)))


def random_resized_crop(
    record: Record,
    generator: np.random.Generator,
    size: tuple[int, int],
    area: tuple[float, float],
    views: int = 1,
    change: Change = lambda picture: picture,
) -> Record:
    """Returns the record with random windows of its image, all brought to `size`.

    Args:
      record: of an image of any size, and a category at most.
      generator: whose will it is.
      size: height and width of what comes out.
      area: shares of the picture, see `random_window`.
      views: how many windows, each drawn anew: the first becomes `image`, the others `sources`
        [views - 1, height, width, 3].
      change: what is done to each view on its own, as a flip.

    Raises:
      DataError: for a record with more geometry than a picture has. ValueError: for what is no
        batch field.
    """
    more = [key for key in record if key != "image" and field_of(key).geometry != "plain"]
    if more:
        raise DataError(
            f"config.data.crop_area is for pictures alone or with a category; these records hold "
            f"{', '.join(more)} as well: set config.data.crop_area=()"
        )
    image = record["image"]
    windows = (random_window(image.shape[:2], generator, area) for _ in range(views))
    first, *others = [np.ascontiguousarray(change(cut(image, w, *size))) for w in windows]
    return record | {"image": first} | ({"sources": np.stack(others)} if others else {})
