"""Fits a probe on frozen features in each cell, and judges it at the labels' own resolution."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.probing import logistic, nearest, patches
from geoseg_jax.probing.splits import Cell
from geoseg_jax.scoring.resampling import averages

LINEAR, NEAREST = "linear", "knn"
# Tried on the inner split; the first of equals is taken.
PENALTIES = (0.1, 0.01, 0.001)
NEIGHBOURS = (50, 20, 5, 1)


class Labels(NamedTuple):
    """The labels of N pictures.

    full: uint8 [H, W] of each, at its own size. shares: [N, h, w, K], see patches.shares. judged:
    which of the K classes count.
    """

    full: Sequence[np.ndarray]
    shares: np.ndarray
    judged: np.ndarray


class Outcome(NamedTuple):
    """A probe in one cell.

    matrices: picture -> int64 [K, K], of the judged ones. setting: the penalty or the number of
    neighbours that was chosen. converged: whether the solver came to its end. maps: picture ->
    uint8 [H, W], of those to be shown.
    """

    matrices: Mapping[int, np.ndarray]
    setting: float
    converged: bool
    maps: Mapping[int, np.ndarray]


def _linear(
    known: np.ndarray,
    targets: np.ndarray,
    queries: np.ndarray,
    settings: Sequence[float],
    start: logistic.Linear | None = None,
) -> list[tuple[np.ndarray, logistic.Linear]]:
    stop = logistic.LOOSE if start is None else logistic.TIGHT
    path = logistic.fit_path(known.astype(np.float64), targets, settings, stop, start)
    return [(fit.scores(queries), fit) for fit in path]


def _nearest(
    known: np.ndarray,
    targets: np.ndarray,
    queries: np.ndarray,
    settings: Sequence[float],
    start: None = None,
) -> list[tuple[np.ndarray, None]]:
    there = targets.sum(1) > 0
    counts = [int(k) for k in settings]
    return [(v, None) for v in nearest.votes(known[there], targets[there], queries, counts)]


# (known [n, d], targets [n, K], queries [q, d], settings, start) -> scores [q, K] of each setting,
# and a fit to start from.
Probe = Callable[..., list[tuple[np.ndarray, Any]]]
PROBES: dict[str, tuple[Probe, Sequence[float]]] = {
    LINEAR: (_linear, PENALTIES),
    NEAREST: (_nearest, NEIGHBOURS),
}


def judge(
    name: str, features: np.ndarray, labels: Labels, cell: Cell, shown: Sequence[int] = ()
) -> Outcome:
    """Chooses a probe's setting on the inner split, fits it on all that trains, and judges.

    Args:
      name: a key of PROBES.
      features: float32 [N, h, w, C].
      shown: pictures whose maps are wanted, those that are judged here.
    """
    probe, settings = PROBES[name]
    fit_on, choose_on = cell.inner
    known, queries = _scaled(features, fit_on, choose_on)
    targets, truth = (_rows(labels.shares[part]) for part in (fit_on, choose_on))
    tried = probe(known, targets, queries, settings)
    best = _best([scores for scores, _ in tried], truth, labels.judged)
    known, queries = _scaled(features, cell.train, cell.judged)
    targets = _rows(labels.shares[cell.train])
    ((scores, fit),) = probe(known, targets, queries, [settings[best]], tried[best][1])
    converged = fit is None or fit.gradient <= logistic.LARGEST_GRADIENT
    maps, matrices = {}, {}
    grids = scores.reshape(len(cell.judged), *features.shape[1:3], -1)
    for picture, grid in zip(cell.judged.tolist(), grids, strict=True):
        label = labels.full[picture]
        predicted = patches.class_map(grid, label.shape)
        matrices[picture] = patches.confusion(label, predicted, grid.shape[-1])
        if picture in shown:
            maps[picture] = predicted
    return Outcome(matrices, float(settings[best]), converged, maps)


def constant(labels: Labels, cell: Cell) -> dict[int, np.ndarray]:
    """Judges the answer that ignores the picture: the class that most training pixels have."""
    classes = labels.shares.shape[-1]
    usual = int(np.argmax(labels.shares[cell.train].sum((0, 1, 2))))
    full = {picture: labels.full[picture] for picture in cell.judged.tolist()}
    return {
        picture: patches.confusion(label, np.full_like(label, usual), classes)
        for picture, label in full.items()
    }


def ceiling(labels: Labels) -> list[np.ndarray]:
    """Judges the labels themselves, seen through the grid: about the best that it lets through."""
    pairs = zip(labels.full, labels.shares, strict=True)
    return [
        patches.confusion(label, patches.class_map(grid, label.shape), grid.shape[-1])
        for label, grid in pairs
    ]


def _best(tried: Sequence[np.ndarray], truth: np.ndarray, judged: np.ndarray) -> int:
    """Finds the first of the scores with the highest mIoU over cells, weighted by their pixels."""
    matrices = [patches.soft_confusion(truth, scores.argmax(1)) for scores in tried]
    return int(np.argmax(averages(np.stack(matrices), judged)["miou"]))


def _scaled(features: np.ndarray, train: np.ndarray, other: np.ndarray) -> tuple:
    """Brings the channels to mean 0 and deviation 1 over the cells of `train`: rows of both."""
    known, queries = _rows(features[train]), _rows(features[other])
    mean, deviation = known.mean(0, dtype=np.float64), known.std(0, dtype=np.float64)
    scale = 1 / np.where(deviation > 1e-6 * (np.abs(mean) + 1e-12), deviation, np.inf)
    return tuple(((rows - mean) * scale).astype(np.float32) for rows in (known, queries))


def _rows(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(-1, maps.shape[-1])
