"""U-Net decoder and disparity head of monodepth2 (Godard et al., arXiv:1806.01260, appendix)."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv


class UNetDecoder(nn.Module):
    """A decoder from the encoder's stages to features at strides 16, 8, 4, 2 and 1.

    Every level: 3x3 convolution, ELU, nearest up-sampling, the encoder's stage of that size beside
    it, 3x3 convolution, ELU.

    Attributes:
      channels: of the outputs at strides 1, 2, 4, 8 and 16.
      padding: of the convolutions, 'reflect' (as published) or 'zero'.
      dtype: what to compute in.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    padding: str = "reflect"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: dict[int, jax.Array]) -> dict[int, jax.Array]:
        """Decodes.

        Args:
          features: {stride: [N, H / stride, W / stride, C]} for strides 2 to 2 ** len(channels).

        Returns:
          {scale: [N, H / 2**scale, W / 2**scale, channels[scale]]} for every level.

        Raises:
          ValueError: where sizes don't double from stage to stage: H and W must be multiples of
            the largest stride.
        """
        _check_sizes(features)
        layer = functools.partial(conv.Conv, padding=self.padding, dtype=self.dtype)
        levels = len(self.channels)
        x = features[2**levels]
        outputs = {}
        for level in reversed(range(levels)):
            width = self.channels[level]
            x = nn.elu(layer(width, name=f"upconv_{level}_0")(x))
            skip = features[2**level] if level > 0 else None
            x = nn.elu(layer(width, name=f"upconv_{level}_1")(skip, small=x))
            outputs[level] = x
        return outputs


class DisparityHead(nn.Module):
    """One 3x3 convolution and a sigmoid per scale: {scale: [N, h, w, C]} -> {scale: [N, h, w]}.

    Attributes:
      scales: number of scales, or which ones.
      padding: of the convolution, 'reflect' or 'zero'.
      dtype: what the convolution computes in; the sigmoid and its result are float32.
      initial: disparity that the head starts around, in (0, 1), through its bias; None leaves the
        bias as PyTorch starts it, around 0.5.
    """

    scales: int | tuple[int, ...] = 4
    padding: str = "reflect"
    dtype: jnp.dtype = jnp.float32
    initial: float | None = None

    @nn.compact
    def __call__(self, features: dict[int, jax.Array]) -> dict[int, jax.Array]:
        scales = range(self.scales) if isinstance(self.scales, int) else self.scales
        bias = None
        if self.initial is not None:
            bias = nn.initializers.constant(math.log(self.initial / (1 - self.initial)))
        layer = functools.partial(
            conv.Conv, 1, padding=self.padding, bias_init=bias, dtype=self.dtype
        )
        maps = sigmoid_maps(features, scales, layer, "dispconv")
        return {s: x[..., 0] for s, x in maps.items()}


def sigmoid_maps(
    features: Mapping[int, jax.Array],
    scales: Iterable[int],
    layer: Callable[..., nn.Module],
    name: str,
) -> dict[int, jax.Array]:
    """Applies to every scale a layer of its own, called name_SCALE, and a sigmoid.

    Args:
      features: {scale: [N, h, w, C]}.
      layer: makes one, with its channels, as functools.partial(conv.Conv, 3).

    Returns:
      {scale: [N, h, w, channels]} float32 in (0, 1).
    """
    logits = {s: layer(name=f"{name}_{s}")(features[s]) for s in scales}
    return {s: nn.sigmoid(x.astype(jnp.float32)) for s, x in logits.items()}


def _check_sizes(features: dict[int, jax.Array]) -> None:
    sizes = {stride: (x.shape[1] * stride, x.shape[2] * stride) for stride, x in features.items()}
    if len(set(sizes.values())) > 1:
        shapes = {stride: x.shape for stride, x in features.items()}
        raise ValueError(
            f"features {shapes} don't halve exactly from stage to stage; "
            f"make height and width multiples of {max(features)}"
        )
