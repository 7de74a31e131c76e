"""Maps as colour pictures, inside jit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def to_uint8(image: jax.Array) -> jax.Array:
    """Converts [0, 1] to uint8, rounded and clipped."""
    return jnp.round(jnp.clip(image, 0, 1) * 255).astype(jnp.uint8)


@functools.cache
def _palette() -> np.ndarray:
    """Returns the 256 colours of maps, uint8 [256, 3]."""
    import matplotlib  # here: many runs draw no map, and it is a tenth of what a start loads

    return (matplotlib.colormaps["magma"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)


def brightest(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Returns what is drawn in the brightest colour: each picture's 95th percentile, [B, 1, 1].

    So one outlier does not darken a picture.
    """
    known = jnp.where(valid, values, jnp.nan)
    return jnp.nanpercentile(known, 95, axis=(1, 2), keepdims=True)


def colour(values: jax.Array, valid: jax.Array, high: jax.Array | None = None) -> jax.Array:
    """Colours [B, H, W] as uint8 [B, H, W, 3], bright where large; black where not valid.

    high: [B, 1, 1], what is brightest; None for each picture's own, see `brightest`.
    """
    high = brightest(values, valid) if high is None else high
    index = jnp.clip(255 * values / high, 0, 255)
    table = jnp.asarray(_palette())
    picture = table[jnp.where(valid, jnp.nan_to_num(index), 0).astype(jnp.int32)]
    return jnp.where(valid[..., None], picture, 0).astype(jnp.uint8)


def colour_inverse_depth(inverse_depth: jax.Array) -> jax.Array:
    """Colours inverse depth, [B, H, W] 1/metres, near bright."""
    return colour(inverse_depth, jnp.isfinite(inverse_depth))


def colour_sparse_depth(depth: jax.Array, size: jax.Array, height: int, width: int) -> jax.Array:
    """Returns the ground truth in the colours of colour_inverse_depth, see draw_sparse_depth."""
    drawn = draw_sparse_depth(depth, size, height, width)
    return colour(drawn, drawn > 0)


def draw_sparse_depth(depth: jax.Array, size: jax.Array, height: int, width: int) -> jax.Array:
    """Draws inverse depth in 1 / metres, 0 = not measured: [B, height, width].

    depth: [B, D_H, D_W] metres, 0 = not measured; size: int32 [B, 2], its true height and width.
    Where several measurements fall into a pixel the nearest is drawn.
    """
    y = jnp.arange(depth.shape[1])[None, :] * height // size[:, :1]
    x = jnp.arange(depth.shape[2])[None, :] * width // size[:, 1:]
    near = jnp.where(depth > 0, 1 / jnp.maximum(depth, 1e-3), 0)

    def draw(values, rows, columns):
        canvas = jnp.zeros((height, width))
        return canvas.at[rows[:, None], columns[None, :]].max(values, mode="drop")

    return jax.vmap(draw)(near, y, x)
