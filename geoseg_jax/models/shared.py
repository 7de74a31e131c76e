"""Parameters that many places of a picture share: their gradients are summed in float32.

Cast to bfloat16 before they are added, as flax's layers do, a bias has a gradient that is summed in
bfloat16 too. That stops growing after a few hundred numbers: on a CPU the bias of a segmentation's
head had seven times its gradient.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn


def plus(x: jax.Array, parameter: jax.Array) -> jax.Array:
    """Adds a float32 parameter, broadcast, in float32; the result has x's type."""
    return (x + parameter).astype(x.dtype)


def times(x: jax.Array, parameter: jax.Array) -> jax.Array:
    """Multiplies by a float32 parameter, broadcast, in float32; the result has x's type."""
    return (x * parameter).astype(x.dtype)


def repeated(parameter: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Broadcasts a float32 parameter to a shape, in another type."""
    return jnp.broadcast_to(parameter, shape).astype(dtype)


class Dense(nn.Module):
    """A matrix and a bias: [..., C] -> [..., features].

    In float32 it is nn.Dense, parameters included: kernel [C, features], bias [features].
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    kernel_init: Callable = nn.initializers.xavier_uniform()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return plus(x.astype(self.dtype) @ kernel.astype(self.dtype), bias)
