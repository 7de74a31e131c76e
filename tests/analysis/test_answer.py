"""The two sentences on made-up studies: never more than the numbers allow."""

import math

import pytest

from geoseg_jax.analysis import results
from geoseg_jax.analysis.answer import points, probability
from tests.study import made_up
from tests.study.made_up import failed, row

ARMS = [{"name": "random", "label": "Random weights"}, {"name": "depth", "label": "Depth"}]


def answer(rows: list[dict], **about) -> tuple[str, str, str]:
    """The verdict, what lies behind it, and how sure."""
    said = results.assemble(rows, "random", **{"arms": ARMS} | about)["answer"]
    return said[0], *said[-2:]


def test_three_seeds_never_prove_anything():
    rows = [row("random", 0.30 + 0.01 * s, seed=s) for s in range(3)]
    rows += [row("depth", 0.50 + 0.02 * s, seed=s) for s in range(3)]
    verdict, what, how_sure = answer(rows)
    assert verdict == (
        "Depth is not shown to differ from Random weights: +21.0 points of mIoU (of these "
        "encoders)."
    )
    # The differences are 0.20, 0.21, 0.22; Student's 4.3027 times 0.01 / sqrt(3) is 0.0248.
    assert what == "The 95 % interval over 3 seeds is +18.5 to +23.5."
    assert how_sure == (
        "3 seeds can't settle whether that is chance: the permutation test, which assumes only "
        "symmetric noise, gives p = 0.25 at least with so few and needs 6 seeds for significance "
        "after correction for 1 arm (the interval assumes normal noise)."
    )


def test_a_sure_answer():
    rows = made_up.study({"random": 0.0, "flow": -0.05, "depth": 0.1}, seeds=8, labels=(8, 16, 64))
    verdict, what, how_sure = answer(rows)
    assert verdict.startswith("Depth is better than Random weights: +")
    assert verdict.endswith(" points of mIoU (of these encoders).")
    assert "The next of 2 arms, flow, is 1" in what
    assert what.endswith("; Depth has the highest mean in 3 of 3 conditions.")
    assert "holds 0" not in what
    assert how_sure == (
        "Chance in seeds hardly does this: p = 0.016 in the permutation test over 8 seeds, "
        "corrected for 2 arms; it speaks of these encoders, and says nothing of another "
        "pre-training."
    )


def paired(rows: list[dict]) -> list[dict]:
    """Each seed with a pre-training of its own."""
    return [r | {"pretraining_seed": r["seed"], "subset": r["seed"]} for r in rows]


def test_pretraining_anew_is_part_of_the_answer():
    rows = paired(made_up.study({"random": 0.0, "depth": 0.1}, seeds=8))
    verdict, what, how_sure = answer(rows)
    assert verdict.endswith(" points of mIoU.")
    assert what.startswith("The 95 % interval over 8 replicates and 2 conditions is ")
    assert how_sure.startswith("Chance in labels, seeds and pre-training hardly does this: p = 0.0")
    assert "encoder" not in " ".join((verdict, what, how_sure))


def test_one_encoder_of_some_arms_is_said():
    rows = paired(made_up.study({"random": 0.0, "depth": 0.1}, seeds=8))
    starts = {"random": lambda r: "", "depth": lambda r: f"depth-{r['seed']}"}
    rows = [r | {"start": starts[r["arm"]](r)} for r in rows]
    assert "encoder" not in " ".join(answer(rows))
    rows = [r | {"start": r["start"] and "r18.pth"} for r in rows]
    assert answer(rows)[0].endswith("(of these encoders).")
    more = [r | {"arm": "flow", "start": f"flow-{r['seed']}"} for r in rows if r["arm"] == "depth"]
    assert answer(rows + more)[0].endswith("(of the one encoder of Depth).")
    ahead = [r | {"miou": r["miou"] + 0.1} for r in more]
    assert "encoder" not in " ".join(answer(rows + ahead))  # speaks of flow, which has eight


def test_a_level_arm():
    rows = made_up.study({"random": 0.0, "depth": 0.002}, seeds=8)
    verdict, _, how_sure = answer(rows, bound=0.02)
    assert verdict.startswith("Depth is level within ±2.0 with Random weights: ")
    assert how_sure.startswith("Two one-sided t tests over 8 seeds, which assume normal noise, gi")
    assert "chance" not in how_sure


def test_contrasts_have_a_verdict_each():
    effects = {"random": 0.0, "depth": 0.1, "flow": 0.05, "far": 0.1}
    rows = made_up.study(effects, seeds=9, noise=0.005)
    pairs = [("depth", "flow"), ("flow", "depth"), ("depth", "far")]
    said = results.assemble(rows, "random", arms=ARMS, contrasts=pairs, bound=0.02)["answer"]
    assert len(said) == 6
    assert said[1].startswith("Depth is better than flow: +")
    assert said[2].startswith("flow is worse than Depth: −")
    assert said[3].startswith("Depth is level within ±2.0 with far: ")
    rows = [r if r["arm"] != "far" else r | {"status": "failed"} for r in rows]
    said = results.assemble(rows, "random", arms=ARMS, contrasts=pairs[2:])["answer"]
    assert said[1] == "Depth and far have no pair of runs to compare."


def test_an_arm_below_its_constant_answer_is_told_where_it_is_named():
    own = {"encoder": "tiny", "number": "AbsRel", "score": 0.39, "constant": 0.307}
    told = {"runs": 3, "beaten": 1, **own}
    arms = [ARMS[0], ARMS[1] | {"own_task": [told]}]
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    said = results.assemble(rows, "random", arms=arms)["answer"]
    assert said[1] == (
        "Mind that Depth did not beat the constant answer of its own task in 2 of 3 runs (AbsRel "
        "0.39, constant 0.307)."
    )
    arms[1] = arms[1] | {"own_task": [told | {"beaten": 3}]}
    assert len(results.assemble(rows, "random", arms=arms)["answer"]) == 3
    # Neither first nor next nor in a contrast: not here, but in the table.
    rows = made_up.study({"random": 0.0, "a": 0.3, "b": 0.2, "depth": 0.1}, seeds=3)
    arms[1] = arms[1] | {"own_task": [told]}
    assert not any("Mind" in s for s in results.assemble(rows, "random", arms=arms)["answer"])


def test_frozen_and_fine_tuned_are_told_apart():
    rows = [row("random", v, training=t) for t, v in (("fine_tuned", 0.4), ("frozen", 0.2))]
    rows += [row("depth", v, training=t) for t, v in (("fine_tuned", 0.39), ("frozen", 0.4))]
    _, what, _ = answer(rows)
    assert what == (
        "There is no interval over 1 seed and 2 conditions (fine-tuned −1.0, frozen +20.0)."
    )


def test_an_effect_that_is_not_there():
    verdict, _, how_sure = answer(made_up.study({"random": 0.0, "depth": 0.001}, seed=3, seeds=8))
    assert verdict.startswith("Depth is not shown to differ from Random weights: ")
    assert how_sure.startswith("It may be chance: p = 0.")


def test_no_arm_is_better():
    effects = {"random": 0.0, "depth": -0.1, "flow": -0.2}
    verdict, what, _ = answer(made_up.study(effects, seeds=8))
    assert verdict.startswith(
        "No arm is better than Random weights; the nearest, Depth, is worse: −"
    )
    assert what.startswith("The 95 % interval over 8 seeds and 2 conditions is −")
    verdict, *_ = answer(made_up.study(effects, seeds=3))
    assert verdict.startswith(
        "No arm is shown to be better than Random weights; the nearest is Depth: −"
    )


def test_the_first_of_arms_that_are_not_shown_to_be_better():
    verdict, *_ = answer(made_up.study({"random": 0.0, "depth": 0.1, "flow": 0.0}, seeds=3))
    assert verdict.startswith(
        "No arm is shown to be better than Random weights; the first is Depth: +"
    )


def test_what_is_missing_and_warned_of_is_said():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    rows[5] = failed(arm="depth", labels=8, seed=2)
    for r in rows:
        r["warning"] = "pre-trained on 3 test drives" if r["arm"] == "depth" else ""
    how_sure = answer(rows)[-1]
    assert "; of 12 cells 1 failed; mind that Depth: pre-trained on 3 test drives." in how_sure


def test_of_many_warnings_one_is_said():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    for r in rows:
        r["warning"] = f"{r['labels']} test pictures seen"
    # Of both arms: said once.
    assert answer(rows)[-1].endswith(
        "; mind that Depth: 8 test pictures seen (and more, see the table)."
    )


def test_a_warning_of_the_reference_counts_too():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    for r in rows:
        r["warning"] = "seen" if r["arm"] == "random" else ""
    assert answer(rows)[-1].endswith("; mind that Random weights: seen.")


def test_subsets_are_called_so():
    how_sure = answer(made_up.study({"random": 0.0, "depth": 0.1}, subsets=3, seeds=2))[-1]
    assert "3 subsets can't settle" in how_sure


def test_nothing_to_compare():
    rows = [row("random", 0.4), failed(arm="depth")]
    _, what, how_sure = answer(rows)
    assert what.startswith("Nothing can be compared yet")
    assert how_sure == "Of 2 cells 1 failed."
    assert answer(rows[:1])[1:] == (
        "Nothing can be compared: Random weights is the only arm in its conditions.",
        "All cells are done.",
    )


def test_one_replicate():
    _, what, how_sure = answer([row("random", 0.4), row("depth", 0.5)])
    assert what == "There is no interval over 1 seed."
    assert "1 seed can't settle" in how_sure
    assert "interval" not in how_sure


def test_an_arm_that_lacks_a_condition_is_not_the_best():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0)
    rows += [row("far", 0.9, labels=8, seed=s) for s in range(3)]
    verdict, what, _ = answer(rows)
    assert "is Depth: +10.0 points" in verdict
    assert what.endswith(" Not ranked, for want of runs: far.")


def test_an_arm_of_fewer_subsets_is_not_the_best():
    """Its mean over an easy subset alone says nothing beside one over all of them."""
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n) for n in (8, 16)]
    rows += [failed(arm="far", labels=n, subset=s) for n in (8, 16) for s in (1, 2)]
    assert "is Depth: +10.0 points" in answer(rows)[0]


def test_an_arm_that_is_shown_to_be_better_goes_before_one_that_is_further_ahead():
    rows = [row("random", 0.4, seed=s) for s in range(7)]
    rows += [row("depth", 0.35 if s in (3, 5) else 0.8, seed=s) for s in range(7)]
    rows += [row("flow", 0.5 + 0.001 * s, seed=s) for s in range(7)]
    verdict, what, how_sure = answer(rows)
    assert verdict.startswith("flow is better than Random weights: +10.3 points")
    assert what.endswith(
        " Depth is ranked first, at +27.1 (95 % interval +6.8 to +47.5), but is not shown to "
        "differ from Random weights."
    )
    assert how_sure.startswith("Chance in seeds hardly does this: p = 0.031 ")


def test_the_number_is_that_of_the_table_and_the_order_of_what_all_have():
    """Each arm is far better on one subset, which the other lacks: they are level elsewhere."""
    scores = {"random": (0.1, 0.1, 0.1, 0.1), "depth": (0.9, None, 0.3, 0.3)}
    scores["flow"] = (None, 0.8, 0.2, 0.2)
    rows = [
        failed(arm=arm, subset=s) if value is None else row(arm, value, subset=s)
        for arm, values in scores.items()
        for s, value in enumerate(values)
    ]
    study = results.assemble(rows, "random", arms=ARMS)
    verdict, what, how_sure = study["answer"]
    # (0.8 + 0.2 + 0.2) / 3 over the three subsets that depth has.
    assert verdict == (
        "No arm is shown to be better than Random weights; the first is Depth: +40.0 points of "
        "mIoU (of these encoders)."
    )
    (depth,) = (o for o in study["overall"] if o["arm"] == "depth")
    assert points(depth["difference"], sign=True) == "+40.0"
    assert what.endswith(
        " The next of 2 arms, flow, is 10.0 points behind (95 % interval +10.0 to +10.0). Arms are "
        "ranked on the 2 subsets that all of them have, where Depth is at +20.0; every number is "
        "of all that its arm has."
    )
    assert how_sure.startswith("3 subsets can't settle")


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
    verdict, what, _ = answer(rows)
    assert "the first is flow: +20.0 points" in verdict
    assert "; flow has the highest mean in 2 of 2 conditions. Arms are ranked on the 2" in what


def test_an_arm_that_lost_a_run_is_ranked_still():
    rows = made_up.study({"random": 0.0, "depth": 0.001}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n, subset=s) for n in (8, 16) for s in (0, 1)]
    rows += [failed(arm="far", labels=n, subset=2) for n in (8, 16)]
    assert "the first is far: +" in answer(rows)[0]


def test_arms_without_a_difference():
    rows = [row(arm, 0.4, seed=s) for arm in ("random", "depth") for s in range(3)]
    assert "to differ from Random weights: 0.0 points of mIoU" in answer(rows)[0]


def test_the_lead_before_the_next_arm_is_of_their_own_pairs():
    scores = {"random": (0.1, 0.1, 0.1), "depth": (0.4, 0.5, 0.6), "flow": (0.41, 0.47, 0.59)}
    rows = [row(arm, v, seed=s) for arm, values in scores.items() for s, v in enumerate(values)]
    # Depth less flow: -0.01, 0.03, 0.01; mean 0.01, Student's 4.3027 times 0.02 / sqrt(3) 0.0497.
    assert answer(rows)[1].endswith(
        " The next of 2 arms, flow, is 1.0 points behind (95 % interval −4.0 to +6.0, which holds "
        "0)."
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
