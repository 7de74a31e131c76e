"""Labels and steps that arms need: known savings are found, and none where there is none."""

import math

import numpy as np
import pytest

from geoseg_jax.analysis import needs
from tests.study import made_up
from tests.study.made_up import failed, row

LOST = {"status": "failed", "miou": math.nan, "curve": []}


def of(found, arm):
    (chosen,) = [f for f in found if f["arm"] == arm]
    return chosen


def test_labels_by_hand():
    """0.05 an octave without noise: 0.05 better is half the labels, 0.05 worse twice as many."""
    effects = {"random": 0.0, "depth": 0.05, "flow": -0.05}
    rows = made_up.study(effects, labels=(8, 16, 64), noise=0.0, seeds=7)
    found = needs.labels(rows, "random")
    assert [f["arm"] for f in found] == ["depth", "flow"]
    assert of(found, "depth")["ratio"] == pytest.approx(0.5)
    assert of(found, "flow")["ratio"] == pytest.approx(2)
    assert {(f["units"], f["units_missing"], f["labels_tried"]) for f in found} == {(7, 0, 64)}
    # All seven on one side, for two arms.
    assert [f["p_corrected"] for f in found] == [2**-5] * 2
    assert all(f["shown"] for f in found)
    assert "labels" not in found[0]


def test_what_was_reached_before_it_was_asked_is_a_bound():
    """With the fewest labels far is above what the reference has with the most, and the reverse."""
    rows = made_up.study({"random": 0.0, "far": 0.5, "bad": -0.5, "near": 0.05}, noise=0.0)
    found = needs.labels(rows, "random")
    assert {f["arm"]: f["sign"] for f in found} == {"far": "≤", "bad": "≥", "near": "≤"}
    rows = made_up.study({"random": 0.0, "near": 0.05}, labels=(8, 16, 64), noise=0.0)
    assert needs.labels(rows, "random")[0]["sign"] == ""


def test_a_unit_that_lacks_labels_is_left_out_and_counted():
    rows = made_up.study({"random": 0.0, "depth": 0.05}, labels=(8, 64), noise=0.0, seeds=3)
    rows[1] = failed(arm="random", seed=1)
    (found,) = needs.labels(rows, "random")
    assert (found["units"], found["units_missing"]) == (2, 1)
    assert found["ratio"] == pytest.approx(0.5)


def test_two_pairs_claim_nothing():
    """Whatever the interval is: p can't be small with few."""
    rows = made_up.study({"random": 0.0, "depth": 0.3}, labels=(8, 64), noise=0.001, seeds=3)
    (found,) = needs.labels(rows, "random")
    assert found["ratio_high"] < 1
    assert not found["shown"]


def test_labels_are_not_asked_where_they_do_not_help():
    rows = [row("random", v, labels=n) for n, v in ((8, 0.3), (16, 0.4), (64, 0.39))]
    rows += [row("depth", 0.5, labels=n) for n in (8, 16, 64)]
    assert needs.labels(rows, "random") == []
    rows[2] |= {"miou": 0.41}
    assert [e["arm"] for e in needs.labels(rows, "random")] == ["depth"]


def test_labels_are_not_asked_where_other_pictures_judge():
    """As in the paper's code, where all that is not trained on is judged."""
    rows = [row(arm, 0.4 + n / 100, labels=n) for arm in ("random", "depth") for n in (8, 16)]
    assert needs.labels([r | {"judged": "all"} for r in rows], "random")
    assert needs.labels([r | {"judged": f"fold {r['subset']}"} for r in rows], "random")
    left = [r | {"judged": f"all but {r['labels']}"} for r in rows]
    assert needs.labels(left, "random") == []


def test_labels_need_two_numbers_of_them():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, labels=(8,))
    assert needs.labels(rows, "random") == []
    everything = [r | {"labels": 0, "cell": r["cell"] + "-all"} for r in rows]
    assert needs.labels(rows + everything, "random") == []


def test_all_labels_count_as_many_as_they_are():
    rows = made_up.study({"random": 0.0, "depth": 0.05}, labels=(32, 0), noise=0.0)
    rows = [r | {"labelled": r["labels"] or 367} for r in rows]
    (depth,) = needs.labels(rows, "random")
    assert depth["labels_tried"] == 367
    assert depth["ratio"] == pytest.approx(0.5)


def test_of_as_many_labels_as_there_are_the_subsets_count():
    rows = made_up.study({"random": 0.0, "depth": 0.05}, labels=(8, 64, 0))
    rows = [r | {"labelled": r["labels"] or 64} for r in rows]
    turned = sorted(rows, key=lambda r: r["labels"])
    assert needs.labels(turned, "random") == needs.labels(rows, "random")


def null(seed, **changes):
    """Three arms that are no better than the reference, with curves of noisy evaluations."""
    rows = made_up.study(dict.fromkeys(("random", "a", "b", "c"), 0.0), seed, seeds=7, **changes)
    generator = np.random.default_rng(seed)
    for r in rows:
        noise = generator.normal(0, 0.01, 12)
        noise[-1] = 0
        r["curve"] = [
            (10 * k, r["miou"] * (1 - math.exp(-k / 3)) + e) for k, e in enumerate(noise, 1)
        ]
    return rows


def test_without_a_difference_nothing_is_said_of_labels():
    """Any of three arms, of 150 studies: 5 % and two standard errors at most."""
    said = [any(f["shown"] for f in needs.labels(null(seed), "random")) for seed in range(150)]
    assert np.mean(said) <= 0.086


def test_without_a_difference_nothing_is_said_of_steps():
    said = []
    for seed in range(60):
        found = needs.steps(null(seed, labels=(8,)), "random", goal=0.35).values()
        asked = [told[k] for told in found for k in ("steps", "goal") if told[k]]
        assert len(asked) >= 3
        said.append(any(f["shown"] for f in asked))
    assert np.mean(said) <= 0.15  # two families, each with 5 %


def test_labels_that_are_saved_are_found():
    """An effect of an octave with noise of a fifth of it: near a half, and shown."""
    found = []
    for seed in range(30):
        rows = made_up.study({"random": 0.0, "depth": 0.05}, seed, (8, 16, 64), seeds=8)
        found += needs.labels(rows, "random")
    assert np.mean([f["shown"] for f in found]) > 0.9
    ratios = np.log2([f["ratio"] for f in found])
    assert ratios.mean() == pytest.approx(-1, abs=0.1)
    held = [f["ratio_low"] <= 0.5 <= f["ratio_high"] for f in found]
    assert np.mean(held) > 0.8


def lines(*ends: tuple[int, float]) -> list[dict]:
    """Curves that rise on a line to (step, score); alternately of both arms, by seeds."""
    return [
        row(("random", "depth")[i % 2], score, seed=i // 2, curve=[(0, 0.0), (step, score)])
        for i, (step, score) in enumerate(ends)
    ]


def told(rows, goal=None):
    found = needs.steps(rows, "random", goal=goal)
    return {arm: told for (_, arm), told in found.items()}


def test_steps_to_the_lower_of_both_ends():
    """Depth is at 0.4 after half of 80 steps; in the second pair random's 0.2 is the lower end."""
    found = told(lines((60, 0.4), (80, 0.8), (100, 0.2), (100, 0.4)))
    assert found["random"]["steps"] is None
    # 40 of 60, and 50 of 100: the geometric mean.
    assert found["depth"]["steps"]["ratio"] == pytest.approx(math.sqrt(40 / 60 * 0.5))
    worse = told(lines((60, 0.4), (60, 0.2)))["depth"]["steps"]
    assert worse["ratio"] == pytest.approx(2)  # 60 where random takes 30
    assert math.isnan(worse["ratio_low"])


def test_steps_over_all_conditions():
    """The geometric mean of 2 / 3 and 1 / 2, of the one seed that both conditions have."""
    few = lines((60, 0.4), (80, 0.8), (60, 0.4), (80, 0.8))
    many = [r | {"labels": 64} for r in lines((100, 0.2), (100, 0.4))]
    (found,) = needs.steps_overall(few + many, "random")
    assert (found["arm"], found["units"], found["units_missing"]) == ("depth", 1, 1)
    assert found["ratio"] == pytest.approx(math.sqrt(2 / 3 * 0.5))
    assert not found["shown"]
    seven = [r | {"seed": s} for r in few[:2] + many for s in range(7)]
    (found,) = needs.steps_overall(seven, "random")
    assert found["p"] == 2**-6
    assert found["shown"]
    assert needs.steps_overall([row("random", 0.4), row("depth", 0.4)], "random") == []


def test_steps_where_one_condition_has_no_runs():
    seven = [r | {"seed": s} for r in lines((50, 0.4), (100, 0.4)) for s in range(7)]
    frozen = [r | {"training": "frozen"} for r in seven]
    frozen = [r | LOST if r["arm"] == "depth" else r for r in frozen]
    (found,) = needs.steps_overall(seven + frozen, "random")
    assert (found["units"], found["units_missing"], found["shown"]) == (0, 7, False)


def test_labels_of_units_that_lack_a_run():
    """Identical arms, of which one lacks all runs of the worse seed with the most labels."""
    rows = [
        row(arm, score + 0.04 * (labels == 64) + 0.001 * k, labels=labels, subset=k, seed=seed)
        for arm in ("random", "depth")
        for labels in (8, 64)
        for k in range(8)
        for seed, score in enumerate((0.3, 0.24))
    ]
    lost = [r["arm"] == "depth" and r["labels"] == 64 and r["seed"] == 1 for r in rows]
    rows = [r | LOST if gone else r for r, gone in zip(rows, lost, strict=True)]
    (found,) = needs.labels(rows, "random")
    assert (found["units"], found["units_missing"], found["shown"]) == (0, 8, False)


def test_steps_of_units_that_lack_a_run():
    """In each condition as overall: of two seeds of a subset one is lost."""
    rows = [
        row(arm, 0.4, labels=8, subset=k, seed=seed) | {"curve": [(20, 0.1), (40, 0.2), (60, end)]}
        for arm, end in (("random", 0.3), ("depth", 0.4))
        for k in range(8)
        for seed in range(2)
    ]
    lost = [r["arm"] == "depth" and r["seed"] == 1 for r in rows]
    rows = [r | LOST if gone else r for r, gone in zip(rows, lost, strict=True)]
    found = [told(rows)["depth"]["steps"], *needs.steps_overall(rows, "random")]
    assert [(f["units"], f["units_missing"], f["shown"]) for f in found] == [(0, 8, False)] * 2


def test_steps_without_curves():
    rows = [row(arm, 0.4) for arm in ("random", "depth")]
    assert told(rows)["depth"] == {"steps": None, "steps_to_goal": None, "goal": None}


def test_one_evaluation_tells_nothing_of_steps():
    ends = lines((60, 0.4), (80, 0.8))
    for end in ends:
        end["curve"] = end["curve"][-1:]
    assert told(ends)["depth"]["steps"] is None
    assert needs.steps_overall(ends, "random") == []


def test_steps_to_a_goal():
    found = told(lines((60, 0.4), (80, 0.8), (60, 0.4), (80, 0.8)), goal=0.2)
    assert found["random"]["steps_to_goal"] == pytest.approx(30)
    assert found["depth"]["steps_to_goal"] == pytest.approx(20)
    assert found["depth"]["goal"]["ratio"] == pytest.approx(2 / 3)
    # Where one never gets there no ratio is told, and no median where half or more don't.
    found = told(lines((60, 0.4), (80, 0.8), (60, 0.4), (80, 0.8)), goal=0.5)
    assert found["random"]["steps_to_goal"] is None
    assert found["depth"]["steps_to_goal"] == pytest.approx(50)
    assert found["depth"]["goal"] is None
