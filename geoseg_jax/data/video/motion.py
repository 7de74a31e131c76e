"""Which frames of a video show that the camera moved: what depth can be learned from.

As Zhou, Brown, Snavely, Lowe, "Unsupervised Learning of Depth and Ego-Motion from Video", CVPR
2017, leave out frames of little optical flow. Here a frame is kept when it has moved enough against
the last one kept, so that a halt vanishes whatever its length, and a slow ride gets neighbours that
are as far apart as those of a fast one.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from geoseg_jax.data.progress import track

VERSION = 2  # of the lists that this makes; part of the names they are kept under
WIDTH = 240  # pixels that frames are looked at in
_CORNERS = 150
_LEAST = 12  # corners without which nothing is said
_BACK = 1.0  # pixels that a corner may be off after being tracked there and back
_CUT = 0.1  # share of corners found again below which a new shot has begun


def moving(
    frames: Sequence[Callable[[], np.ndarray | None]], least: float, what: str
) -> list[tuple[int, int]]:
    """Returns the frames to keep, as (index, shot).

    The motion between two frames is the median over corners (Shi, Tomasi, CVPR 1994) of how far
    they were tracked (Lucas, Kanade, 1981, over pyramids) as a share of the width: the median, so
    that things that pass a standing camera don't count. Where hardly any corner is found again the
    frames are of two shots, between which nothing can be learned; so they are around a frame that
    can't be read.

    Args:
      frames: each gives its picture, uint8 [h, w, 3], or None where it can't be read.
      least: the motion, as a share of the width, from the last frame kept to the next.
      what: is being looked at, for the progress bar.
    """
    kept: list[tuple[int, int]] = []
    last, shot = None, 0
    for index, read in enumerate(track(frames, what)):
        seen = read()
        if seen is None:
            last, shot = None, shot + 1
            continue
        picture = _small(seen)
        if last is not None:
            motion = motion_between(last, picture)
            if motion is not None and motion < least:
                continue
            shot += motion == np.inf
        kept.append((index, shot))
        last = picture
    return kept


def motion_between(before: np.ndarray, after: np.ndarray) -> float | None:
    """Measures median motion of corners as a share of the width; inf: another shot, None: unknown.

    before, after: uint8 [h, w], of one size.
    """
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, 0.01, 7)
    if corners is None or len(corners) < _LEAST:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None)
    off = np.linalg.norm(back - corners, axis=-1)[:, 0]
    good = (found[:, 0] == 1) & (again[:, 0] == 1) & (off < _BACK)
    if good.mean() < _CUT:
        return np.inf
    moved = np.linalg.norm(there - corners, axis=-1)[good, 0]
    return float(np.median(moved)) / before.shape[1]


def _small(picture: np.ndarray) -> np.ndarray:
    """Returns uint8 [h, WIDTH] grey."""
    height = max(1, round(picture.shape[0] * WIDTH / picture.shape[1]))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (WIDTH, height), interpolation=cv2.INTER_AREA)
