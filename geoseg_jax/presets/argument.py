"""The argument of a config file, FILE.py:labels=16,frozen=True, as options with types."""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean


def parse(arg: str | None, defaults: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Returns the options, each of the type that its default has.

    Args:
      arg: what follows the colon: NAME=VALUE pairs joined by commas. A NAME alone means True, a
        VALUE alone is for the one option that has it among its choices.
      defaults: option -> default, a str, int, float, bool, a tuple of choices whose first is the
        default, or None for a bool that may be left open.
      file: the config file's name, for messages.

    Raises:
      ValueError: for an unknown name, with the near miss, or a value that isn't of the type.
    """
    options = {k: v[0] if isinstance(v, tuple) else v for k, v in defaults.items()}
    choices = {k: v for k, v in defaults.items() if isinstance(v, tuple)}
    given: dict[str, str] = {}
    for word in filter(None, (arg or "").split(",")):
        name, equals, value = word.partition("=")
        owners = [] if equals else [k for k, v in choices.items() if word in v]
        if len(owners) == 1:
            name, value, equals = owners[0], word, "="
        if name not in defaults:
            known = [*defaults, *(word for words in choices.values() for word in words)]
            hint = did_you_mean(name, known)
            raise ValueError(f"{file}:{arg}: {name!r} is none of {_described(defaults)}{hint}")
        if name in given:
            raise ValueError(f"{file}:{arg}: {name} is given twice, {given[name]!r} and {value!r}")
        given[name] = value if equals else "True"
        options[name] = _typed(given[name], defaults[name], f"{file}:{name}")
    return options


def _described(defaults: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} ({', '.join(value)})" if isinstance(value, tuple) else name
        for name, value in defaults.items()
    )


def override(defaults: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides defaults; a word for an option with choices becomes the first of these."""
    merged = dict(defaults)
    for name, value in more.items():
        choices = merged.get(name)
        if isinstance(choices, tuple) and value in choices:
            value = (value, *(choice for choice in choices if choice != value))
        merged[name] = value
    return merged


def _typed(value: str, default: Any, what: str) -> Any:
    if isinstance(default, tuple):
        if value not in default:
            raise ValueError(f"{what}={value!r} is none of {', '.join(default)}")
        return value
    if default is None or isinstance(default, bool):
        if value not in ("True", "False"):
            raise ValueError(f"{what}={value!r} must be True or False")
        return value == "True"
    try:
        return type(default)(value)
    except ValueError:
        kind = {int: "an integer", float: "a number"}[type(default)]
        raise ValueError(f"{what}={value!r} must be {kind}, like {default}") from None


def size(value: str, what: str) -> tuple[int, int]:
    """Parses '640x192', width first as the field writes it, as (height, width).

    Raises:
      ValueError: for anything else.
    """
    width, x, height = value.partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"{what}={value!r} must be WIDTHxHEIGHT, as in 640x192")
    return int(height), int(width)
