"""Polygons and other shapes as pixels.

One rule for all: a pixel belongs to a shape where its centre lies inside. Coordinates are those of
annotation tools, (0, 0) the top left corner of the picture, so that the pixel of row r and column c
has its centre at (c + 1/2, r + 1/2). A centre on an outline belongs to the shape to its right,
or below it: shapes that share an edge share no pixel, and leave none out.

So the area in pixels is without bias. pycocotools differs from this in single pixels along
outlines; Pillow's ImageDraw, which LabelMe's own converter uses, also takes pixels that the outline
touches: on average a third of a pixel more all around. The tests compare them.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

_CROSSINGS = 1 << 22  # of edges and rows at a time: a bound on memory for any polygon
_CIRCLE = 4096  # corners of a circle; at a radius of 1000 pixels it is off by 1/3000 of one


class Shape(NamedTuple):
    """An object of a picture.

    id: of its class. parts: polygons [N, 2] of (x, y) whose union it is, and masks, bool [h, w],
    with the (row, column) of their top left pixel.
    """

    id: int
    parts: Sequence["np.ndarray | Mask"]

    def area(self) -> float:
        """Square pixels; what parts share counts for each."""
        return sum(
            float(part.pixels.sum()) if isinstance(part, Mask) else _area(part)
            for part in self.parts
        )


class Mask(NamedTuple):
    """Pixels of an object: bool [h, w], and where its top left one lies."""

    pixels: np.ndarray
    top: int = 0
    left: int = 0


def draw(
    shapes: Iterable[Shape], size: tuple[int, int], fill: int
) -> tuple[np.ndarray, int, list[bool]]:
    """Draws shapes one over the other.

    Args:
      shapes: in their order; later ones cover earlier ones.
      size: height and width.
      fill: the id of pixels that no shape has.

    Returns:
      Ids, uint8 [H, W]; how many pixels were claimed by shapes of two classes; and of each shape
      whether it covers a pixel.
    """
    label = np.full(size, fill, np.uint8)
    drawn = np.zeros(size, bool)
    contested = np.zeros(size, bool)
    covers = []
    for shape in shapes:
        covers.append(False)
        for part in shape.parts:
            inside, top, left = part if isinstance(part, Mask) else fill_polygon(part, *size)
            rows, columns = slice(max(top, 0), None), slice(max(left, 0), None)
            inside = inside[max(-top, 0) :, max(-left, 0) :]
            inside = inside[: max(size[0] - max(top, 0), 0), : max(size[1] - max(left, 0), 0)]
            rows, columns = (
                slice(start.start, start.start + side)
                for start, side in zip((rows, columns), inside.shape, strict=True)
            )
            window = label[rows, columns]
            contested[rows, columns] |= inside & drawn[rows, columns] & (window != shape.id)
            window[inside] = shape.id
            drawn[rows, columns] |= inside
            covers[-1] |= bool(inside.any())
    return label, int(contested.sum()), covers


def fill_polygon(points: np.ndarray, height: int, width: int) -> Mask:
    """Fills a polygon, by the even-odd rule: what its outline surrounds twice is a hole.

    Args:
      points: [N, 2] of (x, y), finite; the last is joined to the first. Fewer than three, or all
        on a line, fill nothing.
      height, width: of the picture; what lies outside is cut off.

    Returns:
      The pixels inside, in the least window of the picture that holds the polygon.
    """
    x, y = np.asarray(points, np.float64).reshape(-1, 2).T
    if len(x) < 3:
        return Mask(np.zeros((0, 0), bool))
    top, bottom = (_first_centre(value, height) for value in (y.min(), y.max()))
    left, right = (_first_centre(value, width) for value in (x.min(), x.max()))
    rows, columns = int(bottom - top), int(right - left)
    flips = np.zeros((rows, columns + 1), bool)
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    first = _first_centre(np.minimum(y, y2), height)
    count = _first_centre(np.maximum(y, y2), height) - first
    slope = np.divide(x2 - x, y2 - y, out=np.zeros_like(x), where=y2 != y)
    for chunk in _chunks(count):
        edge = np.repeat(chunk, count[chunk])
        start = np.cumsum(count[chunk]) - count[chunk]
        row = np.arange(len(edge)) - np.repeat(start, count[chunk]) + first[edge]
        crossing = x[edge] + (row + 0.5 - y[edge]) * slope[edge]
        column = np.clip(_first_centre(crossing, width), left, right)
        np.logical_xor.at(flips, (row - int(top), column - int(left)), True)
    inside = np.logical_xor.accumulate(flips, axis=1)[:, :columns]
    return Mask(inside, int(top), int(left))


def circle(x: float, y: float, radius: float) -> np.ndarray:
    """Returns a circle as a polygon [N, 2] of its area."""
    angle = np.linspace(0, 2 * np.pi, _CIRCLE, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    """Returns the polygon [4, 2] of two opposite corners."""
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float64)


def _first_centre(place: np.ndarray, side: int) -> np.ndarray:
    """Returns the first pixel, 0 to side, whose centre lies at or behind a place."""
    return np.clip(np.ceil(np.asarray(place) - 0.5), 0, side).astype(np.int64)


def _chunks(count: np.ndarray) -> list[np.ndarray]:
    """Returns the edges, parted so that each part has few crossings."""
    part = np.cumsum(count) // _CROSSINGS
    starts = np.flatnonzero(np.diff(part)) + 1
    return np.split(np.arange(len(count)), starts)


def _area(points: np.ndarray) -> float:
    x, y = np.asarray(points, np.float64).reshape(-1, 2).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2 if len(x) else 0.0
