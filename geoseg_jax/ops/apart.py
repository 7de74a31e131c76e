"""Keeps XLA from computing the same thing several times over."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax

T = TypeVar("T")


def apart(tree: T) -> T:
    """Has these arrays computed once and stored, not again inside each of their uses.

    On a CPU XLA drops optimization_barrier before it fuses, and then computes what lies between
    two reads of memory up to nine times over. A branch is the cheapest thing it does not look
    through; on other devices a branch costs more than it saves.
    """
    return lax.platform_dependent(tree, cpu=_branch, default=lax.optimization_barrier)


def apart_on_cpu(tree: T) -> T:
    """Does as `apart` on a CPU, for gradients too, and nothing at all on other devices.

    For a sum that goes on through many layers: each layer's gradient of its weights wants a
    transposed copy of it, for which XLA adds up the gradients of all later layers once more.
    """
    return lax.platform_dependent(tree, cpu=_branch, default=lambda t: t)


def _branch(tree: T) -> T:
    # Always true, NaN too, which XLA doesn't know.
    always = ~(jax.tree.leaves(tree)[0].ravel()[0] > jnp.inf)
    return lax.cond(always, lambda t: t, lambda t: jax.tree.map(jnp.zeros_like, t), tree)
