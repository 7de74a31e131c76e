"""Labels for people: in the data set's palette, with a map of the errors and a legend."""

from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.tasks.base import Batch

IGNORE = 255
WRONG, RIGHT = (220, 40, 40), (235, 235, 235)
_LINE, _COLUMN = 14, 112  # pixels of a legend's entry


def panels(batch: Batch, predicted: jax.Array, table: Any) -> dict[str, jax.Array]:
    """Picture, label, prediction, error map and legend: {name: uint8 [B, H, W, 3]}.

    In the error map right pixels are light, wrong ones red, those without a label black; it is
    what the evaluation counts, seen at the picture's size.

    Args:
      batch: with image, label and label_size.
      predicted: train ids [B, L_H, L_W].
      table: names and colours of the classes.
    """
    image, sizes = batch["image"], batch["label_size"]
    height, width = image.shape[1:3]
    label = _nearest(batch["label"].astype(jnp.int32), sizes, height, width)
    answer = _nearest(predicted, sizes, height, width)
    palette = jnp.asarray([*table.palette, (0, 0, 0)], jnp.uint8)
    known = label < len(table.classes)
    errors = jnp.where(
        (label == answer)[..., None], jnp.asarray(RIGHT, jnp.uint8), jnp.asarray(WRONG, jnp.uint8)
    )
    key = jnp.asarray(legend(table, height))
    return {
        "input": image,
        "label": palette[jnp.minimum(label, len(table.classes))],
        "prediction": palette[answer],
        "errors": jnp.where(known[..., None], errors, 0).astype(jnp.uint8),
        "legend": jnp.broadcast_to(key, (image.shape[0], *key.shape)),
    }


def _nearest(maps: jax.Array, sizes: jax.Array, height: int, width: int) -> jax.Array:
    """Maps [B, L_H, L_W] whose true sizes are int32 [B, 2], at height x width."""
    rows = ((jnp.arange(height) + 0.5) * sizes[:, :1] / height).astype(jnp.int32)
    columns = ((jnp.arange(width) + 0.5) * sizes[:, 1:] / width).astype(jnp.int32)
    return jax.vmap(lambda m, r, c: m[r[:, None], c[None, :]])(maps, rows, columns)


def legend(table: Any, height: int) -> np.ndarray:
    """The classes' colours and names in columns, uint8 [height, W, 3]."""
    lines = max(1, height // _LINE)
    columns = -(-len(table.classes) // lines)
    page = np.full((height, columns * _COLUMN, 3), 255, np.uint8)
    for number, (name, colour) in enumerate(zip(table.classes, table.palette, strict=True)):
        left, top = number // lines * _COLUMN, number % lines * _LINE
        page[top + 2 : top + _LINE - 2, left + 3 : left + 15] = colour
        place = (left + 19, top + _LINE - 4)
        cv2.putText(page, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    return page
