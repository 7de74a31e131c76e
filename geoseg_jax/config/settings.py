"""Configurations as plain data: found, flattened, ready for JSON. Whether they hold: check.py."""

import pathlib
from collections.abc import Mapping
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.nested import as_json, flatten
from geoseg_jax.core.setting import ConfigError

__all__ = ["ConfigError", "find_config", "flatten", "plain"]


def find_config(argument: str) -> str:
    """Finds FILE of FILE.py[:ARGUMENT]: here, or else in the package or checkout.

    A checkout has configs/ beside the package, an installed copy inside it.

    Raises:
      FileNotFoundError: with the near miss, or with what there is.
    """
    file, colon, rest = argument.partition(":")
    package = pathlib.Path(__file__).resolve().parent.parent
    places = [pathlib.Path(file), package / file, package.parent / file]
    found = next((str(place) for place in places if place.is_file()), None)
    if found is None:
        folders = (package / "configs", package.parent / "configs")
        known = sorted({f"configs/{path.name}" for f in folders for path in f.glob("*.py")})
        hint = did_you_mean(file, known) or f"; there are {', '.join(known)}"
        raise FileNotFoundError(f"--config={file}: no such file{hint}")
    return found + colon + rest


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the config into nested dicts and lists, ready for JSON."""
    return {
        key: plain(value)
        if isinstance(value, Mapping) or hasattr(value, "to_dict")
        else as_json(value)
        for key, value in config.items()
    }
