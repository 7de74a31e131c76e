"""Classified pictures for people: the true class and the answer written above and below."""

from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.tasks.label_pictures import RIGHT, WRONG

_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.33)
_LINE = 13  # pixels


def name_strips(names: Sequence[str], width: int) -> np.ndarray:
    """Returns each name in black on white, bool [C, line, width]: True where there is ink.

    A table to be read inside jit, where nothing can be written.
    """
    strips = np.zeros((len(names), _LINE, width), np.uint8)
    for strip, name in zip(strips, names, strict=True):
        text = name.encode("ascii", "replace").decode()  # OpenCV draws no other letters
        cv2.putText(strip, text, (2, _LINE - 4), *_FONT, 255, 1, cv2.LINE_8)
    return strips > 0


def panel(image: jax.Array, truth: jax.Array, answer: jax.Array, strips: jax.Array) -> jax.Array:
    """Returns pictures with the true class at the top and the answer at the bottom, light or red.

    Args:
      image: uint8 [B, H, W, 3]. truth, answer: int [B], classes.
      strips: of `name_strips`, for pictures of this width.

    Returns:
      uint8 [B, H, W, 3]; pictures too low for two lines are returned as they are.
    """
    line = strips.shape[1]
    if image.shape[1] < 3 * line:
        return image
    light, red = jnp.asarray(RIGHT, jnp.uint8), jnp.asarray(WRONG, jnp.uint8)
    ground = jnp.where((truth == answer)[:, None], light, red)[:, None, None]

    def written(category: jax.Array, ground: jax.Array) -> jax.Array:
        return jnp.where(strips[category][..., None], jnp.uint8(0), ground)

    shown = image.at[:, :line].set(written(truth, light))
    return shown.at[:, -line:].set(written(answer, ground))
