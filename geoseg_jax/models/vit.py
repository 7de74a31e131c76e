"""Vision transformers (Dosovitskiy et al., arXiv:2010.11929), equal to timm's.

Names of parameters follow timm's with the number of a block behind an underscore: its
`blocks.2.attn.qkv.weight` is `blocks_2/attn/qkv/kernel` here, [in, out] where PyTorch has
[out, in]. The class token has no position vector of its own: a file's is added to the token. There
is no classifier (`head`), and neither dropout nor stochastic depth, so that a step depends on its
batch alone.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import positions, remat
from geoseg_jax.models.resnet import normalise
from geoseg_jax.models.shared import Dense, plus, repeated, times
from geoseg_jax.ops.apart import gradient_apart

PATCH = 16  # pixels along a side
STRIDES = (4, 8, 16, 32)  # nominal: names of the four depths

_Norm = functools.partial(nn.LayerNorm, epsilon=1e-6, use_fast_variance=False)
# As a layer on a patch's numbers would start, not as a convolution.
_patch_init = nn.initializers.variance_scaling(
    1.0, "fan_avg", "uniform", in_axis=(0, 1, 2), out_axis=3
)


def patchify(images: jax.Array, patch: int = PATCH) -> jax.Array:
    """Cuts [N, H, W, C] into patches [N, H / patch * W / patch, patch * patch * C].

    Patches row by row; in each its pixels row by row, a pixel's channels side by side.

    Raises:
      ValueError: where H or W is not a multiple of patch.
    """
    n, height, width, channels = images.shape
    if height % patch or width % patch:
        raise ValueError(
            f"pictures of {width}x{height} are not whole patches of {patch}x{patch}; make height "
            f"and width multiples of {patch} (models.segmentation.pad_to_multiple)"
        )
    rows, columns = height // patch, width // patch
    x = images.reshape(n, rows, patch, columns, patch, channels).swapaxes(2, 3)
    return x.reshape(n, rows * columns, patch * patch * channels)


class Attention(nn.Module):
    """Multi-head self-attention over all tokens; its softmax is float32."""

    heads: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        n, tokens, width = x.shape
        qkv = Dense(3 * width, dtype=self.dtype, name="qkv")(x)
        qkv = qkv.reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = (qkv[:, :, i] for i in range(3))
        x = jax.nn.dot_product_attention(query, key, value)
        return Dense(width, dtype=self.dtype, name="proj")(x.reshape(n, tokens, width))


class Mlp(nn.Module):
    """Two layers around the exact (not the tanh) GELU."""

    hidden: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = Dense(self.hidden, dtype=self.dtype, name="fc1")(x)
        y = nn.gelu(y, approximate=False)
        return Dense(x.shape[-1], dtype=self.dtype, name="fc2")(y)


class LayerScale(nn.Module):
    """A learned factor for each channel (Touvron et al., arXiv:2103.17239)."""

    initial: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        start = nn.initializers.constant(self.initial)
        return times(x, self.param("gamma", start, (x.shape[-1],), jnp.float32))


class Block(nn.Module):
    """Attention, then a perceptron on each token, both normalised before and added to their input.

    Attributes:
      heads: of the attention; the width must be a multiple of it.
      hidden: features within the perceptron.
      layer_scale: initial factor of what is added, None for no factor.
      dtype: what to compute in; parameters are float32.
    """

    heads: int
    hidden: int
    layer_scale: float | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns maps [N, tokens, width] to the same."""
        y = _Norm(dtype=self.dtype, name="norm1")(x)
        x = gradient_apart(
            x + self._scaled(Attention(self.heads, self.dtype, name="attn")(y), "ls1")
        )
        y = _Norm(dtype=self.dtype, name="norm2")(x)
        return gradient_apart(x + self._scaled(Mlp(self.hidden, self.dtype, name="mlp")(y), "ls2"))

    def _scaled(self, x: jax.Array, name: str) -> jax.Array:
        if self.layer_scale is None:
            return x
        return LayerScale(self.layer_scale, self.dtype, name=name)(x)


class ViT(nn.Module):
    """Encoder: pictures to features of four depths, all of them a sixteenth of the picture's size.

    Attributes:
      depth: number of blocks, a multiple of 4.
      width: of a token.
      heads: of each block's attention.
      grid: side of the square of position vectors that are learned, resampled to the picture's own
        grid of patches. They start as sines and cosines (Beyer et al., arXiv:2205.01580); for
        MAE, which keeps them so, freeze `encoder/pos_embed`.
      resampling: the way they are, one of positions.WAYS.
      registers: tokens beside the class token that take up what is global (Darcet et al.,
        arXiv:2309.16588).
      layer_scale: see Block.
      frames: pictures stacked along the channels (2 for a pose network).
      output_stride: 16, which is the true stride whatever is asked for, or 32, the nominal one.
      normalisation: what the weights expect of the input, a key of resnet.NORMALISATIONS.
      dtype: what to compute in; parameters are float32.
    """

    depth: int
    width: int
    heads: int
    grid: int = 14
    resampling: str = "timm"
    registers: int = 0
    layer_scale: float | None = None
    frames: int = 1
    output_stride: int = 32
    normalisation: str = "imagenet"
    dtype: jnp.dtype = jnp.float32

    @property
    def prefix(self) -> int:
        """Counts the tokens before those of the patches: the class token and the registers."""
        return 1 + self.registers

    def setup(self):
        if self.output_stride < PATCH:
            raise ValueError(
                f"output_stride {self.output_stride} is finer than a ViT's patches; use {PATCH}"
            )
        small = nn.initializers.normal(0.02)
        self.cls_token = self.param("cls_token", small, (1, self.width), jnp.float32)
        if self.registers:
            shape = (self.registers, self.width)
            self.reg_token = self.param("reg_token", small, shape, jnp.float32)
        self.pos_embed = self.param(
            "pos_embed", lambda _: jnp.asarray(positions.sincos(self.grid, self.grid, self.width))
        )
        self.patch_embed = PatchEmbedding(self.width, self.dtype)
        block = remat.block(Block)
        self.blocks = [
            block(self.heads, 4 * self.width, self.layer_scale, self.dtype)
            for _ in range(self.depth)
        ]
        self.norm = _Norm(dtype=self.dtype)

    def __call__(self, images: jax.Array, train: bool) -> dict[int, jax.Array]:
        """Returns features of the blocks that end each quarter of the depth, as DPT hooks them.

        Args:
          images: [N, H, W, 3 * frames], RGB in [0, 1]; normalised here, frame by frame.
          train: makes no difference: there are no statistics.

        Returns:
          {stride: [N, H / 16, W / 16, width]} for the nominal strides 4, 8, 16 and 32: quarters of
          the depth, the last one after the final norm. Class and register tokens are left out.

        Raises:
          ValueError: where the channels are not 3 * frames, or H or W is not a multiple of 16.
        """
        del train
        n, height, width, _ = images.shape
        shape = (n, height // PATCH, width // PATCH, self.width)
        x = self._embed(images, None)
        features = {}
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            quarter, rest = divmod(4 * number, self.depth)
            if not rest:
                last = self.norm(x) if number == self.depth else x
                features[STRIDES[quarter - 1]] = last[:, self.prefix :].reshape(shape)
        return features

    def tokens(self, images: jax.Array, keep: jax.Array | None = None) -> jax.Array:
        """Returns all tokens after the final norm, computed from some of the patches (as MAE does).

        Args:
          images: as for __call__.
          keep: int32 [N, K], which patches of each picture are seen, counted row by row; None for
            all. Those left out are not computed.

        Returns:
          [N, prefix + K, width]: class token, registers, and patches in keep's order. The
          parameters are those of __call__.

        Raises:
          ValueError: as __call__.
        """
        x = self._embed(images, keep)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def _embed(self, images: jax.Array, keep: jax.Array | None) -> jax.Array:
        n, height, width, channels = images.shape
        if channels != 3 * self.frames:
            raise ValueError(
                f"images have shape {images.shape}: {3 * self.frames} channels expected for "
                f"{self.frames} RGB frame(s); set `frames` to the number of stacked pictures"
            )
        patches = patchify(normalise(images, self.normalisation))
        shape = height // PATCH, width // PATCH
        place = positions.resample(self.pos_embed, *shape, self.resampling)
        place = place.reshape(1, -1, self.width)
        if keep is not None:
            patches = jnp.take_along_axis(patches, keep[..., None], axis=1)
            place = place[0, keep]
        x = plus(self.patch_embed(patches), place)
        tokens = [self.cls_token, self.reg_token] if self.registers else [self.cls_token]
        first = jnp.concatenate(tokens)
        first = repeated(first, (n, *first.shape), self.dtype)
        return jnp.concatenate([first, x], axis=1)


class PatchEmbedding(nn.Module):
    """One linear layer on patches [N, K, 16 * 16 * C] -> [N, K, width].

    Its kernel is kept as that of the convolution which it is: [16, 16, C, width].
    """

    width: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, patches: jax.Array) -> jax.Array:
        channels = patches.shape[-1] // PATCH**2
        shape = (PATCH, PATCH, channels, self.width)
        kernel = self.param("kernel", _patch_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        kernel = kernel.reshape(-1, self.width).astype(self.dtype)
        return plus(patches.astype(self.dtype) @ kernel, bias)


ViTS = functools.partial(ViT, depth=12, width=384, heads=6)
ViTB = functools.partial(ViT, depth=12, width=768, heads=12)
ViTL = functools.partial(ViT, depth=24, width=1024, heads=16)
# For tests: compiles in a second and has every kind of layer of the real ones.
ViTTiny = functools.partial(ViT, depth=4, width=32, heads=2)
