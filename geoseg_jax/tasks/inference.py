"""Predicts whole pictures: plain, mirrored, or window by window."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from geoseg_jax.ops import disparity, sampling

# Pictures [B, H, W, 3] in [0, 1] -> logits [B, h, w, C] at a stride of the network's own.
Network = Callable[[jax.Array], jax.Array]


def class_scores(
    network: Network, images: jax.Array, *, flip: bool = False, window: tuple[int, ...] = ()
) -> jax.Array:
    """Returns scores whose largest is the predicted class.

    Args:
      network: pictures to logits.
      images: float [B, H, W, 3] in [0, 1].
      flip: mean of the class probabilities of the picture and of its mirror image.
      window: (height, width) of windows that slide over the picture by two thirds of their size,
        the last ones up to its border; class probabilities are averaged where they overlap. ()
        for the whole picture at once.

    Returns:
      Logits [B, h, w, C] at the network's stride, or with flip or window probabilities at the
      picture's size [B, H, W, C].

    Raises:
      ValueError: for a window that is larger than the picture, or not two numbers.
    """
    if not flip and not window:
        return network(images)
    if window:
        return _sliding(lambda part: _probabilities(network, part, flip), images, window)
    return _probabilities(network, images, flip)


def inverse_depth(network: Network, images: jax.Array, *, flip: bool = False) -> jax.Array:
    """Returns the inverse depth [B, H, W].

    Args:
      network: pictures to inverse depth.
      images: float [B, H, W, 3] in [0, 1].
      flip: blend it with that of the mirror image, see disparity.blend_mirrored.
    """
    plain = network(images)
    if not flip:
        return plain
    return disparity.blend_mirrored(plain, network(images[:, :, ::-1])[:, :, ::-1])


def _probabilities(network: Network, images: jax.Array, flip: bool) -> jax.Array:
    height, width = images.shape[1:3]

    def once(pictures: jax.Array) -> jax.Array:
        return jax.nn.softmax(sampling.resize_bilinear(network(pictures), height, width))

    if not flip:
        return once(images)
    return (once(images) + once(images[:, :, ::-1])[:, :, ::-1]) / 2


def window_starts(size: int, window: int) -> list[int]:
    """Places windows along one axis: first pixels, evenly spread, at most 2/3 of a window apart."""
    steps = math.ceil((size - window) / max(1, window * 2 // 3))
    return [round(i * (size - window) / max(1, steps)) for i in range(steps + 1)]


def _sliding(network: Network, images: jax.Array, window: tuple[int, ...]) -> jax.Array:
    batch, height, width, _ = images.shape
    if len(window) != 2 or window[0] > height or window[1] > width:
        raise ValueError(
            f"config.task.eval.window={tuple(window)} must be (height, width) within the "
            f"picture's {height}x{width}"
        )
    tops, lefts = (window_starts(*pair) for pair in zip((height, width), window, strict=True))
    corners = jnp.asarray([(top, left) for top in tops for left in lefts], jnp.int32)

    def cut(corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(
            images, (0, corner[0], corner[1], 0), (batch, *window, images.shape[-1])
        )

    classes = jax.eval_shape(lambda: network(cut(corners[0]))).shape[-1]

    # One window after the other: the memory is that of one, and so is the program.
    def add(total: tuple[jax.Array, jax.Array], corner: jax.Array):
        scores, count = total
        at = (0, corner[0], corner[1], 0)
        new = jax.lax.dynamic_slice(scores, at, (batch, *window, classes)) + network(cut(corner))
        scores = jax.lax.dynamic_update_slice(scores, new, at)
        seen = jax.lax.dynamic_slice(count, at[1:], (*window, 1)) + 1
        return (scores, jax.lax.dynamic_update_slice(count, seen, at[1:])), None

    start = jnp.zeros((batch, height, width, classes)), jnp.zeros((height, width, 1))
    (scores, count), _ = jax.lax.scan(add, start, corners)
    return scores / count
