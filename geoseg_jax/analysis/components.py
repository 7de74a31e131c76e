"""Parts the spread of an arm's runs by where it comes from: labels, seed, pre-training, the rest.

That takes a study in which every subset of labels meets every seed and every pre-training, as
config.factors.subset, seed and pretraining_seed plan it; replicates that vary all three at once,
which is what a comparison of arms wants, can't tell them apart. A score is taken as

    mean + subset's effect + seed's + pre-training's + rest,

each effect random; what two of them do together is part of the rest. The estimates are those of a
balanced analysis of variance (Searle, Casella, McCulloch, Variance Components, 1992, chapter 4),
the intervals those of Williams (Biometrika, 1962) and Tukey: of a factor with n values they rest on
n - 1 degrees of freedom, and are wide for few.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from geoseg_jax.analysis.statistics import LEVEL
from geoseg_jax.analysis.units import CONDITION, REPLICATE, Replicate, Row, scores, tables

REST, PICTURES = "rest", "pictures"
SOURCES = (*REPLICATE, REST, PICTURES)


class Spread(NamedTuple):
    """A standard deviation, with its 95 % interval (nan where there is none)."""

    std: float
    low: float = math.nan
    high: float = math.nan


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
      that doesn't vary. 'pictures' is how much one run's score would vary with other pictures that
      judge. No dict for an arm whose runs aren't all done, or that don't cross two factors at
      least.
    """
    found = []
    for (place, arm), cells in tables(rows).items():
        parts = parted(scores(cells, metric)) if len(scores(cells, metric)) == len(cells) else {}
        if not parts:
            continue
        parts[PICTURES] = _over_pictures(cells, resampled)
        named = {source: parts.get(source) for source in SOURCES}
        group = dict(zip(CONDITION, place, strict=True)) | {"arm": arm}
        found.append(group | {s: of and of._asdict() for s, of in named.items()})
    return found


def parted(scores: Mapping[Replicate, float]) -> dict[str, Spread]:
    """Parts the spread of scores by REPLICATE and REST.

    Args:
      scores: replicate -> score, of one arm in one condition.

    Returns:
      The spread by source; {} where fewer than two factors vary, or not every value of one meets
      every value of the others.
    """
    levels = {name: sorted({r[i] for r in scores}) for i, name in enumerate(REPLICATE)}
    varied = [name for name, values in levels.items() if len(values) > 1]
    if len(varied) < 2 or len(scores) < math.prod(len(values) for values in levels.values()):
        return {}
    shape = [len(levels[name]) for name in REPLICATE]
    x = np.array([scores[replicate] for replicate in sorted(scores)]).reshape(shape)
    squares = {
        name: x.size * float(np.var(x.mean(axis=tuple(a for a in range(x.ndim) if a != i))))
        for i, name in enumerate(REPLICATE)
        if name in varied
    }
    freedom = x.size - 1 - sum(len(levels[name]) - 1 for name in varied)
    rest = max(0.0, x.size * float(np.var(x)) - math.fsum(squares.values()))
    parts = {
        name: _effect(square, len(levels[name]) - 1, x.size / len(levels[name]), rest, freedom)
        for name, square in squares.items()
    }
    bounds = (rest / _chi2(q, freedom) for q in (_UPPER, _LOWER))
    return parts | {REST: Spread(math.sqrt(rest / freedom), *map(math.sqrt, bounds))}


def _effect(square: float, own: int, runs: float, rest: float, freedom: int) -> Spread:
    """Estimates the spread of one factor's effect.

    Args:
      square: sum of squares between its values. own: its degrees of freedom.
      runs: how many have the same value.
      rest: sum of squares that is left. freedom: its degrees of freedom.
    """
    error = rest / freedom
    estimate = max(0.0, (square / own - error) / runs)
    bounds = (
        max(0.0, square - own * error * _f(q, own, freedom)) / (runs * _chi2(q, own))
        for q in (_UPPER, _LOWER)
    )
    return Spread(math.sqrt(estimate), *map(math.sqrt, bounds))


_LOWER, _UPPER = (1 - LEVEL) / 2, (1 + LEVEL) / 2


@functools.cache
def _chi2(quantile: float, freedom: int) -> float:
    return float(scipy.stats.chi2.ppf(quantile, freedom))


@functools.cache
def _f(quantile: float, upper: int, lower: int) -> float:
    return float(scipy.stats.f.ppf(quantile, upper, lower))


def _over_pictures(cells: Mapping[Replicate, Row], resampled: Any) -> Spread | None:
    """Averages, over runs, how much a run's score varies over resamples of the judged pictures."""
    if resampled is None or resampled.pooled or resampled.count < 2:
        return None
    drawn = [resampled.scores.get(row["cell"]) for row in cells.values()]
    known = [np.nanvar(draws, ddof=1) for draws in drawn if draws is not None]
    if len(known) < len(drawn):
        return None
    # A bootstrap's variance is too small by (n - 1) / n.
    unbiased = float(np.mean(known)) * resampled.count / (resampled.count - 1)
    return Spread(math.sqrt(unbiased))
