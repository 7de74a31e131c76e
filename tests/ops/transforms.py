"""Checks that a kernel gives the same under jit, vmap and shard_map on several devices."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec

DEVICES, EXAMPLES = 4, 8


def check_transforms(function: Callable, *arguments: np.ndarray, tolerance: float = 1e-5) -> None:
    """Compares with each example computed alone.

    shard_map runs the function on two examples per device: with a leading dimension, that is. pmap
    is made of jit and shard_map, and not tried.

    Args:
      function: takes and returns (trees of) arrays with any leading dimensions, none included.
      *arguments: arrays [8, ...], of an example each.
      tolerance: of the largest difference, relative to the largest number.
    """
    assert all(len(a) == EXAMPLES for a in arguments)
    devices = jax.devices()[:DEVICES]
    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(AxisType.Auto,), devices=devices)
    spec = PartitionSpec("data")
    sharded = jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec)
    single = jax.jit(function)
    alone = [single(*(a[i] for a in arguments)) for i in range(EXAMPLES)]
    wanted = jax.tree.map(lambda *examples: np.stack(examples), *alone)
    for name, other in {"vmap": jax.vmap(function), "shard_map": sharded}.items():
        got = jax.jit(other)(*arguments)
        jax.tree.map(functools.partial(_check_equal, name, tolerance), got, wanted)


def _check_equal(name: str, tolerance: float, got: jax.Array, wanted: jax.Array) -> None:
    assert got.shape == wanted.shape, name
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    np.testing.assert_allclose(
        got, wanted, rtol=tolerance, atol=tolerance * (np.abs(wanted).max() + 1e-6), err_msg=name
    )


def grad(function: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """jax.grad, compiled whole: operation by operation takes ten times as long."""
    return jax.jit(jax.grad(function, argnums))


def numeric_gradient(function: Callable, array: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of a scalar function; float64 only."""
    assert array.dtype == np.float64
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        ends = []
        for sign in (1, -1):
            moved = array.copy()
            moved[index] += sign * step
            ends.append(float(function(moved)))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient
