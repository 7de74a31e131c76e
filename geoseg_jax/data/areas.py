"""Makes pictures smaller by means over areas: to the last bit OpenCV's INTER_AREA, in less time.

A new pixel is the mean of the old ones that it covers, those at its borders by their shares. Along
one side that is a sparse matrix, and a picture is multiplied by one for each side. Sums are of
float32, in the order in which OpenCV adds, so that they round alike.
"""

import functools
from typing import Any

import cv2
import numpy as np

_SLIVER = 1e-3  # of an old pixel: a smaller share is left out, as OpenCV does
# Numbers of a band of the picture: it stays in the processor's cache, and is no memory that the
# system clears anew each time.
_BAND = 1 << 16
_LEAST = 1 << 16  # pixels of a picture that is worth the search for its matrices


def applies(picture: np.ndarray, height: int, width: int) -> bool:
    """Tells whether `shrink` is for it: a large uint8 [H, W, C] that shrinks by no whole factors.

    By whole ones OpenCV adds whole numbers, which is fast, and rounds otherwise.
    """
    old_height, old_width = picture.shape[:2]
    whole = old_height % height == 0 and old_width % width == 0
    large = old_height * old_width >= _LEAST
    return picture.dtype == np.uint8 and picture.ndim == 3 and large and not whole


def shrink(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a picture uint8 [H, W, C] at [height, width, C], no side of it longer than before."""
    old_height, old_width, channels = picture.shape
    columns = _shares(old_width, width)
    small = np.empty((height, width, channels), np.uint8)
    for start, end, first, last, rows in _bands(old_height, height, old_width * channels):
        band = cv2.transpose(picture[first:last]).astype(np.float32)
        narrow = (columns @ band.reshape(old_width, -1)).reshape(width, -1, channels)
        means = rows @ cv2.transpose(narrow).reshape(last - first, -1)
        shape = end - start, width, channels
        cv2.convertScaleAbs(means.reshape(shape), dst=small[start:end])  # to the nearest
    return small


@functools.lru_cache(maxsize=64)
def _bands(old: int, new: int, row: int) -> list[tuple[int, int, int, int, Any]]:
    """Parts the rows: start and end of the new ones, first and end of the old ones that they need,
    and their matrix. row: numbers in one.
    """
    shares = _shares(old, new)
    count = max(1, int(_BAND / row * new / old))
    bands = []
    for start in range(0, new, count):
        part = shares[start : start + count]
        first, last = int(part.indices.min()), int(part.indices.max()) + 1
        bands.append((start, min(start + count, new), first, last, part[:, first:last]))
    return bands


@functools.lru_cache(maxsize=64)
def _shares(old: int, new: int) -> Any:
    """Returns the matrix float32 [new, old] of one side, as scipy has sparse rows."""
    from scipy import sparse  # slow to import, and many import this who make nothing smaller

    scale = 1 / (new / old)
    start = np.arange(new) * scale
    end, length = start + scale, np.minimum(scale, old - start)
    last = np.minimum(np.floor(end).astype(int), old - 1)  # the one behind the last whole pixel
    first = np.minimum(np.ceil(start).astype(int), last)  # the first whole one
    place = (first - 1)[:, None] + np.arange((last - first).max() + 2)
    share = np.where(place < last[:, None], 1.0, 0.0)
    head, tail = first - start, end - last
    share[:, 0] = np.where(head > _SLIVER, head, 0)
    tail = np.where(tail > _SLIVER, np.minimum(np.minimum(tail, 1), length), 0)
    share = np.where(place == last[:, None], tail[:, None], share) / length[:, None]
    used = share > 0
    bounds = np.concatenate([[0], np.cumsum(used.sum(1))])
    values = share[used].astype(np.float32)
    return sparse.csr_matrix((values, place[used], bounds), shape=(new, old))
