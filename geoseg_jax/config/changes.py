"""Compares two configs, and says which differences a run may continue with."""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.config import table
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.nested import changed, flatten

# What may differ when a run is continued: none of it changes the numbers of the steps done. The
# number of steps does change those to come, where the schedule of the learning rate ends with it.
CHANGEABLE = table.keys(lambda setting: setting.on_resume)


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
