"""Power against closed forms, the study's own test and made-up studies with other numbers."""

import math

import numpy as np
import pytest
import scipy.stats

from geoseg_jax.analysis import power, statistics


@pytest.mark.parametrize(("pairs", "comparisons"), [(9, 8), (8, 6), (7, 3)])
def test_with_the_fewest_pairs_all_must_have_the_same_sign(pairs, comparisons):
    """Then alone p is the smallest there is: the chance is Phi(d)^n + Phi(-d)^n."""
    assert pairs == statistics.pairs_needed(comparisons)
    for effect in (0.0, 1.0, 1.9):
        phi = scipy.stats.norm.cdf(effect)
        expected = phi**pairs + (1 - phi) ** pairs
        assert power.power(effect, pairs, comparisons) == pytest.approx(expected, abs=0.02)
    found = power.detectable(pairs, comparisons)
    assert found == pytest.approx(scipy.stats.norm.ppf(0.8 ** (1 / pairs)), abs=0.05)


def test_fewer_pairs_can_show_nothing():
    assert power.power(50.0, 8, 8) == 0
    assert power.detectable(8, 8) == math.inf
    assert power.detectable(4, 1) == math.inf
    assert power.power(50.0, 9, 8) == 1
    # Of more than 14 pairs p is from 9,999 patterns, however many there are.
    assert power.power(50.0, 16, 250) == 1
    assert power.power(50.0, 16, 300) == 0


def test_p_values_are_those_of_the_studys_test():
    rows = np.random.default_rng(3).normal(0.4, 1, (5, 7))
    rows[4] = [1, -1, 1, -1, 1, -1, 1]  # ties
    assert power._p_values(rows) == pytest.approx([statistics.sign_flip_p(row) for row in rows])


def test_what_is_told_to_be_found_is_found_so_often_after_holm():
    """Made-up studies of four arms, one of which is better by what 9 pairs are said to show."""
    pairs, comparisons, studies = 9, 4, 1000
    effect = power.detectable(pairs, comparisons)
    chance = np.random.default_rng(11)
    found = 0
    for _ in range(studies):
        differences = chance.standard_normal((comparisons, pairs))
        differences[0] += effect
        p_values = power._p_values(differences)
        found += statistics.holm(p_values)[0] <= 1 - statistics.LEVEL
    # Holm's later steps can only add to it; the standard error is 1.3 points.
    assert 0.75 < found / studies < 0.88


def test_more_pairs_show_less_and_the_two_ways_meet():
    found = [power.detectable(pairs, 7) for pairs in (9, 10, 12, 14)]
    assert found == sorted(found, reverse=True)
    assert power._power_of_t(1.3, 11, 0.05 / 7) == pytest.approx(power.power(1.3, 11, 7), abs=0.06)
