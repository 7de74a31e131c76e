"""Made-up studies with known effects, what is missing, and numbers by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from geoseg_jax.analysis import comparisons
from tests.study import made_up
from tests.study.made_up import failed, row


def one(found: list[dict], **wanted) -> dict:
    """The only one with these values."""
    chosen = [g for g in found if all(g[k] == v for k, v in wanted.items())]
    assert len(chosen) == 1
    return chosen[0]


def by_hand() -> list[dict]:
    """Three seeds of two arms; differences of 0.03, 0.01 and 0.05."""
    reference, depth = (0.40, 0.42, 0.38), (0.43, 0.43, 0.43)
    rows = [row("random", v, seed=s) for s, v in enumerate(reference)]
    return rows + [row("depth", v, seed=s) for s, v in enumerate(depth)]


def test_by_hand():
    random, depth = comparisons.groups(by_hand(), "random")
    assert (random["arm"], random["n"], random["units"], random["n_planned"]) == ("random", 3, 3, 3)
    # Of two arms, what they share taken off: the differences' 0.02 over the square root of 2.
    assert (random["mean"], random["std"]) == pytest.approx((0.40, 0.02 / 2**0.5))
    assert (random["same"], depth["same"]) == (False, True)
    assert math.isnan(random["difference"])
    assert math.isnan(random["p_corrected"])
    expected = scipy.stats.ttest_rel((0.43, 0.43, 0.43), (0.40, 0.42, 0.38)).confidence_interval()
    assert depth["difference"] == pytest.approx(0.03)
    assert (depth["difference_low"], depth["difference_high"]) == pytest.approx(tuple(expected))
    assert (depth["p"], depth["p_smallest"], depth["p_corrected"]) == (0.25, 0.25, 0.25)
    assert (depth["n_pairs"], depth["n_missing"], depth["pair_units"]) == (3, 0, 3)
    assert depth["labels"] == 8
    assert depth["encoder"] == "resnet18"


def test_pairs_are_of_the_same_replicate():
    """The order of rows doesn't matter: pairs are found by subset and seed."""
    rows = by_hand()
    turned = comparisons.groups(rows[:3] + rows[:2:-1], "random")
    for found, expected in zip(turned, comparisons.groups(rows, "random"), strict=True):
        assert found == pytest.approx(expected, nan_ok=True)


def test_what_is_missing_is_counted():
    rows = by_hand()
    rows[1] = failed(arm="random", seed=1)
    rows[5] = rows[5] | {"status": "missing", "miou": math.nan}
    random, depth = comparisons.groups(rows, "random")
    assert (random["n"], random["n_planned"]) == (2, 3)
    assert (depth["n"], depth["n_pairs"], depth["n_missing"]) == (2, 1, 2)
    assert depth["difference"] == pytest.approx(0.03)
    assert math.isnan(depth["difference_low"])
    assert depth["p"] == 1.0


def test_a_score_of_a_run_that_failed_is_none():
    rows = by_hand()
    rows[3] |= {"status": "failed"}
    assert one(comparisons.groups(rows, "random"), arm="depth")["n_pairs"] == 2


def test_nothing_at_all():
    rows = [failed(arm=arm, seed=s) for arm in ("random", "depth") for s in range(3)]
    _, depth = comparisons.groups(rows, "random")
    assert (depth["n"], depth["n_pairs"], depth["n_missing"]) == (0, 0, 3)
    assert math.isnan(depth["p"])
    (result,) = comparisons.overall(rows, "random")
    assert (result["units"], result["units_missing"]) == (0, 3)


def test_holm_is_over_all_conditions():
    rows = made_up.study({"random": 0.0, "depth": 0.1, "flow": 0.1}, seeds=6, labels=(8, 16))
    found = comparisons.groups(rows, "random")
    compared = [g for g in found if g["arm"] != "random"]
    assert [g["p"] for g in compared] == [2**-5] * 4
    assert [g["p_corrected"] for g in compared] == pytest.approx([4 * 2**-5] * 4)


def test_intervals_cover_a_known_effect():
    """400 made-up studies: a standard error of 0.011 about 0.95; subsets differ in their effect."""
    held = []
    for seed in range(400):
        effects = {"random": 0.0, "depth": 0.02}
        rows = made_up.study(effects, seed, (8,), subsets=3, seeds=2, subset_noise=0.02)
        depth = one(comparisons.groups(rows, "random"), arm="depth")
        held.append(depth["difference_low"] <= 0.02 <= depth["difference_high"])
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_the_interval_over_conditions_covers_a_known_effect():
    """Subsets do the same to an arm in every condition: conditions are no replicates."""
    held = []
    for seed in range(300):
        rows = made_up.study(
            {"random": 0.0, "depth": 0.02}, seed, (8, 16, 64), subsets=3, seeds=1, subset_noise=0.02
        )
        (result,) = comparisons.overall(rows, "random")
        held.append(result["difference_low"] <= 0.02 <= result["difference_high"])
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_subsets_are_the_units_and_weigh_the_same():
    """Two subsets with differences 0.02 and 0.06, the first with one seed more."""
    rows = [row("random", 0.4, subset=k, seed=s) for k in (0, 1) for s in (0, 1)]
    rows += [row("depth", 0.42, subset=0, seed=s) for s in (0, 1)]
    rows += [row("depth", 0.46, subset=1, seed=0), failed(arm="depth", subset=1, seed=1)]
    depth = one(comparisons.groups(rows, "random"), arm="depth")
    assert (depth["n"], depth["units"], depth["n_pairs"], depth["pair_units"]) == (3, 2, 3, 2)
    assert (depth["mean"], depth["difference"]) == pytest.approx((0.44, 0.04))
    assert (depth["p"], depth["n_missing"]) == (0.5, 1)


def test_over_conditions_by_hand():
    """Seed 1 lacks a pair in one condition, and is left out of both."""
    rows = [row("random", 0.4, labels, seed=s) for labels in (8, 16) for s in (0, 1, 2)]
    rows += [row("depth", 0.40 + d, 8, seed=s) for s, d in enumerate((0.02, 0.9, 0.04))]
    rows += [row("depth", 0.40 + d, 16, seed=s) for s, d in ((0, -0.04), (2, 0.0))]
    rows.append(failed(arm="depth", labels=16, seed=1))
    (result,) = comparisons.overall(rows, "random")
    assert (result["arm"], result["conditions"]) == ("depth", 2)
    assert (result["units"], result["units_missing"]) == (2, 1)
    assert result["difference"] == pytest.approx((-0.01 + 0.02) / 2)
    assert (result["best"], result["ahead"], result["p"]) == (1, 1, 1.0)


def test_over_conditions_by_training():
    """What freezing does to the reference must not hide in a mean."""
    rows = made_up.study({"random": 0.0, "depth": 0.02}, trainings=("fine_tuned", "frozen"))
    for r in rows:
        if (r["arm"], r["training"]) == ("random", "frozen"):
            r["miou"] -= 0.2
    (result,) = comparisons.overall(rows, "random")
    parts = result["by_training"]
    assert list(parts) == ["fine_tuned", "frozen"]
    assert parts["frozen"] - parts["fine_tuned"] == pytest.approx(0.2, abs=0.02)
    assert sum(parts.values()) / 2 == pytest.approx(result["difference"])


THREE_ARMS = {"random": (0.1, 0.1, 0.1), "depth": (0.4, 0.5, 0.6), "flow": (0.41, 0.47, 0.59)}


def three_arms(labels=8, training="fine_tuned") -> list[dict]:
    return [
        row(arm, v, labels, seed=s, training=training)
        for arm, values in THREE_ARMS.items()
        for s, v in enumerate(values)
    ]


def test_a_contrast_by_hand():
    """Depth less flow: -0.01, 0.03, 0.01; two of the eight patterns of signs are as far from 0."""
    (found,) = comparisons.contrasts(three_arms(), [("depth", "flow")])
    assert (found["arm"], found["other"], found["conditions"]) == ("depth", "flow", 1)
    expected = scipy.stats.ttest_rel(*(THREE_ARMS[a] for a in ("depth", "flow")))
    low, high = expected.confidence_interval()
    assert found["difference"] == pytest.approx(0.01)
    assert (found["difference_low"], found["difference_high"]) == pytest.approx((low, high))
    signs = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T @ np.array([-0.01, 0.03, 0.01])
    assert found["p"] == found["p_corrected"] == np.mean(np.abs(signs) >= 0.03 - 1e-12)
    assert math.isnan(found["level_p"])
    assert (found["units"], found["units_missing"], found["verdict"]) == (3, 0, "not shown")


def test_contrasts_are_a_family_of_their_own():
    """Two of them are corrected for two, whatever else is compared; and as others are."""
    effects = {"random": 0.0, "depth": 0.1, "flow": 0.04, "far": 0.2, "near": 0.15}
    rows = made_up.study(effects, seeds=7, labels=(8,))
    pairs = [("depth", "flow"), ("flow", "far")]
    found = comparisons.contrasts(rows, pairs)
    assert [c["p"] for c in found] == [2**-6] * 2
    assert [c["p_corrected"] for c in found] == [2**-5] * 2
    assert [c["verdict"] for c in found] == ["better", "worse"]
    (turned,) = comparisons.contrasts(rows, [("flow", "depth")])
    assert turned["difference"] == pytest.approx(-found[0]["difference"])
    against = comparisons.contrasts(rows, [(a, "random") for a in effects if a != "random"])
    for one_way, other in zip(against, comparisons.overall(rows, "random"), strict=True):
        numbers = {k: v for k, v in one_way.items() if k != "by_training"}
        assert {k: other[k] for k in numbers} == pytest.approx(numbers, nan_ok=True)


def test_contrasts_of_what_is_not_there():
    with pytest.raises(ValueError, match="'dept' has no row; did you mean 'depth'"):
        comparisons.contrasts(three_arms(), [("flow", "dept")])
    rows = [r | {"status": "failed"} if r["arm"] == "flow" else r for r in three_arms()]
    (found,) = comparisons.contrasts(rows, [("depth", "flow")], bound=0.01)
    assert (found["units"], found["verdict"]) == (0, "")


@pytest.mark.parametrize(
    ("effect", "bound", "seeds", "expected"),
    [
        (0.1, 0.0, 8, "better"),
        (-0.1, 0.0, 8, "worse"),
        (0.1, 0.03, 8, "better"),
        (0.0, 0.0, 8, "not shown"),
        (0.0, 0.03, 8, "level"),
        # Sure to be above 0, and below the bound: what was set beforehand decides.
        (0.015, 0.04, 8, "level"),
        # Of three runs no p is small enough; that a difference is not shown makes it not level.
        (0.1, 0.001, 3, "not shown"),
    ],
)
def test_verdicts(effect, bound, seeds, expected):
    rows = made_up.study({"random": 0.0, "depth": effect}, seeds=seeds, noise=0.008)
    (found,) = comparisons.overall(rows, "random", bound=bound)
    assert found["verdict"] == expected
    assert bool(bound) != math.isnan(found["level_p_corrected"])


def test_under_the_null_verdicts_say_nothing():
    """Three arms, seven seeds: one of them better or worse in 5 % of studies at most."""
    said = []
    for seed in range(100):
        rows = made_up.study(dict.fromkeys(("random", "a", "b", "c"), 0.0), seed, (8,), seeds=7)
        said.append(any(o["verdict"] != "not shown" for o in comparisons.overall(rows, "random")))
    assert np.mean(said) <= 0.1


def test_the_interval_over_pictures():
    """Two arms that differ by what each picture adds: drawn anew, by the mean of the draws."""
    generator = np.random.default_rng(0)
    rows = three_arms()
    shared, gains = generator.normal(0, 0.1, 500), 0.3 + generator.normal(0, 0.02, (3, 500))
    scores = {r["cell"]: shared for r in rows if r["arm"] == "random"}
    depth = [r["cell"] for r in rows if r["arm"] == "depth"]
    scores |= {cell: shared + gain for cell, gain in zip(depth, gains, strict=True)}
    drawn = SimpleNamespace(scores=scores, count=20)
    found, flow = comparisons.overall(rows, "random", resampled=drawn)
    half = scipy.stats.t.ppf(0.975, 19) * gains.mean(0).std(ddof=1) * math.sqrt(20 / 19)
    middle = found["difference"]
    ends = found["pictures_low"], found["pictures_high"]
    assert ends == pytest.approx((middle - half, middle + half))
    assert math.isnan(flow["pictures_low"])  # flow's pictures were not kept


def test_what_is_shared_and_what_is_an_arms_own():
    # Of replicates 1e-4, of residuals 4e-4 / 2, half of which is what is left of no shared part.
    found = comparisons.spread(by_hand())
    assert found == pytest.approx({"shared": 0.0, "own": 0.02 / math.sqrt(2)})
    one_arm = comparisons.spread(by_hand()[:3])
    assert all(map(math.isnan, one_arm.values()))


def test_class_gains():
    rows = by_hand()
    for r, road in zip(rows, (0.5, 0.6, 0.7, 0.6, 0.8, math.nan), strict=True):
        r["iou/road"] = road
    (found,) = comparisons.class_gains(rows, "random", ["road", "pole"])
    assert found["arm"] == "depth"
    assert found["gains"]["road"] == pytest.approx((0.1 + 0.2) / 2)
    assert math.isnan(found["gains"]["pole"])


def test_a_unit_that_lacks_a_run_is_left_out_of_the_mean_over_conditions():
    """Three subsets with two seeds each: the unit is the subset."""
    rows = [
        row(arm, value + 0.1 * subset, subset=subset, seed=seed)
        for arm, value in (("random", 0.3), ("depth", 0.35))
        for subset in (0, 1, 2)
        for seed in (0, 1)
    ]
    (found,) = comparisons.overall(rows, "random")
    assert (found["units"], found["units_missing"]) == (3, 0)
    rows[-1] = rows[-1] | {"status": "failed", "miou": None}
    (found,) = comparisons.overall(rows, "random")
    assert (found["units"], found["units_missing"]) == (2, 1)
    assert found["difference"] == pytest.approx(0.05)


def test_warnings_are_kept_once():
    rows = [r | {"warning": "3 test drives seen"} for r in by_hand()[:3]] + by_hand()[3:]
    rows[3]["warning"] = "1 test drive seen"
    random, depth = comparisons.groups(rows, "random")
    assert random["warning"] == "3 test drives seen"
    assert depth["warning"] == "1 test drive seen (1 of 3 runs)"


def test_what_is_refused():
    rows = by_hand()
    with pytest.raises(ValueError, match="did you mean 'random'"):
        comparisons.groups(rows, "randon")
    with pytest.raises(ValueError, match="did you mean 'miou'"):
        comparisons.groups(rows, "random", "mIoU")
    with pytest.raises(ValueError, match="two rows of the same cell"):
        comparisons.groups([*rows, rows[0]], "random")
    with pytest.raises(ValueError, match="no 'decoder'"):
        comparisons.groups([{k: v for k, v in rows[0].items() if k != "decoder"}], "random")
