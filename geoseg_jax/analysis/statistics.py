"""Computes what replicates say and how sure one may be, for the three to five that studies have.

All is numbers in, numbers out. Differences are paired: the same labels and the same seed, once from
an arm and once from the reference, so that what both share cancels.

Which interval is honest with so few was measured, not assumed: 2,000 made-up samples of each size,
and the share of nominal 95 % intervals that held the true mean (normal / exponential noise; widths
are medians, the mean is far above, as a few intervals are very wide):

    pairs   Student's t     BCa bootstrap   percentile      studentised bootstrap
    3       0.95 / 0.88     0.73 / 0.67     0.76 / 0.70     no finite bound
    4       0.95 / 0.87     0.81 / 0.75     0.80 / 0.73     0.96 / 0.93, twice as wide as t
    5       0.95 / 0.89     0.85 / 0.80     0.85 / 0.79     0.95 / 0.94, 1.3 times
    10      0.95 / 0.90     0.89 / 0.87     0.89 / 0.86     0.95 / 0.94
    20      0.96 / 0.91     0.94 / 0.90     0.94 / 0.89     0.96 / 0.94

The mean of resampled numbers never lies beyond the largest of them, whatever is done to the
quantiles. So the interval to report is Student's t (`interval`), and the bootstrap beside it is the
studentised one (`bootstrap_interval`), which doesn't need normal noise and is nan where it would
mislead.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.stats

LEVEL = 0.95
EXACT_PAIRS = 14  # up to here all 2^n signs are tried
BOOTSTRAP_PAIRS = 4  # of fewer, resamples without spread are more than a tail
RESAMPLES = 9999
FEW_PICTURES = 50  # below which they say little of others
DRAWN_LEAST = 5  # pictures or recordings, of which a bootstrap tells anything


class Summary(NamedTuple):
    """Some numbers in short. std has n - 1 below; low and high are the mean's 95 % interval."""

    n: int
    mean: float
    std: float
    low: float
    high: float


def summary(values: Iterable[float]) -> Summary:
    """Computes number, mean, standard deviation and interval; nan where there are too few."""
    x = _checked(values)
    mean = float(x.mean()) if x.size else math.nan
    return Summary(x.size, mean, _std(x), *interval(x))


def interval(values: Iterable[float]) -> tuple[float, float]:
    """Computes Student's t interval of the mean: mean -+ t(n - 1) std / sqrt(n).

    Exact for normal noise from n = 2 on; for lopsided noise it covers somewhat less (see the top).
    Values without any spread give an interval of no width, as formulas have it: a sign that the
    replicates aren't replicates.

    Args:
      values: [n] independent numbers, as the paired differences of an arm to the reference.

    Returns:
      The lower and the upper bound; (nan, nan) for n < 2.

    Raises:
      ValueError: for a value that is not finite.
    """
    x = _checked(values)
    if x.size < 2:
        return math.nan, math.nan
    half = _quantile(x.size - 1) * _std(x) / math.sqrt(x.size)
    return float(x.mean() - half), float(x.mean() + half)


def bootstrap_interval(values: Iterable[float]) -> tuple[float, float]:
    """Computes the studentised bootstrap interval: bootstrap-t of Efron and Tibshirani (1993).

    "An Introduction to the Bootstrap", ch. 12.5, with the quantiles of Davison and Hinkley (1997),
    sec. 2.4: the t statistic's own quantiles over 9,999 resamples take the place of Student's.

    Args:
      values: [n] independent numbers. Paired differences make it the paired bootstrap.

    Returns:
      The lower and the upper bound; (nan, nan) for fewer than four values, or where ties leave so
      many resamples without spread that a bound would be infinite.

    Raises:
      ValueError: as `interval`.
    """
    x = _checked(values)
    error = _std(x) / math.sqrt(x.size) if x.size else 0.0
    if x.size < BOOTSTRAP_PAIRS or _spreadless(error, x):
        return math.nan, math.nan
    chosen = np.random.default_rng(0).integers(0, x.size, (RESAMPLES, x.size))
    t = np.sort(_t_statistics((x - x.mean())[chosen], error))
    tail = max(round((RESAMPLES + 1) * (1 - LEVEL) / 2), 1)
    low, high = x.mean() - t[-tail] * error, x.mean() - t[tail - 1] * error
    if not (np.isfinite(low) and np.isfinite(high)):
        return math.nan, math.nan
    return float(low), float(high)


def _t_statistics(resamples: np.ndarray, error: float) -> np.ndarray:
    """Computes those of centred resamples [R, n]; without spread infinite, with the mean's sign."""
    mean = resamples.mean(1)
    errors = resamples.std(1, ddof=1) / math.sqrt(resamples.shape[1])
    flat = errors < 1e-9 * error
    return np.where(flat, np.copysign(np.inf, mean), mean / np.where(flat, 1.0, errors))


def sign_flip_p(differences: Iterable[float]) -> float:
    """Computes the two-sided paired permutation p: the share of sign patterns as far from 0.

    If the arm is no different from the reference, each pair might as well have been named the other
    way round: all that is assumed of the noise is that it is symmetric. With n <= 14 pairs all 2^n
    patterns are tried, so the smallest p there can be is `smallest_p(n)`: 0.25 for three pairs,
    0.0625 for five. Beyond that 9,999 patterns at random, with the observed one counted in (Phipson
    and Smyth, 2010).

    Args:
      differences: [n] arm minus reference.

    Returns:
      p in (0, 1]; nan without a pair.

    Raises:
      ValueError: for a value that is not finite.
    """
    x = _checked(differences)
    if x.size < 2:  # one pair: both signs are as far
        return 1.0 if x.size else math.nan
    result = scipy.stats.permutation_test(
        (x,),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf if x.size <= EXACT_PAIRS else RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def smallest_p(pairs: int) -> float:
    """Gives the smallest p that `sign_flip_p` can give for so many pairs; nan for none.

    2^(1-n), or where patterns are drawn at random twice the share of one among them.
    """
    if pairs < 1:
        return math.nan
    return 2.0 ** (1 - pairs) if pairs <= EXACT_PAIRS else 2 / (RESAMPLES + 1)


def pairs_needed(comparisons: int) -> int:
    """Counts the fewest pairs with which one of so many comparisons can be significant (`holm`).

    The smallest corrected p is comparisons * 2^(1-n), where nothing else is significant.
    """
    # The tolerance: 1 - 0.95 is a little more than 0.05.
    return 1 + max(math.ceil(math.log2(max(comparisons, 1) / (1 - LEVEL)) - 1e-9), 0)


def significant(p: float | None) -> bool:
    """Tells whether a (corrected) p is at most 0.05; not where there is none."""
    return p is not None and p <= 1 - LEVEL + 1e-9  # 1 - 0.95 is a little more than 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p values by Holm (1979): the chance of any false finding stays within the level.

    The i-th smallest of m is multiplied by m - i + 1, kept at least as large as those before it and
    at most 1. Needs nothing of how the comparisons hang together, as here, where all share the
    reference.

    Args:
      p_values: one of each comparison; nan where none was made: it stays nan and doesn't count.

    Returns:
      The corrected p values in the order given.

    Raises:
      ValueError: for a p outside [0, 1].
    """
    p = np.asarray(list(p_values), float)
    made = np.flatnonzero(~np.isnan(p))
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise ValueError(f"p values must lie in [0, 1], got {p[made].min()} to {p[made].max()}")
    order = made[np.argsort(p[made], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected.tolist()


def level_p(differences: Iterable[float], bound: float) -> float:
    """Computes p of equivalence: two one-sided t tests that the mean lies within -bound to bound.

    Schuirmann (1987). The larger of the two p: that of "the mean is -bound or less" and that of "it
    is bound or more". It is 0.05 or less just where the 90 % Student interval lies within the
    bound, which has to be set before the result is known. That an arm's difference is not
    significant shows no such thing.

    Args:
      differences: [n] arm minus the other.
      bound: above 0, in the units of the differences.

    Returns:
      p in [0, 1]; nan for n < 2.

    Raises:
      ValueError: for a value that is not finite, or a bound that is not above 0.
    """
    x = _checked(differences)
    if not 0 < bound < math.inf:
        raise ValueError(f"a bound must be above 0, got {bound}")
    if x.size < 2:
        return math.nan
    error = _std(x) / math.sqrt(x.size)
    if _spreadless(error, x):
        return 0.0 if abs(x.mean()) < bound else 1.0
    return float(scipy.stats.t.sf((bound - abs(x.mean())) / error, x.size - 1))


def residual_stds(scores: Mapping[Any, Mapping[Any, float]]) -> dict[Any, float]:
    """Computes the spread of each arm's scores, without what all arms share by subset and seed.

    A hard subset is hard for all arms, and is no part of what a paired comparison is uncertain by.
    So a score is taken as the sum of its arm's and its replicate's effect, by least squares, and
    the spread is that of the residuals, over their degrees of freedom (1 less the leverage of
    each). Where all arms scatter alike it is unbiased, with runs missing too. A single arm keeps
    its whole spread.

    Args:
      scores: arm -> replicate -> score.

    Returns:
      Arm -> standard deviation; nan where no residual is left.
    """
    if sum(map(bool, scores.values())) < 2:
        return {arm: _std(np.array(list(of.values()))) for arm, of in scores.items()}
    places = [(arm, replicate) for arm, of in scores.items() for replicate in of]
    effects = [("arm", arm) for arm in scores] + [
        ("replicate", r) for r in dict.fromkeys(r for _, r in places)
    ]
    design = np.array(
        [[("arm", a) == e or ("replicate", r) == e for e in effects] for a, r in places]
    )
    hat = design @ np.linalg.pinv(design.astype(float))
    values = np.array([scores[arm][replicate] for arm, replicate in places])
    residuals, freedom = values - hat @ values, 1 - np.diag(hat)
    stds = {}
    for arm in scores:
        own = np.array([a == arm for a, _ in places])
        left = float(freedom[own].sum())
        known = left > 1e-9
        stds[arm] = math.sqrt(float((residuals[own] ** 2).sum()) / left) if known else math.nan
    return stds


def shared_std(scores: Mapping[Any, Mapping[Any, float]]) -> float:
    """Estimates the spread of what all arms share in a replicate: its subset of labels, its seed.

    The mean square between replicates less that of the residuals, over the number of arms: the
    estimate of a two-way layout with random replicates (Searle, Casella, McCulloch, Variance
    Components, 1992, 4.3), 0 where it would be negative.

    Args:
      scores: arm -> replicate -> score; replicates that an arm lacks are left out.

    Returns:
      A standard deviation; nan for fewer than two arms or two replicates.
    """
    whole = [arm for arm in scores.values() if arm]
    replicates = sorted(set.intersection(*map(set, whole))) if whole else []
    if len(whole) < 2 or len(replicates) < 2:
        return math.nan
    x = np.array([[arm[replicate] for replicate in replicates] for arm in whole])
    residuals = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    within = (residuals**2).sum() / ((x.shape[0] - 1) * (x.shape[1] - 1))
    return math.sqrt(max(0.0, x.mean(0).var(ddof=1) - within / x.shape[0]))


def resampled_interval(middle: float, resamples: np.ndarray, count: int) -> tuple[float, float]:
    """Computes a bootstrap's interval: middle -+ t(count - 1) times its standard error.

    For what is no mean of independent numbers, as a difference of mIoU over pictures. A bootstrap's
    spread is too small by sqrt((count - 1) / count), which is put right, and Student's quantile
    pays for few pictures.

    Args:
      middle: the number itself.
      resamples: [R] the number of each resample; those that are nan are passed over.
      count: of what was drawn with replacement, as pictures or recordings.

    Returns:
      The lower and the upper bound; (nan, nan) for fewer than DRAWN_LEAST.
    """
    known = resamples[np.isfinite(resamples)]
    if count < DRAWN_LEAST or known.size < 2:
        return math.nan, math.nan
    error = float(known.std(ddof=1)) * math.sqrt(count / (count - 1))
    half = _quantile(count - 1) * error
    return middle - half, middle + half


def rising(curve: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Fits the nearest curve that never falls: isotonic regression (Barlow et al., 1972).

    Args:
      curve: (place, score) in any order; scores that are nan are passed over.

    Returns:
      The same places in order, each with its fitted score.
    """
    points = sorted((float(x), float(y)) for x, y in curve if not math.isnan(y))
    if not points:
        return []
    fitted = scipy.optimize.isotonic_regression([y for _, y in points]).x
    return [(x, float(y)) for (x, _), y in zip(points, fitted, strict=True)]


def reached(curve: Sequence[tuple[float, float]], target: float) -> float | None:
    """Finds where a rising curve comes to a score, by a line between its places.

    Of a noisy curve the first place above a score comes too early: it is the luckiest of many. Of
    `rising` it doesn't.

    Args:
      curve: as `rising` gives.
      target: the score to reach.

    Returns:
      A place; the first where that has it already, though it may have been reached before; None
      where it is never reached, or the target is nan.
    """
    before = None
    for place, score in curve:
        if score >= target:
            if before is None:
                return place
            share = (target - before[1]) / (score - before[1])
            return before[0] + share * (place - before[0])
        before = place, score
    return None


def _checked(values: Iterable[float]) -> np.ndarray:
    x = np.asarray(values if isinstance(values, np.ndarray) else list(values), float)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"replicates must be a list of finite numbers, got {x.tolist()}")
    return x


@functools.cache
def _quantile(freedom: int) -> float:
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, freedom))


def _std(x: np.ndarray) -> float:
    return float(x.std(ddof=1)) if x.size > 1 else math.nan


def _spreadless(error: float, x: np.ndarray) -> bool:
    """Tells whether values are equal but for rounding."""
    return error <= 1e-12 * float(np.abs(x).max(initial=0.0))
