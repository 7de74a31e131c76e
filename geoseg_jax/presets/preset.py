"""How a config is built: a preset, what the config's file changes, and what follows from both."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from geoseg_jax.presets import argument

Options = Mapping[str, Any]


class Preset(NamedTuple):
    """A recipe that configs share.

    options: those of FILE.py:OPTIONS, by name. 'resolution', where it is one, is the width x height
      of config.data.
    start(options) -> a complete config, its data set excepted.
    finish(config, options) changes it in place, once its data set and length are known.
    """

    options: Mapping[str, argument.Option]
    start: Callable[[Options], ConfigDict]
    finish: Callable[[ConfigDict, Options], None]


def build(
    preset: Preset,
    arg: str | None,
    file: str,
    change: Callable[[ConfigDict, Options], None] = lambda config, options: None,
    /,  # an option may have any name
    **more: Any,
) -> ConfigDict:
    """Builds the config of a file.

    Args:
      arg: what the user wrote behind the config file's colon.
      file: the config file's name, for messages.
      change: sets what the file has of its own, data set and length, in place.
      more: further options that it knows, each an argument.Option, or other defaults than the
        preset's.

    Raises:
      ValueError: for an unknown option, a bad value, or one without effect.
    """
    options = argument.parse(arg, argument.override(preset.options, more), file)
    config = preset.start(options)
    if "resolution" in options:
        height, width = argument.size(options["resolution"], f"{file}:resolution")
        config.data.update({"height": height, "width": width})
    change(config, options)
    preset.finish(config, options)
    return config
