"""Defines what training changes from step to step, on the devices and on the host."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import numpy as np


@flax.struct.dataclass
class TrainState:
    """Everything a step reads and writes; on all devices alike."""

    step: jax.Array  # int32, steps done
    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        """Returns the variables in the form that tasks take."""
        return {"params": self.params, "batch_stats": self.batch_stats}


@dataclasses.dataclass
class Status:
    """The position of a run, on the host; the loop alone changes it."""

    state: TrainState
    step: int  # steps done
    evaluation: dict[str, float] | None  # of the state after this very step
    best: Mapping[str, Any] | None  # the best evaluation so far, see evaluation.better
    signal: int = 0  # of a request to stop, once all processes know of it
    profiling: bool = False  # whether a trace is being recorded


def flat_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Leaves by '/'-joined path, sorted by path, on the host."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = {"/".join(str(getattr(p, "key", p)) for p in path): leaf for path, leaf in leaves}
    return {name: np.asarray(named[name]) for name in sorted(named)}


def sha256_of(tree: Any) -> str:
    """Hashes the leaves sorted by path, 'path dtype shape' in UTF-8, then the bytes: hex SHA-256.

    The shape is written as in '3,3,64,64', the bytes are row-major and little-endian. Equal for
    equal numbers, whatever machine, device count or order of insertion.
    """
    digest = hashlib.sha256()
    for name, array in flat_arrays(tree).items():
        shape = ",".join(map(str, array.shape))
        digest.update(f"{name} {array.dtype.name} {shape}".encode())
        array = np.ascontiguousarray(array)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(little.view(np.uint8).tobytes() if array.size else b"")
    return digest.hexdigest()


def select(tree: Any, wanted: Any) -> dict[str, np.ndarray]:
    """Returns the leaves of tree where wanted (a tree of bools) is True, by path."""
    chosen = flat_arrays(wanted)
    return {name: leaf for name, leaf in flat_arrays(tree).items() if chosen[name]}
