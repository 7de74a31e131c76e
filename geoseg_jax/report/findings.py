"""A study's findings as tables of text, whatever they are written in: arms are rows.

First the verdict on each arm over all conditions, with one number, and that of each contrast; then
the scores of every condition, the best in bold; differences to the reference arm with intervals and
corrected p values; how many labels and steps an arm needs beside the reference; how each did its
own task. What one must know of a number is a footnote.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from geoseg_jax.analysis import statistics
from geoseg_jax.analysis.answer import (
    label,
    of_encoders,
    points,
    probability,
    short_number,
    verdict_name,
)
from geoseg_jax.report import naming
from geoseg_jax.report.naming import Condition, Study
from geoseg_jax.report.notes import Group, Notes, of_difference, of_overall, of_score


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
      study: what geoseg_jax.analysis.results.assemble gives.
      notes: where footnotes go.
      columns: with more conditions, tables are split by everything but the labels.
    """
    places = naming.conditions(study)
    kinds = list(dict.fromkeys(place[1:] for place in places))
    blocks = [places]
    if len(places) > columns:
        blocks = [[place for place in places if place[1:] == kind] for kind in kinds]
    found = [_overall(study, notes)] if study["overall"] else []
    found += [_contrasts(study)] if study["contrasts"] else []
    for block in blocks:
        found += [_scores(study, block, notes)]
        found += [_differences(study, block, notes)] if study["overall"] else []
    found += [_efficiency(study)] if study["efficiency"] else []
    if study["steps"]:
        found += [_steps_overall(study)] if len(places) > 1 else []
        found += [_steps(study, block) for block in blocks]
    if study.get("goal"):  # that nobody gets there is told too
        found += [_goal(study, block) for block in blocks]
    found += [_own_tasks(study)] if any(arm.get("own_task") for arm in study["arms"]) else []
    return found


def explanation(study: Study) -> str:
    """How to read the tables, with the limits of intervals and test."""
    units = [group["pair_units"] for group in study["groups"] if group["n_pairs"]]
    if not units:
        return "No arm can be compared with the reference: no pair of runs is complete."
    compared, most = len(units), max(units)
    missed = f", here about {compared / 20:.0f} of {compared}" if compared >= 10 else ""
    text = (
        f"Intervals are Student's t over {most} paired differences, one of each {study['unit']}"
        f"{_unit(study)}, and assume normal noise{_bootstrap(most)}. They speak of "
        f"{_listed(_scope(study))}. One in 20 misses the truth by chance"
        f"{missed}; that of the best arm, which is chosen afterwards, more often. p is of the "
        "exact permutation test on the signs of paired differences, corrected by Holm for the "
        f"{compared} single comparisons. {_verdicts(study)}"
    )
    if compared * statistics.smallest_p(most) > 1 - statistics.LEVEL:
        text += (
            f" With {most} pairs p is {statistics.smallest_p(most):.2g} at least before the "
            "correction: no single comparison can be significant by this test, whatever came out; "
            f"that would take {statistics.pairs_needed(compared)} pairs."
        )
    caution = f"Mind that {study['caution']}." if study.get("caution") else ""
    parts = (text, _ratios(study), _frozen(study), caution, _budget(study))
    return " ".join(filter(None, parts))


def _ratios(study: Study) -> str:
    """By what rule a multiple of labels or steps is shown, and of what none can be."""
    single = [group["steps"] for group in study["groups"] if group["steps"]]
    kinds = {"labels": study["efficiency"], "steps over all conditions": study["steps"]}
    kinds["steps in each condition"] = single
    if not any(kinds.values()):
        return ""
    text = (
        "Multiples of labels or steps are shown where p, corrected for all of their kind, is at "
        "most 0.05 and the interval excludes 1."
    )
    few = [what for what, found in kinds.items() if found and not _can_be_shown(found)]
    return text + (f" With so few pairs there can be none of {_listed(few)}." if few else "")


def _can_be_shown(found: list[Group]) -> bool:
    """Whether one of these multiples can be, however they come out."""
    most = max(told["units"] for told in found)
    return len(found) * statistics.smallest_p(most) <= 1 - statistics.LEVEL


def _listed(phrases: list[str]) -> str:
    *first, last = phrases
    return f"{', '.join(first)} and {last}" if first else last


def _unit(study: Study) -> str:
    """What a unit is, where its name doesn't tell."""
    return {
        "replicate": " (its own subset of labels, seed and pre-training)",
        "block": " (all runs that are linked by a shared subset of labels or pre-training)",
    }.get(study["unit"], "")


def _scope(study: Study) -> list[str]:
    """What varies between units, which an interval can tell of, and what is the same in all."""
    subsets = {row["subset"] for row in study["rows"]}
    found = [
        "labels drawn as these subsets were" if len(subsets) > 1 else "this one subset of labels"
    ]
    if study["crossed"]:
        found = ["these subsets of labels, which all pre-trainings share"]
    if len(subsets) > 1 and not study["crossed"]:
        if 0 in study["factors"]["labels"]:
            found[0] += " (with all labels, of the chance in training)"
        runs = {(row["subset"], row["seed"]) for row in study["rows"]}
        if study["unit"] == "subset" and len(runs) > len(subsets):
            found.append("of these seeds, which all subsets share")
    found += [scope] if (scope := of_encoders(study)) else ["of other pre-trainings like these"]
    return [*found, f"of these test pictures{_pictures(study)}"]


def _pictures(study: Study) -> str:
    """That an interval over pictures stands beside those over runs."""
    if not study["resampled"]:
        return ""
    what, count = study["resampled"]["what"], study["resampled"]["count"]
    return (
        f" (for others, the interval over {count} {what}, of these very runs, stands beside them)"
    )


def _verdicts(study: Study) -> str:
    """By what rule each is found."""
    text = "A verdict is better or worse where the p corrected for all arms is at most 0.05"
    if study["bound"]:
        bound = f"±{points(study['bound'])} points"
        text += f"; level within {bound}, the bound set beforehand, where two one-sided t tests"
        text += " (the same as the 90 % interval within it), corrected by Holm, show that,"
        text += " whatever p is"
    return f"{text}; else nothing is shown."


def _frozen(study: Study) -> str:
    """Of what data the batch statistics of frozen encoders are."""
    own = [a.get("config") for a in study["arms"] if a["name"] == study["reference"]]
    factors = study["factors"]
    with_statistics = not all(str(e).startswith("vit") for e in factors["encoder"])
    if "frozen" not in factors["training"] or not with_statistics:
        return ""
    if study["calibrated"]:
        return (
            "Frozen encoders, of all arms alike, have their batch statistics from the labelled "
            "pictures."
        )
    if own != ["random weights"]:
        return ""
    return (
        f"A frozen encoder of {label(study, study['reference'])} normalises by batch statistics of "
        "no data; where an arm is above it, part of that may be statistics alone. With "
        "config.target.set.transfer.statistics='calibrated' all arms have those of the labelled "
        "pictures."
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
    less = ", less what all arms share by subset and seed" if runs > 1 and study["overall"] else ""
    caption = f"{study['metric']} in %: mean ± standard deviation{over}{less}, best in bold"
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
    rows = []
    for result in study["overall"]:
        marks = notes.marks(*of_overall(study, result))
        ahead = f"{result['ahead']} of {result['conditions']}"
        texts = [*_compared(study, study["overall"], result), ahead]
        rows.append([Cell(label(study, result["arm"]), marks), *map(Cell, texts)])
    caption = (
        f"Over all conditions: verdict, and mean difference to {label(study, study['reference'])} "
        f"in points of {study['metric']} [95 % intervals], p corrected for the number of arms"
    )
    return Table(caption, ["arm", *_headings(study, study["overall"]), "ahead in"], rows)


def _contrasts(study: Study) -> Table:
    rows = []
    for result in study["contrasts"]:
        name = f"{label(study, result['arm'])} − {label(study, result['other'])}"
        texts = _compared(study, study["contrasts"], result)
        rows.append([Cell(name), *map(Cell, texts)])
    caption = (
        f"Contrasts over all conditions: verdict, and mean difference in points of "
        f"{study['metric']} [95 % intervals], p corrected for the number of contrasts"
    )
    return Table(caption, ["contrast", *_headings(study, study["contrasts"])], rows)


def _headings(study: Study, results: list[Group]) -> list[str]:
    """Of what `_compared` gives."""
    trainings = study["factors"]["training"]
    heads = ["verdict", "difference"]
    heads += ["studentised bootstrap"] if _any(results, "bootstrap_low") else []
    heads += ["over test pictures"] if _any(results, "pictures_low") else []
    heads += [naming.value_name("training", t) for t in trainings] if len(trainings) > 1 else []
    return [*heads, "p", "corrected p", *(["p of level"] if study["bound"] else [])]


def _compared(study: Study, results: list[Group], result: Group) -> list[str]:
    """What is said of two arms, as texts under `_headings`."""
    trainings = study["factors"]["training"]
    texts = [verdict_name(study, result["verdict"]), _interval(result, "difference")]
    texts += [_interval(result, "bootstrap")] if _any(results, "bootstrap_low") else []
    texts += [_interval(result, "pictures")] if _any(results, "pictures_low") else []
    if len(trainings) > 1:
        texts += [points(result["by_training"].get(t), sign=True) for t in trainings]
    texts += [probability(result["p"]), probability(result["p_corrected"])]
    return [*texts, *([probability(result["level_p_corrected"])] if study["bound"] else [])]


def _any(results: list[Group], name: str) -> bool:
    return any(result[name] is not None for result in results)


def _efficiency(study: Study) -> Table:
    """One column for each condition without labels."""
    factors = naming.CONDITION[1:]
    places = list(dict.fromkeys(tuple(e[f] for f in factors) for e in study["efficiency"]))
    by_place = {(tuple(e[f] for f in factors), e["arm"]): e for e in study["efficiency"]}
    names = [naming.condition_name(study, (0, *place), ["labels"]) for place in places]
    rows = [
        [Cell(label(study, arm)), *(Cell(times(by_place.get((place, arm)))) for place in places)]
        for arm in naming.arms(study)
        if arm != study["reference"]
    ]
    caption = (
        f"Labels needed for the {study['metric']} that both come to, as a multiple of what "
        f"{label(study, study['reference'])} needs [95 % interval], on a line over log2(labels)"
    )
    return Table(caption, ["arm", *(name or "labels" for name in names)], rows)


def times(found: Group | None) -> str:
    """'0.5 × [0.3, 0.8]', 'not shown (...)' where p or the interval doesn't exclude 1."""
    if not found or found["ratio"] is None:
        return "–"
    text = f"{found['sign']}{found['ratio']:.2g} ×"
    if found["ratio_low"] is not None:
        text += f" [{found['ratio_low']:.2g}, {found['ratio_high']:.2g}]"
    return text if found["shown"] else f"not shown ({text})"


def _steps_overall(study: Study) -> Table:
    caption = (
        f"Steps to the {study['metric']} that both runs of a pair come to, over all conditions, as "
        f"a multiple of what {label(study, study['reference'])} needs [95 % interval]"
    )
    rows = [[Cell(label(study, told["arm"])), Cell(times(told))] for told in study["steps"]]
    return Table(caption, ["arm", "steps"], rows)


def _steps(study: Study, places: list[Condition]) -> Table:
    caption = (
        f"Steps to the {study['metric']} that both runs of a pair come to, as a multiple of what "
        f"{label(study, study['reference'])} needs [95 % interval]"
    )
    others = [arm for arm in naming.arms(study) if arm != study["reference"]]
    return _by_condition(study, caption, places, lambda g: Cell(times(g["steps"])), others)


def _goal(study: Study, places: list[Condition]) -> Table:
    def cell(group: Group) -> Cell:
        if group["steps_to_goal"] is None:
            return Cell("–")
        beside = f" ({times(group['goal'])})" if group["goal"] else ""
        return Cell(f"{group['steps_to_goal']:,.0f}{beside}")

    caption = (
        f"Steps to the {study['metric']} of {points(study['goal'])} %: median, – where half never "
        f"get there; in brackets as a multiple of what {label(study, study['reference'])} needs "
        "[95 % interval], where all pairs get there"
    )
    return _by_condition(study, caption, places, cell, naming.arms(study))


def _own_tasks(study: Study) -> Table:
    rows = []
    for arm in study["arms"]:
        for told in arm.get("own_task") or ():
            beaten = {0: "NO", told["runs"]: "yes"}.get(
                told["beaten"], f"in {told['beaten']} of {told['runs']} runs"
            )
            several = len(study["factors"]["encoder"]) > 1
            name = label(study, arm["name"]) + (f", {told['encoder']}" if several else "")
            numbers = [short_number(told[key]) for key in ("score", "constant")]
            rows.append([Cell(name), Cell(told["number"]), *map(Cell, numbers), Cell(beaten)])
    caption = (
        "Each arm's own task: its score beside that of the best answer that ignores the picture"
    )
    return Table(caption, ["arm", "number", "score", "constant answer", "beaten"], rows)


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
