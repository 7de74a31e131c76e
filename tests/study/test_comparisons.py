"""Made-up studies with known effects, what is missing, and numbers by hand."""

import math

import numpy as np
import pytest
import scipy.stats

from geoseg_jax.study import comparisons
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
    assert (random["mean"], random["std"]) == pytest.approx((0.40, 0.02))
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
    assert comparisons.efficiency(rows, "random") == []


def test_holm_is_over_all_conditions():
    rows = made_up.study({"random": 0.0, "depth": 0.1, "flow": 0.1}, seeds=6, labels=(8, 16))
    found = comparisons.groups(rows, "random")
    compared = [g for g in found if g["arm"] != "random"]
    assert [g["p"] for g in compared] == [2**-5] * 4
    assert [g["p_corrected"] for g in compared] == pytest.approx([4 * 2**-5] * 4)


@pytest.mark.parametrize(("subsets", "seeds"), [(1, 3), (1, 5), (3, 2)])
def test_intervals_cover_a_known_effect(subsets, seeds):
    """400 made-up studies: a standard error of 0.011 about 0.95; subsets differ in their effect."""
    held = []
    for seed in range(400):
        rows = made_up.study(
            {"random": 0.0, "depth": 0.02},
            *(seed, (8,)),
            subsets=subsets,
            seeds=seeds,
            subset_noise=0.02 if subsets > 1 else 0.0,
        )
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
    assert comparisons.unit(rows) == "subset"


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


def test_steps_to_the_references_score():
    rows = by_hand()
    ends = {"random": (60, 60, 60), "depth": (30, 90, None)}
    for r in rows:
        target = rows[r["seed"]]["miou"]
        end = ends[r["arm"]][r["seed"]]
        r["curve"] = [(0, 0.0), (end, target)] if end else [(0, 0.0), (90, target - 0.01)]
    random, depth = comparisons.groups(rows, "random")
    assert random["steps_to_reference"] == pytest.approx(60)
    assert depth["steps_to_reference"] == pytest.approx(90)
    rows[4]["curve"] = rows[5]["curve"]
    assert comparisons.groups(rows, "random")[1]["steps_to_reference"] is None
    assert comparisons.groups(by_hand(), "random")[1]["steps_to_reference"] is None


def test_steps_to_a_given_score():
    """A line from 0 to the score at its end: half of 0.4 after 30 of 60 steps."""
    rows = [r | {"curve": [(0, 0.0), (60, 0.4)]} for r in by_hand()]
    assert [g["steps_to_goal"] for g in comparisons.groups(rows, "random", goal=0.2)] == [30, 30]
    assert [g["steps_to_goal"] for g in comparisons.groups(rows, "random", goal=0.5)] == [None] * 2
    assert comparisons.groups(rows, "random")[0]["steps_to_goal"] is None


def test_label_efficiency():
    """0.05 an octave without noise: 0.05 better is half the labels, 0.05 worse never gets there."""
    effects = {"random": 0.0, "depth": 0.05, "flow": -0.05, "far": 0.5}
    rows = made_up.study(effects, labels=(8, 16, 64), noise=0.0)
    found = {e["arm"]: e for e in comparisons.efficiency(rows, "random")}
    assert found["depth"]["labels_needed"] == pytest.approx(32)
    assert found["random"]["labels_needed"] == pytest.approx(64)
    assert found["flow"]["labels_needed"] is None
    assert {arm: (e["text"], e["spread"]) for arm, e in found.items()} == {
        "random": ("64", "64 by seed"),
        "depth": ("32", "32 by seed"),
        "flow": (">64", ">64 by seed"),
        "far": ("≤8", "≤8 by seed"),
    }
    assert found["far"]["labels_needed"] == 8
    assert found["depth"]["reference_labels"] == 64
    assert "labels" not in found["depth"]


def test_label_efficiency_differs_between_seeds():
    rows = [row("random", 0.4, labels, seed=s) for labels in (8, 16, 64) for s in (0, 1, 2)]
    scores = {8: (0.3, 0.4, 0.1), 16: (0.4, 0.5, 0.2), 64: (0.5, 0.6, 0.3)}
    rows += [
        row("depth", v, n, seed=s) for n, values in scores.items() for s, v in enumerate(values)
    ]
    depth = comparisons.efficiency(rows, "random")[1]
    # Means 0.267, 0.367 and 0.467: a third of the way from 16 to 64.
    assert depth["labels_needed"] == pytest.approx(16 * 4 ** (1 / 3))
    assert (depth["text"], depth["spread"]) == ("25", "≤8 to >64 by seed")


def test_label_efficiency_is_not_asked_where_labels_do_not_help():
    rows = [row("random", v, labels=n) for n, v in ((8, 0.3), (16, 0.4), (64, 0.39))]
    rows += [row("depth", 0.5, labels=n) for n in (8, 16, 64)]
    assert comparisons.efficiency(rows, "random") == []
    rows[2] |= {"miou": 0.41}
    assert [e["arm"] for e in comparisons.efficiency(rows, "random")] == ["random", "depth"]


def test_label_efficiency_is_not_asked_where_other_pictures_judge():
    """As in the paper's code, where all that is not trained on is judged."""
    rows = [row(arm, 0.4, labels=n) for arm in ("random", "depth") for n in (8, 16)]
    assert comparisons.efficiency([r | {"judged": "all"} for r in rows], "random")
    left = [r | {"judged": f"all but {r['labels']}"} for r in rows]
    assert comparisons.efficiency(left, "random") == []


def test_label_efficiency_needs_two_numbers_of_labels():
    assert comparisons.efficiency(by_hand(), "random") == []
    rows = made_up.study({"random": 0.0, "depth": 0.1}, labels=(8,))
    everything = [r | {"labels": 0, "cell": r["cell"] + "-all"} for r in rows]
    assert comparisons.efficiency(rows + everything, "random") == []


def test_all_labels_count_as_many_as_they_are():
    effects = {"random": 0.0, "depth": 0.05}
    rows = made_up.study(effects, labels=(32, 0), noise=0.0)
    rows = [r | {"labelled": r["labels"] or 367} for r in rows]
    random, depth = comparisons.efficiency(rows, "random")
    assert (random["reference_labels"], depth["labels_tried"]) == (367, 367)
    assert depth["labels_needed"] == pytest.approx(367 / 2)


def test_class_gains():
    rows = by_hand()
    for r, road in zip(rows, (0.5, 0.6, 0.7, 0.6, 0.8, math.nan), strict=True):
        r["iou/road"] = road
    (found,) = comparisons.class_gains(rows, "random", ["road", "pole"])
    assert found["arm"] == "depth"
    assert found["gains"]["road"] == pytest.approx((0.1 + 0.2) / 2)
    assert math.isnan(found["gains"]["pole"])


def test_warnings_are_kept_once():
    rows = [r | {"warning": "3 test drives seen"} for r in by_hand()[:2]] + by_hand()[2:]
    random, depth = comparisons.groups(rows, "random")
    assert (random["warning"], depth["warning"]) == ("3 test drives seen", "")


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
