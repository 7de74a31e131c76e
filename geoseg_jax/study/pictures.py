"""How a cell's score would be on other pictures like those that judged it, by resampling them.

Frames of one recording are alike, so recordings are drawn where they are known, else pictures. All
cells of a study get the same draws, so that differences between them are paired.
"""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from geoseg_jax.training import judged

RESAMPLES = 999


class Resampled(NamedTuple):
    """Scores on resamples of the judged pictures.

    scores: cell -> [R]. count: of what was drawn. what: 'pictures', 'recordings', or 'recordings,
    pictures where unknown'.
    """

    scores: Mapping[str, np.ndarray]
    count: int
    what: str


def resample(
    folders: Mapping[str, pathlib.Path], metric: str, draws: int = RESAMPLES, seed: int = 0
) -> Resampled | None:
    """The scores of cells on bootstrap resamples of their judged pictures.

    Args:
      folders: cell -> its workdir; those without matrices of their pictures are passed over.
      metric: one of METRICS, from added-up matrices.
      draws: R, how many.

    Returns:
      None where no cell has matrices, or the metric is none of METRICS.
    """
    found = {cell: kept for cell, folder in folders.items() if (kept := judged.read(folder))}
    if not found or metric not in METRICS:
        return None
    names = {cell: _drawn(kept) for cell, kept in found.items()}
    together = sorted(set().union(*names.values()))
    place = {name: i for i, name in enumerate(together)}
    generator = np.random.default_rng(seed)
    times = generator.multinomial(len(together), np.full(len(together), 1 / len(together)), draws)
    scores = {}
    for cell, kept in found.items():
        columns = np.array([place[name] for name in names[cell]])
        weights = times[:, columns].astype(float)
        summed = np.tensordot(weights, kept.matrices.astype(float), axes=1)
        scores[cell] = METRICS[metric](summed, kept.classes)
    return Resampled(scores, len(together), _what(list(found.values())))


def _drawn(kept: judged.Judged) -> list[str]:
    """What each picture is drawn with: its recording, or itself."""
    pairs = zip(kept.recordings, kept.pictures, strict=True)
    return [f"recording {r}" if r else f"picture {p}" for r, p in pairs]


def _what(kept: list[judged.Judged]) -> str:
    pairs = [(r, p) for k in kept for r, p in zip(k.recordings, k.pictures, strict=True)]
    if not any(r and r != p for r, p in pairs):
        return "pictures"
    return "recordings" if all(r for r, _ in pairs) else "recordings, pictures where unknown"


def _ious(matrices: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """[..., C, C] -> [..., K] as scores.scores: nan for a class in neither truth nor prediction."""
    truth = matrices[..., classes, :]
    correct = truth[..., np.arange(len(classes)), classes]
    union = truth.sum(-1) + truth[..., classes].sum(-2) - correct
    return _divide(correct, union)


def _accuracies(matrices: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right pixels and pixels of each judged class, [..., K] twice."""
    truth = matrices[..., classes, :]
    return truth[..., np.arange(len(classes)), classes], truth.sum(-1)


def _miou(matrices: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return _mean_of_known(_ious(matrices, classes))


def _miou_all(matrices: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return np.nan_to_num(_ious(matrices, classes)).mean(-1)


def _pixel_accuracy(matrices: np.ndarray, classes: np.ndarray) -> np.ndarray:
    correct, pixels = _accuracies(matrices, classes)
    return _divide(correct.sum(-1), pixels.sum(-1))


def _mean_accuracy(matrices: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return _mean_of_known(_divide(*_accuracies(matrices, classes)))


def _weighted(matrices: np.ndarray, classes: np.ndarray) -> np.ndarray:
    _, pixels = _accuracies(matrices, classes)
    iou = np.nan_to_num(_ious(matrices, classes))
    return _divide((pixels * iou).sum(-1), pixels.sum(-1))


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0).sum(-1), known.sum(-1).astype(float))


METRICS = {
    "miou": _miou,
    "miou_all_classes": _miou_all,
    "pixel_accuracy": _pixel_accuracy,
    "mean_accuracy": _mean_accuracy,
    "frequency_weighted_iou": _weighted,
}
"""Numbers of added-up matrices [R, C, C] and judged classes [K]: [R], as scores.scores has them."""
