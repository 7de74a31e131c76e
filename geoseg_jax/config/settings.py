"""Configurations as plain data: found, flattened, ready for JSON. Whether they hold: check.py."""

import pathlib
from collections.abc import Mapping
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.nested import as_json, flatten
from geoseg_jax.core.setting import ConfigError

__all__ = ["ConfigError", "config_files", "find_config", "flatten", "plain"]

# A checkout has configs/ beside the package, an installed copy inside it.
_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
_HOMES = (_PACKAGE, _PACKAGE.parent)


def find_config(argument: str) -> str:
    """Finds FILE of FILE.py[:ARGUMENT]: here, or else in the package or checkout.

    Raises:
      FileNotFoundError: with the near miss, or with what there is.
    """
    file, colon, rest = argument.partition(":")
    places = [pathlib.Path(file), *(folder / file for folder in _HOMES)]
    found = next((str(place) for place in places if place.is_file()), None)
    if found is None:
        known = [f"configs/{path.name}" for path in config_files()]
        hint = did_you_mean(file, known) or f"; there are {', '.join(known)}"
        raise FileNotFoundError(f"--config={file}: no such file{hint}")
    return found + colon + rest


def config_files() -> list[pathlib.Path]:
    """Lists the config files that come with the package, by name."""
    files = {p.name: p for home in _HOMES for p in (home / "configs").glob("*.py")}
    return [files[name] for name in sorted(files)]


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the config into nested dicts and lists, ready for JSON."""
    return {
        key: plain(value)
        if isinstance(value, Mapping) or hasattr(value, "to_dict")
        else as_json(value)
        for key, value in config.items()
    }
