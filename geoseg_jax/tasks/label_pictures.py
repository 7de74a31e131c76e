"""Labels for people: in the data set's palette, with a map of the errors and a legend."""

from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.tasks.base import Batch

WRONG, RIGHT = (220, 40, 40), (235, 235, 235)
# Of a legend, in pixels: a line's height, where the colour ends and the name starts, and what is
# left free behind the longest name.
_LINE, _SWATCH, _TEXT, _GAP = 14, 15, 19, 8
_LINES = 20  # in a column, whatever the pictures' height
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.33)


def panels(batch: Batch, predicted: jax.Array, table: Any) -> dict[str, jax.Array]:
    """Draws picture, label, prediction, errors: {name: uint8 [B, H, W, 3]}; legend [1, h, w, 3].

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
    return {
        "input": image,
        "label": palette[jnp.minimum(label, len(table.classes))],
        "prediction": palette[answer],
        "errors": jnp.where(known[..., None], errors, 0).astype(jnp.uint8),
        "legend": jnp.asarray(legend(table, height))[None],
    }


def _nearest(maps: jax.Array, sizes: jax.Array, height: int, width: int) -> jax.Array:
    """Returns maps [B, L_H, L_W] whose true sizes are int32 [B, 2], at height x width."""
    rows = ((jnp.arange(height) + 0.5) * sizes[:, :1] / height).astype(jnp.int32)
    columns = ((jnp.arange(width) + 0.5) * sizes[:, 1:] / width).astype(jnp.int32)
    return jax.vmap(lambda m, r, c: m[r[:, None], c[None, :]])(maps, rows, columns)


def legend(table: Any, height: int) -> np.ndarray:
    """Returns the classes' colours and names in columns as wide as their names, uint8 [H, W, 3].

    Args:
      table: names and colours of the classes.
      height: of the pictures beside it. H is as many lines as the classes take in the fewest
        columns that are no higher than that or _LINES.
    """
    lines = max(_LINES, height // _LINE)
    lines = -(-len(table.classes) // -(-len(table.classes) // lines))
    columns = []
    for first in range(0, len(table.classes), lines):
        names, colours = (part[first : first + lines] for part in (table.classes, table.palette))
        width = max(cv2.getTextSize(name, *_FONT, 1)[0][0] for name in names)
        column = np.full((lines * _LINE, _TEXT + width + _GAP, 3), 255, np.uint8)
        for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
            top, base = number * _LINE, (number + 1) * _LINE - 4
            column[top + 2 : top + _LINE - 2, 3:_SWATCH] = colour
            cv2.putText(column, name, (_TEXT, base), *_FONT, (0, 0, 0), 1, cv2.LINE_AA)
        columns.append(column)
    return np.concatenate(columns, axis=1)
