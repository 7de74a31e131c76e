"""What readers see of made-up studies, as text that a Markdown reader takes apart again."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from geoseg_jax.analysis import results
from geoseg_jax.report import tables
from tests.study import made_up
from tests.study.made_up import failed, row


def parsed(text: str) -> list[dict[str, dict[str, str]]]:
    """Every table of a Markdown text: row name -> column -> cell."""
    found = []
    for block in text.split("\n\n"):
        lines = [
            re.split(r"(?<!\\)\|", line)[1:-1] for line in block.split("\n") if line[:1] == "|"
        ]
        if lines:
            header, _, *rows = [[cell.strip() for cell in line] for line in lines]
            assert all(len(r) == len(header) for r in rows)
            found.append({r[0]: dict(zip(header[1:], r[1:], strict=True)) for r in rows})
    return found


def by_hand() -> dict:
    """Differences of 3, 1 and 5 points with 8 labels; with 16 one pair is left."""
    rows = []
    seen = {"warning": "has seen 3 test drives"}
    for labels in (8, 16):
        rows += [row("random", v, labels, seed=s) for s, v in enumerate((0.40, 0.42, 0.38))]
        rows += [row("depth", v, labels, seed=s, **seen) for s, v in enumerate((0.43, 0.43, 0.43))]
    rows[6], rows[10] = failed(arm="random", labels=16), failed(arm="depth", labels=16, seed=1)
    arms = [{"name": "depth", "label": "Depth"}]
    return results.assemble(rows, "random", title="By hand", arms=arms)


def test_the_markdown_by_hand():
    text = tables.markdown(by_hand())
    assert text.startswith(
        "# By hand\n\nDepth is not shown to differ from random: +5.0 mIoU points "
    )
    overall, scores, differences, *_ = parsed(text)
    # Of differences 3, 1 and 5 the deviation is 2, which two arms share: over the square root of 2.
    # With 16 labels one pair is left, and so no residual.
    assert scores["random (reference)"] == {"8 labels": "40.0 ± 1.4", "16 labels": "40.0 [c]"}
    assert scores["Depth"] == {
        "8 labels": "**43.0 ± 1.4** [a, d]",
        "16 labels": "**43.0** [a, c, d]",
    }
    assert differences["Depth"]["8 labels"] == "+3.0 (−2.0 to +8.0), p = 0.5 [a]"
    assert differences["Depth"]["16 labels"] == "+5.0, p = 1 [a, e]"
    assert "random (reference)" not in differences
    told = overall["Depth [a, b]"]
    assert (told["verdict"], told["difference"], told["ahead in"]) == (
        "not shown",
        "+5.0",
        "2 of 2",
    )
    notes = dict(re.findall(r"^- \[(\w)\] (.*)$", text, re.MULTILINE))
    assert notes == {
        "a": "has seen 3 test drives",
        "b": "1 of 3 seeds have every pair",
        "c": "2 of 3 runs are done",
        "d": "all runs gave the same number, as if the seed had no effect",
        "e": "1 of 3 pairs are complete",
    }


def test_a_difference_tells_what_its_other_side_has_seen():
    rows = [row("random", 0.4, warning="seen"), row("depth", 0.5)]
    text = tables.markdown(results.assemble(rows, "random"))
    overall, scores, differences, *_ = parsed(text)
    assert scores["depth"]["mIoU"] == "**50.0**"
    assert differences["depth"]["mIoU"].endswith("[a]")
    assert "depth [a]" in overall
    assert "- [a] random: seen" in text


def test_the_reader_is_told_what_cannot_be_found():
    text = tables.markdown(by_hand())
    assert (
        "They hold for this one subset of labels, these encoders and these test pictures." in text
    )
    assert "so no single comparison can be significant" in text
    many = made_up.study({"random": 0.0, "depth": 0.1}, seeds=8)
    assert "no single comparison" not in tables.markdown(results.assemble(many, "random"))


def test_what_intervals_speak_of():
    """Seeds that all subsets share are no part of what varies between subsets."""

    def told(arms=(), budget="", calibrated=False, **made):
        rows = made_up.study({"random": 0.0, "depth": 0.1}, **made)
        about = {"arms": list(arms), "budget": budget, "calibrated": calibrated}
        return tables.markdown(results.assemble(rows, "random", **about))

    assert "hold for this one subset of labels, these encoders and these test" in told()
    assert "drawn like these, these seeds, which all subsets share, these enc" in told(subsets=3)
    assert "drawn like these, these encoders and these test" in told(subsets=3, seeds=1)
    assert "(with all labels: chance in training)" in told(subsets=3, labels=(8, 0))
    random = {"name": "random", "label": "Random weights", "config": "random weights"}
    both = {"trainings": ("fine_tuned", "frozen")}
    assert "The frozen encoder of Random weights has the batch" in told([random], **both)
    assert "In every arm, a frozen encoder has" in told([random], calibrated=True, **both)
    assert "frozen encoder" not in told([random], calibrated=True)
    assert "frozen encoder" not in told([random])
    assert "frozen encoder" not in told([random | {"config": "imagenet.pth"}], **both)
    assert told(budget="12 pictures").endswith("Budget: 12 pictures.\n")


def test_which_test_was_made_and_for_how_many():
    effects = {"random": 0.0, "depth": 0.1}
    few, many = (
        tables.markdown(results.assemble(made_up.study(effects, seeds=n), "random"))
        for n in (14, 15)
    )
    assert "p is from the exact permutation test on the signs of paired differences" in few
    assert "from the permutation test on 9,999 random patterns of the signs of paired" in many
    assert "p, corrected for all arms, is at most 0.05" in few
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=8)
    text = tables.markdown(results.assemble(rows, "random", contrasts=[("depth", "random")]))
    assert "corrected for all arms (of a contrast, for all contrasts), is at most" in text


def test_which_multiples_can_not_be_shown():
    effects = {"random": 0.0, "depth": 0.1, "flow": 0.05}
    told = [
        tables.markdown(results.assemble(made_up.study(effects, seeds=n), "random"))
        for n in (4, 7, 8)
    ]
    assert all("p, corrected for all of their kind, is at most 0.05 and the" in t for t in told)
    assert "labels, steps over all conditions and steps in each condition." in told[0]
    assert "With so few pairs none can be shown for steps in each condition." in told[1]
    assert "so few pairs" not in told[2]
    assert all("Multiples of labels or steps are shown" in text for text in told)
    rows = made_up.study(effects, labels=(8,), seeds=8)
    assert "Multiples of steps are shown" in tables.markdown(results.assemble(rows, "random"))


def paired(rows):
    """Each seed with a subset and a pre-training of its own."""
    return [r | {"subset": r["seed"], "pretraining_seed": r["seed"]} for r in rows]


def test_intervals_that_speak_of_pretraining():
    rows = paired(made_up.study({"random": 0.0, "depth": 0.1}))
    text = tables.markdown(results.assemble(rows, "random"))
    assert "one for each replicate (its own subset of labels, seed and pre-training), and" in text
    assert "subsets of labels drawn like these, other pre-trainings like these and these" in text
    assert "these encoders" not in text
    crossed = [r | {"subset": k} for r in rows for k in (0, 1)]
    text = tables.markdown(results.assemble(crossed, "random"))
    assert "one for each pre-training, and" in text
    told = "hold for these subsets of labels and these seeds, which all pre-trainings share, other"
    assert told in text
    assert "Every subset of labels met every seed and every pre-training" not in text


def test_where_runs_scatter_from():
    """In a study that crosses what varies, a row for each arm and condition; else no table."""
    rows = made_up.study({"random": 0.0, "depth": 0.1}, subsets=3, seeds=4)
    study = results.assemble(rows, "random")
    last = parsed(tables.markdown(study))[-1]
    assert list(last) == [f"{a}, {n} labels" for n in (8, 16) for a in ("random", "depth")]
    part = study["components"][0]["subset"]
    shown = last["random, 8 labels"]
    assert list(shown) == ["which labels", "seed", "together"]
    numbers = [f"{100 * part[end]:.1f}" for end in ("std", "low", "high")]
    assert shown["which labels"] == "{} ({} to {})".format(*numbers)
    text = tables.markdown(study)
    assert "Every subset of labels met every seed, so that the scatter of runs can be" in text
    assert "in all arms alike" not in text
    assert "met every" in tables.latex(study)
    text = tables.markdown(results.assemble(rows[:3], "random"))
    assert "scatter of runs comes from" not in text
    assert "met every" not in text


def test_how_far_other_pictures_would_move_a_run():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, subsets=2, seeds=2)
    scores = {r["cell"]: r["miou"] + np.array([-0.02, 0.0, 0.02]) for r in rows}
    drawn = {"scores": scores, "count": 21, "what": "recordings", "pictures": 64, "pooled": False}
    study = results.assemble(rows, "random", resampled=SimpleNamespace(**drawn))
    shown = parsed(tables.markdown(study))[-1]["depth, 8 labels"]
    assert shown["other test recordings"] == f"{2 * math.sqrt(21 / 20):.1f}"
    assert "Other test recordings are no part of it" in tables.markdown(study)


def test_over_all_conditions():
    """The bootstrap where there are enough pairs for one; frozen and fine-tuned where both are."""
    rows = made_up.study({"random": 0.0, "depth": 0.1}, trainings=("fine_tuned", "frozen"))
    study = results.assemble(rows, "random")
    overall = parsed(tables.markdown(study))[0]["depth"]
    parts = ["fine-tuned", "frozen"]
    assert list(overall) == ["verdict", "difference", "p", "corrected p", *parts, "ahead in"]
    found = study["overall"][0]["by_training"]
    assert float(overall["frozen"]) == pytest.approx(100 * found["frozen"], abs=0.051)
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=5)
    text = tables.markdown(results.assemble(rows, "random"))
    overall = parsed(text)[0]["depth"]
    assert re.fullmatch(r"\+\d+\.\d to \+\d+\.\d", overall["bootstrap"])
    assert "the studentised bootstrap beside them does not" in text


def test_few_pictures_that_judge_in_folds_are_told():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, seeds=5)
    drawn = SimpleNamespace(scores={}, count=30, what="pictures", pictures=30, pooled=True)
    text = tables.markdown(results.assemble(rows, "random", resampled=drawn))
    assert "Only 30 labelled pictures judge, over all replicates: other pictures may well" in text
    assert "Each replicate is judged on a fold of the labelled pictures" in text
    drawn.pictures, drawn.pooled = 50, False
    text = tables.markdown(results.assemble(rows, "random", resampled=drawn))
    assert "Only" not in text
    assert "on a fold" not in text
    assert "the interval over 30 pictures beside them" in text
    drawn.count, drawn.what = 1, "recordings"  # its pictures are no sample of others
    text = tables.markdown(results.assemble(rows, "random", resampled=drawn))
    assert "these test pictures; the test pictures are of 1 recording, too few for an" in text
    assert "beside them covers" not in text


def test_verdicts_and_contrasts():
    rows = made_up.study({"random": 0.0, "depth": 0.1, "flow": 0.001}, seeds=9, noise=0.005)
    draws = np.random.default_rng(0).normal(0, 0.01, (len(rows), 99))
    cells = [r["cell"] for r in rows]
    drawn = SimpleNamespace(
        scores=dict(zip(cells, draws, strict=True)),
        count=64,
        what="pictures",
        pictures=64,
        pooled=False,
    )
    about = {"contrasts": [("depth", "flow"), ("flow", "random")], "bound": 0.02}
    study = results.assemble(rows, "random", resampled=drawn, **about)
    text = tables.markdown(study)
    overall, contrasts, *_ = parsed(text)
    wanted = ["**better**", "**level within ±2.0**"]
    assert [row["verdict"] for row in overall.values()] == wanted
    assert list(contrasts) == ["depth − flow", "flow − random"]
    assert [row["verdict"] for row in contrasts.values()] == wanted
    heads = ["verdict", "difference", "p", "corrected p", "level p"]
    assert list(contrasts["depth − flow"]) == [*heads, "bootstrap", "over test pictures"]
    for told, found in zip(contrasts.values(), study["contrasts"], strict=True):
        numbers = re.findall(r"[-+]?\d+\.\d", told["over test pictures"].replace("−", "-"))
        ends = [100 * found[f"pictures_{end}"] for end in ("low", "high")]
        assert [float(n) for n in numbers] == pytest.approx(ends, abs=0.051)
    assert "the interval over 64 pictures beside them covers other test pictures" in text
    study["resampled"]["what"] = "recordings (pictures where unknown)"
    assert "interval over 64 recordings (pictures where unknown) beside" in tables.markdown(study)
    assert "level where two one-sided t tests, with Holm's correction, show a difference" in text
    assert r"level within $\pm$2.0" in tables.latex(study)


def test_own_tasks():
    own = {"encoder": "resnet18", "number": "AbsRel", "score": 0.39, "constant": 0.30712}
    own |= {"runs": 3, "beaten": 1, "low": 0.07, "high": 0.095}
    arms = [{"name": "depth", "label": "Depth", "own_task": [own]}, {"name": "random"}]
    rows = made_up.study({"random": 0.0, "depth": 0.1})
    text = tables.markdown(results.assemble(rows, "random", arms=arms))
    overall, *_, table = parsed(text)
    assert table == {
        "Depth": {
            "number": "AbsRel",
            "score": "0.39",
            "constant": "0.3071",
            "difference (95 % CI)": "+0.0829 (+0.07 to +0.095)",
            "beaten": "**in 1 of 3 runs**",
        }
    }
    assert list(overall) == ["Depth [a]"]
    told = "- [a] Depth did not beat a constant prediction on its own task in 2 of 3 runs (AbsRel"
    assert told in text.replace("\\", "")


def test_a_resolution_that_is_the_configs():
    rows = [row("random", 0.4) | {"resolution": r} for r in ("", "96x32")]
    scores = parsed(tables.markdown(results.assemble(rows, "random")))[0]
    assert list(scores["random (reference)"]) == ["default resolution", "96×32"]


def test_the_caption_says_what_all_cells_share():
    text = tables.markdown(by_hand())
    shared = "best in bold; fine-tuned, unet, 96×32, resnet18"
    told = f"± standard deviation without what all arms share (labels, seed), {shared}"
    assert f"**mIoU in %: mean over 3 runs {told}**" in text
    assert "**Difference to random in mIoU points: " in text


def test_labels_and_steps():
    effects = {"random": 0.0, "depth": 0.05, "far": 0.5, "bad": -0.1}
    rows = made_up.study(effects, noise=0.0, seeds=7, labels=(8, 16, 64))
    labels, overall, steps = parsed(tables.markdown(results.assemble(rows, "random")))[3:]
    needed = {arm: cells["labels"] for arm, cells in labels.items()}
    assert needed == {
        "depth": "0.5 × (0.5 to 0.5)",
        "far": "≤0.12 × (0.12 to 0.12)",
        "bad": "4 × (4 to 4)",
    }
    # Curves are lines to the end, so that steps go with the score. Seven pairs can show three
    # arms' steps over all conditions, and none of the nine single ones.
    assert all(re.match(r"[\d.]+ × \(", of["steps"]) for of in overall.values())
    assert all("not shown (" in text for of in steps.values() for text in of.values())
    assert "random" not in "".join(steps)


def test_learning_rates_that_were_tried():
    """Points for segmentation, an arm's own score for its pre-training; a failed rate has none."""
    place = {"decoder": "unet", "resolution": "96x32", "encoder": "resnet18"}
    of_cells = {"kind": "segmentation", "metric": "miou", "training": "frozen", "less": False}
    own = {"kind": "pre-training", "metric": "abs_rel", "less": True, "encoder": "resnet18"}
    rates = [
        place | of_cells | {"arm": "random", "tried": [[1e-3, 0.2], [3e-3, 0.25]], "chosen": 3e-3},
        own | {"arm": "depth", "tried": [[1e-4, 0.211], [2e-4, None]], "chosen": 1e-4},
    ]
    effects = {"random": 0.0, "depth": 0.05}
    rows = made_up.study(effects, trainings=("fine_tuned", "frozen"))
    text = tables.markdown(results.assemble(rows, "random", rates=rates))
    tried = parsed(text.partition("**Learning rates")[2])
    assert tried == [
        {
            "random": {
                "for": "frozen, mIoU in %",
                "best": "0.003",
                "score by learning rate": "0.001: 20.0; 0.003: 25.0",
            },
            "depth": {
                "for": "pre-training, abs\\_rel",
                "best": "0.0001",
                "score by learning rate": "0.0001: 0.211; 0.0002: –",
            },
        }
    ]


def test_many_conditions_are_split_and_sorted():
    rows = made_up.study(
        {"random": 0.0, "depth": 0.1}, labels=(64, 0, 8, 16), trainings=("fine_tuned", "frozen")
    )
    text = tables.markdown(results.assemble(rows, "random"))
    _, scores, _, frozen, *_ = parsed(text)
    expected = ["8 labels", "16 labels", "64 labels", "all labels"]
    assert list(scores["depth"]) == list(frozen["depth"]) == expected
    assert "best in bold; fine-tuned; unet" in text
    assert "best in bold; frozen; unet" in text


def test_every_number_is_the_groups():
    study = results.assemble(
        made_up.study({"a": 0.0, "b": 0.1, "c": 0.02}, labels=(8, 16, 64)), "a"
    )
    _, scores, differences, *_ = parsed(tables.markdown(study))
    for group in study["groups"]:
        column = f"{group['labels']} labels"
        name = group["arm"] + (" (reference)" if group["arm"] == "a" else "")
        mean, std = scores[name][column].replace("*", "").split(" ± ")
        assert float(mean) == pytest.approx(100 * group["mean"], abs=0.051)
        assert float(std) == pytest.approx(100 * group["std"], abs=0.051)
        if group["arm"] != "a":
            text = differences[name][column].replace("−", "-")
            numbers = [float(t) for t in re.findall(r"[-+]?\d+\.?\d*", text)]
            wanted = [100 * group[f"difference{end}"] for end in ("", "_low", "_high")]
            assert numbers == pytest.approx([*wanted, group["p_corrected"]], abs=0.051)


def test_nothing_is_done():
    rows = [failed(arm=arm) for arm in ("random", "depth")]
    text = tables.markdown(results.assemble(rows, "random"))
    (overall, scores, differences) = parsed(text)
    assert overall["depth [a]"]["difference"] == "–"
    assert overall["depth [a]"]["verdict"] == "no runs"
    assert scores["depth"] == {"mIoU": "– [b]"}
    assert differences["depth"] == {"mIoU": "– [c]"}
    assert "No arm can be compared" in text
    assert "nan" not in text
    assert "None" not in text


def test_one_arm_alone():
    text = tables.markdown(results.assemble([row("random", 0.5)], "random"))
    assert parsed(text) == [{"random (reference)": {"mIoU": "**50.0**"}}]


def test_names_cannot_break_a_table():
    arms = [{"name": "depth", "label": "[a] 50 % | x_1 & <b>~\\"}]
    rows = made_up.study({"random": 0.0, "depth": 0.1})
    study = results.assemble(rows, "random", arms=arms)
    assert r"[a] 50 % \| x\_1 & \<b>~\\" in parsed(tables.markdown(study))[0]
    text = tables.latex(study)
    tex = r"{}[a] 50 \% | x\_1 \& $<$b$>$\textasciitilde{}\textbackslash{}"
    assert f"\n{tex} & " in text


@pytest.mark.parametrize("label", ["[4] ours", "* ours", "Δ ours"])
def test_no_name_is_taken_for_a_part_of_the_row_before_it(label):
    r"""What follows \\ over spaces and the end of its line must be neither * nor [."""
    names = ["random", "depth", "flow"]
    rows = [row(arm, 0.4 + 0.1 * i) for i, arm in enumerate(names)]
    arms = [{"name": arm, "label": f"{label} {arm}"} for arm in names]
    text = tables.latex(results.assemble(rows, "random", arms=arms))
    assert text.count("ours flow") > 1
    assert not re.search(r"\\\\\s*[*\[]", text)


def test_steps_to_a_given_score():
    rows = made_up.study({"random": 0.0, "depth": 0.1}, noise=0.0)
    study = results.assemble(rows, "random", goal=0.3)
    assert "**Steps to 30.0 % mIoU: median, " in tables.markdown(study)
    assert "% mIoU" not in tables.markdown(results.assemble(rows, "random"))
    never = tables.markdown(results.assemble(rows, "random", goal=0.99))
    assert "**Steps to 99.0 % mIoU: median, " in never


def test_names_do_no_harm():
    """No link that a name makes, and no letter that pdflatex stops at."""
    arms = [{"name": "depth", "label": "[see](http://x) Δ → 3 ± 1 “ü”"}]
    rows = [row("random", 0.4), row("depth", 0.5)]
    study = results.assemble(rows, "random", arms=arms)
    assert r"[see]\(http://x) Δ" in tables.markdown(study)
    text = tables.latex(study)
    assert r"[see](http://x) [U+0394] $\to$ 3 $\pm$ 1 ``ü''" in text
    assert max(map(ord, text)) < 0x180


def test_latex():
    text = tables.latex(by_hand())
    for what in ("table", "tabular"):
        assert text.count(rf"\begin{{{what}}}") == text.count(rf"\end{{{what}}}") > 0
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule")
    assert text.count("{") == text.count("}")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    assert text.isascii()
    for body in re.findall(r"\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        rows = [line for line in body[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(body[0])}
    assert r"Depth & \textbf{43.0 $\pm$ 1.4}$^{a,d}$ & " in text
    assert r"\noindent$^{e}$ 1 of 3 pairs are complete" in text
    # Where a row begins with a bracket, LaTeX would read it as the height of the row before.
    assert not re.search(r"\\\\\s*\[", text)
