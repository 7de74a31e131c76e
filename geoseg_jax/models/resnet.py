"""Residual networks that give every stage (He et al., arXiv:1512.03385), equal to torchvision's.

Names of parameters follow torchvision's with dots as underscores inside a stage: its
`layer2.0.downsample.1.weight` is `layer2_0/downsample_1/scale` here. Convolution kernels are
[k, k, in, out] where PyTorch has [out, in, k, k]. There is no pooled classifier (`fc`).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, norm, pool, remat

# Mean and deviation of RGB in [0, 1] that the first convolution expects to have been taken out.
NORMALISATIONS = {
    # torchvision's weights, DeiT's, DINO's, MAE's and DINOv2's
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "monodepth2": (
        (0.45, 0.45, 0.45),
        (0.225, 0.225, 0.225),
    ),  # what its encoders were trained with
    # -1 to 1: the ViTs of Google (arXiv:2010.11929, 2106.10270), as timm has them too
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}

_Conv = functools.partial(conv.Conv, use_bias=False, kernel_init=conv.he_normal_fan_out)


def normalise(images: jax.Array, kind: str = "imagenet") -> jax.Array:
    """Normalises RGB in [0, 1], [..., 3 * frames], to about zero mean and unit deviation."""
    frames = images.shape[-1] // 3
    mean, std = (jnp.tile(jnp.asarray(v, jnp.float32), frames) for v in NORMALISATIONS[kind])
    return (images.astype(jnp.float32) - mean) / std


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: ResNet-18 and 34.

    dilation: of the first 3x3 convolution, and of what comes after its stride. norm: of its
    BatchNorms, given their names.
    """

    features: int
    stride: int
    dilation: tuple[int, int]
    dtype: jnp.dtype
    norm: Callable[..., nn.Module]

    expansion = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        layer = functools.partial(_Conv, self.features, 3, dtype=self.dtype)
        y = layer(stride=self.stride, dilation=self.dilation[0], name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train))
        y = layer(dilation=self.dilation[1], name="conv2")(y)
        y = self.norm(name="bn2")(y, train)
        if x.shape != y.shape:
            x = _Conv(self.features, 1, self.stride, dtype=self.dtype, name="downsample_0")(x)
            x = self.norm(name="downsample_1")(x, train)
        return nn.relu(x + y)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 around a shortcut: ResNet-50 and 101. The 3x3 strides, as in torchvision.

    dilation: of the 3x3 convolution, and of what comes after its stride (here only 1x1). norm: of
    its BatchNorms, given their names.
    """

    features: int
    stride: int
    dilation: tuple[int, int]
    dtype: jnp.dtype
    norm: Callable[..., nn.Module]

    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        wide = self.features * self.expansion
        y = _Conv(self.features, 1, dtype=self.dtype, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train))
        layer = functools.partial(_Conv, self.features, 3, dtype=self.dtype)
        y = layer(stride=self.stride, dilation=self.dilation[0], name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y, train))
        y = _Conv(wide, 1, dtype=self.dtype, name="conv3")(y)
        y = self.norm(name="bn3")(y, train)
        if x.shape != y.shape:
            x = _Conv(wide, 1, self.stride, dtype=self.dtype, name="downsample_0")(x)
            x = self.norm(name="downsample_1")(x, train)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Encoder: pictures to features at strides 2, 4, 8, 16 and 32.

    With an output stride of 16 or 8, stages beyond it are dilated instead of strided (Chen et al.,
    arXiv:1706.05587; torchvision's replace_stride_with_dilation). The parameters are the same, and
    every second (fourth) feature of a dilated stage is what the strided one gives.

    Attributes:
      depths: number of blocks in each of the four stages.
      block: BasicBlock or Bottleneck.
      width: channels of the stem; stages have width, 2, 4 and 8 width, times block.expansion.
      frames: pictures stacked along the channels (2 for a pose network).
      output_stride: the largest true stride: 32, 16 or 8.
      normalisation: what the weights expect of the input, a key of NORMALISATIONS.
      dtype: what to compute in; parameters and batch statistics are float32.
      norm_groups: into how many groups batch normalisation cuts a batch, see norm.BatchNorm.
      norm_momentum: share of the running statistics that each step replaces, PyTorch's `momentum`.
    """

    depths: tuple[int, ...]
    block: Callable[..., nn.Module]
    width: int = 64
    frames: int = 1
    output_stride: int = 32
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32
    norm_groups: int = 1
    norm_momentum: float = 0.1

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[int, jax.Array]:
        """Returns features of every stage.

        Args:
          images: [N, H, W, 3 * frames], RGB in [0, 1]; normalised here, frame by frame.
          train: normalise by the batch and update the running statistics.

        Returns:
          {stride: [N, ceil(H / stride), ceil(W / stride), C]}: 2 is the stem after its ReLU, 4 to
          32 are torchvision's layer1 to layer4. A dilated stage keeps its nominal stride as key;
          its features have the output stride.

        Raises:
          ValueError: where the channels are not 3 * frames.
        """
        if images.shape[-1] != 3 * self.frames:
            raise ValueError(
                f"images have shape {images.shape}: {3 * self.frames} channels expected for "
                f"{self.frames} RGB frame(s); set `frames` to the number of stacked pictures"
            )
        batch_norm = functools.partial(
            norm.BatchNorm,
            momentum=1 - self.norm_momentum,
            dtype=self.dtype,
            groups=self.norm_groups,
        )
        x = normalise(images, self.normalisation)
        x = _Conv(self.width, 7, 2, dtype=self.dtype, name="conv1")(x)
        x = nn.relu(batch_norm(name="bn1")(x, train))
        features = {2: x}
        x = pool.max_pool(x)
        dilation = 1
        for stage, depth in enumerate(self.depths):
            nominal = 4 * 2**stage
            before, stride = dilation, 2 if stage > 0 else 1
            if nominal > self.output_stride:
                dilation, stride = 2 * dilation, 1
            for i in range(depth):
                # The stride that was left out came within the first block: what lies before it
                # still has the old distance between taps.
                taps = (before if i == 0 else dilation, dilation)
                block = remat.block(self.block, 2)(
                    self.width * 2**stage,
                    stride if i == 0 else 1,
                    taps,
                    self.dtype,
                    batch_norm,
                    name=f"layer{stage + 1}_{i}",
                )
                x = block(x, train)
            features[nominal] = x
        return features


ResNet18 = functools.partial(ResNet, depths=(2, 2, 2, 2), block=BasicBlock)
# Half the channels, a quarter of the operations: for small pictures and short trainings.
ResNet18Half = functools.partial(ResNet18, width=32)
ResNet34 = functools.partial(ResNet, depths=(3, 4, 6, 3), block=BasicBlock)
ResNet50 = functools.partial(ResNet, depths=(3, 4, 6, 3), block=Bottleneck)
ResNet101 = functools.partial(ResNet, depths=(3, 4, 23, 3), block=Bottleneck)
# For tests: compiles in a second and still has every kind of layer of the real ones.
Tiny = functools.partial(ResNet, depths=(1, 1, 1, 1), block=BasicBlock, width=8)
