"""Finds which pixels of one frame are seen in the other, from two flows or one."""

import jax
import jax.numpy as jnp

from geoseg_jax.ops.sampling import SLACK, pixel_grid, warp_with_flow


def round_trip(flow: jax.Array, backward: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Computes the flow back from where the flow leads.

    Args:
      flow: [..., H, W, 2] in pixels, target to source.
      backward: [..., H, W, 2], source to target.

    Returns:
      There and back again, [..., H, W, 2]: flow(p) + backward(p + flow(p)), 0 where the two agree;
      backward(p + flow(p)) alone, the same shape; and whether p + flow(p) lies in the source's
      picture, bool [..., H, W].
    """
    returned, inside = warp_with_flow(backward, flow)
    return flow + returned, returned, inside


def forward_backward_check(
    flow: jax.Array, backward: jax.Array, *, relative: float = 0.01, absolute: float = 0.5
) -> jax.Array:
    """Finds the pixels that come back to where they started.

    |f + b'|^2 < relative * (|f|^2 + |b'|^2) + absolute, b' the backward flow where f leads
    (Sundaram, Brox, Keutzer, "Dense Point Trajectories by GPU-accelerated Large Displacement
    Optical Flow", ECCV 2010, eq. 5, numbers included; so Meister et al., AAAI 2018, eq. 2).

    Args:
      flow: [..., H, W, 2] in pixels, target to source.
      backward: [..., H, W, 2], source to target.
      relative: share of the flows' squared lengths that is forgiven.
      absolute: squared pixels that are forgiven.

    Returns:
      bool [..., H, W]: seen. What leaves the picture isn't.
    """
    gap, returned, inside = round_trip(flow, backward)
    length = jnp.sum(flow**2, axis=-1) + jnp.sum(returned**2, axis=-1)
    return inside & (jnp.sum(gap**2, axis=-1) < relative * length + absolute)


def range_map(flow: jax.Array) -> jax.Array:
    """Counts the pixels of the other frame that a flow sends to each pixel of this one.

    Wang, Yang, Yang, Zhao, Wang, Xu, "Occlusion Aware Unsupervised Learning of Optical Flow",
    CVPR 2018, eq. 2: the sum over all pixels p of
    max(0, 1 - |x - p_x - u|) * max(0, 1 - |y - p_y - v|), a bilinear splat of ones. Given the
    backward flow, min(1, range map) tells what is seen of the target: nothing comes from the
    source to a pixel that is hidden there.

    Args:
      flow: [..., H, W, 2] in pixels, from the other frame to this one; any value. What falls
        outside, or is not finite, does not count.

    Returns:
      [..., H, W], at least 0; 1 everywhere for a flow of 0. Differentiable in the flow but at
      whole pixels, where the slope is that to the right and below.
    """
    height, width = flow.shape[-3:-1]
    lead = flow.shape[:-3]
    splat = _splat_ones
    for _ in lead:
        splat = jax.vmap(splat)
    grid = pixel_grid(height, width, jnp.promote_types(flow.dtype, jnp.float32))
    return splat(grid + flow).astype(flow.dtype)


def _splat_ones(xy: jax.Array) -> jax.Array:
    """Adds up the weights of positions [H, W, 2] -> [H, W]."""
    height, width = xy.shape[:2]
    # Beyond, nothing counts; and an integer must be able to hold the position.
    far = jnp.asarray([width + 1, height + 1], xy.dtype)
    known = jnp.isfinite(xy).all(axis=-1, keepdims=True)
    known &= ((xy > -2) & (xy < far)).all(axis=-1, keepdims=True)
    xy = jnp.where(known, xy, -2)
    low = jnp.floor(jax.lax.stop_gradient(xy))
    share = xy - low
    x0, y0 = (low[..., i].astype(jnp.int32) for i in (0, 1))
    total = jnp.zeros(height * width, xy.dtype)
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = x0 + dx, y0 + dy
            weight_x = share[..., 0] if dx else 1 - share[..., 0]
            weight_y = share[..., 1] if dy else 1 - share[..., 1]
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            # A negative index would count from the end: what is outside goes past it.
            index = jnp.where(inside, y * width + x, height * width)
            total = total.at[index.ravel()].add((weight_x * weight_y).ravel(), mode="drop")
    return total.reshape(height, width)


def stays_inside(flow: jax.Array) -> jax.Array:
    """Tells whether a flow [..., H, W, 2] in pixels ends within the picture, bool [..., H, W]."""
    height, width = flow.shape[-3:-1]
    end = pixel_grid(height, width, flow.dtype) + flow
    last = jnp.asarray([width - 1, height - 1], flow.dtype) + SLACK
    return ((end >= -SLACK) & (end <= last)).all(axis=-1)


def visible(flow: jax.Array, backward: jax.Array, method: str) -> jax.Array:
    """Estimates how much of each target pixel is seen in the source, by either method or fully.

    Args:
      flow: [..., H, W, 2] in pixels, target to source.
      backward: [..., H, W, 2], source to target.
      method: 'forward_backward', 'range_map' or 'none'.

    Returns:
      float [..., H, W] in [0, 1]; 0 where the flow leaves the picture, 'none' excepted.

    Raises:
      ValueError: on another method.
    """
    if method == "none":
        return jnp.ones(flow.shape[:-1], flow.dtype)
    if method == "forward_backward":
        return forward_backward_check(flow, backward).astype(flow.dtype)
    if method == "range_map":
        return jnp.where(stays_inside(flow), jnp.clip(range_map(backward), 0, 1), 0)
    raise ValueError(f"occlusion is {method!r}; use 'forward_backward', 'range_map' or 'none'")
