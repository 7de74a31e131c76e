"""A setting as its owner declares it: a task, a reader, or a part of the program."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from geoseg_jax.core.rules import Rule

Flat = Mapping[str, Any]  # a configuration as {'train.steps': 100, ...}


class ConfigError(ValueError):
    """A setting that can't be used; the message names config.KEY, the value and the remedy."""


class Setting(NamedTuple):
    """One key of a configuration; its name stands before it, in the owner's mapping.

    rule: what values it takes.
    meaning: in one line, units included, for --help and docs.
    optional: a configuration may lack it.
    on_resume: a run may go on with another value.
    numbers: it changes a run's numbers: arms that differ in it are not compared.
    operations: it changes the operations of a training step, and so what the step costs.
    records: it changes which records are read, or what is in them.
    split: it acts on the records of this split alone; '' for both.
    """

    rule: Rule
    meaning: str
    on_resume: bool = False
    numbers: bool = True
    operations: bool = True
    records: bool = True
    split: Literal["", "train", "eval"] = ""
    optional: bool = False


def refuse(flat: Flat, *cases: tuple[str, bool, str]) -> None:
    """Raises for the first setting that does not go with the others.

    Args:
      flat: the configuration.
      cases: (key, whether it is wrong, what is wrong and the remedy: 'has no effect without ...;
        set it to 0').

    Raises:
      ConfigError: naming config.KEY, its value, and what was said of it.
    """
    for key, wrong, problem in cases:
        if wrong:
            raise ConfigError(f"config.{key}={flat.get(key)!r} {problem}")
