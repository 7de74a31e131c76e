"""Looks inside encoders: how alike two are, and their features as colours; in numpy.

Features of the same places of the same pictures are rows: [n, channels]. Neighbouring places are
alike, so take them sparsely, and many more of them than there are channels.
"""

from collections.abc import Mapping

import numpy as np


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Computes linear CKA: how alike two sets of features are, but for a rotation.

    Kornblith et al., "Similarity of Neural Network Representations Revisited" (ICML 2019), linear
    CKA in table 1. It doesn't change with rotations, translations and a common scale, and needs no
    equal number of channels. With few rows for the number of channels it would be near 1 whatever
    the features are. So the unbiased estimate of HSIC by Song et al., "Feature Selection via
    Dependence Maximization" (JMLR 2012), takes its place, as in Nguyen et al. (ICLR 2021), eq. 3:
    about 0 for unrelated features of any size. It may fall a little outside [0, 1].

    Args:
      x: [n, c] features, one row a place; four rows or more.
      y: [n, d] other features of the same places.

    Returns:
      1 for the same features, 0 for unrelated ones; nan where one doesn't vary.

    Raises:
      ValueError: for shapes that don't fit, too few rows or numbers that aren't finite.
    """
    x, y = _centred(x), _centred(y)
    if len(x) != len(y) or len(x) < 4:
        raise ValueError(f"CKA needs the same 4 or more places, got {len(x)} and {len(y)}")
    own = _hsic_unbiased(x, x), _hsic_unbiased(y, y)
    if min(own) <= 0:
        return float("nan")
    return float(_hsic_unbiased(x, y) / np.sqrt(own[0] * own[1]))


def cka_matrix(features: Mapping[str, np.ndarray]) -> list[list[float]]:
    """Compares each with each by linear_cka, in the given order; symmetric, the diagonal 1.

    features: name -> [n, channels], of the same n places.
    """
    values = list(features.values())
    matrix = np.full((len(values), len(values)), np.nan)
    for i, x in enumerate(values):
        for j, y in enumerate(values[: i + 1]):
            matrix[i, j] = matrix[j, i] = linear_cka(x, y)
    return matrix.tolist()


def pca_pictures(maps: np.ndarray, clip: float = 2.0) -> np.ndarray:
    """Shows the three main directions of features as red, green and blue.

    One basis for all maps, so that a colour means the same in all of them. Between calls, as for
    two arms, colours mean nothing: only which places look alike can be compared.

    Args:
      maps: [N, H, W, C] features of N pictures by one encoder.
      clip: this many percent of the values at either end are shown as 0 or 255, in [0, 50).

    Returns:
      uint8 [N, H, W, 3]; 128 in a colour for which there is no direction (left).

    Raises:
      ValueError: for another shape, numbers that aren't finite, or clip out of range.
    """
    if np.ndim(maps) != 4 or not 0 <= clip < 50:
        raise ValueError(f"want maps [N, H, W, C], clip in [0, 50); got {np.shape(maps)}, {clip}")
    x = _centred(np.reshape(maps, (-1, np.shape(maps)[-1])))
    variances, directions = np.linalg.eigh(x.T @ x)
    directions = directions[:, ::-1][:, :3]
    # An eigenvector's sign is arbitrary: its largest entry is made positive.
    largest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    shown = np.full((len(x), 3), 128.0)
    total = max(float(variances.sum()), 0.0)
    for k, variance in enumerate(variances[::-1][:3]):
        if variance > 1e-12 * total:
            shown[:, k] = _stretched(x @ directions[:, k], clip)
    return shown.round().astype(np.uint8).reshape(*np.shape(maps)[:3], 3)


def _stretched(values: np.ndarray, clip: float) -> np.ndarray:
    low, high = np.percentile(values, [clip, 100 - clip])
    if high <= low:  # nearly all the same, a few far off
        low, high = values.min(), values.max()
    return 255 * np.clip((values - low) / (high - low), 0, 1)


def _cross(x: np.ndarray, y: np.ndarray) -> float:
    """Computes ||Y'X||^2 of centred features, by the smaller of two equal products."""
    if len(x) ** 2 < x.shape[1] * y.shape[1]:
        return float(((x @ x.T) * (y @ y.T)).sum())
    return float(((y.T @ x) ** 2).sum())


def _hsic_unbiased(x: np.ndarray, y: np.ndarray) -> float:
    """Computes HSIC_1 (Song et al., 2012) of K = XX', L = YY' without diagonals or n x n arrays.

    (tr KL + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1) / (n (n - 3)).
    """
    n = len(x)
    own_x, own_y = (x**2).sum(1), (y**2).sum(1)  # the diagonals
    rows_x, rows_y = x @ x.sum(0) - own_x, y @ y.sum(0) - own_y  # K1 and L1
    trace = _cross(x, y) - own_x @ own_y
    both = rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2))
    return float((trace + both - 2 / (n - 2) * (rows_x @ rows_y)) / (n * (n - 3)))


def _centred(features: np.ndarray) -> np.ndarray:
    """Converts to float64 and subtracts each channel's mean."""
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"features must be finite [n, channels], got {list(x.shape)}")
    mean = x.mean(0)
    x = x - mean
    x[:, np.abs(x).max(0) <= 1e-12 * np.abs(mean)] = 0.0  # what rounding left of a constant
    return x
