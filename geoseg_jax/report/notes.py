"""Footnotes: what one must know of a number, the same in the tables and on the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis.answer import failures, label
from geoseg_jax.report import naming
from geoseg_jax.report.naming import Study

Group = Mapping[str, Any]


class Notes:
    """Footnotes a, b, ... in the order in which they come up; the same text has the same letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def marks(self, *texts: str) -> tuple[str, ...]:
        """The letters of those texts that aren't empty, in order."""
        for text in filter(None, texts):
            self._letters.setdefault(text, letters(len(self._letters)))
        return tuple(letter for text, letter in self._letters.items() if text in texts)

    def listed(self) -> list[tuple[str, str]]:
        """(letter, text) of each."""
        return [(letter, text) for text, letter in self._letters.items()]


def letters(number: int) -> str:
    """a to z for 0 to 25, then aa, ab and so on."""
    first = letters(number // 26 - 1) if number >= 26 else ""
    return first + chr(ord("a") + number % 26)


def of_score(group: Group) -> list[str]:
    """What must be known of a group's mean."""
    if group["mean"] is None:
        return [f"none of {group['n_planned']} runs is done"]
    few = group["n"] < group["n_planned"]
    return [
        group["warning"],
        f"{group['n']} of {group['n_planned']} runs are done" if few else "",
        "all runs gave the very same number, as if the seed did nothing" if group["same"] else "",
    ]


def of_difference(study: Study, group: Group) -> list[str]:
    """What must be known of a group's difference to the reference, whose own has none."""
    if group["arm"] == study["reference"]:
        return []
    place = naming.place_of(group)
    beside = [
        g["warning"] for g in _of_arm(study, study["reference"]) if naming.place_of(g) == place
    ]
    pairs = group["n_pairs"] + group["n_missing"]
    lacking = f"{group['n_pairs']} of {pairs} pairs: the others lack a side"
    return [
        group["warning"],
        *_of_other_side(study, beside, [group["warning"]]),
        lacking if group["n_missing"] else "",
    ]


def of_overall(study: Study, result: Mapping[str, Any]) -> list[str]:
    """What must be known of an arm's mean difference over all conditions."""
    own = of_arm(study, result["arm"])
    planned = result["units"] + result["units_missing"]
    lacking = (
        f"{result['units']} of {planned} {study['unit']}s: the others lack a pair in some condition"
    )
    return [
        *own,
        *_of_other_side(study, of_arm(study, study["reference"]), own),
        lacking if result["units_missing"] else "",
    ]


def of_arm(study: Study, arm: str, encoder: str | None = None) -> list[str]:
    """What must be known of any of an arm's scores, or of those with one encoder.

    Whether its pre-training failed at its own task comes first.
    """
    groups = _of_arm(study, arm)
    failed = [f"{label(study, arm)} {text}" for text in failures(study, arm, encoder)]
    return [*failed, *(g["warning"] for g in groups if encoder in (None, g["encoder"]))]


def _of_arm(study: Study, arm: str) -> list[Group]:
    return [group for group in study["groups"] if group["arm"] == arm]


def _of_other_side(study: Study, warnings: Sequence[str], own: Sequence[str]) -> list[str]:
    """What must be known of the reference, and is not true of both sides of a difference."""
    name = label(study, study["reference"])
    return [f"{name}: {warning}" for warning in warnings if warning and warning not in own]
