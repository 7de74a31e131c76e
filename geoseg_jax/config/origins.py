"""Where each value of a configuration came from: its file, an option behind the colon, a flag."""

from collections.abc import Collection
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.config.files import load
from geoseg_jax.config.settings import flatten


def describe(argument: str, config: ConfigDict, flags: Collection[str]) -> list[str]:
    """Writes a line for each setting, as in "config.train.steps = 500  # flag".

    A value that the file has without any options as well is said to come from the file.

    Args:
      argument: FILE.py[:OPTIONS], of the config.
      config: with the changes of the command line.
      flags: keys that were given there.

    Raises:
      ValueError, OSError: for a file that can't be read.
    """
    file, _, options = argument.partition(":")
    usual = flatten(load(file)) if options else {}
    lines: list[str] = []
    for key, value in flatten(config).items():
        origin = f"option {options}" if options and usual.get(key, lines) != value else "file"
        origin = "flag" if key in flags else origin
        lines.append(f"config.{key} = {_written(value)!r}  # {origin}")
    return lines


def _written(value: Any) -> Any:
    """Returns the value as on a command line, where a sequence is a tuple."""
    return tuple(map(_written, value)) if isinstance(value, list) else value
