"""Differences in pairs: the test by swapping, its error rate, and what is drawn."""

import itertools

import numpy as np
import pytest

from geoseg_jax.probing import compare

JUDGED = np.arange(2)


def matrices(generator, count, repeats=1, good=0.7):
    """Confusion matrices of pictures that differ in size, [R, N, 2, 2]."""
    pixels = generator.integers(5, 60, (repeats, count, 2, 1))
    right = generator.binomial(pixels, good)
    other = pixels - right
    rows = np.concatenate([right, other], -1)
    return np.stack([rows[..., 0, :], rows[..., 1, ::-1]], -2)


def miou(matrix):
    correct = np.diag(matrix)
    return np.mean(correct / (matrix.sum(0) + matrix.sum(1) - correct))


def test_swap_p_tries_every_swap():
    generator = np.random.default_rng(1)
    one, other = matrices(generator, 4, 2, 0.8), matrices(generator, 4, 2)
    found = []
    for swapped in itertools.product((False, True), repeat=4):
        pick = np.array(swapped)[None, :, None, None]
        a, b = np.where(pick, other, one).sum(1), np.where(pick, one, other).sum(1)
        found.append(np.mean([miou(m) for m in a]) - np.mean([miou(m) for m in b]))
    expected = np.mean(np.abs(found) >= abs(found[0]) - 1e-12)
    assert compare.swap_p(one, other, JUDGED) == pytest.approx(expected)
    assert compare.swap_p(one, one, JUDGED) == 1


def test_swap_p_rarely_finds_what_is_not_there():
    generator = np.random.default_rng(0)
    p = np.array(
        [compare.swap_p(*(matrices(generator, 8) for _ in "ab"), JUDGED) for _ in range(400)]
    )
    assert 0.025 < np.mean(p <= 0.05) < 0.08
    p = [compare.swap_p(matrices(generator, 8, 1, 0.9), matrices(generator, 8), JUDGED)]
    assert p[0] < 0.02


def test_swap_p_of_many_pictures_draws_swaps():
    generator = np.random.default_rng(0)
    one, other = matrices(generator, 20, 1, 0.95), matrices(generator, 20)
    assert 0 < compare.swap_p(one, other, JUDGED) < 0.002


def test_recordings_are_drawn_where_they_are_known():
    names = [f"{i}.png" for i in range(10)]
    assert compare.units(names, [*"abcde"] * 2)[1:] == (5, "recordings")
    assert compare.units(names, [*"ab"] * 5)[1:] == (10, "pictures of 2 recordings")
    assert compare.units(names, [""] * 10)[1:] == (10, "pictures")
    assert compare.units(names, names)[1:] == (10, "pictures")
    some = compare.units(names, ["a"] * 6 + [""] * 4)
    assert some[1:] == (5, "recordings (pictures where unknown)")
    assert sorted(np.bincount(some.of)) == [1, 1, 1, 1, 6]


def test_difference_and_its_intervals():
    generator = np.random.default_rng(0)
    one, other = (matrices(generator, 12, 3, good) for good in (0.9, 0.7))
    drawn = compare.units(range(12), [""] * 12)
    pair = [compare.Scored(n, "linear", 8, m) for n, m in (("one", one), ("other", other))]
    found = compare.difference(*pair, JUDGED, drawn)
    means = [np.mean([miou(m) for m in of.sum(1)]) for of in (one, other)]
    assert found["difference"] == pytest.approx(means[0] - means[1])
    assert found["pictures_low"] < found["difference"] < found["pictures_high"]
    assert found["choices_low"] < found["difference"] < found["choices_high"]
    (verdict,) = compare.corrected([found])
    assert verdict["verdict"] == "better"
    assert verdict["p_corrected"] == found["p"]
    alone = compare.difference(pair[0], pair[0], JUDGED, drawn)
    assert compare.corrected([alone])[0]["verdict"] == "not shown"


def test_interval_of_a_score_is_one_of_scores():
    perfect = np.tile(np.diag([9, 1]), (1, 6, 1, 1))
    perfect[0, 0] = [[9, 0], [1, 0]]
    drawn = compare.units(range(6), [""] * 6)
    found = compare.summary(compare.Scored("a", "linear", 0, perfect), JUDGED, drawn)
    assert 0 < found["pictures_low"] < found["miou"] < found["pictures_high"] == 1
    wrong = compare.summary(
        compare.Scored("a", "linear", 0, perfect[:, :4]),
        JUDGED,
        drawn=compare.units(range(4), [""] * 4),
    )
    assert np.isnan([wrong["pictures_low"], wrong["pictures_high"]]).all()  # too few to say


def test_interval_covers_the_truth_over_other_pictures():
    """Of scores of 20 pictures, 95 % intervals hold the score of a thousand."""
    generator = np.random.default_rng(0)
    truth = miou(matrices(generator, 4000).sum((0, 1)))
    drawn = compare.units(range(20), [""] * 20)
    held = 0
    for _ in range(200):
        scored = compare.Scored("a", "linear", 0, matrices(generator, 20))
        found = compare.summary(scored, JUDGED, drawn)
        held += found["pictures_low"] <= truth <= found["pictures_high"]
    assert 0.9 <= held / 200 <= 0.99
