"""Masked autoencoder: a ViT that sees a few patches, and a light decoder that paints the others.

He, Chen, Xie, Li, Dollar, Girshick, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022
(arXiv:2111.06377), section 3 and appendix A.1.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import encoders, positions, remat, vit
from geoseg_jax.models.shared import Dense, repeated


class MaeNet(nn.Module):
    """Parts encoder (a ViT, exactly), decoder and head (one matrix to the pixels of a patch).

    Attributes:
      encoder_name: a ViT of encoders.ENCODERS.
      depth, width, heads: of the decoder's blocks; the paper's default is 8, 512, 16.
      normalisation: what the encoder's weights expect, a key of resnet.NORMALISATIONS.
      dtype: what to compute in; parameters and predictions are float32.
    """

    encoder_name: str
    depth: int = 8
    width: int = 512
    heads: int = 16
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        if not encoders.is_vit(self.encoder_name):
            raise ValueError(
                f"encoder {self.encoder_name!r} can't leave patches out; a masked autoencoder "
                "needs a ViT, e.g. vit_b16"
            )
        self.encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation
        )
        self.decoder = MaeDecoder(self.depth, self.width, self.heads, self.dtype)
        self.head = PatchHead(3 * vit.PATCH**2)

    def __call__(self, images: jax.Array, keep: jax.Array) -> jax.Array:
        """Predicts all patches from some.

        Args:
          images: [N, H, W, 3] RGB in [0, 1], H and W multiples of 16.
          keep: int32 [N, K], which patches of each picture are seen, counted row by row.

        Returns:
          [N, H / 16 * W / 16, 768] float32: for every patch, those that are seen too, its pixels
          row by row, a pixel's channels side by side.

        Raises:
          ValueError: for an encoder that is no ViT, or a size that is not whole patches.
        """
        tokens = self.encoder.tokens(images, keep)
        rows, columns = (side // vit.PATCH for side in images.shape[1:3])
        return self.head(self.decoder(tokens, keep, rows, columns))


class MaeDecoder(nn.Module):
    """Tokens of the patches that are seen -> features of all patches.

    The same learned token stands in for each patch that isn't seen; sines and cosines, which are
    not learned, tell where every patch lies.
    """

    depth: int = 8
    width: int = 512
    heads: int = 16
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array, keep: jax.Array, rows: int, columns: int) -> jax.Array:
        """Decodes.

        Args:
          tokens: [N, P + K, C]: P tokens of the whole picture, then those of the patches in keep.
          keep: int32 [N, K], without repetition.
          rows, columns: of the grid of patches.

        Returns:
          [N, rows * columns, width].
        """
        x = Dense(self.width, dtype=self.dtype, name="embed")(tokens)
        start = nn.initializers.normal(0.02)
        unseen = self.param("mask_token", start, (self.width,), jnp.float32)
        prefix = x.shape[1] - keep.shape[1]
        shape = (x.shape[0], rows * columns, self.width)
        canvas = repeated(unseen, shape, self.dtype)
        patches = jax.vmap(lambda c, k, t: c.at[k].set(t, unique_indices=True))(
            canvas, keep, x[:, prefix:]
        )
        place = positions.sincos(rows, columns, self.width).reshape(1, -1, self.width)
        x = jnp.concatenate([x[:, :prefix], patches + jnp.asarray(place, self.dtype)], axis=1)
        block = functools.partial(remat.block(vit.Block), self.heads, 4 * self.width)
        for number in range(self.depth):
            x = block(dtype=self.dtype, name=f"blocks_{number}")(x)
        norm = nn.LayerNorm(epsilon=1e-6, use_fast_variance=False, dtype=self.dtype, name="norm")
        return norm(x)[:, prefix:]


class PatchHead(nn.Module):
    """One matrix to the numbers of a patch: [..., C] -> [..., numbers] float32."""

    numbers: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        dense = nn.Dense(self.numbers, kernel_init=nn.initializers.xavier_uniform(), name="pixels")
        return dense(x.astype(jnp.float32))
