"""What differs between two configs, and what of that may differ where a run goes on."""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.config import table
from geoseg_jax.config.settings import ConfigError, flatten

# What may differ when a run is continued: none of it changes the numbers of the steps done. The
# number of steps does change those to come, where the schedule of the learning rate ends with it.
CHANGEABLE = table.keys(lambda setting: setting.on_resume)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ -> (old, new), with None for a key that one side lacks.

    What is off may as well be lacking, so that what was begun before there was such a setting can
    go on without it.
    """
    before, after = flatten(old), flatten(new)
    pairs = {k: (before.get(k), after.get(k)) for k in sorted(before.keys() | after.keys())}

    def off(value: Any) -> bool:
        return is_off(value) or value == ""

    return {k: (a, b) for k, (a, b) in pairs.items() if a != b and not (off(a) and off(b))}


def is_off(value: Any) -> bool:
    """Whether it is an empty sequence, as of what a setting without any asks for, or None."""
    return value is None or (isinstance(value, list | tuple) and not value)


def check_resume(old: Mapping[str, Any], new: Mapping[str, Any], workdir: str) -> list[str]:
    """Compares the config of a run with the one it is to be continued with.

    Returns:
      One line for every difference that is allowed (see CHANGEABLE).

    Raises:
      ConfigError: where a setting differs that would make it another experiment.
    """
    differences = changed(old, new)
    lines = {key: f"config.{key}: {was!r} -> {now!r}" for key, (was, now) in differences.items()}
    refused = [line for key, line in lines.items() if key not in CHANGEABLE]
    if refused:
        raise ConfigError(
            f"{workdir} holds a run with other settings ({'; '.join(refused)}); go on with the "
            "settings it has, or choose another --workdir"
        )
    if "train.steps" in lines and flatten(new).get("optimizer.schedule") != "constant":
        lines["train.steps"] += ", which changes the learning rate of the steps to come"
    return list(lines.values())
