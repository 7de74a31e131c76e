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


@jax.custom_vjp
def gradient_apart(x: jax.Array) -> jax.Array:
    """Returns x, whose gradient a CPU computes once, as in `apart`; nothing on other devices.

    For a sum that goes on through many layers: each layer's gradient of its weights wants a
    transposed copy of it, for which XLA adds up the gradients of all later layers once more.
    """
    return x


def _backward(_: None, gradient: jax.Array) -> tuple[jax.Array]:
    return (lax.platform_dependent(gradient, cpu=_branch, default=lambda g: g),)


gradient_apart.defvjp(lambda x: (x, None), _backward)


def _branch(tree: T) -> T:
    # Always true, NaN too, which XLA doesn't know.
    always = ~(jax.tree.leaves(tree)[0].ravel()[0] > jnp.inf)
    return lax.cond(always, lambda t: t, lambda t: jax.tree.map(jnp.zeros_like, t), tree)
