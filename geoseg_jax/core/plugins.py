"""Registries that other packages add to, by the entry points that their installation declares."""

import functools
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Names and what they stand for: our own, and those of installed packages, loaded when asked.

    A package adds one in its pyproject.toml, where the group is `geoseg_jax.readers` or
    `geoseg_jax.tasks`:

        [project.entry-points."geoseg_jax.readers"]
        my_pictures = "my_package.pictures:READER"

    Raises ValueError where two packages, or a package and we, take the same name, and where what a
    package declares can't be loaded.
    """

    def __init__(self, group: str, own: Mapping[str, T]):
        self.group, self._own = group, dict(own)

    def __getitem__(self, name: str) -> T:
        if name in self._own:
            return self._own[name]
        point = self._declared()[name]
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"entry point {name} = {point.value!r} of {self.group} can't be loaded ({error}); "
                "correct or uninstall the package that declares it"
            ) from error

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._declared()

    def __len__(self) -> int:
        return len(self._own) + len(self._declared())

    def _declared(self) -> dict[str, importlib.metadata.EntryPoint]:
        """Returns what installed packages declare, by name."""
        found: dict[str, importlib.metadata.EntryPoint] = {}
        for point in _installed(self.group, tuple(sys.path)):
            # A package may be found twice, as installed and as a checkout: that is the same.
            taken = found.get(point.name, point).value != point.value
            if taken or point.name in self._own:
                raise ValueError(
                    f"entry point {point.name} = {point.value!r} of {self.group}: that name is "
                    "taken; choose another in the package that declares it"
                )
            found[point.name] = point
        return found


@functools.lru_cache(maxsize=8)
def _installed(group: str, path: tuple[str, ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    """Finds what packages on `path`, which is sys.path, declare.

    Kept: it reads a file of every installed package, and each check of a config asks.
    """
    del path  # a key alone
    return tuple(importlib.metadata.entry_points(group=group))
