"""Ego-motion between two frames: monodepth2's pose networks (arXiv:1806.01260)."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import conv, encoders


class PoseNet(nn.Module):
    """A ResNet on two stacked frames and four convolutions, averaged over the picture.

    Attributes:
      encoder_name: which encoder (`encoders.ENCODERS`).
      dtype: what to compute in.
      normalisation: of either frame, a key of resnet.NORMALISATIONS.
    """

    encoder_name: str = "resnet18"
    dtype: jnp.dtype = jnp.float32
    normalisation: str = "imagenet"

    @nn.compact
    def __call__(self, frames: jax.Array, train: bool) -> jax.Array:
        """Predicts twists.

        Args:
          frames: [N, H, W, 6], two RGB pictures in [0, 1].
          train: normalise by the batch, which is all N pairs together.

        Returns:
          [N, 6], see twists.
        """
        stages = encoders.make_encoder(
            self.encoder_name,
            self.dtype,
            frames=2,
            normalisation=self.normalisation,
            name="encoder",
        )
        return twists([stages(frames, train)[32]], self.dtype)


class PoseHead(nn.Module):
    """The same four convolutions on features that an encoder made of either frame for itself.

    Attributes:
      dtype: what to compute in.
    """

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, earlier: jax.Array, later: jax.Array) -> jax.Array:
        """Turns features [N, h, w, C] of both frames, earlier first, into [N, 6], see twists."""
        return twists([earlier, later], self.dtype)


def twists(features: Sequence[jax.Array], dtype: jnp.dtype) -> jax.Array:
    """Applies the layers that end each pose network, within the module that calls this.

    Args:
      features: maps [N, h, w, C], each reduced by one and the same convolution, then joined.
      dtype: what to compute in.

    Returns:
      [N, 6] float32: translation (3), rotation (3, radians), both scaled by 0.01 so that
      training starts near no motion. monodepth2 has the rotation first.
    """
    layer = functools.partial(conv.Conv, dtype=dtype)
    squeeze = layer(256, 1, name="squeeze")
    x = jnp.concatenate([nn.relu(squeeze(maps)) for maps in features], axis=-1)
    x = nn.relu(layer(256, name="pose_0")(x))
    x = nn.relu(layer(256, name="pose_1")(x))
    # A 1x1 convolution and a mean commute; in this order the tail is float32 and tiny.
    x = jnp.mean(x.astype(jnp.float32), axis=(1, 2), keepdims=True)
    x = conv.Conv(6, 1, name="pose_2")(x)
    return 0.01 * x[:, 0, 0, :]
