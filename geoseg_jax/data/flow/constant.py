"""The flow map that ignores the pictures: the mean flow at each pixel.

Where cameras drive forward it is far from zero: a network that has learned to see must beat it. It
is not the best map of them all: where motion has no usual direction, none at all may be nearer. As
in constant.py, an evaluated pair that is among those averaged is left out of its own mean.
"""

import numpy as np
from absl import logging

from geoseg_jax.data import pictures
from geoseg_jax.data.progress import track
from geoseg_jax.data.provenance.reads import identity
from geoseg_jax.data.source import BadRecord, DataError, HasFlow, Record, Source, Wrapper, can


class WithConstantFlow(Wrapper):
    """An evaluation source whose records also carry `constant_flow`, [height, width, 2] pixels.

    training: the source whose pairs are averaged, at most `limit` of them, evenly spaced, of which
    a share of at most bad_share may be unreadable. Where it has no true flow the evaluation pairs
    are averaged, which is a harder opponent; without another pair it is no motion at all. A pair is
    known by its files: the benchmarks of 2012 and 2015 have other pairs of the same names.

    Raises DataError where neither has true flow.
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
        if not can(evaluation, HasFlow):
            raise DataError(
                "config.data.truth='flow': these records have no true flow to be judged by; set "
                "config.data.eval_name='kitti_flow' and config.data.eval_root, or another truth"
            )
        super().__init__(evaluation)
        self._size = (height, width)
        if not can(training, HasFlow) or not len(training):
            training = evaluation
        self._training = training
        chosen = np.unique(np.linspace(0, len(training) - 1, limit).round().astype(int))
        self._sum = np.zeros((height, width, 2))
        self._count = np.zeros((height, width), np.int64)
        self._averaged: dict[tuple[str, ...], int] = {}
        bad = 0
        for index in track(chosen.tolist() if len(training) else [], "constant flow map"):
            try:
                mean, known = cell_means(*training.flow(index), height, width)
            except BadRecord as error:
                bad += 1
                if bad > bad_share * len(chosen):
                    raise
                logging.warning("left out of the constant flow map: %s", error)
                continue
            self._sum += mean
            self._count += known
            self._averaged[identity(training, index)] = index

    def __getitem__(self, index: int) -> Record:
        record = self.source[index]
        total, count = self._sum, self._count
        own = self._averaged.get(identity(self.source, index))
        if own is not None:
            # Just what was added, which two sets that share a pair may have other truth of.
            mean, known = cell_means(*self._training.flow(own), *self._size)
            total, count = total - mean, count - known
        return {**record, "constant_flow": _fill(total, count)}


def cell_means(
    flow: np.ndarray, known: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Averages a flow [h, w, 2] over the cells of another grid: [height, width, 2] in its pixels,
    and where it is known.

    Each cell holds the mean of the known vectors whose pixels' centres lie in it; 0 without any.
    Where the grid is finer, each known pixel fills the cell around its centre alone.
    """
    h, w = flow.shape[:2]
    rows, columns = np.nonzero(known)
    cells = pictures.cells(rows, h, height) * width + pictures.cells(columns, w, width)
    count = np.bincount(cells, minlength=height * width)
    vectors = flow[rows, columns] * np.array([width / w, height / h])
    sums = [np.bincount(cells, vectors[:, i], minlength=height * width) for i in (0, 1)]
    mean = np.stack(sums, axis=-1) / np.maximum(count, 1)[:, None]
    return mean.reshape(height, width, 2), (count > 0).reshape(height, width)


def _fill(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Averages; an unknown cell gets the mean of the nearest known one, 0 without any."""
    mean = total / np.maximum(count, 1)[..., None]
    empty = count == 0
    if empty.any() and not empty.all():
        from scipy import ndimage  # slow to import, and needed for sparse truth alone

        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        mean = mean[tuple(nearest)]
    return mean.astype(np.float32)
