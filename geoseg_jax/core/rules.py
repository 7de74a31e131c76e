"""Rules for settings: a rule takes a value and returns what is wrong with it, or None."""

import math
from collections.abc import Callable
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean

Rule = Callable[[Any], str | None]


def whole(least: int) -> Rule:
    """Accepts an int of at least `least`."""

    def rule(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            return f"must be an integer of at least {least}"
        return None

    return rule


def number(least: float, most: float = math.inf, open_below: bool = False) -> Rule:
    """Accepts a finite number in [least, most], or in (least, most] where open_below."""
    if open_below:
        text = f"above {least:g}" + (f", at most {most:g}" if most < math.inf else "")
    else:
        text = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"

    def rule(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good = good and math.isfinite(value) and least <= value <= most
        good = good and not (open_below and value == least)
        return None if good else f"must be a finite number {text}"

    return rule


def choice(*values: Any) -> Rule:
    """Accepts one of the values; the message suggests the nearest."""
    *others, last = map(repr, values)
    text = f"{', '.join(others)} or {last}" if others else last

    def rule(value: Any) -> str | None:
        return None if value in values else f"must be {text}{did_you_mean(value, names)}"

    names = [value for value in values if isinstance(value, str)]
    return rule


def text(value: Any) -> str | None:
    """Accepts a string, possibly empty, or None for a placeholder that was left open."""
    return None if value is None or isinstance(value, str) else "must be a string"


def flag(value: Any) -> str | None:
    """Accepts True or False."""
    return None if isinstance(value, bool) else "must be True or False"


def each(rule: Rule, least: int = 0) -> Rule:
    """Accepts a tuple or list of at least `least` entries that all keep the rule."""

    def check_all(value: Any) -> str | None:
        if not isinstance(value, tuple | list) or len(value) < least:
            return f"must be a tuple of {least} or more entries"
        problem = next(filter(None, map(rule, value)), None)
        return problem and f"{problem} in every entry"

    return check_all


def frame(value: Any) -> str | None:
    """Accepts a temporal neighbour: an int other than 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value == 0:
        return "must be an integer other than 0, as in (-1, 1)"
    return None


def scale_range(value: Any) -> str | None:
    """Accepts () for none, or the smallest and the largest factor."""
    return _pair_or_none(
        number(0.1, 10.0),
        "must be () or the smallest and the largest factor from 0.1 to 10, as in (0.5, 2.0)",
    )(value)


def crop_size(value: Any) -> str | None:
    """Accepts () for none, or height and width."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    if good and not any(whole(1)(side) for side in value):
        return None
    return "must be () or height and width in pixels, as in (512, 512)"


def area_range(value: Any) -> str | None:
    """Accepts () for none, or the smallest and the largest share of an area."""
    return _pair_or_none(
        number(0.0, 1.0, open_below=True),
        "must be () or the smallest and the largest share of the picture, as in (0.08, 1.0)",
    )(value)


def _pair_or_none(rule: Rule, problem: str) -> Rule:
    """Accepts (), or two values in ascending order that keep the rule."""

    def check_pair(value: Any) -> str | None:
        good = isinstance(value, tuple | list) and len(value) in (0, 2)
        return (
            None if good and not any(map(rule, value)) and sorted(value) == list(value) else problem
        )

    return check_pair


def inner_fold(value: Any) -> str | None:
    """Accepts a fold and the number of folds, or () for none."""
    if not value and isinstance(value, tuple | list):
        return None
    pair = isinstance(value, tuple | list) and len(value) == 2
    if pair and not any(whole(least)(v) for v, least in zip(value, (0, 2), strict=True)):
        return None if value[0] < value[1] else f"must be a fold below {value[1]}"
    return "must be () or (FOLD, FOLDS), as in (0, 4)"


def parameter_rules(value: Any) -> str | None:
    """Accepts pairs of a regular expression and a multiplier of at least 0."""
    pairs = isinstance(value, tuple | list) and all(
        isinstance(rule, tuple | list) and len(rule) == 2 and isinstance(rule[0], str)
        for rule in value
    )
    if not pairs or any(number(0.0)(multiplier) for _, multiplier in value):
        return "must be pairs (regular expression, multiplier >= 0), as in (('pose/.*', 0.1),)"
    return None


def row_range(value: Any) -> str | None:
    """Accepts the rows kept of a picture, as shares of its height from the top: (first, last)."""
    good = isinstance(value, tuple | list) and len(value) == 2
    good = good and not any(SHARE(share) for share in value)
    if good and value[0] < value[1]:
        return None
    return "must be two ascending shares of the height: (0.0, 0.8) drops the lowest fifth"


def class_weights(value: Any) -> str | None:
    """Accepts () for none, a number >= 0 for each class, or the name of a method."""
    # A tuple in any case: the command line makes one from a single word.
    methods = (["median_frequency"], ["root_median_frequency"])
    named = isinstance(value, tuple | list) and list(value) in methods
    if named or not each(number(0.0))(value):
        return None
    return (
        "must be (), a tuple of one number >= 0 for each class, ('median_frequency',) or "
        "('root_median_frequency',)"
    )


def span(rule: Rule) -> Rule:
    """Accepts the smallest and the largest of something, both of which keep the rule."""

    def check_both(value: Any) -> str | None:
        problem = each(rule, 2)(value)
        if not problem and (len(value) != 2 or value[0] > value[1]):
            problem = "must be the smallest and the largest value"
        return problem

    return check_both


def odd(value: Any) -> str | None:
    """Accepts an odd int from 1 up."""
    return whole(1)(value) or (None if value % 2 else "must be odd, to have a middle")


SHARE = number(0.0, 1.0)
POSITIVE = number(0.0, open_below=True)
