"""Convolution and batch normalisation with PyTorch's numbers, on NHWC arrays.

flax's own layers differ from PyTorch's in details that matter when weights are carried over: the
side on which a strided convolution pads, the initial values, and the running variance.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import fast_conv

PADDINGS = ("zero", "reflect")

# What torchvision gives its ResNets (He et al., arXiv:1502.01852, eq. 10 in backward form).
he_normal_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# What torch.nn.Conv2d starts with: uniform in +-1/sqrt(fan_in).
torch_uniform = nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def conv2d(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str = "zero") -> jax.Array:
    """Convolution padded by half the kernel on each side, so that stride 1 keeps the size.

    Args:
      x: [N, H, W, C_in].
      kernel: [k, k, C_in, C_out], k odd, of x's dtype.
      stride: 1 or more, the same in both directions.
      padding: 'zero', or 'reflect' (the border pixel is not repeated).

    Returns:
      [N, ceil(H / stride), ceil(W / stride), C_out].

    Raises:
      ValueError: for another padding.
    """
    if padding not in PADDINGS:
        raise ValueError(f"padding {padding!r} is not known; choose one of {PADDINGS}")
    half = kernel.shape[0] // 2
    if padding == "reflect" and half > 0:
        x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), mode="reflect")
        half = 0
    return fast_conv.correlate(x, kernel, stride, half)


class Conv(nn.Module):
    """`conv2d` with its parameters: kernel [k, k, C_in, C_out] and, if asked for, bias [C_out].

    Without a bias_init the bias starts as PyTorch's, uniform in +-1/sqrt(fan_in).
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: str = "zero"
    use_bias: bool = True
    kernel_init: Callable = torch_uniform
    bias_init: Callable | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        x = conv2d(x, kernel, stride=self.stride, padding=self.padding)
        if self.use_bias:
            bound = 1.0 / math.sqrt(math.prod(shape[:3]))
            start = self.bias_init or _uniform(bound)
            bias = self.param("bias", start, (self.features,), jnp.float32)
            x = x + bias.astype(self.dtype)
        return x


def _uniform(bound: float) -> Callable:
    def init(key, shape, dtype):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


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
