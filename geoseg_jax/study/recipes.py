"""Configs of many jobs, as what these share and the few settings of each.

A study plans thousands of runs at every start of every process. Most differ from each other in a
seed and the like alone: what all of them share is loaded, flattened and checked once.
"""

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.core.nested import as_json

T = TypeVar("T")


class Shared:
    """A config that several recipes start from; nobody changes it."""

    def __init__(self, config: ConfigDict) -> None:
        self._config = config

    @functools.cached_property
    def flat(self) -> dict[str, Any]:
        """The settings by their keys with dots, as JSON would hold them; see nested.flatten."""
        return settings.flatten(self._config)

    def copy(self) -> ConfigDict:
        """Copies the config."""
        return self._config.copy_and_resolve_references()


class Recipe(NamedTuple):
    """A job's config: `own` settings, by keys with dots, in place of those that are shared."""

    shared: Shared
    own: Mapping[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """Looks one setting up, without making the config."""
        return self.own[key] if key in self.own else self.shared.flat.get(key, default)

    @property
    def flat(self) -> dict[str, Any]:
        """All settings by their keys with dots, as JSON would hold them."""
        return self.shared.flat | {key: as_json(value) for key, value in self.own.items()}

    def config(self) -> ConfigDict:
        """Makes the config, another one at each call."""
        config = self.shared.copy()
        for key, value in self.own.items():
            *sections, name = key.split(".")
            section = config
            for part in sections:
                section = section[part]
            section[name] = value
        return config

    def changed(self, changes: Mapping[str, Any]) -> "Recipe":
        """Sets settings, by keys with dots that the config has."""
        return self._replace(own={**self.own, **changes})

    def kind(self, matters: Callable[[str], bool]) -> Hashable:
        """Names what recipes have in common that are equal in all settings that matter."""
        own = ((k, repr(v)) for k, v in self.own.items() if matters(k))
        return self.shared, tuple(sorted(own))


def share(
    make: Callable[[T], ConfigDict],
    replicates: Sequence[T],
    own: Callable[[T], Mapping[str, Any]],
) -> list[Recipe]:
    """Makes the recipes of replicates, from two configs where these show that no more are needed.

    A config file is a program, which may do with a seed what it likes. So the configs of two
    replicates are made that have nothing in common. Where they differ in nothing but settings that
    are what `own` says, so do all others; else each replicate's config is made.

    Args:
      make: the config of a replicate.
      replicates: one or more.
      own: the settings of a replicate that no other need share, by keys with dots.
    """
    values = [own(replicate) for replicate in replicates]
    first = Shared(make(replicates[0]))
    kept = {key: first.flat[key] for key in values[0] if key in first.flat}
    unlike = _unlike_the_first(values)
    if unlike is not None:
        other = settings.flatten(make(replicates[unlike]))
        keys = first.flat.keys() | other.keys()
        differing = {key for key in keys if first.flat.get(key) != other.get(key)}
        if all(
            key in kept and (kept[key], other[key]) == (values[0][key], values[unlike][key])
            for key in differing
        ):
            return [Recipe(first, kept | _only(differing, value)) for value in values]
    configs = [first, *(Shared(make(replicate)) for replicate in replicates[1:])]
    return [Recipe(config, _only(kept, config.flat)) for config in configs]


def _unlike_the_first(values: Sequence[Mapping[str, Any]]) -> int | None:
    """Finds one that differs from the first in every value in which any does; None without one."""
    varying = [key for key in values[0] if any(value[key] != values[0][key] for value in values)]
    unlike = (
        number
        for number, value in enumerate(values[1:], 1)
        if all(value[key] != values[0][key] for key in varying)
    )
    return next(unlike, None)


def _only(keys: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in keys}
