"""Flow from coarse to fine: warping, cost volume, and a decoder that all levels share.

Sun, Yang, Liu, Kautz, "PWC-Net", CVPR 2018, as changed by Jonschkowski et al., "What Matters in
Unsupervised Optical Flow", ECCV 2020 (UFlow): normalised features in the cost volume, 32 channels
at every level, no level finer than stride 4, residual flows that are dropped at random, the
coarser level's context carried on. The features come from any encoder, and one decoder serves all
levels, as they have the same channels.
"""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv
from geoseg_jax.models.reassemble import Reassemble
from geoseg_jax.ops.cost_volume import cost_volume, normalise_pair
from geoseg_jax.ops.sampling import resize_bilinear, warp_with_flow

STRIDES = (32, 16, 8, 4)  # from coarse to fine
# Random numbers that drop residuals: one for each level, one for the context network.
DROPS = len(STRIDES) + 1
# Features and dilations of PWC-Net's context network.
_CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))

_leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.1)
# He initialisation (He et al., ICCV 2015): as PyTorch starts its convolutions, each of them makes
# what it passes on half as large, and a dozen of them in a row leave next to nothing to learn from.
_conv = functools.partial(conv.Conv, kernel_init=nn.initializers.he_normal())
# No motion to begin with: random flows of four levels, each on top of the last and enlarged, would
# lead everywhere, agree nowhere there and back, and teach nothing where hidden pixels don't count.
_to_flow = functools.partial(
    conv.Conv, 2, kernel_init=nn.initializers.zeros, bias_init=nn.initializers.zeros
)


class FlowPyramid(nn.Module):
    """Features of two frames at strides 4 to 32 to flow at these strides.

    Attributes:
      width: channels of the features that are compared.
      radius: of the cost volume, in pixels of a level.
      layers: features of the densely connected convolutions of the decoder.
      context_layers: how many of the context network's convolutions there are, the last among
        them; 0 for no context network.
      dtype: what to compute in; flows are float32.
    """

    width: int = 32
    radius: int = 4
    layers: tuple[int, ...] = (128, 128, 96, 64, 32)
    context_layers: int = len(_CONTEXT)
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        self.reassemble = Reassemble(self.width, tuple(sorted(STRIDES)), self.dtype)
        self.decoder = DenseDecoder(self.layers, self.dtype)
        self.carry = _conv(self.width, dtype=self.dtype)
        if self.context_layers:
            chosen = (*_CONTEXT[: self.context_layers - 1], _CONTEXT[-1])
            self.context = ContextNetwork(chosen, self.dtype)

    def features(
        self, stages: Mapping[int, jax.Array], height: int, width: int
    ) -> dict[int, jax.Array]:
        """Maps stages to {stride: [N, H / stride, W / stride, self.width]}."""
        maps = self.reassemble(stages, height, width)
        return {stride: _leaky_relu(x) for stride, x in maps.items()}

    def flows(
        self,
        first: Mapping[int, jax.Array],
        second: Mapping[int, jax.Array],
        keep: jax.Array | None = None,
    ) -> tuple[jax.Array, ...]:
        """Returns the flow from the first frame to the second.

        Args:
          first: {stride: [N, h, w, self.width]}, see features.
          second: the same of the other frame.
          keep: [DROPS] of 0 and 1, what is kept of the levels' residual flows and of the context
            network's; None for all.

        Returns:
          For each stride, 4 first, [N, h, w, 2] float32 in pixels of that map.
        """
        size = first[STRIDES[0]].shape[:3]
        flow = jnp.zeros((*size, 2), jnp.float32)
        context = jnp.zeros((*size, self.width), self.dtype)
        maps: list[jax.Array] = []
        for level, stride in enumerate(STRIDES):
            a, b = first[stride], second[stride]
            if level:
                flow, context = self._enlarged(flow, context, *a.shape[1:3])
            warped = warp_with_flow(b, flow, border="zero")[0] if level else b
            costs = _leaky_relu(cost_volume(*normalise_pair(a, warped), self.radius))
            seen = jnp.concatenate((context, flow.astype(self.dtype), costs, a), axis=-1)
            residual, context = self.decoder(seen)
            if keep is not None:
                residual, context = residual * keep[level], context * keep[level].astype(self.dtype)
            flow = flow + residual
            maps.insert(0, flow)
        if self.context_layers:
            refinement = self.context(jnp.concatenate((context, flow.astype(self.dtype)), axis=-1))
            maps[0] = flow + (refinement if keep is None else refinement * keep[-1])
        return tuple(maps)

    def _enlarged(
        self, flow: jax.Array, context: jax.Array, height: int, width: int
    ) -> tuple[jax.Array, jax.Array]:
        """Enlarges flow, then in the finer level's pixels, and context of the coarser level."""
        scale = jnp.asarray([width / flow.shape[2], height / flow.shape[1]], jnp.float32)
        flow = resize_bilinear(flow, height, width) * scale
        return flow, self.carry(resize_bilinear(context, height, width))


class DenseDecoder(nn.Module):
    """3x3 convolutions, each of which sees the results of all before it; flow from the last."""

    layers: Sequence[int]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Decodes residual flow [N, h, w, 2] float32 and context [N, h, w, layers[-1]]."""
        for i, features in enumerate(self.layers):
            context = _leaky_relu(_conv(features, dtype=self.dtype, name=f"conv_{i}")(x))
            x = jnp.concatenate((x, context), axis=-1)
        flow = _to_flow(dtype=self.dtype, name="flow")(context)
        return flow.astype(jnp.float32), context


class ContextNetwork(nn.Module):
    """Dilated convolutions that refine the finest flow: [N, h, w, C] -> [N, h, w, 2] float32."""

    layers: Sequence[tuple[int, int]]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, (features, dilation) in enumerate(self.layers):
            layer = _conv(features, dilation=dilation, dtype=self.dtype, name=f"conv_{i}")
            x = _leaky_relu(layer(x))
        return _to_flow(dtype=self.dtype, name="flow")(x).astype(jnp.float32)
