"""Gradients of a batch in parts, one after the other: the memory of a part, the step of the whole.

What each example adds to the gradient is as without parts, its random draws too. What looks at
several examples looks at those of a part: batch norm's statistics, which move once a part, and
means over valid pixels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from geoseg_jax.models import remat

# (variables, key, batch, progress) -> loss, terms, batch statistics, gradients
Gradients = Callable[..., tuple[jax.Array, dict[str, jax.Array], Any, Any]]


class Thrift(NamedTuple):
    """Ways of a step to need less memory."""

    micro_batches: int = 1  # parts of a batch, one after the other
    remat: bool = False  # blocks of a network are computed again, see models/remat.py


NO_THRIFT = Thrift()


def thrift_of(config: ConfigDict) -> Thrift:
    """Reads it from a config."""
    return Thrift(config.train.get("micro_batches", 1), config.train.get("remat", False))


def make_gradients(
    loss: Callable[..., Any],
    keep_stats: Callable[[Any, Any], Any],
    mesh: Mesh | None,
    thrift: Thrift = NO_THRIFT,
) -> Gradients:
    """Makes the function that computes a step's loss and its gradients by the parameters.

    Args:
      loss: of a task, see tasks.base.Task.
      keep_stats: (old, new) -> batch statistics after the step, the frozen ones as they were.
      mesh: that the batch is divided over; None where one device has all of it.
      thrift: each part of a batch has every so many-th example, so that it is the same on any
        number of devices, and no example goes to another device.
    """
    micro_batches = thrift.micro_batches

    def of_part(variables: Any, key: jax.Array, batch: Any, progress: jax.Array) -> Any:
        def of_parameters(params: Any) -> tuple[jax.Array, Any]:
            return loss(variables | {"params": params}, key, batch, progress)

        differentiated = jax.value_and_grad(of_parameters, has_aux=True)
        with remat.traced(thrift.remat):
            (value, aux), grads = differentiated(variables["params"])
        stats = keep_stats(variables["batch_stats"], aux.batch_stats)
        return value, aux.terms, stats, grads

    if micro_batches == 1:
        return of_part

    def divided(array: jax.Array) -> jax.Array:
        parts = array.reshape(-1, micro_batches, *array.shape[1:]).swapaxes(0, 1)
        if mesh is None:
            return parts
        on_devices = NamedSharding(mesh, PartitionSpec(None, "data"))
        return jax.lax.with_sharding_constraint(parts, on_devices)

    def in_parts(variables: Any, key: jax.Array, batch: Any, progress: jax.Array) -> Any:
        def add(carry: Any, part: Any) -> tuple[Any, Any]:
            stats, total = carry
            # One key for all: draws follow it and the example's id.
            value, terms, stats, grads = of_part(
                variables | {"batch_stats": stats}, key, part, progress
            )
            return (stats, jax.tree.map(jnp.add, total, grads)), (value, terms)

        zeros = jax.tree.map(jnp.zeros_like, variables["params"])
        first = variables["batch_stats"], zeros
        (stats, total), each = jax.lax.scan(add, first, jax.tree.map(divided, batch))
        value, terms = jax.tree.map(lambda values: jnp.mean(values, axis=0), each)
        return value, terms, stats, jax.tree.map(lambda x: x / micro_batches, total)

    return in_parts
