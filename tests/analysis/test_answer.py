"""The answer on made-up studies: never more than the numbers allow."""

from geoseg_jax.analysis import results
from geoseg_jax.core.formats import points
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
    # The differences are 0.20, 0.21, 0.22; Student's 4.3027 times 0.01 / sqrt(3) is 0.0248.
    assert verdict == (
        "Depth is not shown to differ from Random weights: +21.0 mIoU points on average (95 % CI "
        "+18.5 to +23.5)."
    )
    assert what == (
        "Depth − Random weights is averaged over 3 seeds. This holds for these encoders; another "
        "pre-training may come out differently."
    )
    assert how_sure == (
        "With 3 seeds the exact permutation test cannot go below p = 0.25; 6 would be needed. The "
        "CI assumes normal noise."
    )


def test_a_sure_answer():
    rows = made_up.study({"random": 0.0, "flow": -0.05, "depth": 0.1}, seeds=8, labels=(8, 16, 64))
    verdict, what, how_sure = answer(rows)
    assert verdict.startswith("Depth, the best of 2 arms, is better than Random weights: +")
    assert " mIoU points on average (95 % CI +" in verdict
    assert " flow is next, 1" in what
    assert what.endswith(" Depth has the highest mean in 3 of 3 conditions.")
    assert "includes 0" not in what
    assert how_sure == (
        "That difference is significant: p = 0.016 (permutation test over 8 seeds, corrected for 2 "
        "arms)."
    )


def test_a_trial_says_so_before_its_verdict():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=2)
    said = results.assemble(rows, "random", arms=ARMS, trial=True)["answer"]
    assert said[0] == "A trial, in which nothing was learned: believe none of its numbers."
    assert said[1:] == results.assemble(rows, "random", arms=ARMS)["answer"]


def paired(rows: list[dict]) -> list[dict]:
    """Each seed with a pre-training of its own."""
    return [r | {"pretraining_seed": r["seed"], "subset": r["seed"]} for r in rows]


def test_pretraining_anew_is_part_of_the_answer():
    rows = paired(made_up.study({"random": 0.0, "depth": 0.1}, seeds=8))
    verdict, what, how_sure = answer(rows)
    assert "is averaged over 8 replicates and 2 conditions." in what
    assert how_sure.startswith("That difference is significant: p = 0.0")
    assert "encoder" not in " ".join((verdict, what, how_sure))


def test_one_encoder_of_some_arms_is_said():
    rows = paired(made_up.study({"random": 0.0, "depth": 0.1}, seeds=8))
    starts = {"random": lambda r: "", "depth": lambda r: f"depth-{r['seed']}"}
    rows = [r | {"start": starts[r["arm"]](r)} for r in rows]
    assert "encoder" not in " ".join(answer(rows))
    rows = [r | {"start": r["start"] and "r18.pth"} for r in rows]
    assert "This holds for these encoders;" in answer(rows)[1]
    more = [r | {"arm": "flow", "start": f"flow-{r['seed']}"} for r in rows if r["arm"] == "depth"]
    assert "This holds for the only encoder of Depth;" in answer(rows + more)[1]
    ahead = [r | {"miou": r["miou"] + 0.1} for r in more]
    assert "encoder" not in " ".join(answer(rows + ahead))  # speaks of flow, which has eight


def test_a_level_arm():
    rows = made_up.study({"random": 0.0, "depth": 0.002}, seeds=8)
    verdict, _, how_sure = answer(rows, bound=0.02)
    assert verdict.startswith("Depth is level with Random weights within ±2.0 points: ")
    assert how_sure.startswith("A difference beyond the bound is rejected with p ")
    assert "chance" not in how_sure


def test_contrasts_have_a_verdict_each():
    effects = {"random": 0.0, "depth": 0.1, "flow": 0.05, "far": 0.1}
    rows = made_up.study(effects, seeds=9, noise=0.005)
    pairs = [("depth", "flow"), ("flow", "depth"), ("depth", "far")]
    said = results.assemble(rows, "random", arms=ARMS, contrasts=pairs, bound=0.02)["answer"]
    assert len(said) == 6
    assert said[1].startswith("Depth is better than flow: +")
    assert said[2].startswith("flow is worse than Depth: −")
    assert said[3].startswith("Depth is level with far within ±2.0 points: ")
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
        "Depth did not beat a constant prediction on its own task in 2 of 3 runs (AbsRel 0.39, "
        "constant 0.307)."
    )
    arms[1] = arms[1] | {"own_task": [told | {"beaten": 3}]}
    assert len(results.assemble(rows, "random", arms=arms)["answer"]) == 3
    # Neither first nor next nor in a contrast: not here, but in the table.
    rows = made_up.study({"random": 0.0, "a": 0.3, "b": 0.2, "depth": 0.1}, seeds=3)
    arms[1] = arms[1] | {"own_task": [told]}
    assert not any(
        "did not beat" in s for s in results.assemble(rows, "random", arms=arms)["answer"]
    )


def test_frozen_and_fine_tuned_are_told_apart():
    rows = [row("random", v, training=t) for t, v in (("fine_tuned", 0.4), ("frozen", 0.2))]
    rows += [row("depth", v, training=t) for t, v in (("fine_tuned", 0.39), ("frozen", 0.4))]
    verdict, what, _ = answer(rows)
    assert verdict.endswith("on average (one replicate, no CI).")
    assert "over 1 seed and 2 conditions (fine-tuned −1.0, frozen +20.0). " in what


def test_an_effect_that_is_not_there():
    verdict, _, how_sure = answer(made_up.study({"random": 0.0, "depth": 0.001}, seed=3, seeds=8))
    assert verdict.startswith("Depth is not shown to differ from Random weights: ")
    assert how_sure.startswith("That difference may be chance: p = 0.")


def test_no_arm_is_better():
    effects = {"random": 0.0, "depth": -0.1, "flow": -0.2}
    start = "No arm beats Random weights. Depth, the best of 2 arms, is "
    assert answer(made_up.study(effects, seeds=8))[0].startswith(f"{start}worse: −")
    assert answer(made_up.study(effects, seeds=3))[0].startswith(f"{start}not shown to differ: −")


def test_the_first_of_arms_that_are_not_shown_to_be_better():
    verdict, *_ = answer(made_up.study({"random": 0.0, "depth": 0.1, "flow": 0.0}, seeds=3))
    assert verdict.startswith("Depth is the best of 2 arms: +")
    assert verdict.endswith("), but not shown to be better.")


def test_what_is_missing_and_warned_of_is_said():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    rows[5] = failed(arm="depth", labels=8, seed=2)
    for r in rows:
        r["warning"] = "pre-trained on 3 test drives" if r["arm"] == "depth" else ""
    how_sure = answer(rows)[-1]
    assert how_sure.endswith(" 1 of 12 cells failed. Note on Depth: pre-trained on 3 test drives.")


def test_of_many_warnings_one_is_said():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    for r in rows:
        r["warning"] = f"{r['labels']} test pictures seen"
    # Of both arms: said once.
    assert answer(rows)[-1].endswith(" Note on Depth: 8 test pictures seen (more in the table).")


def test_a_warning_of_the_reference_counts_too():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=3)
    for r in rows:
        r["warning"] = "seen" if r["arm"] == "random" else ""
    assert answer(rows)[-1].endswith(" Note on Random weights: seen.")


def test_subsets_are_called_so():
    how_sure = answer(made_up.study({"random": 0.0, "depth": 0.1}, subsets=3, seeds=2))[-1]
    assert how_sure.startswith("With 3 subsets the exact permutation test cannot go below p = 0.25")


def test_nothing_to_compare():
    rows = [row("random", 0.4), failed(arm="depth")]
    _, what, how_sure = answer(rows)
    assert what.startswith("There is nothing to compare yet")
    assert how_sure == "1 of 2 cells failed."
    assert answer(rows[:1])[1:] == (
        "There is nothing to compare: Random weights is the only arm in its conditions.",
        "All cells are done.",
    )


def test_contrasts_are_told_where_the_reference_has_no_runs():
    rows = [failed(arm="random", seed=k) for k in range(8)]
    rows += [row("depth", 0.35 + 0.001 * k, seed=k) for k in range(8)]
    rows += [row("flow", 0.30 - 0.001 * k, seed=k) for k in range(8)]
    said = results.assemble(rows, "random", arms=ARMS, contrasts=[("depth", "flow")])["answer"]
    assert said[0].startswith("No arm can be compared with Random weights yet: ")
    assert said[1].startswith("Depth is better than flow: +")


def test_arms_that_are_not_ranked_are_neither_counted_nor_forgotten():
    """One is far ahead in half of the units, one has none, one is behind in five of eight."""
    rows = [row("random", 0.3, seed=k) for k in range(8)]
    rows += [row("depth", 0.31 + 0.001 * k, seed=k) for k in range(8)]
    rows += [row("flow", 0.305, seed=k) for k in range(8)]
    rows += [row("far", 0.4, seed=k) if k < 4 else failed(arm="far", seed=k) for k in range(8)]
    rows += [failed(arm="gone", seed=k) for k in range(8)]
    verdict, what, _ = answer(rows)
    assert verdict.startswith("Depth, the best of 2 arms, is better than Random weights: ")
    assert "that all of them have" not in what
    assert what.endswith(" Not ranked, as runs are missing: far, gone.")


def test_an_arm_ahead_in_the_table_is_not_denied():
    rows = [row("random", 0.3, seed=k) for k in range(8)]
    rows += [row("depth", 0.28 if k < 5 else 0.39, seed=k) for k in range(8)]
    rows += [row("flow", 0.296, seed=k) if k < 5 else failed(arm="flow", seed=k) for k in range(8)]
    assert answer(rows)[0].startswith("No arm is shown to be better than Random weights. flow, ")


def test_one_replicate():
    _, what, how_sure = answer([row("random", 0.4), row("depth", 0.5)])
    assert "is averaged over 1 seed. " in what
    assert how_sure == (
        "With 1 seed the exact permutation test cannot go below p = 1; 6 would be needed."
    )


def test_an_arm_that_lacks_a_condition_is_not_the_best():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0)
    rows += [row("far", 0.9, labels=8, seed=s) for s in range(3)]
    verdict, what, _ = answer(rows)
    assert verdict.startswith("Depth is not shown to differ from Random weights: +10.0 mIoU ")
    assert what.endswith(" Not ranked, as runs are missing: far.")


def test_an_arm_of_fewer_subsets_is_not_the_best():
    """Its mean over an easy subset alone says nothing beside one over all of them."""
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n) for n in (8, 16)]
    rows += [failed(arm="far", labels=n, subset=s) for n in (8, 16) for s in (1, 2)]
    assert answer(rows)[0].startswith(
        "Depth is not shown to differ from Random weights: +10.0 mIoU "
    )


def test_an_arm_that_is_shown_to_be_better_goes_before_one_that_is_further_ahead():
    rows = [row("random", 0.4, seed=s) for s in range(7)]
    rows += [row("depth", 0.35 if s in (3, 5) else 0.8, seed=s) for s in range(7)]
    rows += [row("flow", 0.5 + 0.001 * s, seed=s) for s in range(7)]
    verdict, what, how_sure = answer(rows)
    assert verdict.startswith("flow is better than Random weights: +10.3 mIoU points")
    assert what.endswith(
        " Depth ranks first at +27.1 (95 % CI +6.8 to +47.5), but is not shown to differ from "
        "Random weights."
    )
    assert how_sure.startswith("That difference is significant: p = 0.031 ")


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
    assert verdict.startswith("Depth is the best of 2 arms: +40.0 mIoU points over Random weights ")
    (depth,) = (o for o in study["overall"] if o["arm"] == "depth")
    assert points(depth["difference"], sign=True) == "+40.0"
    assert what.endswith(
        " flow is next, 10.0 points behind (95 % CI +10.0 to +10.0). Arms are ranked on the 2 "
        "subsets that all of them have, where Depth is at +20.0; all other numbers use all "
        "that an arm has."
    )
    assert how_sure.startswith("With 3 subsets ")


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
    assert verdict.startswith("flow is the best of 2 arms: +20.0 mIoU points ")
    assert " flow has the highest mean in 2 of 2 conditions. Arms are ranked on the 2" in what


def test_an_arm_that_lost_a_run_is_ranked_still():
    rows = made_up.study({"random": 0.0, "depth": 0.001}, noise=0.0, subsets=3, seeds=1)
    rows += [row("far", 0.9, labels=n, subset=s) for n in (8, 16) for s in (0, 1)]
    rows += [failed(arm="far", labels=n, subset=2) for n in (8, 16)]
    assert answer(rows)[0].startswith("far is the best of 2 arms: +")


def test_arms_without_a_difference():
    rows = [row(arm, 0.4, seed=s) for arm in ("random", "depth") for s in range(3)]
    assert "to differ from Random weights: 0.0 mIoU points" in answer(rows)[0]


def test_the_lead_before_the_next_arm_is_of_their_own_pairs():
    scores = {"random": (0.1, 0.1, 0.1), "depth": (0.4, 0.5, 0.6), "flow": (0.41, 0.47, 0.59)}
    rows = [row(arm, v, seed=s) for arm, values in scores.items() for s, v in enumerate(values)]
    # Depth less flow: -0.01, 0.03, 0.01; mean 0.01, Student's 4.3027 times 0.02 / sqrt(3) 0.0497.
    assert answer(rows)[1].endswith(
        " flow is next, 1.0 points behind (95 % CI −4.0 to +6.0, includes 0)."
    )
