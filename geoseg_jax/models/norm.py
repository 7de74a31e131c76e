"""Batch normalisation with PyTorch's numbers."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class BatchNorm(nn.Module):
    """Batch normalisation over N, H and W (Ioffe and Szegedy, arXiv:1502.03167), as PyTorch's.

    The batch is normalised by its biased variance, while the running variance takes the unbiased
    one: torch.nn.BatchNorm2d does so and flax.linen.BatchNorm doesn't. Under jit with a batch
    sharded over devices the mean is the whole batch's, for the arrays are global there.
    Statistics are float32 whatever the dtype, and right for channels whose mean is far from zero:
    the moments are taken about the mean of a sample of the pixels (_nearly_the_mean).

    Attributes:
      groups: in training the batch is cut into so many equal blocks of consecutive examples, and
        each is normalised by its own mean and variance, as if it had a device of its own; the
        running statistics take the mean over the groups. 1: the whole batch is one. Where the
        number of devices divides it, no statistics travel between devices.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: jnp.dtype = jnp.float32
    groups: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalises [N, H, W, C]; ValueError in training where groups don't divide N."""
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        wide = x.astype(jnp.float32)
        if train and self.groups > 1:
            wide = _in_groups(wide, self.groups)
        if train:
            axes = tuple(range(wide.ndim - 4, wide.ndim - 1))
            keep = self.groups > 1
            shift = _nearly_the_mean(wide)
            wide = wide - shift
            mean = jnp.mean(wide, axis=axes, keepdims=keep)  # [C], or [groups, 1, 1, 1, C]
            # One pass over x for both moments; the difference may round below zero.
            var = jnp.mean(jnp.square(wide), axis=axes, keepdims=keep) - jnp.square(mean)
            var = jnp.maximum(var, 0.0)
            if not self.is_initializing():
                count = x.size // (x.shape[-1] * self.groups)
                unbiased = var * (count / max(count - 1, 1))
                for running, now in ((running_mean, mean + shift), (running_var, unbiased)):
                    now = jnp.mean(now.reshape(-1, *shape), axis=0)
                    running.value = self.momentum * running.value + (1.0 - self.momentum) * now
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        return (wide * factor + (bias - mean * factor)).reshape(x.shape).astype(self.dtype)


def _nearly_the_mean(x: jax.Array) -> jax.Array:
    """Averages every eighth row's every eighth pixel: [..., N, H, W, C] -> [..., 1, 1, 1, C].

    Where the mean is a thousand deviations, E[x^2] - E[x]^2 in float32 loses a tenth of the
    variance; about a value near the mean it loses nothing. Neither variance nor gradient depends on
    which value that is, so differentiation takes it as a constant. A sample costs no further pass
    over x, and devices exchange no more than a sum for it.
    """
    sample = x[..., ::8, ::8, :]
    return jax.lax.stop_gradient(jnp.mean(sample, axis=(-4, -3, -2), keepdims=True))


def _in_groups(x: jax.Array, groups: int) -> jax.Array:
    """Splits [N, H, W, C] into [groups, N / groups, H, W, C]."""
    if x.shape[0] % groups:
        raise ValueError(
            f"a batch of {x.shape[0]} can't be cut into {groups} equal groups for batch "
            "normalisation; choose a number of groups that divides it"
        )
    return x.reshape(groups, -1, *x.shape[1:])
