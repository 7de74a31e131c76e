"""Frames of a pair displaced against each other, so that flow can be told by comparing them alone.

What Dosovitskiy et al., "FlowNet", ICCV 2015, section 5.1, do to both frames apart from each other
(the relative transformation), reduced to a displacement. A few pairs, or a camera that always moves
the same way, teach a network to answer from one frame what motion is usual there, and it never
learns to search; and where a pair's own motion is longer than the photometric loss reaches, the
displacement that happens to shorten it shows what there is to be found. The loss looks at the
frames as they are (as colour jitter's does, and that of Stone et al., "SMURF", CVPR 2021, at the
whole picture where the network saw a part), so that none of its pixels is lost.
"""

import jax
import jax.numpy as jnp

from geoseg_jax.ops.sampling import pixel_grid, warp_with_flow
from geoseg_jax.tasks.examples import keys_of


def draw(key: jax.Array, ids: jax.Array, share: float, height: int, width: int) -> jax.Array:
    """How far each example's second frame moves, whole pixels [B, 2] as (x, y), float32.

    Args:
      key: of the step.
      ids: int32 [B]; the key of an example comes from its id, not from its place in the batch.
      share: of the picture's sides, the most in either direction.
      height, width: of the picture.
    """
    most = share * jnp.asarray([width, height], jnp.float32)
    uniform = jax.vmap(lambda k: jax.random.uniform(k, (2,), minval=-1, maxval=1))
    return jnp.round(uniform(keys_of(key, ids)) * most)


def displace(frames: jax.Array, shift: jax.Array) -> jax.Array:
    """The second frame's content moved by `shift`, its border going on where nothing is known.

    frames: [B, 2, H, W, 3]; shift: [B, 2] in pixels -> the same shape as frames. The flow from the
    first to the second frame grows by `shift`.
    """
    height, width = frames.shape[2:4]
    moved, _ = warp_with_flow(frames[:, 1], _everywhere(-shift, height, width))
    return jnp.stack((frames[:, 0], moved), axis=1)


def undo(flow: jax.Array, shift: jax.Array, height: int, width: int) -> jax.Array:
    """Flow between displaced frames -> between the frames as they were.

    The way there is `shift` shorter. The way back also starts elsewhere: what lay at q was seen at
    q + shift.

    Args:
      flow: [B, D, h, w, 2] in pixels of the picture; D = 0 there, D = 1, where there, back.
      shift: [B, 2] in pixels of the picture.
      height, width: of the picture.

    Returns:
      The same shape; where q + shift lies outside, the border's flow.
    """
    there = flow[:, :1] - shift[:, None, None, None]
    if flow.shape[1] == 1:
        return there
    h, w = flow.shape[2:4]
    own = _everywhere(shift * jnp.asarray([w / width, h / height]), h, w)
    back, _ = warp_with_flow(flow[:, 1], own)
    return jnp.concatenate((there, (back + shift[:, None, None])[:, None]), axis=1)


def known(shift: jax.Array, directions: int, height: int, width: int) -> jax.Array:
    """Whether a pixel of either frame was seen at all: float [B, D, height, width].

    shift: [B, 2] in pixels of a map of that size.
    """
    size = jnp.asarray([width, height], jnp.float32)
    place = pixel_grid(height, width) + shift[:, None, None]
    inside = ((place >= 0) & (place <= size - 1)).all(axis=-1)
    return jnp.stack((jnp.ones_like(inside), inside), axis=1)[:, :directions].astype(jnp.float32)


def _everywhere(shift: jax.Array, height: int, width: int) -> jax.Array:
    return jnp.broadcast_to(shift[:, None, None], (len(shift), height, width, 2))
