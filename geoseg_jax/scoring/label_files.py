"""Writes predictions as label ids at the pictures' own size, as benchmarks take them.

Cityscapes wants a PNG of label ids for each picture whose name starts with CITY_SEQUENCE_FRAME and
is as large as the picture; KITTI wants the picture's own name, 000000_10.png. NAME.png does for
both, and for every other data set, with NAME as the sources of geoseg_jax.data publish it.
"""

import os
import pathlib

import cv2
import numpy as np

from geoseg_jax.core import atomic
from geoseg_jax.data.labels.table import LabelTable, to_file_ids
from geoseg_jax.data.source import DataError

LABELS, COLOURS = "labels", "colour"  # the folders of what is written
_LONGEST = 200  # bytes of a part of a name: file systems take 255, with an ending and more
_PICTURE = "_leftImg8bit"  # what Cityscapes' pictures have in their names and its labels have not


def file_name(name: str) -> str:
    """Gives NAME.png for a published name or a picture's, less the `_leftImg8bit` of Cityscapes.

    Raises:
      DataError: for a name that leads out of the folder it is to be written to, or is none: names
        come with the data, as in a pack, from whoever made it.
    """
    path = pathlib.PurePath(name)
    bad = not path.parts or path.is_absolute() or path.drive or "\0" in name
    if bad or any(part == ".." or len(os.fsencode(part)) > _LONGEST for part in path.parts):
        raise DataError(
            f"a record is called {name!r}, which is no name for a file below the folder of "
            "predictions; rename its picture, or prepare the pack anew"
        )
    return f"{name.removesuffix(_PICTURE)}.png"


def write_ids(
    folder: str | pathlib.Path, name: str, predicted: np.ndarray, table: LabelTable
) -> pathlib.Path:
    """Writes FOLDER/labels/NAME.png with label ids, for a benchmark and for geoseg_jax.score.

    Args:
      name: as published, '/' between folders.
      predicted: train ids [H, W] at the picture's own size, 255 for none.
      table: its ids.

    Returns:
      The path.

    Raises:
      ValueError: for a train id without a class; OSError where it can't be written.
    """
    path = pathlib.Path(folder) / LABELS / file_name(name)
    write_png(path, to_file_ids(predicted, table))
    return path


def write_png(path: pathlib.Path, array: np.ndarray) -> None:
    """Writes a PNG, whole or not at all: [H, W] uint8 or uint16, [H, W, 3] BGR. Raises OSError."""
    done, data = cv2.imencode(".png", array)
    if not done:
        raise OSError(f"{path}: {array.dtype}{list(array.shape)} can't be encoded as a PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as partial:
        partial.write_bytes(data.tobytes())
