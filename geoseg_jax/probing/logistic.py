"""Multinomial logistic regression on soft targets, solved to its one optimum."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize

LARGEST_GRADIENT = 1e-4  # by any weight, where a solution counts as found
# Of the gradient in the coordinates that are solved in: where a solution is wanted, and where it is
# enough to compare penalties.
TIGHT, LOOSE = 1e-5, 1e-4
_MOST_STEPS = 1_000


class Linear(NamedTuple):
    """A linear classifier: features [n, d] @ weights [d, K] + bias [K].

    gradient: the largest entry of the objective's gradient where the solver ended.
    """

    weights: np.ndarray
    bias: np.ndarray
    gradient: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Computes log-odds [n, K] of features [n, d]."""
        return features @ self.weights.astype(features.dtype) + self.bias.astype(features.dtype)


def fit_path(
    features: np.ndarray,
    targets: np.ndarray,
    penalties: Sequence[float],
    stop: float = TIGHT,
    start: Linear | None = None,
) -> Iterator[Linear]:
    """Fits a classifier for each penalty, each from the solution before it.

    Minimised is the mean cross-entropy to the targets plus penalty / 2 times the sum of the squared
    weights (not of the bias): with a penalty above 0 there is one optimum, so that no start and no
    seed matters. By L-BFGS (Liu and Nocedal, 1989) in coordinates where Böhning's (1992) bound of
    the Hessian is the identity, where it takes far fewer steps.

    Args:
      features: [n, d], best of mean 0.
      targets: [n, K] of shares >= 0; a row counts with its sum, which may be 0.
      penalties: above 0, best from the strongest to the weakest.
      stop: the largest entry of the gradient, in the coordinates that are solved in, to end at.
      start: where the first begins; at zero otherwise.

    Yields:
      A classifier for each, in their order; where its gradient is above LARGEST_GRADIENT it has
      not converged.

    Raises:
      ValueError: where all targets are 0.
    """
    weight = targets.sum(1).astype(np.float64)
    if not weight.sum() > 0:
        raise ValueError("no row has a target")
    kept = weight > 0
    features, targets, weight = features[kept], targets[kept], weight[kept] / weight.sum()
    targets = targets.astype(np.float64) / targets.sum(dtype=np.float64)
    scaled = features * np.sqrt(weight)[:, None].astype(features.dtype)
    bound = (scaled.T @ scaled).astype(np.float64) / 2
    table = np.zeros((features.shape[1] + 1, targets.shape[1]))
    if start is not None:
        table[:-1], table[-1] = start.weights, start.bias
    for penalty in penalties:
        curved = bound + penalty * np.eye(len(bound))
        root = scipy.linalg.cholesky(curved, lower=True)
        table = _solve(table, root, (features, targets, weight, penalty), stop)
        gradient = _objective(table, features, targets, weight, penalty)[1]
        yield Linear(table[:-1], table[-1], float(np.abs(gradient).max()))


def _solve(table: np.ndarray, root: np.ndarray, problem: tuple, stop: float) -> np.ndarray:
    """Minimises from a start [d + 1, K]; root: lower, of the bound of the weights' Hessian."""

    def outside(inside: np.ndarray) -> np.ndarray:
        weights = scipy.linalg.solve_triangular(root, inside[:-1], lower=True, trans="T")
        return np.concatenate([weights, inside[-1:]])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _objective(outside(flat.reshape(table.shape)), *problem)
        gradient[:-1] = scipy.linalg.solve_triangular(root, gradient[:-1], lower=True)
        return value, gradient.ravel()

    start = np.concatenate([root.T @ table[:-1], table[-1:]])
    options = {"maxiter": _MOST_STEPS, "maxcor": 20, "gtol": stop, "ftol": 0.0}
    done = scipy.optimize.minimize(
        objective, start.ravel(), method="L-BFGS-B", jac=True, options=options
    )
    return outside(done.x.reshape(table.shape))


def _objective(
    table: np.ndarray,
    features: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray,
    penalty: float,
) -> tuple[float, np.ndarray]:
    """Computes the objective and its gradient [d + 1, K]; products in the features' type."""
    logits = (features @ table[:-1].astype(features.dtype)).astype(np.float64) + table[-1]
    logits -= logits.max(1, keepdims=True)
    powers = np.exp(logits)
    sums = powers.sum(1, keepdims=True)
    loss = weight @ np.log(sums[:, 0]) - np.sum(targets * logits)
    slope = weight[:, None] * powers / sums - targets
    gradient = np.empty_like(table)
    gradient[:-1] = features.T @ slope.astype(features.dtype) + penalty * table[:-1]
    gradient[-1] = slope.sum(0)
    return float(loss + penalty / 2 * np.sum(table[:-1] ** 2)), gradient
