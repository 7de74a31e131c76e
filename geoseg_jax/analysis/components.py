"""Parts the spread of an arm's runs by what it comes from: labels, seed, pre-training.

That takes a study in which every subset of labels meets every seed and every pre-training, as
config.factors.subset, seed and pretraining_seed plan it; replicates that vary all three at once,
which is what a comparison of arms wants, can't tell them apart. A score is taken as

    mean + subset's effect + seed's + pre-training's + what two or all of them do together,

each effect random. A run is the same whenever it is repeated, so nothing else is left: what is
usually called the residual is what all of them do together. The estimates are those of a balanced
analysis of variance (Searle, Casella, McCulloch, Variance Components, 1992, chapter 4): a mean
square less the sum of those that it should equal if the effect were none, with degrees of freedom
by Satterthwaite (Biometrics Bulletin, 1946), and the intervals are those of Williams (Biometrika,
1962). Of a factor with n values they rest on n - 1 degrees of freedom, and are wide for few.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from geoseg_jax.analysis import comparisons
from geoseg_jax.analysis.statistics import DRAWN_LEAST, LEVEL
from geoseg_jax.analysis.units import CONDITION, REPLICATE, Replicate, Row, scores, tables

TOGETHER, PICTURES = "together", "pictures"
SOURCES = (*REPLICATE, TOGETHER, PICTURES)


class Spread(NamedTuple):
    """A standard deviation, with its 95 % interval (nan where there is none)."""

    std: float
    low: float = math.nan
    high: float = math.nan


class MeanSquare(NamedTuple):
    """An estimate of a variance, and its degrees of freedom."""

    value: float
    freedom: float


def components(
    rows: Sequence[Row], metric: str = "miou", resampled: Any = None
) -> list[dict[str, Any]]:
    """Parts the spread of the runs of each condition and arm.

    Args:
      rows: one of each cell.
      metric: whose spread is parted.
      resampled: a geoseg_jax.study.resampling.Resampled of the cells, where there is one.

    Returns:
      dicts with CONDITION, 'arm', and for each of SOURCES a dict of `Spread`, or None: a factor
      that doesn't vary. 'pictures' is no part of the spread, since all runs are judged on the same:
      it is how much a run's score would vary with other pictures. No dict for an arm whose runs
      aren't all done, or that don't cross two factors at least.

    Raises:
      ValueError: as comparisons.check.
    """
    comparisons.check(rows, [], metric)
    found = []
    for (place, arm), cells in tables(rows).items():
        own = scores(cells, metric)
        parts: dict[str, Spread | None] = {**parted(own)} if len(own) == len(cells) else {}
        if not parts:
            continue
        parts[PICTURES] = _over_pictures(cells, resampled)
        named = {source: parts.get(source) for source in SOURCES}
        group = dict(zip(CONDITION, place, strict=True)) | {"arm": arm}
        found.append(group | {s: of and of._asdict() for s, of in named.items()})
    return found


def parted(of_runs: Mapping[Replicate, float]) -> dict[str, Spread]:
    """Parts the spread of scores by what varies of REPLICATE, and TOGETHER.

    An estimate that would be negative is 0; an interval of which both ends would be is left out.

    Args:
      of_runs: replicate -> score, of one arm in one condition.

    Returns:
      The spread by source; {} where fewer than two factors vary, or not every value of one meets
      every value of the others.
    """
    levels = {name: sorted({r[i] for r in of_runs}) for i, name in enumerate(REPLICATE)}
    varied = [name for name, values in levels.items() if len(values) > 1]
    sizes = [len(levels[name]) for name in varied]
    if len(varied) < 2 or len(of_runs) < math.prod(sizes):
        return {}
    squares = _mean_squares(np.array([of_runs[r] for r in sorted(of_runs)]).reshape(sizes))
    parts = {
        name: _effect(squares, i, len(of_runs) / size)
        for i, (name, size) in enumerate(zip(varied, sizes, strict=True))
    }
    return parts | {TOGETHER: _interplay(squares, sizes)}


Squares = Mapping[tuple[int, ...], MeanSquare]  # by the axes whose effect it is of


def _mean_squares(x: np.ndarray) -> Squares:
    """Computes the mean square of every axis of [n, ...] and of every combination of axes."""
    squares = {}
    for axes in _subsets(range(x.ndim)):
        effect = sum(
            (-1) ** (len(axes) - len(of))
            * x.mean(axis=tuple(a for a in range(x.ndim) if a not in of), keepdims=True)
            for of in [(), *_subsets(axes)]
        )
        freedom = math.prod(x.shape[a] - 1 for a in axes)
        whole = float((np.broadcast_to(effect, x.shape) ** 2).sum())
        squares[axes] = MeanSquare(whole / freedom, freedom)
    return squares


def _subsets(axes: Iterable[int]) -> list[tuple[int, ...]]:
    """Lists all but the empty one."""
    axes = tuple(axes)
    return [of for n in range(len(axes)) for of in itertools.combinations(axes, n + 1)]


def _sum(parts: Iterable[tuple[float, MeanSquare]]) -> MeanSquare:
    """Adds multiples of mean squares, 0 where the sum is negative; freedom by Satterthwaite."""
    parts = list(parts)
    value = math.fsum(factor * of.value for factor, of in parts)
    spread = math.fsum((factor * of.value) ** 2 / of.freedom for factor, of in parts)
    return MeanSquare(max(0.0, value), value**2 / spread if spread else 1.0)


def _effect(squares: Squares, axis: int, runs: float) -> Spread:
    """Estimates the spread of one factor's effect, of whose values each has so many runs."""
    own, last = squares[axis,], squares[max(squares, key=len)]
    error = _sum(((-1) ** len(of), s) for of, s in squares.items() if axis in of and len(of) > 1)
    if error.value < last.value:  # what two do together would be negative
        error = last
    estimate = max(0.0, own.value - error.value) / runs
    bounds = (
        max(0.0, own.value - error.value * _f(q, own.freedom, error.freedom))
        * own.freedom
        / (runs * _chi2(q, own.freedom))
        for q in (_UPPER, _LOWER)
    )
    return _spread(estimate, *bounds)


def _interplay(squares: Squares, sizes: Sequence[int]) -> Spread:
    """Estimates the spread of what two factors or all of them do together."""
    total = math.prod(sizes)
    parts = []
    for axes, square in squares.items():
        within = [of for of in _subsets(axes) if len(of) > 1]
        factor = math.fsum(
            (-1) ** (len(axes) - len(of)) * math.prod(sizes[a] for a in of) / total for of in within
        )
        parts += [(factor, square)] if within else []
    whole = _sum(parts)
    bounds = (whole.value * whole.freedom / _chi2(q, whole.freedom) for q in (_UPPER, _LOWER))
    return _spread(whole.value, *bounds)


def _spread(variance: float, low: float, high: float) -> Spread:
    return Spread(*map(math.sqrt, (variance, low, high) if high > 0 else (variance,)))


_LOWER, _UPPER = (1 - LEVEL) / 2, (1 + LEVEL) / 2


@functools.cache
def _chi2(quantile: float, freedom: float) -> float:
    return float(scipy.stats.chi2.ppf(quantile, freedom))


@functools.cache
def _f(quantile: float, upper: float, lower: float) -> float:
    return float(scipy.stats.f.ppf(quantile, upper, lower))


def _over_pictures(cells: Mapping[Replicate, Row], resampled: Any) -> Spread | None:
    """Averages, over runs, how much a run's score varies over resamples of the judged pictures."""
    if resampled is None or resampled.pooled or resampled.count < DRAWN_LEAST:
        return None
    drawn = [resampled.scores.get(row["cell"], np.array([])) for row in cells.values()]
    known = [draws[np.isfinite(draws)] for draws in drawn]
    if any(draws.size < 2 for draws in known):
        return None
    # A bootstrap's variance is too small by (n - 1) / n.
    mean = float(np.mean([draws.var(ddof=1) for draws in known]))
    return Spread(math.sqrt(mean * resampled.count / (resampled.count - 1)))
