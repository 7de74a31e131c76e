"""The networks of optical flow: one encoder on both frames, and one of two ways to compare them."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, decoders, dpt, encoders, unet
from geoseg_jax.models.flow_pyramid import FlowPyramid

DESIGNS = ("concat", "pyramid")
# The most that a concat network's flow can be, as a share of the picture's sides.
REACH = 0.2


class FlowNet(nn.Module):
    """Two frames to the flow between them. The encoder sees one picture at a time (siamese), so
    that a single one suffices wherever it goes next.

    design 'concat' (parts encoder, decoder, head) is that of Lao et al., ECCV 2024: both frames'
    features concatenated at every stage, the depth network's decoder, and a sigmoid head at each
    scale for the flow as a share of the picture's sides, between -REACH and REACH; it starts from
    no motion, which theirs doesn't. 'pyramid' (parts encoder, flow) is flow_pyramid.FlowPyramid.

    Attributes:
      encoder_name: a key of encoders.ENCODERS.
      design: one of DESIGNS.
      decoder_name: of concat, one of decoders.DECODERS.
      decoder_channels: of concat's U-Net at strides 1, 2, 4, 8 and 16.
      decoder_padding: of concat's U-Net and head, 'reflect' or 'zero'.
      dpt_features: of concat's DPT, see dpt.DPTDecoder.
      scales: number of concat's flow maps, each half the size of the one before.
      width, radius, layers, context_layers: of the pyramid, see there.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      dtype: what to compute in; parameters, batch statistics and flows are float32.
    """

    encoder_name: str
    design: str = "pyramid"
    decoder_name: str = "unet"
    decoder_channels: tuple[int, ...] = unet.UNetDecoder.channels
    decoder_padding: str = "reflect"
    dpt_features: int = dpt.DPTDecoder.features
    scales: int = 4
    width: int = 32
    radius: int = 4
    layers: tuple[int, ...] = (128, 128, 96, 64, 32)
    context_layers: int = 6
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        frames: jax.Array,
        train: bool,
        both: bool = False,
        keep: jax.Array | None = None,
    ) -> tuple[jax.Array, ...]:
        """Predicts flows.

        Args:
          frames: [B, 2, H, W, 3] RGB in [0, 1], the target first; H and W multiples of 32.
          train: normalise by the batch, which is both frames of all examples together.
          both: also from the second frame to the first, with the same parameters.
          keep: of the pyramid's residual flows, see FlowPyramid.flows; None for all.

        Returns:
          For each scale, the finest first, [B, D, h, w, 2] float32 in pixels of [H, W] (not of the
          map): D = 0 from the first frame to the second, and with `both` D = 1 the way back.

        Raises:
          ValueError: for an unknown design, decoder or encoder, or sizes that don't fit.
        """
        self._check(frames)
        b, _, height, width, _ = frames.shape
        encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation, name="encoder"
        )
        # An example's frames lie side by side, so that a batch sharded by example stays so.
        features = encoder(frames.reshape(2 * b, height, width, -1), train)
        if self.design == "pyramid":
            pyramid = FlowPyramid(
                self.width,
                self.radius,
                self.layers,
                self.context_layers,
                self.dtype,
                name="flow",
            )
            first, second = _ordered(pyramid.features(features, height, width), both)
            flows = pyramid.flows(first, second, keep)
        else:
            flows = self._concatenated(*_ordered(features, both))
        return tuple(_in_pictures_pixels(flow, b, height, width) for flow in flows)

    def _concatenated(
        self, first: dict[int, jax.Array], second: dict[int, jax.Array]
    ) -> tuple[jax.Array, ...]:
        """Predicts flows of every scale in pixels of their own map."""
        decoder = decoders.decoder_for(self, "decoder")
        decoded = decoder({s: jnp.concatenate((first[s], second[s]), axis=-1) for s in first})
        maps = FlowHead(self.scales, self.decoder_padding, self.dtype, name="head")(decoded)
        return tuple(
            flow * jnp.asarray([flow.shape[2], flow.shape[1]], jnp.float32)
            for flow in (maps[scale] for scale in range(self.scales))
        )

    def _check(self, frames: jax.Array) -> None:
        if self.design not in DESIGNS:
            raise ValueError(f"flow design {self.design!r} is not one of {', '.join(DESIGNS)}")
        if frames.ndim != 5 or frames.shape[1] != 2 or any(n % 32 for n in frames.shape[2:4]):
            raise ValueError(
                f"frames have shape {list(frames.shape)}; expected [B, 2, H, W, 3] with H and W "
                "multiples of 32"
            )


class FlowHead(nn.Module):
    """A 3x3 convolution and a sigmoid per scale: flow as a share of the picture's sides.

    It starts from no motion. Random flows of a few pixels say nothing of the pictures, and what
    their first steps teach at the coarse scales can drive the sigmoid to its end, from where no
    gradient leads back.

    Attributes: see unet.DisparityHead.
    """

    scales: int = 4
    padding: str = "reflect"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """Predicts {scale: [N, h, w, 2]} float32 in (-REACH, REACH) from {scale: [N, h, w, C]}."""
        layer = functools.partial(
            conv.Conv,
            2,
            padding=self.padding,
            kernel_init=nn.initializers.zeros,
            bias_init=nn.initializers.zeros,
            dtype=self.dtype,
        )
        maps = unet.sigmoid_maps(features, range(self.scales), layer, "flowconv")
        return {s: 2 * REACH * (x - 0.5) for s, x in maps.items()}


def _ordered(
    features: Mapping[int, jax.Array], both: bool
) -> tuple[dict[int, jax.Array], dict[int, jax.Array]]:
    """Splits features [2 B, ...] of first, second, first, ... into (first, second), [D B, ...].

    With `both` the examples appear twice, side by side, the second time the other way round.
    """
    first, second = {}, {}
    for stride, x in features.items():
        pairs = x.reshape(-1, 2, *x.shape[1:])
        swapped = pairs[:, ::-1]
        chosen = (pairs, swapped) if both else (pairs[:, :1], swapped[:, :1])
        first[stride], second[stride] = (p.reshape(-1, *x.shape[1:]) for p in chosen)
    return first, second


def _in_pictures_pixels(flow: jax.Array, batch: int, height: int, width: int) -> jax.Array:
    """Turns [D B, h, w, 2] in pixels of the map into [B, D, h, w, 2] in pixels of the picture."""
    n, h, w, _ = flow.shape
    scale = jnp.asarray([width / w, height / h], jnp.float32)
    return (flow * scale).reshape(batch, n // batch, h, w, 2)
