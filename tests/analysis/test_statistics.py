"""Against SciPy, values by hand, all sign patterns and resamples, and made-up truths."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from geoseg_jax.analysis import statistics

THREE = [0.031, 0.012, 0.044]
FIVE = [0.031, 0.012, 0.044, -0.006, 0.020]


def draws(noise: str, samples: int, pairs: int) -> tuple[np.ndarray, float]:
    """Made-up differences [samples, pairs] in points of mIoU, and their true mean."""
    generator = np.random.default_rng(5)
    if noise == "normal":
        return 0.02 + 0.01 * generator.standard_normal((samples, pairs)), 0.02
    return 0.01 * generator.exponential(size=(samples, pairs)), 0.01


def covered(intervals: list[tuple[float, float]], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in intervals]))


@pytest.mark.parametrize("values", [THREE, FIVE, [1.0, -1.0]])
def test_the_interval_is_scipys(values):
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert statistics.interval(values) == pytest.approx(tuple(expected))


def test_the_summary_by_hand():
    # Mean 2, squares 1 + 0 + 1 over 2; Student's 4.3027 of two degrees of freedom.
    found = statistics.summary([1.0, 2.0, 3.0])
    half = 4.302652729911275 / math.sqrt(3)
    assert found == pytest.approx((3, 2.0, 1.0, 2 - half, 2 + half))


def test_too_few_to_say():
    none, one = statistics.summary([]), statistics.summary([0.5])
    assert none.n == 0
    assert all(math.isnan(value) for value in none[1:])
    assert one[:2] == (1, 0.5)
    assert all(math.isnan(value) for value in one[2:])
    assert all(math.isnan(bound) for bound in statistics.bootstrap_interval(THREE))


@pytest.mark.parametrize("pairs", [2, 3, 5])
def test_the_interval_covers_a_known_effect(pairs):
    """4,000 made-up studies: a standard error of 0.0034 about 0.95."""
    sets, truth = draws("normal", 4000, pairs)
    share = covered([statistics.interval(x) for x in sets], truth)
    assert share == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(("noise", "pairs"), [("normal", 4), ("normal", 5), ("exponential", 6)])
def test_the_bootstrap_covers_a_known_effect(noise, pairs):
    """300 made-up studies: a standard error of 0.013 about 0.95."""
    sets, truth = draws(noise, 300, pairs)
    share = covered([statistics.bootstrap_interval(x) for x in sets], truth)
    assert 0.91 <= share <= 0.99


def test_the_bootstrap_equals_all_resamples():
    """All 5^5 resamples in place of 9,999 drawn ones."""
    x = np.array(FIVE)
    resamples = x[np.array(list(itertools.product(range(5), repeat=5)))]
    error = x.std(ddof=1) / math.sqrt(5)
    spread = resamples.std(1, ddof=1) > 1e-12
    t = np.where(resamples.mean(1) > x.mean(), np.inf, -np.inf)
    t[spread] = scipy.stats.ttest_1samp(resamples[spread], x.mean(), axis=1).statistic
    low, high = np.quantile(t, [0.025, 0.975], method="inverted_cdf")
    expected = (x.mean() - high * error, x.mean() - low * error)
    assert statistics.bootstrap_interval(FIVE) == pytest.approx(expected, abs=0.15 * error)


def test_no_spread_and_ties():
    """The same number thrice isn't three replicates: no width here, and a p of a quarter there."""
    assert statistics.interval([0.25, 0.25, 0.25]) == (0.25, 0.25)
    assert statistics.sign_flip_p([0.25, 0.25, 0.25]) == 0.25
    assert math.isnan(statistics.bootstrap_interval([0.1] * 6)[0])
    assert math.isnan(statistics.bootstrap_interval([0.1, 0.1, 0.1, 0.2])[0])


@pytest.mark.parametrize("values", [THREE, FIVE, [0.1, -0.3, 0.2, 0.2], [-0.1, -0.2]])
def test_the_permutation_test_is_exact(values):
    x = np.array(values)
    signs = np.array(list(itertools.product((-1, 1), repeat=len(x))))
    expected = np.mean(np.abs(signs @ x) >= abs(x.sum()) - 1e-12)
    assert statistics.sign_flip_p(values) == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [1, 2, 3, 5, 14])
def test_the_smallest_p(pairs):
    """All differences on one side, which nothing can be further from 0 than."""
    differences = 0.01 + 0.001 * np.arange(pairs)
    assert statistics.sign_flip_p(differences) == pytest.approx(statistics.smallest_p(pairs))
    assert statistics.smallest_p(3) == 0.25


def test_the_smallest_p_of_patterns_at_random():
    differences = np.linspace(1, 2, 15)
    assert statistics.sign_flip_p(differences) == pytest.approx(statistics.smallest_p(15), rel=0.5)
    assert statistics.smallest_p(15) > 2.0**-14


def test_many_pairs_at_random():
    """Near the normal approximation, and never 0."""
    x = np.random.default_rng(0).normal(0.3, 1, 60)
    z = abs(x.sum()) / np.sqrt((x**2).sum())
    assert statistics.sign_flip_p(x) == pytest.approx(2 * scipy.stats.norm.sf(z), abs=0.015)
    assert statistics.sign_flip_p(np.full(60, 0.1)) == pytest.approx(2e-4, rel=0.01)


def test_false_alarms_stay_within_the_level():
    """No effect, six pairs: p <= 0.05 in no more than 5 %, and it can happen at all."""
    sets, truth = draws("normal", 400, 6)
    alarms = np.mean([statistics.sign_flip_p(x - truth) <= 0.05 for x in sets])
    assert 0.01 <= alarms <= 0.07


def test_holm_by_hand():
    # 0.01 * 4, 0.02 * 3, then 0.03 * 2 which isn't more, and 0.5 alone.
    assert statistics.holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert statistics.holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert statistics.holm([0.7, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_holm_by_its_definition():
    """Reject the smallest while p <= level / (m - i + 1): the same as corrected p <= level."""
    p = np.random.default_rng(1).uniform(size=9) ** 4
    for level in np.linspace(0.001, 0.999, 57):
        rejected = np.zeros(9, bool)
        for i, which in enumerate(np.argsort(p)):
            if p[which] > level / (9 - i):
                break
            rejected[which] = True
        assert (np.array(statistics.holm(list(p))) <= level).tolist() == rejected.tolist()


def test_holm_leaves_out_what_was_not_compared():
    found = statistics.holm([math.nan, 0.01, math.nan, 0.04])
    assert found[1::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[0])
    assert math.isnan(found[2])
    with pytest.raises(ValueError, match=r"1\.5"):
        statistics.holm([0.1, 1.5])


@pytest.mark.parametrize(("comparisons", "expected"), [(1, 6), (7, 9), (42, 11), (0, 6)])
def test_pairs_needed(comparisons, expected):
    assert statistics.pairs_needed(comparisons) == expected
    if comparisons:
        assert comparisons * statistics.smallest_p(expected) <= 0.05
        assert comparisons * statistics.smallest_p(expected - 1) > 0.05


@pytest.mark.parametrize("values", [THREE, FIVE, [-0.004, 0.001, 0.002, -0.001]])
@pytest.mark.parametrize("bound", [0.01, 0.03])
def test_equivalence_is_two_one_sided_tests(values, bound):
    """SciPy's one-sided t tests against either end; and the 90 % interval within the bound."""
    lower = scipy.stats.ttest_1samp(values, -bound, alternative="greater").pvalue
    upper = scipy.stats.ttest_1samp(values, bound, alternative="less").pvalue
    p = statistics.level_p(values, bound)
    assert p == pytest.approx(max(lower, upper))
    low, high = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (p <= 0.05) == (-bound < low and high < bound)


def test_equivalence_without_spread_or_number():
    assert statistics.level_p([0.004] * 3, 0.01) == 0
    assert statistics.level_p([0.02] * 3, 0.01) == 1
    assert math.isnan(statistics.level_p([0.02], 0.01))
    with pytest.raises(ValueError, match="bound"):
        statistics.level_p(THREE, 0.0)


def test_equivalence_errs_in_one_of_twenty():
    """At the very bound, 4,000 studies of five pairs: level in 5 % of them at most."""
    sets = 0.01 + 0.004 * np.random.default_rng(1).standard_normal((4000, 5))
    wrong = np.mean([statistics.level_p(x, 0.01) <= 0.05 for x in sets])
    assert wrong == pytest.approx(0.05, abs=0.012)


def test_the_spread_without_what_arms_share():
    """Of two arms the standard deviation of differences over the square root of two."""
    generator = np.random.default_rng(0)
    subsets = generator.normal(0, 1.0, 9)
    scores = {arm: subsets + generator.normal(0, 0.1, 9) for arm in "ab"}
    found = statistics.residual_stds({a: dict(enumerate(v)) for a, v in scores.items()})
    expected = np.std(scores["a"] - scores["b"], ddof=1) / math.sqrt(2)
    assert found == pytest.approx({"a": expected, "b": expected})
    alone = statistics.residual_stds({"a": dict(enumerate(scores["a"])), "b": {}})  # nothing shared
    assert alone["a"] == pytest.approx(scores["a"].std(ddof=1))
    assert math.isnan(alone["b"])


def test_the_spread_is_that_of_runs():
    """Made-up studies of four arms with runs missing: 0.1 on average, whatever subsets add."""
    generator, found = np.random.default_rng(3), []
    for _ in range(400):
        runs = generator.normal(0, 1.0, 6) + generator.normal(0, 0.1, (4, 6))
        scores = {arm: dict(enumerate(of)) for arm, of in enumerate(runs)}
        del scores[1][2], scores[3][5]
        found += [np.square(list(statistics.residual_stds(scores).values()))]
    assert math.sqrt(np.mean(found)) == pytest.approx(0.1, abs=0.004)


def test_what_all_arms_share_by_hand_and_by_simulation():
    # Replicate means 1, 3, 5: variance 4; residuals are all 0.
    same = {"a": {0: 0.0, 1: 2.0, 2: 4.0}, "b": {0: 2.0, 1: 4.0, 2: 6.0, 3: 9.0}, "c": {}}
    assert statistics.shared_std(same) == pytest.approx(2.0)
    opposite = {"a": {0: 0.0, 1: 1.0}, "b": {0: 1.0, 1: 0.0}}  # nothing is shared
    assert statistics.shared_std(opposite) == 0.0
    assert math.isnan(statistics.shared_std({"a": {0: 1.0, 1: 2.0}}))
    assert math.isnan(statistics.shared_std({"a": {0: 1.0}, "b": {0: 2.0}}))
    generator, found = np.random.default_rng(5), []
    for _ in range(600):
        runs = generator.normal(0, 1.0, 8) + generator.normal(0, 0.5, (5, 8))
        of_arms = {arm: dict(enumerate(of)) for arm, of in enumerate(runs)}
        found.append(statistics.shared_std(of_arms) ** 2)
    assert np.mean(found) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("count", [6, 40])
def test_the_interval_of_resamples_covers(count):
    """Of a mean, which has a known truth: a standard error of 0.011 about 0.95."""
    generator, held = np.random.default_rng(7), []
    for _ in range(400):
        x = generator.normal(0.3, 1.0, count)
        drawn = x[generator.integers(0, count, (300, count))].mean(1)
        low, high = statistics.resampled_interval(x.mean(), drawn, count)
        held.append(low <= 0.3 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_too_few_to_resample():
    drawn = np.array([0.1, 0.2, np.nan])
    assert math.isnan(statistics.resampled_interval(0.1, drawn, 4)[0])
    assert statistics.resampled_interval(0.15, drawn, 5)[0] < 0.15


CURVE = [(0, 0.1), (100, 0.3), (200, 0.2), (300, 0.6)]


def test_a_curve_is_made_to_rise():
    """The two that fall become their mean; nan is no point."""
    wanted = [(0, 0.1), (100, 0.25), (200, 0.25), (300, 0.6)]
    assert statistics.rising(CURVE[::-1]) == [pytest.approx(p) for p in wanted]
    assert statistics.rising([(100, math.nan), (50, 0.2)]) == [(50, 0.2)]
    assert statistics.rising([]) == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [(0.25, 100), (0.175, 50), (0.425, 250), (0.1, 0), (0.05, 0), (0.6, 300), (0.61, None)],
)
def test_where_a_rising_curve_reaches_a_score(target, expected):
    assert statistics.reached(statistics.rising(CURVE), target) == pytest.approx(expected)


def test_nothing_is_reached():
    assert statistics.reached([], 0.1) is None
    assert statistics.reached(statistics.rising(CURVE), math.nan) is None


def test_first_crossings_are_early_and_rising_ones_are_not():
    """A curve that comes to 0.3 at step 200 of 400, with noise of runs in every evaluation."""
    generator, steps = np.random.default_rng(2), np.arange(10, 401, 10)
    truth = 0.3 + 0.1 * np.log2(steps / 200)
    first, rising = [], []
    for _ in range(300):
        curve = list(zip(steps, truth + generator.normal(0, 0.03, len(steps)), strict=True))
        first.append(next(step for step, score in curve if score >= 0.3))
        rising.append(statistics.reached(statistics.rising(curve), 0.3))
    assert np.mean(first) < 0.92 * 200
    assert np.mean(rising) == pytest.approx(200, rel=0.05)


@pytest.mark.parametrize("function", ["interval", "bootstrap_interval", "sign_flip_p", "summary"])
def test_numbers_that_are_none_are_refused(function):
    with pytest.raises(ValueError, match="nan"):
        getattr(statistics, function)([0.1, math.nan, 0.2])
