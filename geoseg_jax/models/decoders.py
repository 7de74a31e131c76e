"""Decoders by name: {stride: features} -> {scale: features at 1 / 2**scale of the picture}."""

from collections.abc import Sequence
from typing import Protocol

import jax.numpy as jnp

from geoseg_jax.models import dpt, encoders, unet

DECODERS = ("unet", "dpt")


def make_decoder(
    kind: str,
    /,
    encoder: str,
    dtype: jnp.dtype = jnp.float32,
    *,
    channels: Sequence[int] = unet.UNetDecoder.channels,
    padding: str = "reflect",
    dpt_features: int = dpt.DPTDecoder.features,
    name: str | None = None,
) -> unet.UNetDecoder | dpt.DPTDecoder:
    """Returns the decoder of that name, for dense predictions of any kind.

    Args:
      kind: 'unet' or 'dpt'.
      encoder: name of the encoder that it is for (encoders.ENCODERS).
      dtype: what to compute in.
      channels, padding: of unet.UNetDecoder; a DPT pads with zeros.
      dpt_features: `features` of dpt.DPTDecoder.
      name: of the flax module within its parent.

    Returns:
      A module with __call__({stride: features}) -> {scale: [N, H / 2**scale, W / 2**scale, C]}, of
      scales 0 to 3 at least. Pictures' heights and widths must be multiples of smallest_multiple.

    Raises:
      ValueError: for an unknown name, or a U-Net on a ViT, which has no stages of two sizes.
    """
    if kind == "unet":
        if encoders.is_vit(encoder):
            raise ValueError(
                f"decoder 'unet' needs stages that halve, which {encoder!r} does not have; "
                "choose decoder='dpt'"
            )
        return unet.UNetDecoder(tuple(channels), padding, dtype, name=name)
    if kind == "dpt":
        return dpt.DPTDecoder(dpt_features, dtype, name=name)
    raise ValueError(f"decoder {kind!r} is not one of {', '.join(DECODERS)}")


class Dense(Protocol):
    """A network of dense predictions, by the attributes that say which decoder it has."""

    encoder_name: str
    decoder_name: str
    decoder_channels: tuple[int, ...]
    decoder_padding: str
    dpt_features: int
    dtype: jnp.dtype


def decoder_for(net: Dense, name: str | None = None) -> unet.UNetDecoder | dpt.DPTDecoder:
    """Returns a network's decoder, see make_decoder."""
    return make_decoder(
        net.decoder_name,
        net.encoder_name,
        net.dtype,
        channels=net.decoder_channels,
        padding=net.decoder_padding,
        dpt_features=net.dpt_features,
        name=name,
    )


def smallest_multiple(encoder: str) -> int:
    """Returns what pictures' heights and widths must be multiples of: 16 on a ViT, else 32."""
    return 16 if encoders.is_vit(encoder) else 32
