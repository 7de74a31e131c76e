"""The best depth maps that ignore the image: at each pixel the depth of least relative error.

AbsRel, the sum of |c - t| / t over the true depths t, is least for the c that is their median
weighted by 1 / t; the plain median is farther away, where 1 m counts ten times what 10 m do. What
is judged after scaling to the frame's median has an answer of its own: the same of true depths over
their frame's median. A network that has learned to see must beat them. Where an evaluated frame is
itself among those that the maps were made of, it is left out, or they would know the answer.
"""

from collections.abc import Sequence

import numpy as np
from absl import logging

from geoseg_jax.data import pictures
from geoseg_jax.data.progress import track
from geoseg_jax.data.reading import name_of, read_record, reading
from geoseg_jax.data.source import (
    BadRecord,
    DataError,
    HasDepth,
    Record,
    Source,
    Wrapper,
    can,
    moment_of,
)


class WithConstantDepth(Wrapper):
    """An evaluation source whose records also carry the best answers that ignore the picture.

    `constant_depth` is [height, width] metres, `constant_shape` the same in medians of the frame.
    training: the source whose frames make the maps; at most `limit` moments of those with true
    depth, evenly spaced, of which a share of at most bad_share may be unreadable. Of the records of
    one moment (both cameras) the first stands for all. Moments are known by their names: where
    another set has one of the same name, the maps are made without that frame.
    Where no training frame has true depth the evaluation frames make them, which is a harder
    opponent, and that is logged.

    Raises DataError where nothing remains once an evaluated frame's own moment is left out.
    """

    def __init__(
        self,
        evaluation: Source,
        training: Source,
        *,
        height: int,
        width: int,
        limit: int,
        bad_share: float = 0.0,
    ):
        super().__init__(evaluation)
        frames = _moments(training, limit)
        if not frames:
            logging.warning(
                "no training frame has true depth: the constant depth map is made of the "
                "evaluation frames, each without its own"
            )
            training, frames = evaluation, _moments(evaluation, limit)
        maps, bad = {}, 0
        for moment, index in track(list(frames.items()), "constant depth map"):
            try:
                maps[moment] = cell_depths(_depth(training, index), height, width)
            except BadRecord as error:
                bad += 1
                if bad > bad_share * len(frames):
                    raise
                logging.warning("left out of the constant depth map: %s", error)
        evaluated = {moment_of(evaluation, index) for index in range(len(evaluation))}
        self._constants = {"constant_depth": _constants(maps, evaluated, (height, width))}
        for moment, depth in maps.items():
            maps[moment] = _shape(depth)
        self._constants["constant_shape"] = _constants(maps, evaluated, (height, width))

    def __getitem__(self, index: int) -> Record:
        moment = moment_of(self.source, index)
        constants = {k: own.get(moment, others) for k, (others, own) in self._constants.items()}
        return {**self.source[index], **constants}


def cell_depths(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a depth map [h, w] (0 = not measured) on a coarser grid, float32 [height, width].

    Each cell holds the measurement of least relative error to all whose pixels' centres lie in the
    cell, their median weighted by 1 / depth; NaN without any.
    """
    rows, columns = np.nonzero(depth > 0)
    values = depth[rows, columns]
    cells = pictures.cells(rows, depth.shape[0], height) * width
    cells += pictures.cells(columns, depth.shape[1], width)
    order = np.lexsort((values, cells))
    values = values[order]
    filled, first, count = np.unique(cells[order], return_index=True, return_counts=True)
    last = first + count - 1
    weights = 1 / values.astype(np.float64)
    reached = np.cumsum(weights)
    middle = (reached[first] - weights[first] + reached[last]) / 2
    grid = np.full(height * width, np.nan, np.float32)
    grid[filled] = values[np.clip(np.searchsorted(reached, middle), first, last)]
    return grid.reshape(height, width)


def _shape(depth: np.ndarray) -> np.ndarray:
    """Divides depths by their median; NaN stays."""
    measured = depth[np.isfinite(depth)]
    return depth / np.median(measured) if measured.size else depth


def _constants(
    maps: dict[str, np.ndarray], evaluated: set[str], size: tuple[int, int]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Finds the best map for all moments, and for each evaluated one that for all others."""
    ranked = np.stack(list(maps.values()))
    ranked.sort(axis=0)  # NaN last
    reached = 1 / ranked
    reached[np.isnan(reached)] = 0
    np.cumsum(reached, axis=0, out=reached)
    counts = np.isfinite(ranked).sum(axis=0)
    own = {}
    for moment in track(sorted(evaluated & maps.keys()), "constant depth without the own frame"):
        others = counts - np.isfinite(maps[moment])
        best = _best_without(ranked, reached, maps[moment])
        own[moment] = _fill(np.where(others > 0, best, np.nan), size)
    if evaluated <= own.keys():
        return np.zeros(size, np.float32), own  # nobody asks for the best for all
    return _fill(_best_without(ranked, reached, np.full(size, np.nan, np.float32)), size), own


def _best_without(ranked: np.ndarray, reached: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Computes medians weighted by 1 / depth over the first axis, one map left out.

    Args:
      ranked: [N, h, w] metres, rising along N, NaN behind the measured ones.
      reached: the sum of the weights of all up to and with each.
      own: [h, w], the map of `ranked` to leave out; NaN where it has nothing.

    Returns:
      [h, w]: the first of the others with which half of their weight is reached.
    """
    weight = np.nan_to_num(1 / own)
    half = (reached[-1] - weight) / 2
    # Where it stands itself; past the end if it doesn't. From there on sums hold its weight too.
    rank = np.where(np.isnan(own), len(ranked), (ranked < own).sum(axis=0))
    before = (reached < half).sum(axis=0)
    # At least the next one: rounding must not lead back to it.
    behind = np.maximum((reached < half + weight).sum(axis=0), rank + 1)
    place = np.where(before < rank, before, behind)
    return np.take_along_axis(ranked, np.minimum(place, len(ranked) - 1)[None], axis=0)[0]


def _fill(grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fills unmeasured cells with the value of the nearest measured one."""
    empty = np.isnan(grid)
    if empty.all():
        raise DataError(
            "the constant depth map needs true depth of at least one training frame beside the "
            "evaluated one; add drives with velodyne scans to config.data.train_split"
        )
    from scipy import ndimage  # slow to import, and workers, which import this module, don't fill

    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    return np.ascontiguousarray(grid[tuple(nearest)], np.float32).reshape(size)


def _moments(source: Source, limit: int) -> dict[str, int]:
    """Maps moment -> index of its first record with true depth; at most `limit`, evenly spaced."""
    first: dict[str, int] = {}
    for index in range(len(source)):
        if not can(source, HasDepth) or source.has_depth(index):
            first.setdefault(moment_of(source, index), index)
    moments = list(first)
    chosen: Sequence[int] = range(len(moments))
    if len(moments) > limit:
        chosen = np.linspace(0, len(moments) - 1, limit).round().astype(int).tolist()
    return {moments[i]: first[moments[i]] for i in chosen}


def _depth(source: Source, index: int) -> np.ndarray:
    """Reads depth without padding; sources without a short cut read the whole record."""
    if can(source, HasDepth):
        with reading(name_of(source, index)):
            return source.depth(index)
    record = read_record(source, index)
    if "depth" not in record:
        raise DataError(f"{source.describe(index)}: the record has no depth to make a map of")
    height, width = record.get("depth_size", record["depth"].shape)
    return record["depth"][:height, :width]
