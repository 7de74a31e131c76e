"""A study's findings as tables of text, whatever they are written in: arms are rows.

First the scores with their standard deviation, the best of each condition in bold; then differences
to the reference arm with intervals and corrected p values; each arm over all conditions; what it
takes to reach the reference's score. What one must know of a number is a footnote.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from geoseg_jax.report import naming
from geoseg_jax.report.naming import Condition, Study
from geoseg_jax.report.notes import Group, Notes, of_difference, of_overall, of_score
from geoseg_jax.study import statistics
from geoseg_jax.study.answer import label, points, probability


class Cell(NamedTuple):
    """Text, the letters of its footnotes, and whether it stands out."""

    text: str
    marks: tuple[str, ...] = ()
    bold: bool = False


class Table(NamedTuple):
    """Columns of cells under a header."""

    caption: str
    header: list[str]
    rows: list[list[Cell]]


def tables(study: Study, notes: Notes, columns: int) -> list[Table]:
    """All tables that the study has something for.

    Args:
      study: what geoseg_jax.study.results.assemble gives.
      notes: where footnotes go.
      columns: with more conditions, tables are split by everything but the labels.
    """
    places = naming.conditions(study)
    kinds = list(dict.fromkeys(place[1:] for place in places))
    blocks = [places]
    if len(places) > columns:
        blocks = [[place for place in places if place[1:] == kind] for kind in kinds]
    against = len(naming.arms(study)) > 1
    found = []
    for block in blocks:
        found += [_scores(study, block, notes)]
        found += [_differences(study, block, notes)] if against else []
    found += [_overall(study, notes)] if study["overall"] else []
    found += [_efficiency(study)] if study["efficiency"] else []
    for name in ("steps_to_reference", "steps_to_goal"):
        asked = name == "steps_to_goal" and study.get("goal")  # that nobody gets there is told too
        if asked or any(group[name] is not None for group in study["groups"]):
            found += [_steps(study, block, name) for block in blocks]
    return found


def explanation(study: Study) -> str:
    """How to read the tables, with the limits of intervals and test."""
    units = [group["pair_units"] for group in study["groups"] if group["n_pairs"]]
    if not units:
        return "No arm can be compared with the reference: no pair of runs is complete."
    compared, most = len(units), max(units)
    missed = f", here about {compared / 20:.0f} of {compared}" if compared >= 10 else ""
    text = (
        f"Intervals are Student's t over {most} paired differences, one of each {study['unit']}, "
        f"and assume normal noise{_bootstrap(most)}. They speak of {_scope(study)}, of these test "
        "pictures and of one pre-training of each arm. One in 20 misses the truth by chance"
        f"{missed}; that of the best arm, which is chosen afterwards, more often. p is of the "
        "exact permutation test on the signs of paired differences, corrected by Holm for the "
        f"{compared} single comparisons."
    )
    if compared * statistics.smallest_p(most) > 1 - statistics.LEVEL:
        text += (
            f" With {most} pairs p is {statistics.smallest_p(most):.2g} at least before the "
            "correction: no single comparison can be significant by this test, whatever came out; "
            f"that would take {statistics.pairs_needed(compared)} pairs."
        )
    caution = f"Mind that {study['caution']}." if study.get("caution") else ""
    return " ".join(filter(None, (text, _untrained(study), caution, _budget(study))))


def _scope(study: Study) -> str:
    """What varies between the runs, so that an interval can tell of it."""
    if study["unit"] == "seed":
        return "this one subset of labels"
    runs = {(row["subset"], row["seed"]) for row in study["rows"]}
    crossed = len(runs) > len({subset for subset, _ in runs})
    said = "labels drawn as these subsets were"
    said += (
        " (with all labels, of the chance in training)" if 0 in study["factors"]["labels"] else ""
    )
    return said + (", of these seeds, which all subsets share" if crossed else "")


def _untrained(study: Study) -> str:
    """What a frozen encoder of random weights is no measure of."""
    own = [a.get("config") for a in study["arms"] if a["name"] == study["reference"]]
    factors = study["factors"]
    with_statistics = not all(str(e).startswith("vit") for e in factors["encoder"])
    told = any(arm["name"] == "statistics" for arm in study["arms"])
    frozen = "frozen" in factors["training"] and with_statistics
    if not frozen or told or own != ["random weights"]:
        return ""
    return (
        f"A frozen encoder of {label(study, study['reference'])} normalises by batch statistics of "
        "no data; where an arm is above it, part of that may be statistics alone, which an arm "
        "trained at a learning rate of 0 tells (configs/study_quick.py:statistics)."
    )


def _budget(study: Study) -> str:
    return f"Budget: {study['budget']}." if study.get("budget") else ""


def _bootstrap(pairs: int) -> str:
    if pairs < statistics.BOOTSTRAP_PAIRS:
        return f" (a bootstrap of {pairs} pairs would be too narrow or unbounded)"
    return "; the studentised bootstrap of pairs beside them does not"


def _scores(study: Study, places: list[Condition], notes: Notes) -> Table:
    means = {(naming.place_of(g), g["arm"]): g["mean"] for g in study["groups"]}
    best = {
        place: max((m for (p, _), m in means.items() if p == place and m is not None), default=None)
        for place in places
    }

    def cell(group: Group) -> Cell:
        marks = notes.marks(*of_score(group))
        if group["mean"] is None:
            return Cell("–", marks)
        spread = "" if group["std"] is None else f" ± {points(group['std'])}"
        bold = group["mean"] == best[naming.place_of(group)]
        return Cell(points(group["mean"]) + spread, marks, bold)

    runs = max(group["n_planned"] for group in study["groups"])
    over = f" over {runs} runs" if runs > 1 else " of one run"
    caption = f"{study['metric']} in %: mean ± standard deviation{over}, best in bold"
    return _by_condition(study, caption, places, cell, naming.arms(study))


def _differences(study: Study, places: list[Condition], notes: Notes) -> Table:
    def cell(group: Group) -> Cell:
        marks = notes.marks(*of_difference(study, group))
        if group["difference"] is None:
            return Cell("–", marks)
        p = probability(group["p_corrected"])
        return Cell(f"{_interval(group, 'difference')}, p {p}", marks)

    caption = (
        f"Difference to {label(study, study['reference'])} in points of {study['metric']}: "
        "mean of pairs [95 % interval], corrected p"
    )
    others = [arm for arm in naming.arms(study) if arm != study["reference"]]
    return _by_condition(study, caption, places, cell, others)


def _overall(study: Study, notes: Notes) -> Table:
    trainings = study["factors"]["training"]
    trainings = trainings if len(trainings) > 1 else []
    bootstrap = any(result["bootstrap_low"] is not None for result in study["overall"])
    header = ["arm", "ahead in", "difference"]
    header += ["studentised bootstrap"] if bootstrap else []
    header += [naming.value_name("training", training) for training in trainings]
    rows = []
    for result in study["overall"]:
        texts = [f"{result['ahead']} of {result['conditions']}", _interval(result, "difference")]
        texts += [_interval(result, "bootstrap")] if bootstrap else []
        texts += [points(result["by_training"].get(t), sign=True) for t in trainings]
        texts += [probability(result["p"]), probability(result["p_corrected"])]
        marks = notes.marks(*of_overall(study, result))
        rows.append([Cell(label(study, result["arm"]), marks), *map(Cell, texts)])
    caption = (
        f"Over all conditions: mean difference to {label(study, study['reference'])} in points of "
        f"{study['metric']} [95 % intervals], p corrected for the number of arms"
    )
    return Table(caption, [*header, "p", "corrected p"], rows)


def _efficiency(study: Study) -> Table:
    """One column for each condition without labels."""
    factors = naming.CONDITION[1:]
    places = list(dict.fromkeys(tuple(e[f] for f in factors) for e in study["efficiency"]))
    by_place = {(tuple(e[f] for f in factors), e["arm"]): e for e in study["efficiency"]}
    names = [naming.condition_name(study, (0, *place), ["labels"]) for place in places]

    def cell(found: Mapping[str, Any] | None) -> Cell:
        if not found:
            return Cell("–")
        return Cell(found["text"] + (f" ({found['spread']})" if found["spread"] else ""))

    rows = [
        [Cell(label(study, arm)), *(cell(by_place.get((place, arm))) for place in places)]
        for arm in naming.arms(study)
    ]
    most = sorted({e["reference_labels"] for e in study["efficiency"]})
    caption = (
        f"Labels needed for the {study['metric']} that {label(study, study['reference'])} has with "
        f"{' or '.join(map(str, most))}, on a line over log2(labels)"
    )
    return Table(caption, ["arm", *(name or "labels" for name in names)], rows)


def _steps(study: Study, places: list[Condition], name: str) -> Table:
    def cell(group: Group) -> Cell:
        return Cell("–" if group[name] is None else f"{group[name]:,.0f}")

    target = f"that the paired run of {label(study, study['reference'])} ends with"
    if name == "steps_to_goal":
        target = f"of {points(study['goal'])} %"
    caption = f"Steps to the {study['metric']} {target}: median, – where half never get there"
    return _by_condition(study, caption, places, cell, naming.arms(study))


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
    rows = []
    for arm in arms:
        found = [groups.get((place, arm)) for place in places]
        name = label(study, arm) + (" (reference)" if arm == study["reference"] else "")
        rows.append([Cell(name), *(cell(group) if group else Cell("–") for group in found)])
    whole = "; ".join(filter(None, (caption, kind, naming.shared_conditions(study))))
    return Table(whole, ["arm", *names], rows)


def _interval(found: Group, name: str) -> str:
    """'+3.0 [−2.0, +8.0]', as much of it as there is."""
    low, high = found[f"{name}_low"], found[f"{name}_high"]
    middle = points(found[name], sign=True) if name in found else ""
    if low is None:
        return middle or "–"
    return f"{middle} [{points(low, sign=True)}, {points(high, sign=True)}]".strip()
