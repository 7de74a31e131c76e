"""Nearest neighbours by cosine, with shares of classes in place of one class."""

from collections.abc import Sequence

import numpy as np

_BLOCK = 2_000  # queries at a time, against all that are known


def votes(
    known: np.ndarray, targets: np.ndarray, queries: np.ndarray, counts: Sequence[int]
) -> list[np.ndarray]:
    """Averages the targets of each query's k nearest rows by cosine.

    Args:
      known: [n, d]; a row of zeros is at a right angle to all.
      targets: [n, K].
      queries: [q, d].
      counts: several k >= 1; of fewer rows all count.

    Returns:
      [q, K] for each k. Of rows equally near, which ones count is fixed by their order.
    """
    known, most = _unit(known), min(max(counts), len(known))
    parts: list[list[np.ndarray]] = [[] for _ in counts]
    for start in range(0, len(queries), _BLOCK):
        near = _unit(queries[start : start + _BLOCK]) @ known.T
        rows = np.arange(len(near))[:, None]
        some = np.argpartition(-near, most - 1, axis=1)[:, :most]
        order = np.argsort(-near[rows, some], axis=1, kind="stable")
        summed = np.cumsum(targets[some[rows, order]], axis=1)
        for part, k in zip(parts, counts, strict=True):
            part.append(summed[:, min(k, most) - 1] / min(k, most))
    return [np.concatenate(part) for part in parts]


def _unit(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
