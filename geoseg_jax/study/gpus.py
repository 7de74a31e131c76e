"""Gives each process of a study a GPU of its own; finds them without starting jax on any."""

import itertools
import os
import subprocess
from collections.abc import Mapping, Sequence

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import formats

_VISIBLE, _PLATFORMS = "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"
# Name -> value of an environment variable; None: it is not set.
Environment = Mapping[str, str | None]


def visible() -> list[str]:
    """Lists the GPUs, by the names that CUDA_VISIBLE_DEVICES takes; [] where none is to be used."""
    if os.environ.get(_PLATFORMS) == "cpu":
        return []
    given = os.environ.get(_VISIBLE)
    if given is not None:
        names = [name.strip() for name in given.split(",") if name.strip()]
        return list(itertools.takewhile(lambda name: name != "-1", names))  # as CUDA reads it
    try:
        command = ["nvidia-smi", "-L"]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    lines = [line for line in found.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def share(count: int) -> list[Environment]:
    """Makes the environments of `count` processes, and leaves the CPU to this one, which plans.

    Must come before jax is imported: it would take most of the memory of every GPU.

    Returns:
      One for each process, with a GPU; [] where they share the CPU's cores instead.

    Raises:
      ConfigError: there are fewer GPUs.
    """
    found = visible() if count > 1 else []
    if not found:
        return []
    if count > len(found):
        raise ConfigError(
            f"--processes={count}, but only {formats.count(len(found), 'GPU')} "
            f"({', '.join(found)}); use as many at most, or JAX_PLATFORMS=cpu to share the cores"
        )
    before = os.environ.get(_PLATFORMS)
    os.environ[_PLATFORMS] = "cpu"
    return [{_VISIBLE: name, _PLATFORMS: before} for name in found[:count]]


def describe(environments: Sequence[Environment]) -> str:
    """Says who has which: 'a GPU for each of 2 processes: 0, 1'."""
    names = ", ".join(str(e[_VISIBLE]) for e in environments)
    return f"a GPU for each of {len(environments)} processes: {names}"
