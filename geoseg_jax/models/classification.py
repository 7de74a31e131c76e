"""The network of image classification: an encoder, the mean over its last stage, one matrix."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import encoders

PARTS = ("encoder", "head")


class ClassificationNet(nn.Module):
    """Pictures to one logit per class.

    Attributes:
      encoder_name: a key of encoders.ENCODERS.
      classes: number of logits.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      dtype: what to compute in; parameters, batch statistics and logits are float32.
    """

    encoder_name: str
    classes: int
    normalisation: str = "imagenet"
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
          frozen: parts (PARTS) that run on their running statistics even in training; a frozen
            encoder gets no gradient, and costs none.
          fixed_statistics: parts that run on their running statistics and get their gradient.

        Returns:
          [N, classes] float32.

        Raises:
          ValueError: for an unknown part or encoder.
        """
        unknown = {*frozen, *fixed_statistics} - set(PARTS)
        if unknown:
            raise ValueError(f"frozen: {sorted(unknown)} are not among {', '.join(PARTS)}")
        encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation, name="encoder"
        )
        fixed = "encoder" in (*frozen, *fixed_statistics)
        last = encoder(images, train and not fixed)[32]
        if "encoder" in frozen:
            last = jax.lax.stop_gradient(last)
        return PooledHead(self.classes, name="head")(last)


class PooledHead(nn.Module):
    """Mean over the picture and one matrix, in float32: [N, h, w, C] -> [N, classes].

    The mean over all positions rather than a token of its own suits ResNets (He et al., 2016) and
    vision transformers alike (Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022).
    The matrix starts from a normal distribution of deviation 0.01, the bias from 0 (Goyal et al.,
    "Accurate, Large Minibatch SGD", 2017, section 5.1).
    """

    classes: int

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        pooled = jnp.mean(features.astype(jnp.float32), axis=(1, 2))
        start = nn.initializers.normal(0.01)
        dense = functools.partial(nn.Dense, kernel_init=start, dtype=jnp.float32)
        return dense(self.classes, name="dense")(pooled)
