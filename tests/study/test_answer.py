"""The two sentences on made-up studies: never more than the numbers allow."""

import math

import pytest

from geoseg_jax.study import results
from geoseg_jax.study.answer import points, probability
from tests.study import made_up
from tests.study.made_up import failed, row

ARMS = [{"name": "random", "label": "Random weights"}, {"name": "depth", "label": "Depth"}]


def answer(rows: list[dict], **about) -> tuple[str, str]:
    first, second = results.assemble(rows, "random", **{"arms": ARMS} | about)["answer"]
    return first, second


def test_three_seeds_never_prove_anything():
    rows = [row("random", 0.30 + 0.01 * s, seed=s) for s in range(3)]
    rows += [row("depth", 0.50 + 0.02 * s, seed=s) for s in range(3)]
    what, how_sure = answer(rows)
    # The differences are 0.20, 0.21, 0.22; Student's 4.3027 times 0.01 / sqrt(3) is 0.0248.
    assert what == (
        "Depth lies 21.0 points of mIoU above Random weights on average (95 % interval "
        "+18.5 to +23.5)."
    )
    assert how_sure == (
        "3 seeds can't settle whether that is chance: the permutation test, which assumes but "
        "symmetric noise, gives p = 0.25 at least with so few and needs 6 seeds for significance "
        "after correction for 1 arm (the interval assumes normal noise)."
    )


def test_a_sure_answer():
    rows = made_up.study({"random": 0.0, "flow": -0.05, "depth": 0.1}, seeds=8, labels=(8, 16, 64))
    what, how_sure = answer(rows)
    assert what.startswith("Depth, the best of 2 arms, lies ")
    assert what.endswith("its mean is the highest of all in 3 of 3 conditions.")
    assert "holds 0" not in what
    assert how_sure == (
        "Chance in seeds hardly does this: p = 0.016 in the permutation test over 8 seeds, "
        "corrected for 2 arms; each arm was pre-trained but once."
    )


def test_frozen_and_fine_tuned_are_told_apart():
    rows = [row("random", v, training=t) for t, v in (("fine_tuned", 0.4), ("frozen", 0.2))]
    rows += [row("depth", v, training=t) for t, v in (("fine_tuned", 0.39), ("frozen", 0.4))]
    what, _ = answer(rows)
    assert "(one replicate, no interval; fine-tuned −1.0, frozen +20.0)" in what


def test_an_effect_that_is_not_there():
    what, how_sure = answer(made_up.study({"random": 0.0, "depth": 0.001}, seed=3, seeds=8))
    assert "which holds 0" in what
    assert how_sure.startswith("It may be chance: p = 0.")


def test_no_arm_is_better():
    what, _ = answer(made_up.study({"random": 0.0, "depth": -0.1, "flow": -0.2}, seeds=6))
    assert what.startswith("No arm is better than Random weights on average over 2 conditions; the")
    assert "the nearest, Depth, lies " in what
    assert "points of mIoU below (95 % interval −" in what


def test_what_is_missing_and_warned_of_is_said():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    rows[5] = failed(arm="depth", labels=8, seed=2)
    for r in rows:
        r["warning"] = "pre-trained on 3 test drives" if r["arm"] == "depth" else ""
    _, how_sure = answer(rows)
    assert "; of 12 cells 1 failed; mind that Depth: pre-trained on 3 test drives." in how_sure


def test_of_many_warnings_one_is_said():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    for r in rows:
        r["warning"] = f"{r['labels']} test pictures seen"
    _, how_sure = answer(rows)
    # Of both arms: said once.
    assert how_sure.endswith("; mind that Depth: 8 test pictures seen (and more, see the table).")


def test_a_warning_of_the_reference_counts_too():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    for r in rows:
        r["warning"] = "seen" if r["arm"] == "random" else ""
    assert answer(rows)[1].endswith("; mind that Random weights: seen.")


def test_subsets_are_called_so():
    _, how_sure = answer(made_up.study({"random": 0.0, "depth": 0.1}, subsets=3, seeds=2))
    assert "3 subsets can't settle" in how_sure


def test_nothing_to_compare():
    rows = [row("random", 0.4), failed(arm="depth")]
    what, how_sure = answer(rows)
    assert what.startswith("Nothing can be compared yet")
    assert how_sure == "Of 2 cells 1 failed."
    what, how_sure = answer(rows[:1])
    assert how_sure == "All cells are done."


def test_one_replicate():
    what, how_sure = answer([row("random", 0.4), row("depth", 0.5)])
    assert "(one replicate, no interval)" in what
    assert "1 seed can't settle" in how_sure
    assert "interval" not in how_sure


def test_an_arm_that_lacks_a_condition_is_not_the_best():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0)
    rows += [row("far", 0.9, labels=8, seed=s) for s in range(3)]
    what, _ = answer(rows)
    assert what.startswith("Depth lies 10.0 points")
    assert what.endswith("of these in 2 of 2 conditions; not ranked, for want of runs: far.")


def test_an_arm_of_fewer_subsets_is_not_the_best():
    """Its mean over an easy subset alone says nothing beside one over all of them."""
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n) for n in (8, 16)]
    rows += [failed(arm="far", labels=n, subset=s) for n in (8, 16) for s in (1, 2)]
    assert answer(rows)[0].startswith("Depth lies 10.0 points")


def test_arms_that_lack_runs_are_none_of_those_that_are_no_better():
    rows = made_up.study({"random": 0.0, "depth": -0.01}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n) for n in (8, 16)]
    rows += [failed(arm="far", labels=n, subset=s) for n in (8, 16) for s in (1, 2)]
    what, _ = answer(rows)
    assert what.startswith("No ranked arm is better than Random weights on average")
    assert "the nearest, Depth, lies 1.0 points of mIoU below" in what
    assert what.endswith("; not ranked, for want of runs: far.")


def test_arms_that_lost_a_run_each_are_compared_by_the_subsets_that_all_have():
    """Each arm is far better on one subset, which the other lacks: they are level elsewhere."""
    scores = {"random": (0.1, 0.1, 0.1, 0.1), "depth": (0.9, None, 0.3, 0.3)}
    scores["flow"] = (None, 0.8, 0.2, 0.2)
    rows = [
        failed(arm=arm, subset=s) if value is None else row(arm, value, subset=s)
        for arm, values in scores.items()
        for s, value in enumerate(values)
    ]
    what, how_sure = answer(rows)
    assert what == (
        "Depth, the best of 2 arms, lies 20.0 points of mIoU above Random weights on average (95 % "
        "interval +20.0 to +20.0) and 10.0 above the next, flow (95 % interval +10.0 to +10.0)."
    )
    assert how_sure.startswith("2 subsets can't settle")


def test_the_highest_mean_is_of_those_subsets_too():
    """Depth has an easy subset that flow lacks, and is worse wherever both are."""
    scores = {"random": (0.1, 0.1, 0.1, 0.1), "depth": (0.9, None, 0.2, 0.2)}
    scores["flow"] = (None, 0.3, 0.3, 0.3)
    rows = [
        failed(arm=arm, labels=n, subset=s) if value is None else row(arm, value, n, subset=s)
        for n in (8, 16)
        for arm, values in scores.items()
        for s, value in enumerate(values)
    ]
    what, _ = answer(rows)
    assert what.startswith("flow, the best of 2 arms, lies 20.0 points")
    assert what.endswith("its mean is the highest of all in 2 of 2 conditions.")


def test_an_arm_that_lost_a_run_is_ranked_still():
    rows = made_up.study({"random": 0.0, "depth": 0.001}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n, subset=s) for n in (8, 16) for s in (0, 1)]
    rows += [failed(arm="far", labels=n, subset=2) for n in (8, 16)]
    assert answer(rows)[0].startswith("far, the best of 2 arms, lies ")


def test_level_arms():
    rows = [row(arm, 0.4, seed=s) for arm in ("random", "depth") for s in range(3)]
    assert "the nearest, Depth, is level with it (95 % interval" in answer(rows)[0]


def test_the_lead_before_the_next_arm_is_of_their_own_pairs():
    scores = {"random": (0.1, 0.1, 0.1), "depth": (0.4, 0.5, 0.6), "flow": (0.41, 0.47, 0.59)}
    rows = [row(arm, v, seed=s) for arm, values in scores.items() for s, v in enumerate(values)]
    # Depth less flow: -0.01, 0.03, 0.01; mean 0.01, Student's 4.3027 times 0.02 / sqrt(3) 0.0497.
    assert answer(rows)[0].endswith(
        " and 1.0 above the next, flow (95 % interval −4.0 to +6.0, which holds 0)."
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0321, "+3.2"), (-0.0321, "−3.2"), (-0.0001, "0.0"), (0.0, "0.0"), (None, "–")],
)
def test_points(value, expected):
    assert points(value, sign=True) == expected
    assert points(value) == expected.lstrip("+")


def test_probability():
    assert [probability(p) for p in (0.25, 0.0625, 1.0, 0.0004, None)] == [
        *("0.25", "0.062", "1", "< 0.001", "–")
    ]
    assert math.isclose(float(probability(0.0123)), 0.012)
