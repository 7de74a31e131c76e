"""Rules that settings keep: a rule takes a value and returns what is wrong with it, or None."""

import math
from collections.abc import Callable
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean

Rule = Callable[[Any], str | None]


def whole(least: int) -> Rule:
    """An int of at least `least`."""

    def rule(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            return f"must be a whole number of at least {least}"
        return None

    return rule


def number(least: float, most: float = math.inf, open_below: bool = False) -> Rule:
    """A finite number in [least, most], or in (least, most] where open_below."""

    def rule(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good = good and math.isfinite(value) and least <= value <= most
        if not good or (open_below and value == least):
            text = f"must be a finite number {'above' if open_below else 'of at least'} {least:g}"
            return text if math.isinf(most) else f"{text} and at most {most:g}"
        return None

    return rule


def choice(*names: str) -> Rule:
    """One of the names; the message tells the nearest."""

    def rule(value: Any) -> str | None:
        if value in names:
            return None
        return f"must be one of {', '.join(names)}{did_you_mean(value, names)}"

    return rule


def text(value: Any) -> str | None:
    """A string, possibly empty, or None for a placeholder that was left open."""
    return None if value is None or isinstance(value, str) else "must be a string"


def flag(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool) else "must be True or False"


def each(rule: Rule, least: int = 0) -> Rule:
    """A tuple or list of at least `least` entries that all keep the rule."""

    def check_all(value: Any) -> str | None:
        if not isinstance(value, tuple | list) or len(value) < least:
            return f"must be a tuple of at least {least} entries"
        problems = [p for p in map(rule, value) if p]
        return f"every entry {problems[0]}" if problems else None

    return check_all


def frame(value: Any) -> str | None:
    """A temporal neighbour: an int other than 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value == 0:
        return "must be a whole number other than 0, as in (-1, 1)"
    return None


def scale_range(value: Any) -> str | None:
    """() for none, or the least and the largest factor."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    good = good and not any(number(0.1, 10.0)(factor) for factor in value)
    if good and list(value) == sorted(value):
        return None
    return "must be (), or the least and the largest factor from 0.1 to 10, as in (0.5, 2.0)"


def crop_size(value: Any) -> str | None:
    """() for none, or height and width."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    if good and not any(whole(1)(side) for side in value):
        return None
    return "must be (), or height and width in pixels, as in (512, 512)"


def inner_fold(value: Any) -> str | None:
    """A fold and the number of folds, or () for none."""
    if not value and isinstance(value, tuple | list):
        return None
    pair = isinstance(value, tuple | list) and len(value) == 2
    if pair and not any(whole(least)(v) for v, least in zip(value, (0, 2), strict=True)):
        return None if value[0] < value[1] else f"must be a fold below {value[1]}"
    return "must be () or (FOLD, FOLDS), as in (0, 4)"


def area_range(value: Any) -> str | None:
    """() for none, or the least and the largest share of an area."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    good = good and not any(number(0.0, 1.0, open_below=True)(share) for share in value)
    if good and list(value) == sorted(value):
        return None
    return "must be (), or the least and the largest share of the picture, as in (0.08, 1.0)"


def parameter_rules(value: Any) -> str | None:
    """Pairs of a regular expression and a multiplier of at least 0."""
    pairs = isinstance(value, tuple | list) and all(
        isinstance(rule, tuple | list) and len(rule) == 2 and isinstance(rule[0], str)
        for rule in value
    )
    if not pairs or any(number(0.0)(multiplier) for _, multiplier in value):
        return "must be pairs (regular expression, multiplier from 0 on), as in (('pose/.*', 0.1),)"
    return None


def row_range(value: Any) -> str | None:
    """The rows kept of a picture, as shares of its height from above: (first, last)."""
    good = isinstance(value, tuple | list) and len(value) == 2
    good = good and not any(SHARE(share) for share in value)
    if good and value[0] < value[1]:
        return None
    return "must be two shares of the height, rising, as in (0.0, 0.8) for all but the lowest fifth"


def class_weights(value: Any) -> str | None:
    """() for none, a number from 0 on for each class, or the name of a way to compute them."""
    # A tuple in any case, of which the command line makes one from a word alone.
    methods = (["median_frequency"], ["root_median_frequency"])
    named = isinstance(value, tuple | list) and list(value) in methods
    if named or not each(number(0.0))(value):
        return None
    return (
        "must be (), a tuple of one number from 0 on for each class, ('median_frequency',) or "
        "('root_median_frequency',)"
    )


def span(rule: Rule) -> Rule:
    """The least and the largest of something, both of which keep the rule."""

    def check_both(value: Any) -> str | None:
        problem = each(rule, 2)(value)
        if not problem and (len(value) != 2 or value[0] > value[1]):
            problem = "must be the least and the largest"
        return problem

    return check_both


def odd(value: Any) -> str | None:
    """An odd whole number from 1 on."""
    return whole(1)(value) or (None if value % 2 else "must be odd, to have a middle")


def power_of_two(value: Any) -> str | None:
    """1, 2, 4 or 8."""
    return whole(1)(value) or (None if value in (1, 2, 4, 8) else "must be 1, 2, 4 or 8")


SHARE = number(0.0, 1.0)
STRIDES = (2, 4, 8, 16, 32)
POSITIVE = number(0.0, open_below=True)
