"""DPT's convolutional decoder: Ranftl et al., ICCV 2021 (arXiv:2103.13413), section 3, figure 1.

On an encoder's four depths, a ViT's or a ResNet's. As in the paper's network for depth, without
batch norm (its network for segmentation has some), so that the decoder learned by one task fits
the other. Two things are done in another way: maps are enlarged about pixel centres instead of
between corner pixels, so that nothing moves against the picture; and a 1x1 convolution comes before
an enlargement instead of behind it, which gives the same numbers for a quarter of the products.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, reassemble

STRIDES = (4, 8, 16, 32)
FULL_SIZE = 32  # channels of the head at the picture's size


class DPTDecoder(nn.Module):
    """A decoder from an encoder's stages to features at strides 8, 4, 2 and 1.

    Stages are reassembled (reassemble.Reassemble) to an eighth, a quarter, half and all of the
    encoder's last width, then brought to `features` channels and fused from the coarsest on.

    Attributes:
      features: channels of the fusion, 256 in the paper. Depth Anything (arXiv:2401.10891) takes 64
        on a ViT-S, 128 on a ViT-B and 256 on a ViT-L.
      dtype: what to compute in.
    """

    features: int = 256
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """Decodes.

        Args:
          features: {nominal stride: [N, h, w, C]} with strides 4 to 32, of a ViT (all of one size)
            or of a ResNet (at their true strides), of a picture whose height and width are
            multiples of 16.

        Returns:
          {scale: [N, H / 2**scale, W / 2**scale, C]}: scales 3, 2 and 1 are what the fusions give,
          of `features` channels; scale 0 is what the paper's head has before its last layer, 32.

        Raises:
          ValueError: where a stage is missing, or of no size that belongs to the others.
        """
        height, width = picture_size(features)
        last = features[STRIDES[-1]].shape[-1]
        widths = tuple(max(1, last * (2 * stride) // 64) for stride in STRIDES)
        reassembled = reassemble.Reassemble(widths, STRIDES, dtype=self.dtype, name="reassemble")(
            features, height, width
        )
        layer = functools.partial(conv.Conv, dtype=self.dtype)
        outputs, x = {}, None
        for scale in (4, 3, 2, 1):
            stride = 2 ** (scale + 1)
            stage = layer(self.features, use_bias=False, name=f"adapt_{stride}")(
                reassembled[stride]
            )
            x = Fusion(self.features, self.dtype, name=f"fuse_{stride}")(x, stage)
            x = x[:, : -(-height // 2**scale), : -(-width // 2**scale)]
            outputs[scale] = x
        del outputs[4]
        x = layer(self.features // 2, name="head_0")(x)
        x = nn.relu(layer(FULL_SIZE, name="head_1")(double(x)))
        return outputs | {0: x[:, :height, :width]}


class Fusion(nn.Module):
    """RefineNet's block (Lin et al., CVPR 2017) as DPT has it; the result is twice as large."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array | None, stage: jax.Array) -> jax.Array:
        """Fuses a stage [N, h, w, C] with x of the coarser blocks, None in the coarsest."""
        unit = functools.partial(Residual, self.features, self.dtype)
        x = stage if x is None else x + unit(name="unit_0")(stage)
        x = unit(name="unit_1")(x)
        return double(conv.Conv(self.features, 1, dtype=self.dtype, name="project")(x))


class Residual(nn.Module):
    """Two 3x3 convolutions behind a ReLU each, around a shortcut."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layer = functools.partial(conv.Conv, self.features, dtype=self.dtype)
        y = layer(name="conv_0")(nn.relu(x))
        return x + layer(name="conv_1")(nn.relu(y))


def double(x: jax.Array) -> jax.Array:
    """Doubles the size, bilinear about pixel centres: [N, h, w, C] -> [N, 2h, 2w, C].

    The numbers of ops.sampling.resize_bilinear, by sums of neighbours: at this many channels its
    matrix products would cost more than the convolutions.
    """
    for axis in (1, 2):
        edges = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        padded = jnp.pad(x, edges, mode="edge")
        count = x.shape[axis]
        before, after = (
            jax.lax.slice_in_dim(padded, start, start + count, axis=axis) for start in (0, 2)
        )
        pair = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * count, *x.shape[axis + 1 :])
    return x


def picture_size(features: Mapping[int, jax.Array]) -> tuple[int, int]:
    """Returns height and width of the picture, a multiple of 16, that the features are of.

    Raises:
      ValueError: where a stage of strides 4, 8, 16 or 32 is missing.
    """
    missing = [stride for stride in STRIDES if stride not in features]
    if missing:
        raise ValueError(f"no stage of stride {missing[0]} among {sorted(features)}")
    # A ViT's are all of its patches' size; a ResNet's halve.
    finest = 16 if features[4].shape[1:3] == features[16].shape[1:3] else 4
    height, width = features[4].shape[1:3]
    return finest * height, finest * width
