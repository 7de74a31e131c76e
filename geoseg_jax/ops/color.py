"""Colour jitter on the device, the same for all views of an example."""

import math
from typing import cast

import jax
import jax.numpy as jnp

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def color_jitter(
    key: jax.Array,
    images: jax.Array,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
    hue: float = 0.1,
    probability: float = 0.5,
) -> jax.Array:
    """Changes the colours of an example's views by one draw shared by all of them.

    In fixed order: brightness, contrast, saturation, hue; each clipped to [0, 1]. Ranges and
    operations are torchvision's ColorJitter's; its order is random.

    Args:
      key: one key an example [...], or a single key, which is split over the examples.
      images: float [..., N, H, W, 3] RGB in [0, 1]; N views of each example.
      brightness: the factor is drawn from [1 - brightness, 1 + brightness].
      contrast: likewise; the fixed point is each view's mean grey.
      saturation: likewise; the fixed point is each pixel's grey.
      hue: the shift is drawn from [-hue, hue], in turns, at most 0.5.
      probability: that an example is changed at all.

    Returns:
      The images, changed, of the same shape and dtype.

    Raises:
      ValueError: on a negative range, a hue above 0.5 or a probability outside of [0, 1].
    """
    ranges = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    for name, value in {**ranges, "probability": probability}.items():
        most = {"hue": 0.5, "probability": 1.0}.get(name, math.inf)
        if not 0 <= value <= most:
            raise ValueError(f"jitter's {name} is {value}; expected 0 to {most}")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    lead = images.shape[:-4]
    keys = key if key.shape == lead else jax.random.split(key, lead)
    factors = jax.vmap(lambda k: _draw(k, ranges, probability))(keys.reshape(-1))
    per_image = [factors[:, i].reshape(*lead, 1, 1, 1) for i in range(5)]
    on, scale, spread, vivid, turn = per_image
    colours = [images[..., i] for i in range(3)]
    colours = [_clip(c * scale) for c in colours]
    mean = _grey(colours).mean(axis=(-2, -1), keepdims=True)
    colours = [_clip(mean + spread * (c - mean)) for c in colours]
    grey = _grey(colours)
    colours = [_clip(grey + vivid * (c - grey)) for c in colours]
    red, green, blue = colours
    changed = jnp.stack(_turn_hue(red, green, blue, turn), axis=-1).astype(images.dtype)
    return jnp.where(on[..., None] > 0, changed, images)


def to_grey(images: jax.Array) -> jax.Array:
    """Returns the luma of RGB [..., 3] in all three channels."""
    grey = _grey([images[..., i] for i in range(3)])
    return jnp.broadcast_to(grey[..., None], images.shape).astype(images.dtype)


def _draw(key: jax.Array, ranges: dict[str, float], probability: float) -> jax.Array:
    """Draws [5]: on or off, brightness, contrast, saturation, hue."""
    uniform = jax.random.uniform(key, (5,))
    width = jnp.array([ranges[n] for n in ("brightness", "contrast", "saturation", "hue")])
    centre = jnp.array([1.0, 1.0, 1.0, 0.0])
    factors = centre + (2 * uniform[1:] - 1) * width
    factors = factors.at[:3].max(0)
    return jnp.concatenate([(uniform[:1] < probability).astype(factors.dtype), factors])


def _clip(values: jax.Array) -> jax.Array:
    return jnp.clip(values, 0, 1)


def _grey(colours: list[jax.Array]) -> jax.Array:
    total = sum(weight * c for weight, c in zip(LUMA, colours, strict=True))
    return cast(jax.Array, total)


def _turn_hue(
    red: jax.Array, green: jax.Array, blue: jax.Array, turns: jax.Array
) -> list[jax.Array]:
    """Adds to the hue of HSV. The channel n = 5, 3, 1 (RGB) of a hue h in sixths of a turn is
    value - chroma * clip(min(k, 4 - k), 0, 1) with k = (n + h) mod 6.
    """
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    safe = jnp.where(chroma > 0, chroma, 1)
    # Orders, not equality with the maximum: computed twice, a number may differ by rounding.
    red_most = (red >= green) & (red >= blue)
    of_others = jnp.where(green >= blue, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sixths = jnp.where(red_most, (green - blue) / safe, of_others)
    sixths = sixths + 6 * turns

    def channel(n: int) -> jax.Array:
        k = jnp.mod(n + sixths, 6)
        return value - chroma * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return [channel(n) for n in (5, 3, 1)]
