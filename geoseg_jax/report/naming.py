"""Names conditions: by what varies in a study, and the rest said once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import units
from geoseg_jax.analysis.units import CONDITION
from geoseg_jax.analysis.units import condition as place_of
from geoseg_jax.core.formats import count

Study = Mapping[str, Any]
Condition = tuple  # values in the order of CONDITION


def value_name(factor: str, value: Any) -> str:
    """Names a value: '16 labels', 'all labels' for 0 of them, 'fine-tuned', '192×64'.

    An empty value is what the config of the cells says itself: 'default resolution'.
    """
    if factor == "labels":
        return count(value, "label") if value else "all labels"
    if factor == "resolution" and value:
        return str(value).replace("x", "×")
    return str(value).replace("fine_tuned", "fine-tuned") or f"default {factor}"


def condition_name(study: Study, place: Condition, without: Sequence[str] = ()) -> str:
    """Names what tells a condition from the others: '16 labels, frozen'; '' for the only one.

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
    """Names what all cells have in common, as 'fine-tuned, unet, 96x32, resnet18'.

    A decoder of 'auto', which the encoder chooses, tells a reader nothing.
    """
    factors = study["factors"]
    fixed = {name: factors[name][0] for name in CONDITION if len(factors[name]) == 1}
    names = [value_name(name, value) for name, value in fixed.items() if value != "auto"]
    return ", ".join(filter(None, names))


def conditions(study: Study) -> list[Condition]:
    """Lists conditions as the groups do, but by rising labels where they differ in labels alone."""
    places = list(dict.fromkeys(place_of(group) for group in study["groups"]))
    kinds = list(dict.fromkeys(place[1:] for place in places))
    return sorted(places, key=lambda place: (kinds.index(place[1:]), place[0] or math.inf))


def arms(study: Study) -> list[str]:
    """Lists arms in the order of the groups."""
    return units.arms(study["groups"])
