"""DeepLabV3's decoder (Chen et al., arXiv:1706.05587, section 3): torchvision's, or a Variant."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, norm

# Output stride of the encoder -> dilation of the three 3x3 branches, as published.
RATES = {16: (6, 12, 18), 8: (12, 24, 36)}


# How convolutions of decoder and head start: as torch.nn.Conv2d, or He's normal by fan-out.
KERNEL_INITS = {"torch": conv.torch_uniform, "he_fan_out": conv.he_normal_fan_out}


class Variant(NamedTuple):
    """The differences between published versions of DeepLabV3; the defaults are torchvision's.

    convolution: a 3x3 convolution between the pyramid and the classes.
    align_corners: logits are enlarged to the picture so that the centres of the corner pixels keep
      their place, instead of its borders.
    init: how the convolutions of decoder and head start, a key of KERNEL_INITS.
    norm_momentum: of the decoder's batch norms: share of the running statistics that each step
      replaces, PyTorch's `momentum`.
    """

    convolution: bool = True
    align_corners: bool = False
    init: str = "torch"
    norm_momentum: float = 0.1


class ConvBlock(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    features: int
    size: int = 1
    dilation: int = 1
    dtype: jnp.dtype = jnp.float32
    variant: Variant = Variant()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = conv.Conv(
            self.features,
            self.size,
            dilation=self.dilation,
            use_bias=False,
            kernel_init=KERNEL_INITS[self.variant.init],
            dtype=self.dtype,
            name="conv",
        )(x)
        momentum = 1 - self.variant.norm_momentum
        return nn.relu(norm.BatchNorm(momentum, dtype=self.dtype, name="bn")(x, train))


class DeepLabDecoder(nn.Module):
    """Atrous spatial pyramid pooling, and then a 3x3 convolution, on an encoder's last stage.

    Five branches see the features: 1x1, three dilated 3x3, and the mean of the whole picture; a 1x1
    convolution joins them. torchvision drops out half of the joined features in training; here
    nothing is dropped, so that a step depends on its batch alone.

    In training the picture's mean is normalised over the batch's few pictures: of a batch of one
    nothing but that batch norm's bias is left.

    Attributes:
      rates: dilations of the 3x3 branches (RATES).
      features: channels of each branch and of the result.
      dtype: what to compute in.
      variant: whose version.
    """

    rates: tuple[int, ...] = RATES[16]
    features: int = 256
    dtype: jnp.dtype = jnp.float32
    variant: Variant = Variant()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps [N, h, w, C] of any size to [N, h, w, features]."""
        block = functools.partial(ConvBlock, self.features, dtype=self.dtype, variant=self.variant)
        branches = [block(name="aspp_0")(x, train)]
        for number, rate in enumerate(self.rates, 1):
            branches.append(block(3, rate, name=f"aspp_{number}")(x, train))
        mean = jnp.mean(x.astype(jnp.float32), axis=(1, 2), keepdims=True)
        pooled = block(name="aspp_pool")(mean, train)
        branches.append(jnp.broadcast_to(pooled, branches[0].shape))
        x = block(name="project")(jnp.concatenate(branches, axis=-1), train)
        return block(3, name="out")(x, train) if self.variant.convolution else x
