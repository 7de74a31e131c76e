"""Predicts what so many replicates can show, before a study is run.

The test is statistics.sign_flip_p with Holm's correction. A comparison counts as found where its p
is within the level divided by the number of comparisons, as Holm's first step asks, so that it is
significant however the others turn out. Paired differences have normal noise here, and are given
in its standard deviation, the spread.
"""

import itertools
import math

import numpy as np
import scipy.optimize
import scipy.stats

from geoseg_jax.analysis import statistics

POWER = 0.8  # the chance, usual in the field, with which a difference is to be found
SAMPLES = 4000  # of made-up studies; the power is then within 0.013 in 95 %
_PATTERNS = 2**10  # signs to hold every sample against; of more pairs the t test stands for them
_LARGEST = 10.0  # spreads; a difference that takes more is called out of reach


def power(effect: float, pairs: int, comparisons: int) -> float:
    """Computes the chance to find one difference among so many comparisons.

    By 4,000 made-up studies up to 11 pairs, always the same ones, so that it rises with the effect;
    beyond by the noncentral t distribution, which is up to five points above.

    Args:
      effect: the true mean of paired differences over their standard deviation, not negative.
      pairs: independent paired differences.
      comparisons: that Holm corrects for, this one among them.

    Returns:
      A probability; 0 where nothing can be significant: too few pairs, or, beyond 14 pairs, too
      many comparisons.
    """
    share = (1 - statistics.LEVEL) / max(comparisons, 1)
    if not statistics.significant(comparisons * statistics.smallest_p(pairs)):
        return 0.0
    if 2 ** (pairs - 1) > _PATTERNS:
        return _power_of_t(effect, pairs, share)
    return float(np.mean(_p_values(effect + _noise(pairs)) <= share * (1 + 1e-9)))


def detectable(pairs: int, comparisons: int) -> float:
    """Finds the smallest difference, in spreads, that is found in POWER of studies; see `power`.

    Returns:
      inf where it is more than ten spreads, as where so few pairs can show none.
    """

    def lacking(effect: float) -> float:
        return power(effect, pairs, comparisons) - POWER + 1e-12

    if lacking(_LARGEST) < 0:
        return math.inf
    return float(scipy.optimize.bisect(lacking, 0.0, _LARGEST, xtol=5e-3))


def _power_of_t(effect: float, pairs: int, share: float) -> float:
    """Computes that of the two-sided t test at that level, by the noncentral distribution."""
    bound = scipy.stats.t.isf(share / 2, pairs - 1)
    centre = effect * math.sqrt(pairs)
    above = scipy.stats.nct.sf(bound, pairs - 1, centre)
    below = scipy.stats.nct.cdf(-bound, pairs - 1, centre)
    return float(np.nansum((above, below)))  # nan where it is too small to be computed


def _noise(pairs: int) -> np.ndarray:
    """Draws [SAMPLES, pairs] standard normal numbers, the same at every call."""
    return np.random.default_rng(0).standard_normal((SAMPLES, pairs))


def _p_values(differences: np.ndarray) -> np.ndarray:
    """Computes p of the exact sign-flip test for each row of [N, n] differences (sign_flip_p).

    A pattern and its opposite are as far from 0: half of them, the first sign kept, stand for all.
    """
    pairs = differences.shape[1]
    signs = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=pairs - 1)], float)
    sums = np.abs(differences @ signs.T)
    observed = np.abs(differences.sum(1, keepdims=True))
    return np.mean(sums >= observed * (1 - 1e-9), axis=1)
