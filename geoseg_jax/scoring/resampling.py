"""Scores on other pictures like those that judged a network, estimated by drawing these anew.

Frames of one recording are alike, so recordings are drawn where they are known, else pictures.
"""

from collections.abc import Sequence

import numpy as np

from geoseg_jax.scoring.scores import divide

RESAMPLES = 999
METRICS = (
    *("miou", "miou_all_classes", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"),
)


def drawn_with(pictures: Sequence[str], recordings: Sequence[str]) -> list[str]:
    """Names what each picture is drawn with: its recording, or itself where that is unknown."""
    pairs = zip(pictures, recordings, strict=True)
    return [f"recording {r}" if r else f"picture {p}" for p, r in pairs]


def what_is_drawn(pictures: Sequence[str], recordings: Sequence[str]) -> str:
    """Gives 'pictures', 'recordings', or 'recordings (pictures where unknown)'."""
    pairs = list(zip(pictures, recordings, strict=True))
    if not any(r and r != p for p, r in pairs):
        return "pictures"
    return "recordings" if all(r for _, r in pairs) else "recordings (pictures where unknown)"


def draw_times(count: int, draws: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draws `count` of as many with replacement: int [draws, count], how often each is there."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)


def rescored(times: np.ndarray, matrices: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Scores resamples: METRICS -> [R].

    Args:
      times: [R, N], how often each picture is in a resample.
      matrices: [N, C, C] of each picture.
      classes: [K], the judged ones of the C.
    """
    return averages(np.tensordot(times.astype(float), matrices.astype(float), axes=1), classes)


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
