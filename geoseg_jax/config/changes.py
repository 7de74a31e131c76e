"""Compares two configs, and says which differences a run may continue with."""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.config import table
from geoseg_jax.config.settings import ConfigError, flatten

# What may differ when a run is continued: none of it changes the numbers of the steps done. The
# number of steps does change those to come, where the schedule of the learning rate ends with it.
CHANGEABLE = table.keys(lambda setting: setting.on_resume)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Finds keys whose values differ -> (old, new), with None for a key that one side lacks.

    A setting that is off counts as lacking, so that a run begun before it existed can continue.
    """
    before, after = flatten(old), flatten(new)
    pairs = {k: (before.get(k), after.get(k)) for k in sorted(before.keys() | after.keys())}

    def off(value: Any) -> bool:
        return is_off(value) or value == ""

    return {k: (a, b) for k, (a, b) in pairs.items() if a != b and not (off(a) and off(b))}


def is_off(value: Any) -> bool:
    """Tells whether a value is None or an empty sequence, by which a setting asks for nothing."""
    return value is None or (isinstance(value, list | tuple) and not value)


def check_resume(old: Mapping[str, Any], new: Mapping[str, Any], workdir: str) -> list[str]:
    """Compares the config of a run with the one to continue it with.

    Returns:
      One line for every difference that is allowed (see CHANGEABLE).

    Raises:
      ConfigError: for a difference that makes it another experiment.
    """
    differences = changed(old, new)
    lines = {key: f"config.{key}: {was!r} -> {now!r}" for key, (was, now) in differences.items()}
    refused = [line for key, line in lines.items() if key not in CHANGEABLE]
    if refused:
        raise ConfigError(
            f"{workdir} holds a run with other settings ({'; '.join(refused)}); continue with the "
            "settings it has, or choose another --workdir"
        )
    if "train.steps" in lines and flatten(new).get("optimizer.schedule") != "constant":
        lines["train.steps"] += ", which changes the learning rate of the steps to come"
    return list(lines.values())
