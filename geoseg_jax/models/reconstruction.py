"""A network from picture to picture: parts encoder, decoder and head."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, decoders, encoders
from geoseg_jax.models.segmentation import pad_to_multiple


class ReconstructionNet(nn.Module):
    """The network of depth with three channels in place of one: only what it is asked for differs.

    Attributes:
      encoder_name: a key of encoders.ENCODERS.
      decoder_name: a key of decoders.DECODERS.
      decoder_channels, decoder_padding: of the U-Net, see unet.UNetDecoder.
      dpt_features: of the DPT, see dpt.DPTDecoder.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      dtype: what to compute in; parameters, batch statistics and pictures are float32.
    """

    encoder_name: str
    decoder_name: str = "unet"
    decoder_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    decoder_padding: str = "reflect"
    dpt_features: int = 256
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """[N, H, W, 3] RGB in [0, 1], of any size -> the same, float32.

        Raises:
          ValueError: for an unknown encoder or decoder, or a U-Net on a ViT.
        """
        _, height, width, _ = images.shape
        encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation, name="encoder"
        )
        decoder = decoders.make_decoder(
            self.decoder_name,
            self.encoder_name,
            self.dtype,
            channels=self.decoder_channels,
            padding=self.decoder_padding,
            dpt_features=self.dpt_features,
            name="decoder",
        )
        padded = pad_to_multiple(images, decoders.smallest_multiple(self.encoder_name))
        finest = decoder(encoder(padded, train))[0]
        padding = self.decoder_padding if self.decoder_name == "unet" else "zero"
        head = ColourHead(padding, self.dtype, name="head")
        return head(finest)[:, :height, :width]


class ColourHead(nn.Module):
    """One 3x3 convolution and a sigmoid: [N, H, W, C] -> RGB in (0, 1), float32."""

    padding: str = "reflect"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layer = conv.Conv(3, padding=self.padding, dtype=self.dtype, name="conv")
        return nn.sigmoid(layer(x).astype(jnp.float32))
