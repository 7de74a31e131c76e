"""The argument of a config file, FILE.py:labels=16,frozen=True, as options with types."""

import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

from geoseg_jax.core.near_miss import did_you_mean

HELP = "help"


class Option(NamedTuple):
    """An option as its owner declares it.

    default: a str, int, float, bool, a tuple of choices whose first is the default, or None for a
      bool that may be left open.
    meaning: in one line, units included.
    """

    default: Any
    meaning: str


PRESET = Option(
    ("controlled", "paper_code"), "paper_code: what the public code of Lao et al. (ECCV 2024) sets"
)


class Help(Exception):
    """The options of a config, which were asked for in place of the config."""


def parse(arg: str | None, known: Mapping[str, Option], file: str) -> dict[str, Any]:
    """Returns the options, each of the type that its default has.

    Args:
      arg: what follows the colon: NAME=VALUE pairs joined by commas. A NAME alone means True, a
        VALUE alone is for the one option that has it among its choices.
      known: by name.
      file: the config file's name, for messages.

    Raises:
      ValueError: for an unknown name, with the near miss, or a value that isn't of the type.
      Help: where the word `help` is among the arguments.
    """
    if HELP in (arg or "").split(","):
        raise Help(describe(known, file))
    defaults = {name: option.default for name, option in known.items()}
    options = {k: v[0] if isinstance(v, tuple) else v for k, v in defaults.items()}
    choices = {k: v for k, v in defaults.items() if isinstance(v, tuple)}
    given: dict[str, str] = {}
    for word in filter(None, (arg or "").split(",")):
        name, equals, value = word.partition("=")
        owners = [] if equals else [k for k, v in choices.items() if word in v]
        if len(owners) == 1:
            name, value, equals = owners[0], word, "="
        if name not in defaults:
            words = [*defaults, *(word for words in choices.values() for word in words)]
            none = f"none of {_described(defaults)}" if defaults else "no option: it has none"
            raise ValueError(f"{file}:{arg}: {name!r} is {none}{did_you_mean(name, words)}")
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


def describe(known: Mapping[str, Option], file: str) -> str:
    """Writes the options for a terminal: name and default, meaning, choices."""
    if not known:
        return f"{file} has no options"
    heads = {name: f"{name}={_default(option)}" for name, option in known.items()}
    width = max(map(len, heads.values())) + 4
    lines = [
        f"options, as in {file}:NAME=VALUE,NAME=VALUE; a choice alone, and a name alone for "
        "NAME=True, are enough:"
    ]
    for name, option in known.items():
        text = [option.meaning]
        if isinstance(option.default, tuple) and len(option.default) > 1:
            text.append(f"one of {', '.join(option.default)}")
        wrapped = [line for part in text for line in textwrap.wrap(part, max(100 - width, 40))]
        starts = [f"  {heads[name]}".ljust(width), *[" " * width] * (len(wrapped) - 1)]
        lines += [start + line for start, line in zip(starts, wrapped, strict=True)]
    return "\n".join(lines)


def _default(option: Option) -> str:
    default = option.default
    return str(default[0] if isinstance(default, tuple) else default)


def override(defaults: Mapping[str, Option], more: Mapping[str, Any]) -> dict[str, Option]:
    """Adds options, and gives those that are there other defaults.

    Args:
      more: name -> Option, or another default alone: for an option with choices one of these, which
        then comes first, or other choices.
    """
    merged = dict(defaults)
    for name, value in more.items():
        if not isinstance(value, Option):
            choices = merged[name].default
            if isinstance(choices, tuple) and value in choices:
                value = (value, *(choice for choice in choices if choice != value))
            value = merged[name]._replace(default=value)
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
