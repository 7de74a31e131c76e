"""A network from picture to picture: parts encoder, decoder and head."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, decoders, encoders, unet
from geoseg_jax.models.segmentation import pad_to_multiple
from geoseg_jax.ops.sampling import resize_bilinear


class ReconstructionNet(nn.Module):
    """The network of depth with three channels in place of one: only what it is asked for differs.

    A picture at every scale, as of depth: of the finest alone nothing would reach the encoder's
    deep stages, since all but the holes can be copied from its first.

    Attributes:
      encoder_name: a key of encoders.ENCODERS.
      decoder_name: a key of decoders.DECODERS.
      decoder_channels, decoder_padding: of the U-Net, see unet.UNetDecoder.
      dpt_features: of the DPT, see dpt.DPTDecoder.
      scales: number of pictures, each of half the size of the one before.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      dtype: what to compute in; parameters, batch statistics and pictures are float32.
    """

    encoder_name: str
    decoder_name: str = "unet"
    decoder_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    decoder_padding: str = "reflect"
    dpt_features: int = 256
    scales: int = 4
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """Maps [N, H, W, 3] RGB in [0, 1], of any size, to the same of each scale, float32.

        The finest first, and all enlarged to the picture.

        Raises:
          ValueError: for an unknown encoder or decoder, or a U-Net on a ViT.
        """
        _, height, width, _ = images.shape
        encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation, name="encoder"
        )
        decoder = decoders.decoder_for(self, "decoder")
        padded = pad_to_multiple(images, decoders.smallest_multiple(self.encoder_name))
        padding = self.decoder_padding if self.decoder_name == "unet" else "zero"
        head = ColourHead(self.scales, padding, self.dtype, name="head")
        maps = head(decoder(encoder(padded, train)))
        whole = [resize_bilinear(maps[scale], *padded.shape[1:3]) for scale in range(self.scales)]
        return tuple(picture[:, :height, :width] for picture in whole)


class ColourHead(nn.Module):
    """A 3x3 convolution and a sigmoid per scale: {scale: [N, h, w, C]} -> RGB in (0, 1), float32.

    Attributes: see unet.DisparityHead.
    """

    scales: int = 4
    padding: str = "reflect"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        layer = functools.partial(conv.Conv, 3, padding=self.padding, dtype=self.dtype)
        return unet.sigmoid_maps(features, range(self.scales), layer, "conv")
