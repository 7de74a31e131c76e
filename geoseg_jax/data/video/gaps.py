"""Where in a video frames are missing: frames on both sides of a gap are no neighbours.

Folders tell by the numbers or times that their frames are named by, films by their time stamps.
"""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_NAME = re.compile(r"(.*?)(\d+(?:\.\d+)?)(\D*)")
_GAP = 1.5  # usual steps; a missing frame makes it two
_REORDERED = 16  # frames; H.264 and HEVC reorder no further
_UNEVEN = 0.1  # share of gaps above which the steps have no usual length


class Film(NamedTuple):
    """What a video file says of its frames before the first of them.

    count: how many there are, 0 where it doesn't say. rate: frames a second, on average, or None.
    stored: height and width as stored, which lie where a display matrix turns them. aspect: width
    of a pixel over its height, as stored.
    """

    count: int
    rate: float | None
    stored: tuple[int, int]
    aspect: float

    def square(self, upright: tuple[int, int]) -> tuple[int, int]:
        """Returns the size of upright frames as of square pixels, height kept."""
        height, width = upright
        turned = upright != self.stored
        return height, round(width / self.aspect if turned else width * self.aspect)


def times_in_names(names: Sequence[str]) -> tuple[float, ...]:
    """Returns the numbers, or times, in names that differ in these alone; () for other names."""
    found = [_NAME.fullmatch(os.path.splitext(name)[0]) for name in names]
    matches = [match for match in found if match]
    around = {(match[1], match[3]) for match in matches}
    if len(matches) < len(names) or len(around) != 1:
        return ()
    return tuple(float(match[2]) for match in matches)


def in_order(times: Sequence[float]) -> tuple[float, ...]:
    """Returns the times of frames, which come in order, as they must be: rising.

    A file that has no times of presentation, as AVI, gives times of decoding, which are out of
    order by a few frames. Where times go further back files were joined; these are kept apart.
    """
    values = np.array(times, float)
    usual = float(np.median(np.abs(np.diff(values)))) if len(values) > 1 else 0.0
    parts: list[list[float]] = [[]]
    for value in values.tolist():
        if parts[-1] and value < max(parts[-1][-2 * _REORDERED :]) - _REORDERED * usual:
            parts.append([])
        parts[-1].append(value)
    return tuple(value for part in parts for value in sorted(part))


def shots(times: Sequence[float]) -> tuple[int, ...] | None:
    """Returns of each frame the number of the piece without gaps that it belongs to.

    times: numbers or times of the frames in their order. None where their steps are too uneven to
    say what a gap is.
    """
    steps = np.diff(np.array(times, float))
    usual = float(np.median(steps)) if len(steps) else 0.0
    if usual <= 0:
        return None if len(steps) else (0,) * len(times)
    gaps = (steps > _GAP * usual) | (steps <= 0)
    if gaps.mean() > _UNEVEN:
        return None
    return (0, *np.cumsum(gaps).tolist())
