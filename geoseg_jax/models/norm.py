"""Batch normalisation with PyTorch's numbers."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class BatchNorm(nn.Module):
    """Batch normalisation over N, H and W (Ioffe and Szegedy, arXiv:1502.03167), as PyTorch's.

    The batch is normalised by its biased variance, while the running variance takes the unbiased
    one: torch.nn.BatchNorm2d does so and flax.linen.BatchNorm doesn't. Under jit with a batch
    sharded over devices the mean is the whole batch's, for the arrays are global there.
    Statistics are float32 whatever the dtype.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        wide = x.astype(jnp.float32)
        if train:
            mean = jnp.mean(wide, axis=(0, 1, 2))
            # One pass over x for both moments; the difference may round below zero.
            var = jnp.maximum(jnp.mean(jnp.square(wide), axis=(0, 1, 2)) - jnp.square(mean), 0.0)
            if not self.is_initializing():
                count = x.size // x.shape[-1]
                unbiased = var * (count / max(count - 1, 1))
                keep = self.momentum
                running_mean.value = keep * running_mean.value + (1.0 - keep) * mean
                running_var.value = keep * running_var.value + (1.0 - keep) * unbiased
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        return (wide * factor + (bias - mean * factor)).astype(self.dtype)
