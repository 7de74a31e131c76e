"""The best depth map that ignores the image: the per-pixel median of the training set's depth.

A network that has learned to see must beat it. Where an evaluated frame is itself among those
that the median was taken of, it is left out, or the map would know the answer.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from absl import logging

from geoseg_jax.data.progress import track
from geoseg_jax.data.source import BadRecord, DataError, Record, Source, drive_of, files_of


class WithConstantDepth:
    """An evaluation source whose records also carry `constant_depth`, [height, width] metres.

    training: the source whose frames make the map; at most `limit` moments of those with true
    depth, evenly spaced, of which a share of at most bad_share may be unreadable. Of the records of
    one moment (both cameras) the first stands for all.
    Where no training frame has true depth the evaluation frames make it, which is a harder
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
        self._source = evaluation
        self.left_out = evaluation.left_out
        frames = _moments(training, limit)
        if not frames:
            logging.warning(
                "no training frame has true depth: the constant depth map is the median of the "
                "evaluation frames, each without its own"
            )
            training, frames = evaluation, _moments(evaluation, limit)
        maps, bad = {}, 0
        for moment, index in track(list(frames.items()), "constant depth map"):
            try:
                maps[moment] = cell_medians(_depth(training, index), height, width)
            except BadRecord as error:
                bad += 1
                if bad > bad_share * len(frames):
                    raise
                logging.warning("left out of the constant depth map: %s", error)
        evaluated = {_moment(evaluation, index) for index in range(len(evaluation))}
        self._others, self._own = _medians(maps, evaluated, (height, width))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        constant = self._own.get(_moment(self._source, index), self._others)
        return {**self._source[index], "constant_depth": constant}

    def describe(self, index: int) -> str:
        return self._source.describe(index)

    def fingerprint(self) -> str:
        return self._source.fingerprint()

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path | None], ...]:
        return tuple(files_of(self._source, index).items())

    def drive(self, index: int) -> str:
        return drive_of(self._source, index)


def cell_medians(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """A depth map [h, w] (0 = not measured) on a coarser grid, float32 [height, width].

    Each cell holds the median of the measurements whose pixels' centres lie in it, or NaN.
    """
    rows, columns = np.nonzero(depth > 0)
    values = depth[rows, columns]
    # Pixel centres lie at +0.5 from the border, in both grids.
    cells = ((rows + 0.5) * (height / depth.shape[0])).astype(np.int64) * width
    cells += ((columns + 0.5) * (width / depth.shape[1])).astype(np.int64)
    order = np.lexsort((values, cells))
    values = values[order]
    filled, first, count = np.unique(cells[order], return_index=True, return_counts=True)
    medians = (values[first + (count - 1) // 2] + values[first + count // 2]) / 2
    grid = np.full(height * width, np.nan, np.float32)
    grid[filled] = medians
    return grid.reshape(height, width)


def _medians(
    maps: dict[str, np.ndarray], evaluated: set[str], size: tuple[int, int]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The median over all maps, and for each evaluated moment among them that over the others."""
    ranked = np.sort(np.stack(list(maps.values())), axis=0)  # NaN last
    counts = np.isfinite(ranked).sum(axis=0)
    own = {}
    for moment in track(sorted(evaluated & maps.keys()), "constant depth without the own frame"):
        values = maps[moment]
        measured = np.isfinite(values)
        # Where the frame's own value stands among the ranked ones; past the end if there is none.
        rank = np.where(measured, (ranked < values).sum(axis=0), len(ranked))
        own[moment] = _fill(_middle(ranked, counts - measured, rank), size)
    if evaluated <= own.keys():
        return np.zeros(size, np.float32), own  # nobody asks for the median over all
    return _fill(_middle(ranked, counts, np.full(size, len(ranked))), size), own


def _middle(ranked: np.ndarray, counts: np.ndarray, skipped: np.ndarray) -> np.ndarray:
    """Median over the first axis of `counts` ranked values, stepping over the one at `skipped`."""

    def pick(position: np.ndarray) -> np.ndarray:
        position = position + (position >= skipped)
        return np.take_along_axis(ranked, np.minimum(position, len(ranked) - 1)[None], 0)[0]

    lower, upper = pick(np.maximum(counts - 1, 0) // 2), pick(counts // 2)
    return np.where(counts > 0, (lower + upper) / 2, np.nan)


def _fill(grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Unmeasured cells get the value of the nearest measured one."""
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
    """Moment -> index of its first record with true depth; at most `limit`, evenly spaced."""
    has_depth = getattr(source, "has_depth", lambda index: True)
    first: dict[str, int] = {}
    for index in range(len(source)):
        if has_depth(index):
            first.setdefault(_moment(source, index), index)
    moments = list(first)
    chosen: Sequence[int] = range(len(moments))
    if len(moments) > limit:
        chosen = np.linspace(0, len(moments) - 1, limit).round().astype(int).tolist()
    return {moments[i]: first[moments[i]] for i in chosen}


def _moment(source: Source, index: int) -> str:
    return getattr(source, "moment", source.describe)(index)


def _depth(source: Source, index: int) -> np.ndarray:
    """Without padding. Sources without a short cut read the whole record."""
    if hasattr(source, "depth"):
        return source.depth(index)
    record = source[index]
    if "depth" not in record:
        raise DataError(f"{source.describe(index)}: the record has no depth to take a median of")
    height, width = record.get("depth_size", record["depth"].shape)
    return record["depth"][:height, :width]
