"""MoCo's network: an encoder, and a perceptron from its mean feature to a point on a sphere.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020
(arXiv:1911.05722); the perceptron is of MoCo v2 (Chen et al., arXiv:2003.04297).
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import encoders
from geoseg_jax.ops.contrastive import unit_length


class MocoNet(nn.Module):
    """Parts encoder and projection.

    Attributes:
      encoder_name: a key of encoders.ENCODERS.
      features: length of the vectors.
      norm_groups: of a ResNet's batch normalisation, see norm.BatchNorm and tasks/moco.py.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      dtype: what the encoder computes in; the projection is float32.
    """

    encoder_name: str
    features: int = 128
    norm_groups: int = 1
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        has_groups = not encoders.is_vit(self.encoder_name)
        self.encoder = encoders.make_encoder(
            self.encoder_name,
            self.dtype,
            normalisation=self.normalisation,
            norm_groups=self.norm_groups if has_groups else 1,
        )
        self.projection = Projection(self.features)

    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """Maps [N, H, W, 3] RGB in [0, 1] to [N, features] float32 of unit length."""
        return self.projection(self.encoder(images, train)[32])


class Projection(nn.Module):
    """Mean over the picture and two matrices around a ReLU: [N, h, w, C] -> [N, features].

    The layer between is as wide as the encoder's last stage: 2,048 for a ResNet-50, as published.
    """

    features: int

    @nn.compact
    def __call__(self, last: jax.Array) -> jax.Array:
        x = jnp.mean(last.astype(jnp.float32), axis=(1, 2))
        x = nn.relu(nn.Dense(x.shape[-1], name="hidden")(x))
        return unit_length(nn.Dense(self.features, name="out")(x))
