"""Flow as colours: direction is hue, length is saturation, rest is white."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# Steps from red to yellow, yellow to green, green to cyan, cyan to blue, blue to magenta and
# magenta to red: the colour circle of Baker, Scharstein, Lewis, Roth, Black, Szeliski, "A Database
# and Evaluation Methodology for Optical Flow", IJCV 2011, who spread hues as the eye does.
STEPS = (15, 6, 4, 11, 13, 6)


@functools.cache
def color_wheel() -> np.ndarray:
    """Returns the 55 hues, float64 [55, 3] RGB in [0, 1], evenly spread over the directions."""
    corners = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], float)
    parts = []
    for i, steps in enumerate(STEPS):
        share = np.floor(255 * np.arange(steps) / steps)[:, None] / 255
        start, end = corners[i], corners[(i + 1) % len(corners)]
        # One channel rises or falls at a time; falling, the published circle keeps 255 - floor.
        rising = (end > start).any()
        parts.append(start + share * (end - start) if rising else start - share * (start - end))
    return np.concatenate(parts)


def flow_to_color(flow: jax.Array, longest: jax.Array | float) -> jax.Array:
    """Draws a flow in Middlebury's colours.

    Args:
      flow: [..., H, W, 2] in pixels, of any kind of numbers; not finite is black.
      longest: the length that gets full colour, a number or [...]; longer flows are darkened.

    Returns:
      [..., H, W, 3] RGB in [0, 1].
    """
    if not jnp.issubdtype(flow.dtype, jnp.floating):  # hues are fractions
        flow = flow.astype(jnp.float32)
    wheel = jnp.asarray(color_wheel(), flow.dtype)
    count = len(wheel)
    known = jnp.isfinite(flow).all(axis=-1)
    flow = jnp.where(known[..., None], flow, 0)
    scale = jnp.maximum(jnp.asarray(longest, flow.dtype), 1e-6)
    u, v = (flow[..., i] / scale[..., None, None] for i in (0, 1))
    length = jnp.hypot(u, v)
    # From -1 (right) by way of 0 (left) to 1, over the whole wheel.
    place = (jnp.arctan2(-v, -u) / jnp.pi + 1) / 2 * (count - 1)
    low = jnp.floor(place)
    share = (place - low)[..., None]
    before = wheel[low.astype(jnp.int32) % count]
    after = wheel[(low.astype(jnp.int32) + 1) % count]
    hue = (1 - share) * before + share * after
    length = length[..., None]
    colour = jnp.where(length <= 1, 1 - length * (1 - hue), 0.75 * hue)
    return jnp.where(known[..., None], colour, 0)
