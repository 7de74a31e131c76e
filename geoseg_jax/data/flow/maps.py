"""True flow at another size: its places move, its vectors grow, and no motion is made up.

Borders stay borders, see `pictures.doubled`. So both ends of a vector move alike, and it becomes
W / w times as long, with the sizes that the sides really have.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from geoseg_jax.data import pictures

# The keys of a record that are maps of its flow.
KEYS = ("flow", "flow_valid", "flow_visible")


def resize(maps: Mapping[str, np.ndarray], height: int, width: int) -> dict[str, np.ndarray]:
    """Returns the flow of a record at [height, width], in pixels of that size.

    Dense truth, known at each pixel of a rectangle, is interpolated linearly, so that an affine
    flow remains one; beyond the outermost pixels' centres, where it would have to be extrapolated,
    it is not known.
    Truth with gaps (a scanner's points) is never mixed, see `_scattered`.

    Args:
      maps: flow, float32 [h, w, 2]; flow_valid, bool [h, w]; and flow_visible, bool [h, w], if it
        is known.

    Returns:
      The same keys; flow is 0 where it is not known.
    """
    h, w = maps["flow_valid"].shape
    if (h, w) == (height, width):
        return dict(maps)
    way = _interpolated if _is_dense(maps["flow_valid"]) else _scattered
    resized = way(maps, height, width)
    resized["flow"] *= np.array([width / w, height / h], np.float32)
    return resized


def _is_dense(valid: np.ndarray) -> bool:
    """Tells whether all known pixels make one full rectangle: the picture, or all of it but an edge
    that an earlier enlargement has left unknown.
    """
    rows, columns = valid.any(axis=1), valid.any(axis=0)
    return bool(rows.any() and valid[rows][:, columns].all() and _is_run(rows) and _is_run(columns))


def _is_run(known: np.ndarray) -> bool:
    """Tells whether what is known along one side has no gap."""
    places = np.flatnonzero(known)
    return places[-1] - places[0] + 1 == len(places)


def _interpolated(maps: Mapping[str, np.ndarray], height: int, width: int) -> dict[str, np.ndarray]:
    """Interpolates dense flow at the new centres, in old pixels; masks by the nearest."""
    h, w = maps["flow_valid"].shape
    flow, share = (
        cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR)
        for m in (maps["flow"], maps["flow_valid"].astype(np.float32))
    )
    inside = _between_centres(h, height)[:, None] & _between_centres(w, width)
    inside &= share > 1 - 1e-5  # of known pixels alone
    resized = {"flow": np.where(inside[..., None], flow, 0), "flow_valid": inside}
    if "flow_visible" in maps:
        resized["flow_visible"] = inside & pictures.take_nearest(
            maps["flow_visible"], height, width
        )
    return resized


def _between_centres(side: int, new_side: int) -> np.ndarray:
    """Tells, along one side, which new centres lie between those of the outermost old pixels."""
    place = pictures.doubled(np.arange(new_side), side)  # of 2 new_side to an old pixel
    return (place >= new_side) & (place <= (2 * side - 1) * new_side)


def _scattered(maps: Mapping[str, np.ndarray], height: int, width: int) -> dict[str, np.ndarray]:
    """Moves each known vector, in its old pixels, to the new pixel that its place falls into.

    As in the augmentation of sparse truth of RAFT (Teed and Deng, ECCV 2020; public code), but
    where several fall into one pixel, that nearest to its centre is kept, the lower right of two:
    the one that taking the nearest pixel gives, which drops what lies at no new pixel's centre. Of
    1242x375 pixels at 640x192 these are three of four. Where a map grows, what lies between the
    measurements stays unknown.
    """
    h, w = maps["flow_valid"].shape
    old_rows, old_columns = np.nonzero(maps["flow_valid"])
    rows, down = _cells(old_rows, h, height)
    columns, right = _cells(old_columns, w, width)
    far_to_near = np.argsort(-(down**2 + right**2), kind="stable")
    # Of several writes to one pixel numpy keeps the last one.
    to = rows[far_to_near], columns[far_to_near]
    of = old_rows[far_to_near], old_columns[far_to_near]
    resized = {}
    for key, values in maps.items():
        resized[key] = np.zeros((height, width, *values.shape[2:]), values.dtype)
        resized[key][to] = values[of]
    return resized


def _cells(places: np.ndarray, side: int, new_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds, along one side, the new pixels that old ones fall into, and offsets from centres."""
    cells = pictures.cells(places, side, new_side)
    off = pictures.doubled(places, new_side) - pictures.doubled(cells, side)
    return cells, off / (2 * side)
