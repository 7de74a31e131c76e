"""Numbers the footnotes: what one must know of a number, the same in the tables and on the page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoseg_jax.analysis.answer import failures, label
from geoseg_jax.report import naming
from geoseg_jax.report.naming import Study

Group = Mapping[str, Any]
Notes = Mapping[str, str]  # text -> letter


def footnotes(study: Study) -> Notes:
    """Gives each footnote of a study its letter, in the order in which tables mention them."""
    groups = {(group["arm"], naming.place_of(group)): group for group in study["groups"]}
    places, arms = naming.conditions(study), naming.arms(study)
    ordered = [groups[arm, p] for arm in arms for p in places if (arm, p) in groups]
    texts = [text for result in study["overall"] for text in of_overall(study, result)]
    texts += [text for group in ordered for text in of_score(group)]
    texts += [text for group in ordered for text in of_difference(study, group)]
    texts += [text for arm in arms for text in of_arm(study, arm)]
    return {text: letters(i) for i, text in enumerate(dict.fromkeys(filter(None, texts)))}


def marks(notes: Notes, texts: Iterable[str]) -> tuple[str, ...]:
    """Gives the letters of the texts that aren't empty, in the order of the letters."""
    texts = set(texts)
    return tuple(letter for text, letter in notes.items() if text in texts)


def letters(number: int) -> str:
    """Gives a to z for 0 to 25, then aa, ab and so on."""
    first = letters(number // 26 - 1) if number >= 26 else ""
    return first + chr(ord("a") + number % 26)


def of_score(group: Group) -> list[str]:
    """Says what must be known of a group's mean."""
    if group["mean"] is None:
        return [f"none of {group['n_planned']} runs is done"]
    few = group["n"] < group["n_planned"]
    return [
        group["warning"],
        f"{group['n']} of {group['n_planned']} runs are done" if few else "",
        "all runs gave the same number, as if the seed had no effect" if group["same"] else "",
    ]


def of_difference(study: Study, group: Group) -> list[str]:
    """Says what must be known of a group's difference to the reference, whose own has none."""
    if group["arm"] == study["reference"]:
        return []
    place = naming.place_of(group)
    beside = [
        g["warning"] for g in _of_arm(study, study["reference"]) if naming.place_of(g) == place
    ]
    pairs = group["n_pairs"] + group["n_missing"]
    lacking = f"{group['n_pairs']} of {pairs} pairs are complete"
    return [
        group["warning"],
        *_of_other_side(study, beside, [group["warning"]]),
        lacking if group["n_missing"] else "",
    ]


def of_overall(study: Study, result: Mapping[str, Any]) -> list[str]:
    """Says what must be known of an arm's mean difference over all conditions."""
    own = of_arm(study, result["arm"])
    planned = result["units"] + result["units_missing"]
    lacking = f"{result['units']} of {planned} {study['replicate_unit']}s have every pair"
    return [
        *own,
        *_of_other_side(study, of_arm(study, study["reference"]), own),
        lacking if result["units_missing"] else "",
    ]


def of_arm(study: Study, arm: str, encoder: str | None = None) -> list[str]:
    """Says what must be known of any of an arm's scores, or of those with one encoder.

    That its pre-training failed at its own task comes first.
    """
    groups = _of_arm(study, arm)
    failed = [f"{label(study, arm)} {text}" for text in failures(study, arm, encoder)]
    return [*failed, *(g["warning"] for g in groups if encoder in (None, g["encoder"]))]


def _of_arm(study: Study, arm: str) -> list[Group]:
    return [group for group in study["groups"] if group["arm"] == arm]


def _of_other_side(study: Study, warnings: Sequence[str], own: Sequence[str]) -> list[str]:
    """Says what must be known of the reference, and is not true of both sides of a difference."""
    name = label(study, study["reference"])
    return [f"{name}: {warning}" for warning in warnings if warning and warning not in own]
