"""Arranges a study's findings as tables of text, whatever they are written in: arms are rows.

First the verdict on each arm over all conditions, and that on each contrast; then the scores of
every condition, the best in bold; differences to the reference with intervals and corrected p; how
many labels and steps an arm needs beside the reference; where runs scatter from; how each arm did
its own task.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from geoseg_jax.analysis.answer import in_points, label, verdict_name
from geoseg_jax.analysis.comparisons import NOT_SHOWN
from geoseg_jax.analysis.components import PICTURES, SOURCES, TOGETHER
from geoseg_jax.analysis.statistics import significant
from geoseg_jax.core import formats
from geoseg_jax.core.formats import NONE, count, interval, number, p_value, points
from geoseg_jax.report import naming
from geoseg_jax.report.explanation import multiple
from geoseg_jax.report.naming import Condition, Study
from geoseg_jax.report.notes import (
    Group,
    Notes,
    marks,
    of_arm,
    of_difference,
    of_overall,
    of_score,
)


class Cell(NamedTuple):
    """Text, the letters of its footnotes, and whether it stands out."""

    text: str
    marks: tuple[str, ...] = ()
    bold: bool = False


class Table(NamedTuple):
    """Columns of cells under a header; `arms` are those that each row is about."""

    caption: str
    header: list[str]
    rows: list[list[Cell]]
    arms: list[tuple[str, ...]]


def tables(study: Study, notes: Notes, columns: int) -> list[Table]:
    """Makes all tables that the study has something for.

    Args:
      study: what geoseg_jax.analysis.results.assemble gives.
      notes: its footnotes.
      columns: with more conditions, tables are split by everything but the labels.
    """
    places = naming.conditions(study)
    kinds = list(dict.fromkeys(place[1:] for place in places))
    blocks = [places]
    if len(places) > columns:
        blocks = [[place for place in places if place[1:] == kind] for kind in kinds]
    made = [overall(study, notes), contrasts(study)]
    for block in blocks:
        made += [_scores(study, block, notes)]
        made += [_differences(study, block, notes)] if study["overall"] else []
    made += [_efficiency(study)]
    if study["steps"]:
        made += [_steps_overall(study)] if len(places) > 1 else []
        made += [_steps(study, block) for block in blocks]
    if study.get("goal"):  # that no arm gets there is said too
        made += [_goal(study, block) for block in blocks]
    made += [sources(study), own_tasks(study), tried_rates(study)]
    return [table for table in made if table.rows]


def overall(study: Study, notes: Notes) -> Table:
    """Gives the verdict on each arm over all conditions."""
    results, rows = study["overall"], []
    for result in results:
        name = Cell(label(study, result["arm"]), marks(notes, of_overall(study, result)))
        ahead = f"{result['ahead']} of {result['conditions']}"
        rows.append([name, *_compared(study, results, result).values(), Cell(ahead)])
    caption = (
        f"Verdicts over all conditions: mean difference to {_reference(study)} in "
        f"{in_points(study)} (95 % CI), p corrected for the number of arms"
    )
    heads = ["arm", *(_compared(study, results, results[0]) if results else ()), "ahead in"]
    return Table(caption, heads, rows, [(result["arm"],) for result in results])


def contrasts(study: Study) -> Table:
    """Gives the verdict on each contrast over all conditions."""
    results, rows = study["contrasts"], []
    for result in results:
        name = f"{label(study, result['arm'])} − {label(study, result['other'])}"
        rows.append([Cell(name), *_compared(study, results, result).values()])
    caption = (
        f"Contrasts over all conditions: mean difference in {in_points(study)} (95 % CI), p "
        "corrected for the number of contrasts"
    )
    heads = ["contrast", *(_compared(study, results, results[0]) if results else ())]
    return Table(caption, heads, rows, [(r["arm"], r["other"]) for r in results])


def sources(study: Study) -> Table:
    """Shows where the scatter of runs comes from, in a study that can tell."""
    shown = [source for source in SOURCES if any(part[source] for part in study["components"])]
    rows = []
    for part in study["components"]:
        place = naming.condition_name(study, naming.place_of(part))
        name = ", ".join(filter(None, (label(study, part["arm"]), place)))
        rows.append([Cell(name), *(Cell(_spread(part[source])) for source in shown)])
    drawn = (study["resampled"] or {}).get("what", "")
    names = _SOURCES | {PICTURES: f"other test {drawn}"}
    caption = (
        f"Where the scatter of runs comes from: standard deviation in {in_points(study)} (95 % CI)"
    )
    heads = ["arm", *(names[source] for source in shown)]
    return Table(caption, heads, rows, [(part["arm"],) for part in study["components"]])


def own_tasks(study: Study) -> Table:
    """Shows each arm's score at its own task beside that of the best constant prediction."""
    rows, arms = [], []
    with_interval = ""
    for arm in study["arms"]:
        for task in arm.get("own_task") or ():
            if task.get("low") is not None:
                with_interval = " (95 % CI)"
            beaten = {0: "no", task["runs"]: "yes"}.get(
                task["beaten"], f"in {task['beaten']} of {task['runs']} runs"
            )
            name = label(study, arm["name"]) + _encoder(study, task)
            texts = [task["number"], *(number(task[key]) for key in ("score", "constant"))]
            beaten = Cell(beaten, bold=task["beaten"] < task["runs"])
            rows.append([Cell(name), *map(Cell, texts), Cell(_margin(task)), beaten])
            arms.append((arm["name"],))
    caption = "Each arm's own task: its score beside the best constant prediction"
    heads = ["arm", "number", "score", "constant", f"difference{with_interval}", "beaten"]
    return Table(caption, heads, rows, arms)


def tried_rates(study: Study) -> Table:
    """Shows what each arm scored by learning rate where several were tried."""
    rows = []
    for tried in study["rates"]:
        what, text = f"pre-training, {tried['metric']}{_encoder(study, tried)}", number
        if tried["kind"] == "segmentation":
            place = naming.place_of({"labels": 0, **tried})
            what = naming.condition_name(study, place, ["labels"]) or "segmentation"
            what, text = f"{what}, {study['metric']} in %", points
        scores = (f"{rate:g}: {text(score)}" for rate, score in tried["tried"])
        texts = [label(study, tried["arm"]), what, f"{tried['chosen']:g}", "; ".join(scores)]
        rows.append([Cell(text) for text in texts])
    caption = "Learning rates that were tried, by no label that judges the result"
    heads = ["arm", "for", "best", "score by learning rate"]
    return Table(caption, heads, rows, [(tried["arm"],) for tried in study["rates"]])


def _margin(task: Mapping[str, Any]) -> str:
    """Formats by how much a score differs from the constant's: '−0.107 (−0.112 to −0.103)'."""
    if task["score"] is None:
        return NONE
    ends = [task.get("low"), task.get("high")]
    known = [task["score"] - task["constant"], *(end for end in ends if end is not None)]
    texts = [f"{value:+.3g}".replace("-", "−") for value in known]
    return f"{texts[0]} ({texts[1]} to {texts[2]})" if len(texts) == 3 else texts[0]


def given(study: Study, notes: Notes) -> Table:
    """Shows what was spent on each encoder of an arm, each with a budget of its own."""
    rows, arms = [], []
    for arm in study["arms"]:
        for spent in arm.get("spent") or [{}]:
            seen = marks(notes, of_arm(study, arm["name"], spent.get("encoder")))
            name = label(study, arm["name"]) + _encoder(study, spent)
            counts = (count(spent.get(k)) for k in ("pictures", "encoder_images", "steps"))
            used = formats.flop(spent.get("flops")), formats.duration(spent.get("seconds"))
            start = " ← ".join(arm.get("ancestors") or ["random weights"])
            texts = [arm.get("config") or NONE, *counts, *used, start]
            rows.append([Cell(name, seen), *map(Cell, texts)])
            arms.append((arm["name"],))
    heads = ["arm", "config", "distinct pictures", "through the encoder", "steps", "FLOP", "time"]
    return Table("What each arm was given", [*heads, "starts from"], rows, arms)


def score(group: Group) -> str:
    """Formats a mean with its spread: '43.0 ± 1.4'."""
    spread = "" if group["std"] is None else f" ± {points(group['std'])}"
    return points(group["mean"]) + spread


def estimate(result: Group, name: str = "difference") -> str:
    """Formats a difference with its interval: '+3.0 (−2.0 to +8.0)', as much as there is."""
    span = interval(result[f"{name}_low"], result[f"{name}_high"])
    if name not in result:
        return span or NONE
    return points(result[name], sign=True) + (f" ({span})" if span else "")


def goal(group: Group) -> str:
    """Formats the steps to the goal: '1,200 (0.5 × (0.3 to 0.8))'."""
    beside = f" ({multiple(group['goal'])})" if group["goal"] else ""
    return count(group["steps_to_goal"]) + (beside if group["steps_to_goal"] is not None else "")


_SOURCES = {
    **{"subset": "which labels", "seed": "seed", "pretraining_seed": "pre-training"},
    TOGETHER: "together",
}


def _spread(part: Mapping[str, float] | None) -> str:
    """Formats a spread: '1.2 (0.6 to 4.0)'."""
    if not part:
        return NONE
    span = interval(part["low"], part["high"], sign=False)
    return points(part["std"]) + (f" ({span})" if span else "")


def _compared(study: Study, results: list[Group], result: Group) -> dict[str, Cell]:
    """Gives what is said of two arms, by heading."""
    trainings = study["factors"]["training"]
    firm = {"verdict": result["verdict"] not in ("", NOT_SHOWN)}
    firm["corrected p"] = significant(result["p_corrected"])
    texts = {"verdict": verdict_name(study, result["verdict"]), "difference": estimate(result)}
    texts |= {"p": p_value(result["p"]), "corrected p": p_value(result["p_corrected"])}
    texts |= {"level p": p_value(result["level_p_corrected"])} if study["bound"] else {}
    for head, name in (("bootstrap", "bootstrap"), ("over test pictures", "pictures")):
        if any(r[f"{name}_low"] is not None for r in results):
            texts[head] = estimate(result, name)
    for training in trainings if len(trainings) > 1 else ():
        value = result["by_training"].get(training)
        texts[naming.value_name("training", training)] = points(value, sign=True)
    return {head: Cell(text, bold=firm.get(head, False)) for head, text in texts.items()}


def _scores(study: Study, places: list[Condition], notes: Notes) -> Table:
    means = {(naming.place_of(g), g["arm"]): g["mean"] for g in study["groups"]}
    best = {
        place: max((m for (p, _), m in means.items() if p == place and m is not None), default=None)
        for place in places
    }

    def cell(group: Group) -> Cell:
        bold = group["mean"] is not None and group["mean"] == best[naming.place_of(group)]
        return Cell(score(group), marks(notes, of_score(group)), bold)

    runs = max(group["n_planned"] for group in study["groups"])
    over = f" over {runs} runs" if runs > 1 else " of one run"
    less = " without what all arms share (labels, seed)" if runs > 1 and study["overall"] else ""
    caption = f"{study['metric']} in %: mean{over} ± standard deviation{less}, best in bold"
    return _by_condition(study, caption, places, cell, naming.arms(study))


def _differences(study: Study, places: list[Condition], notes: Notes) -> Table:
    def cell(group: Group) -> Cell:
        p = f", p {formats.equals(group['p_corrected'])}" if group["difference"] is not None else ""
        return Cell(estimate(group) + p, marks(notes, of_difference(study, group)))

    caption = (
        f"Difference to {_reference(study)} in {in_points(study)}: mean of pairs (95 % CI), "
        "corrected p"
    )
    return _by_condition(study, caption, places, cell, _others(study))


def _efficiency(study: Study) -> Table:
    """Makes one column for each condition without labels."""
    factors = naming.CONDITION[1:]
    by_place = {(tuple(e[f] for f in factors), e["arm"]): e for e in study["efficiency"]}
    places = list(dict.fromkeys(place for place, _ in by_place))
    names = [naming.condition_name(study, (0, *place), ["labels"]) or "labels" for place in places]
    arms = _others(study) if places else []
    rows = [
        [Cell(label(study, arm)), *(Cell(multiple(by_place.get((p, arm)))) for p in places)]
        for arm in arms
    ]
    caption = (
        f"Labels needed for the {study['metric']} that both reach, as a multiple of what "
        f"{_reference(study)} needs (95 % CI), on a line over log2(labels)"
    )
    return Table(caption, ["arm", *names], rows, [(arm,) for arm in arms])


def _steps_caption(study: Study, over: str = "") -> str:
    return (
        f"Steps to the {study['metric']} that both runs of a pair reach{over}, as a multiple of "
        f"what {_reference(study)} needs (95 % CI)"
    )


def _steps_overall(study: Study) -> Table:
    rows = [[Cell(label(study, need["arm"])), Cell(multiple(need))] for need in study["steps"]]
    caption = _steps_caption(study, ", over all conditions")
    return Table(caption, ["arm", "steps"], rows, [(need["arm"],) for need in study["steps"]])


def _steps(study: Study, places: list[Condition]) -> Table:
    def cell(group: Group) -> Cell:
        return Cell(multiple(group["steps"]))

    return _by_condition(study, _steps_caption(study), places, cell, _others(study))


def _goal(study: Study, places: list[Condition]) -> Table:
    caption = (
        f"Steps to {points(study['goal'])} % {study['metric']}: median, {NONE} where half of the "
        f"runs never reach it; where all pairs reach it, also as a multiple of what "
        f"{_reference(study)} needs (95 % CI)"
    )
    return _by_condition(study, caption, places, lambda g: Cell(goal(g)), naming.arms(study))


def _by_condition(
    study: Study,
    caption: str,
    places: list[Condition],
    cell: Callable[[Group], Cell],
    arms: Iterable[str],
) -> Table:
    groups = {(naming.place_of(group), group["arm"]): group for group in study["groups"]}
    split = len(places) < len(naming.conditions(study))  # then the caption says the kind
    kind = naming.condition_name(study, places[0], ["labels"]) if split else ""
    if split:
        names = [naming.value_name("labels", place[0]) for place in places]
    else:
        names = [naming.condition_name(study, place) or study["metric"] for place in places]
    rows, arms = [], list(arms)
    for arm in arms:
        own = [groups.get((place, arm)) for place in places]
        name = label(study, arm) + (" (reference)" if arm == study["reference"] else "")
        rows.append([Cell(name), *(cell(group) if group else Cell(NONE) for group in own)])
    whole = "; ".join(filter(None, (caption, kind, naming.shared_conditions(study))))
    return Table(whole, ["arm", *names], rows, [(arm,) for arm in arms])


def _reference(study: Study) -> str:
    return label(study, study["reference"])


def _others(study: Study) -> list[str]:
    return [arm for arm in naming.arms(study) if arm != study["reference"]]


def _encoder(study: Study, item: Mapping[str, Any]) -> str:
    """Names the encoder of a finding, where there are several."""
    return f", {item['encoder']}" if len(study["factors"]["encoder"]) > 1 else ""
