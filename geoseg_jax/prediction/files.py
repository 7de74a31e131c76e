"""Files that a task's predictions become."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.scoring.depth_files import DEPTHS, write_depth
from geoseg_jax.scoring.label_files import LABELS, write_prediction


class Files(NamedTuple):
    """What becomes of a task's predictions."""

    key: str  # of the map among what the task predicts
    write: Callable[..., Any]  # (out, name, map, (height, width) of the picture)
    folder: str
    what: str  # is in the folder, for people
    recorded: dict[str, str]  # what predictions.json says of them


def label_files(table: LabelTable) -> Files:
    """Writes label ids, and the same in colour."""

    def write(out: pathlib.Path, name: str, labels: np.ndarray, size: tuple[int, int]) -> None:
        write_prediction(out, name, labels[: size[0], : size[1]], table)

    return Files("label", write, LABELS, f"ids of {table.name}", {"labels": table.name})


def depth_files(metric: bool) -> Files:
    """Writes 16-bit depth, and the same in colour."""
    unit = "metres" if metric else "metres, up to a common factor"
    what = f"{unit}, times 256, 16 bits,"
    return Files("inverse_depth", write_depth, DEPTHS, what, {"unit": unit})
