"""The network of semantic segmentation: parts encoder, decoder and head, each of which may come
from elsewhere and may be frozen.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, decoders, deeplab, encoders, vit
from geoseg_jax.ops.sampling import resize_bilinear

DECODERS = (*decoders.DECODERS, "deeplabv3", "linear")
PARTS = ("encoder", "decoder", "head")


class SegmentationNet(nn.Module):
    """Pictures of any size to one logit per class and pixel, at the decoder's own stride.

    Attributes:
      encoder_name: a key of encoders.ENCODERS.
      classes: number of logits.
      decoder_name: 'unet' (the depth network's decoder, 3x3 class head, stride 1), 'deeplabv3'
        (dilated encoder, pyramid pooling, 1x1 class head, stride output_stride), 'linear' (a
        probe: no decoder, 1x1 class head on probe_stages, stride of the finest of them) or 'dpt'
        (as 'unet'). A ViT goes with all but 'unet', and its stages have stride 16.
      decoder_channels: of the U-Net at strides 1, 2, 4, 8 and 16.
      decoder_padding: of the U-Net and of the head, 'reflect' or 'zero'.
      dpt_features: of the DPT, see dpt.DPTDecoder.
      output_stride: of the encoder under deeplabv3, 16 or 8; the others have stride 32.
      probe_stages: strides of the encoder's stages that the probe sees.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      norm_momentum: of a ResNet's batch norms, see resnet.ResNet.
      variant: of deeplabv3: whose version of decoder and head.
      dtype: what to compute in; parameters, batch statistics and logits are float32.
    """

    encoder_name: str
    classes: int
    decoder_name: str = "unet"
    decoder_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    decoder_padding: str = "reflect"
    output_stride: int = 16
    probe_stages: tuple[int, ...] = (32,)
    dpt_features: int = 256
    normalisation: str = "imagenet"
    norm_momentum: float = 0.1
    variant: deeplab.Variant = deeplab.Variant()
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        train: bool,
        frozen: tuple[str, ...] = (),
        fixed_statistics: tuple[str, ...] = (),
    ) -> jax.Array:
        """Predicts logits.

        Args:
          images: [N, H, W, 3] RGB in [0, 1].
          train: normalise by the batch and update the running statistics.
          frozen: parts (PARTS) that run on their running statistics even in training. What lies
            below the first part that isn't frozen gets no gradient, and costs none.
          fixed_statistics: parts that run on their running statistics and get their gradient.

        Returns:
          [N, h, w, classes] float32: h, w are H, W divided by the decoder's stride, or H, W
          themselves where it doesn't divide them, or with variant.align_corners.
          Pictures are padded where the encoder or the decoder needs a multiple.

        Raises:
          ValueError: for an unknown decoder, part, stage or output stride.
        """
        self._check((*frozen, *fixed_statistics))
        fixed = {*frozen, *fixed_statistics}
        _, height, width, _ = images.shape
        dilated = self.decoder_name == "deeplabv3"
        encoder = encoders.make_encoder(
            self.encoder_name,
            self.dtype,
            output_stride=self.output_stride if dilated else 32,
            normalisation=self.normalisation,
            norm_momentum=self.norm_momentum,
            name="encoder",
        )
        if self.decoder_name in decoders.DECODERS or encoders.is_vit(self.encoder_name):
            images = pad_to_multiple(images, decoders.smallest_multiple(self.encoder_name))
        features = encoder(images, train and "encoder" not in fixed)
        if "encoder" in frozen:
            features = jax.lax.stop_gradient(features)
        if self.decoder_name == "linear":
            stages = sorted(self.probe_stages)
            strides = [self._true(stride) for stride in stages]
            probe = ProbeHead(self.classes, strides, self.dtype, name="head")
            logits = probe([features[s] for s in stages])
            return self._of_picture(logits, strides[0], height, width)
        decoded = self._decode(features, train and "decoder" not in fixed)
        if {"encoder", "decoder"} <= set(frozen):
            decoded = jax.lax.stop_gradient(decoded)
        if not dilated:
            head = ClassHead(self.classes, 3, self.decoder_padding, dtype=self.dtype, name="head")
            return head(decoded)[:, :height, :width]
        start = deeplab.KERNEL_INITS[self.variant.init]
        logits = ClassHead(self.classes, 1, "zero", start, self.dtype, name="head")(decoded)
        if self.variant.align_corners:
            return resize_bilinear(logits, height, width, align_corners=True)
        return self._of_picture(logits, self._true(self.output_stride), height, width)

    def _of_picture(self, logits: jax.Array, stride: int, height: int, width: int) -> jax.Array:
        """Returns logits as they are where they tile the picture, else resized to it."""
        if height % stride or width % stride:
            return _enlarged(logits, stride, height, width)
        return logits

    def _true(self, stride: int) -> int:
        """Returns a stage's own stride: a ViT's stages all have that of its patches."""
        return vit.PATCH if encoders.is_vit(self.encoder_name) else stride

    def _decode(self, features: dict[int, jax.Array], train: bool) -> jax.Array:
        if self.decoder_name == "deeplabv3":
            rates = deeplab.RATES[self.output_stride]
            dilated = deeplab.DeepLabDecoder(
                rates, dtype=self.dtype, variant=self.variant, name="decoder"
            )
            return dilated(features[32], train)
        decoder = decoders.decoder_for(self, "decoder")
        return decoder(features)[0]  # has no batch norm: nothing to switch

    def _check(self, frozen: tuple[str, ...]) -> None:
        if self.decoder_name not in DECODERS:
            raise ValueError(f"decoder {self.decoder_name!r} is not one of {', '.join(DECODERS)}")
        unknown = set(frozen) - set(PARTS)
        if unknown:
            raise ValueError(f"frozen: {sorted(unknown)} are not among {', '.join(PARTS)}")
        if self.decoder_name == "deeplabv3" and self.output_stride not in deeplab.RATES:
            raise ValueError(
                f"output_stride {self.output_stride} is not one of {sorted(deeplab.RATES)}, "
                "for which DeepLabV3's dilations are published"
            )
        if self.variant.init not in deeplab.KERNEL_INITS:
            raise ValueError(
                f"variant.init {self.variant.init!r} is not one of "
                f"{', '.join(deeplab.KERNEL_INITS)}"
            )
        if self.decoder_name == "linear" and not set(self.probe_stages) <= {2, 4, 8, 16, 32}:
            raise ValueError(f"probe_stages {self.probe_stages} are not strides 2, 4, 8, 16 or 32")
        missing = encoders.is_vit(self.encoder_name) and 2 in self.probe_stages
        if self.decoder_name == "linear" and missing:
            raise ValueError(
                f"probe_stages {self.probe_stages}: {self.encoder_name!r} has no stage 2, only 4, "
                "8, 16 and 32"
            )


class ClassHead(nn.Module):
    """One convolution to a logit per class: [N, h, w, C] -> [N, h, w, classes] float32."""

    classes: int
    size: int = 1
    padding: str = "zero"
    kernel_init: Callable = conv.torch_uniform
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layer = conv.Conv(
            self.classes,
            self.size,
            padding=self.padding,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )
        return layer(x).astype(jnp.float32)


class ProbeHead(nn.Module):
    """One 1x1 convolution on several stages, resized to the finest and concatenated.

    Product and bilinear resizing commute, both being linear, so that the product comes first, with
    few pixels to multiply and few channels to resize. Parameters are those of the one convolution:
    kernel [1, 1, all channels, classes], stages in the order given, and bias, which starts at 0.
    """

    classes: int
    strides: Sequence[int]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, stages: Sequence[jax.Array]) -> jax.Array:
        """Maps [N, h, w, C] of each stage, the finest first, to [N, h, w, classes] float32.

        The stages' pixels are `strides` wide; coarse ones may reach beyond the finest.
        """
        channels = [x.shape[-1] for x in stages]
        shape = (1, 1, sum(channels), self.classes)
        kernel = self.param("kernel", conv.torch_uniform, shape, jnp.float32)
        logits = self.param("bias", nn.initializers.zeros, (self.classes,), jnp.float32)
        height, width = stages[0].shape[1:3]
        first = 0
        for x, count, stride in zip(stages, channels, self.strides, strict=True):
            product = jnp.einsum(
                "nhwi,io->nhwo",
                x.astype(self.dtype),
                kernel[0, 0, first : first + count].astype(self.dtype),
                preferred_element_type=jnp.float32,
            )
            logits = logits + _enlarged(product, stride // self.strides[0], height, width)
            first += count
        return logits


def _enlarged(maps: jax.Array, stride: int, height: int, width: int) -> jax.Array:
    """Resizes maps, whose pixels are `stride` wide, to what they show, and crops that.

    Of ceil(height / stride) rows the last may reach beyond the picture: resized to its height, all
    of them would move up.
    """
    _, rows, columns, _ = maps.shape
    return resize_bilinear(maps, rows * stride, columns * stride)[:, :height, :width]


def pad_to_multiple(images: jax.Array, multiple: int) -> jax.Array:
    """Repeats the last row and column until height and width are multiples: [N, H', W', C].

    Repeating draws no edge where the picture ends, and batch statistics keep seeing colours of the
    picture; zeros would be a strip of flat grey (mean colour) in every picture. Nothing is added
    above or on the left, so that pixels keep their coordinates.
    """
    _, height, width, _ = images.shape
    edges = ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0))
    return jnp.pad(images, edges, mode="edge")
