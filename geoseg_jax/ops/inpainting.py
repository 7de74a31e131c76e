"""Holes in pictures, and the simplest way to fill them."""

import jax
import jax.numpy as jnp


def draw_holes(
    key: jax.Array,
    height: int,
    width: int,
    *,
    least: float = 0.001,
    most: float = 0.01,
    size: int = 7,
) -> jax.Array:
    """Draws square holes in one picture at random (Lao et al., ECCV 2024: 0.1 % to 1 %, 7x7).

    A share of the pixels, drawn evenly in [least, most], each start a hole, independently; a hole
    is the square around its pixel, and holes may overlap and be cut off by the border. Away from
    it a share s leaves (1 - s) ** (size * size) of the pixels: 95 % down to 61 % here.

    Args:
      key: of the picture.
      height, width: of the picture, pixels.
      least, most: shares in [0, 1].
      size: side of a hole in pixels, odd.

    Returns:
      bool [height, width], True in a hole.

    Raises:
      ValueError: for an even size.
    """
    if size % 2 == 0:
        raise ValueError(f"holes of size {size} have no middle pixel; use an odd size")
    key_share, key_place = jax.random.split(key)
    share = jax.random.uniform(key_share, (), minval=least, maxval=most)
    starts = (jax.random.uniform(key_place, (height, width)) < share).astype(jnp.float32)
    return jax.lax.reduce_window(starts, 0.0, jax.lax.max, (size, size), (1, 1), "SAME") > 0


def mean_colour(images: jax.Array, known: jax.Array) -> jax.Array:
    """Returns the mean over the known pixels: [N, H, W, C] and bool [N, H, W] -> [N, 1, 1, C].

    0 where no pixel is known.
    """
    weight = known[..., None].astype(images.dtype)
    total = jnp.sum(weight, axis=(1, 2), keepdims=True)
    return jnp.sum(weight * images, axis=(1, 2), keepdims=True) / jnp.maximum(total, 1)


def median_colour(images: jax.Array, known: jax.Array) -> jax.Array:
    """Returns the median of the known pixels: of all single colours the nearest to them in L1.

    [N, H, W, C] and bool [N, H, W] -> [N, 1, 1, C]; 0 where no pixel is known.
    """
    seen = jnp.where(known[..., None], images, jnp.nan)
    return jnp.nan_to_num(jnp.nanmedian(seen, axis=(1, 2), keepdims=True))


def mean_of_surroundings(images: jax.Array, known: jax.Array, size: int) -> jax.Array:
    """Averages the known pixels of a size x size window around each pixel: [N, H, W, C].

    The mean colour of all known pixels where the window holds none of them.
    """
    weight = known[..., None].astype(images.dtype)

    def total(x: jax.Array) -> jax.Array:
        window = (1, size, size, 1)
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1, 1, 1, 1), "SAME")

    count = total(weight)
    around = total(weight * images) / jnp.maximum(count, 1)
    return jnp.where(count > 0, around, mean_colour(images, known))
