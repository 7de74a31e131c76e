"""Loads config files outside of the main command, and changes single settings."""

import ast
import importlib.util
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.near_miss import did_you_mean


def load(argument: str) -> ConfigDict:
    """Loads the config of FILE.py[:ARGUMENT], found as the main command finds it.

    Raises:
      ValueError, OSError: for a file or an argument that isn't known.
    """
    file, _, rest = settings.find_config(argument).partition(":")
    spec = importlib.util.spec_from_file_location("config_file", file)
    assert spec is not None
    assert spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(rest)


def change(config: ConfigDict, key: str, value: Any, what: str) -> None:
    """Sets config.KEY; text becomes a value of the type that was there.

    Args:
      config: changed in place.
      key: with dots, 'train.steps'.
      value: of the right type, or text as on a command line.
      what: whose change it is, for messages.

    Raises:
      ConfigError: where the config has no such key, and no such setting is declared.
    """
    known = settings.flatten(config)
    if key not in known and not may_have(key):
        raise ConfigError(
            f"{what}: {key!r} is not a setting of this config{did_you_mean(key, known)}"
        )
    if isinstance(value, str) and not isinstance(known.get(key), str):
        value = literal(value)
    add(config, {key: value}, f"{what}: ")


def may_have(key: str) -> bool:
    """Tells whether a config that lacks a setting may have it: one that acts in every training."""
    from geoseg_jax.training import settings as of_training  # the main command waits with it

    return key.startswith("train.") and key in of_training.SETTINGS


def add(config: ConfigDict, added: Mapping[str, Any], what: str) -> None:
    """Sets keys with dots, in sections that are made where there are none; see `change`."""
    for key, value in added.items():
        *sections, name = key.split(".")
        section = config
        for part in sections:
            if part not in section:
                with section.unlocked():
                    section[part] = {}
            section = section[part]
        with section.unlocked():
            try:
                section[name] = value
            except TypeError as error:
                raise ConfigError(f"{what}{key}={value!r}: {error}") from error


def change_all(config: ConfigDict, changes: Mapping[str, Any], what: str) -> None:
    """Applies `change` to each leaf of nested mappings."""
    for key, value in settings.flatten(changes).items():
        change(config, key, tuple(value) if isinstance(value, list) else value, what)


def literal(text: str) -> Any:
    """Reads a value as a command line has it; what is no literal of Python is a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
