"""Shares the GPUs of a machine among a study's processes; finds them without starting jax on any.

Runs with small pictures leave most of a GPU idle: several processes on each fill it.
"""

import collections
import itertools
import os
import subprocess
from collections.abc import Mapping, Sequence

from geoseg_jax.core import formats

_VISIBLE, _PLATFORMS = "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"
_MEMORY = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_USED = 0.9  # of a GPU's memory, by all processes on it; jax alone takes three quarters
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
      One for each process, with a GPU, whose memory the processes on it divide among them; [] where
      they share the CPU's cores instead.
    """
    found = visible() if count > 1 else []
    if not found:
        return []
    before = os.environ.get(_PLATFORMS)
    os.environ[_PLATFORMS] = "cpu"
    names = [found[index % len(found)] for index in range(count)]
    return [{_VISIBLE: name, _PLATFORMS: before} | _memory(names.count(name)) for name in names]


def _memory(processes: int) -> Environment:
    """Gives each of several processes on a GPU its part; the first would take what all need."""
    if processes == 1 or _MEMORY in os.environ:
        return {}
    return {_MEMORY: f"{_USED / processes:.3f}"}


def describe(environments: Sequence[Environment]) -> str:
    """Says who has which: 'a GPU for each of 2 processes: 0, 1'."""
    names = [str(e[_VISIBLE]) for e in environments]
    shared = collections.Counter(names)
    if max(shared.values()) == 1:
        return f"a GPU for each of {len(names)} processes: {', '.join(names)}"
    parts = ", ".join(f"{n} on {name}" for name, n in shared.items())
    return (
        f"{len(names)} processes on {formats.count(len(shared), 'GPU')}: {parts}; their kernels "
        "take turns, or run side by side under CUDA's MPS (nvidia-cuda-mps-control -d)"
    )
