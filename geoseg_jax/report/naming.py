"""How tables and figures call conditions: by what varies in a study, and the rest said once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis.units import CONDITION

Study = Mapping[str, Any]
Condition = tuple  # values in the order of CONDITION


def value_name(factor: str, value: Any) -> str:
    """'16 labels', 'all labels' for 0 of them, 'fine-tuned'; others as they are.

    An empty value is what the config of the cells says itself: 'default resolution'.
    """
    if factor == "labels":
        return f"{value} label{'' if value == 1 else 's'}" if value else "all labels"
    return str(value).replace("fine_tuned", "fine-tuned") or f"default {factor}"


def condition_name(study: Study, place: Condition, without: Sequence[str] = ()) -> str:
    """What tells a condition from the study's others, as '16 labels, frozen'; '' for the only one.

    Args:
      study: its 'factors' say what varies.
      place: the condition.
      without: factors that are said elsewhere.
    """
    varying = [
        value_name(name, value)
        for name, value in zip(CONDITION, place, strict=True)
        if name not in without and len(study["factors"][name]) > 1
    ]
    return ", ".join(varying)


def shared_conditions(study: Study) -> str:
    """What all cells have in common, as 'fine-tuned, unet, 96x32, resnet18'."""
    factors = study["factors"]
    fixed = [value_name(name, factors[name][0]) for name in CONDITION if len(factors[name]) == 1]
    return ", ".join(filter(None, fixed))


def place_of(found: Mapping[str, Any]) -> Condition:
    """The condition of a group, or of anything else that has its factors."""
    return tuple(found[name] for name in CONDITION)


def conditions(study: Study) -> list[Condition]:
    """In the order of the groups, but those that differ in labels alone side by side and rising."""
    found = list(dict.fromkeys(place_of(group) for group in study["groups"]))
    kinds = list(dict.fromkeys(place[1:] for place in found))
    return sorted(found, key=lambda place: (kinds.index(place[1:]), place[0] or math.inf))


def arms(study: Study) -> list[str]:
    """In the order of the groups."""
    return list(dict.fromkeys(group["arm"] for group in study["groups"]))
