"""Estimates by resampling how a cell would score on other pictures like those that judged it.

Frames of one recording are alike, so recordings are drawn where they are known, else pictures. All
cells of a study get the same draws, so that differences between them are paired.
"""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from geoseg_jax.scoring.scores import divide
from geoseg_jax.training import judged

RESAMPLES = 999
METRICS = (
    *("miou", "miou_all_classes", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"),
)


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
    """Scores cells on bootstrap resamples of their judged pictures.

    Args:
      folders: cell -> its workdir; those without matrices of their pictures are passed over.
      metric: one of METRICS, from added-up matrices.
      draws: R, how many.

    Returns:
      None where no cell has matrices, or the metric is none of METRICS.
    """
    judgements = {cell: kept for cell, folder in folders.items() if (kept := judged.read(folder))}
    if not judgements or metric not in METRICS:
        return None
    names = {cell: _drawn(kept) for cell, kept in judgements.items()}
    together = sorted(set().union(*names.values()))
    place = {name: i for i, name in enumerate(together)}
    generator = np.random.default_rng(seed)
    times = generator.multinomial(len(together), np.full(len(together), 1 / len(together)), draws)
    scores = {}
    for cell, kept in judgements.items():
        columns = np.array([place[name] for name in names[cell]])
        weights = times[:, columns].astype(float)
        summed = np.tensordot(weights, kept.matrices.astype(float), axes=1)
        scores[cell] = averages(summed, kept.classes)[metric]
    return Resampled(scores, len(together), _what(list(judgements.values())))


def _drawn(kept: judged.Judged) -> list[str]:
    """Names what each picture is drawn with: its recording, or itself."""
    pairs = zip(kept.recordings, kept.pictures, strict=True)
    return [f"recording {r}" if r else f"picture {p}" for r, p in pairs]


def _what(kept: list[judged.Judged]) -> str:
    pairs = [(r, p) for k in kept for r, p in zip(k.recordings, k.pictures, strict=True)]
    if not any(r and r != p for r, p in pairs):
        return "pictures"
    return "recordings" if all(r for r, _ in pairs) else "recordings, pictures where unknown"


def averages(matrices: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Computes METRICS of matrices [..., C, C] and judged classes [K], as scores.scores has them.

    Returns:
      Name -> [...]; nan where no class or pixel is left.
    """
    truth = matrices[..., classes, :]
    correct, pixels = truth[..., np.arange(len(classes)), classes], truth.sum(-1)
    iou = divide(correct, pixels + truth[..., classes].sum(-2) - correct)
    filled, every_pixel = np.nan_to_num(iou), pixels.sum(-1)
    return {
        "miou": _mean_of_known(iou),
        "miou_all_classes": filled.mean(-1),
        "pixel_accuracy": divide(correct.sum(-1), every_pixel),
        "mean_accuracy": _mean_of_known(divide(correct, pixels)),
        "frequency_weighted_iou": divide((pixels * filled).sum(-1), every_pixel),
    }


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0).sum(-1), known.sum(-1))
