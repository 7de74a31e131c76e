"""DeepLabV3's decoder (Chen et al., arXiv:1706.05587, section 3), equal to torchvision's."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, norm

# Output stride of the encoder -> dilation of the three 3x3 branches, as published.
RATES = {16: (6, 12, 18), 8: (12, 24, 36)}


class ConvBlock(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    features: int
    size: int = 1
    dilation: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        layer = functools.partial(conv.Conv, self.features, self.size, use_bias=False)
        x = layer(dilation=self.dilation, dtype=self.dtype, name="conv")(x)
        return nn.relu(norm.BatchNorm(dtype=self.dtype, name="bn")(x, train))


class DeepLabDecoder(nn.Module):
    """Atrous spatial pyramid pooling and a 3x3 convolution on an encoder's last stage.

    Five branches see the features: 1x1, three dilated 3x3, and the mean of the whole picture; a 1x1
    convolution joins them. torchvision drops out half of the joined features in training; here
    nothing is dropped, so that a step depends on its batch alone.

    In training the picture's mean is normalised over the batch's few pictures: of a batch of one
    nothing but that batch norm's bias is left.

    Attributes:
      rates: dilations of the 3x3 branches (RATES).
      features: channels of each branch and of the result.
      dtype: what to compute in.
    """

    rates: tuple[int, ...] = RATES[16]
    features: int = 256
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[N, h, w, C] of any size -> [N, h, w, features]."""
        block = functools.partial(ConvBlock, self.features, dtype=self.dtype)
        branches = [block(name="aspp_0")(x, train)]
        for number, rate in enumerate(self.rates, 1):
            branches.append(block(3, rate, name=f"aspp_{number}")(x, train))
        mean = jnp.mean(x.astype(jnp.float32), axis=(1, 2), keepdims=True)
        pooled = block(name="aspp_pool")(mean, train)
        branches.append(jnp.broadcast_to(pooled, branches[0].shape))
        x = block(name="project")(jnp.concatenate(branches, axis=-1), train)
        return block(3, name="out")(x, train)
