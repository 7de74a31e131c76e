"""Features of whatever size as a pyramid of true strides: DPT's reassembling of tokens.

Ranftl, Bochkovskiy, Koltun, "Vision Transformers for Dense Prediction", ICCV 2021
(arXiv:2103.13413), section 3 and eq. 1 to 3. Of the paper's ways to treat the class token this is
`ignore`: an encoder's features are maps, and hold no such token.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv
from geoseg_jax.models.shared import plus


class Reassemble(nn.Module):
    """Projects every stage (1x1) and brings it to the size of its stride.

    A stage that is coarser than its name says, as all of a ViT's but one or two, is enlarged by a
    transposed convolution without overlap, a finer one reduced by a strided 3x3 convolution. One at
    its true size, as all of a ResNet's, is projected alone.

    Attributes:
      width: channels of the results, one number for all strides or one for each.
      strides: which stages are wanted.
      dtype: what to compute in.
    """

    width: int | tuple[int, ...] = 256
    strides: tuple[int, ...] = (4, 8, 16, 32)
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: Mapping[int, jax.Array], height: int, width: int
    ) -> dict[int, jax.Array]:
        """Reassembles.

        Args:
          features: {nominal stride: [N, h, w, C]}, of an encoder.
          height, width: of the picture that they are of.

        Returns:
          {stride: [N, ceil(height / stride), ceil(width / stride), width]}.

        Raises:
          ValueError: for a stage that isn't there, or whose size is no power of two below the
            picture's.
        """
        widths = self.width
        if isinstance(widths, int):
            widths = (widths,) * len(self.strides)
        maps = {}
        for stride, channels in zip(self.strides, widths, strict=True):
            if stride not in features:
                raise ValueError(f"no stage of stride {stride} among {sorted(features)}")
            x = features[stride]
            true = true_stride(x.shape[1:3], height, width, stride)
            x = conv.Conv(channels, 1, dtype=self.dtype, name=f"project_{stride}")(x)
            if true > stride:
                enlarge = Enlarge(channels, true // stride, self.dtype, name=f"resample_{stride}")
                x = enlarge(x)[:, : -(-height // stride), : -(-width // stride)]
            elif true < stride:
                x = conv.Conv(
                    channels,
                    stride=stride // true,
                    dtype=self.dtype,
                    name=f"resample_{stride}",
                )(x)
            maps[stride] = x
        return maps


def true_stride(size: Sequence[int], height: int, width: int, nominal: int) -> int:
    """Returns the power of two by which features are smaller than their picture; nominal first.

    Raises:
      ValueError: where no power of two from 1 to 32 gives that size.
    """
    for stride in (nominal, 1, 2, 4, 8, 16, 32):
        if tuple(size) == (-(-height // stride), -(-width // stride)):
            return stride
    raise ValueError(
        f"features of {size[1]}x{size[0]} belong to no picture of {width}x{height}: its size over "
        "1, 2, 4, 8, 16 or 32, rounded up, was expected"
    )


class Enlarge(nn.Module):
    """Transposed convolution whose window is its stride: every pixel becomes factor x factor.

    Parameters: kernel [factor, factor, C_in, C_out], PyTorch's [C_in, C_out, factor, factor], and
    bias [C_out].
    """

    features: int
    factor: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Enlarges [N, h, w, C] to [N, factor h, factor w, features]."""
        n, height, width, channels = x.shape
        f = self.factor
        # No two windows overlap: a result is a sum over C_in alone.
        start = nn.initializers.variance_scaling(
            1.0 / 3.0, "fan_in", "uniform", in_axis=2, out_axis=3, batch_axis=(0, 1)
        )
        kernel = self.param("kernel", start, (f, f, channels, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        # One product, then the squares are laid out: a shuffle of pixels.
        flat = kernel.transpose(2, 0, 1, 3).reshape(channels, -1).astype(self.dtype)
        y = (x.astype(self.dtype) @ flat).reshape(n, height, width, f, f, self.features)
        y = y.swapaxes(2, 3).reshape(n, f * height, f * width, self.features)
        return plus(y, bias)
