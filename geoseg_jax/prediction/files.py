"""What a task's predictions become: files for programs, and pictures for people."""

import pathlib
from collections.abc import Sequence
from typing import ClassVar, Protocol

import cv2
import jax
import numpy as np

from geoseg_jax.data.annotations.overlays import mix
from geoseg_jax.data.flow.files import write_flo, write_kitti_flow
from geoseg_jax.data.labels.table import LabelTable, colour
from geoseg_jax.ops.flow_color import flow_to_color
from geoseg_jax.scoring import depth_files
from geoseg_jax.scoring.label_files import LABELS, file_name, write_ids, write_png
from geoseg_jax.tasks.label_pictures import legend

FLOWS = "flow"
OVERLAYS, RAW = "overlay", "npy"  # folders, as COLOURS
_LEGEND = 360  # pixels, the height from which on it has a further column
Size = tuple[int, int]  # height, width
_EVERY = slice(None, None, 8)  # row and column counts for a scale: a video has many frames


class Files(Protocol):
    """Turns maps of a task, as its network gives them, into files and pictures.

    Attributes:
      key: of the map among what the task predicts.
      folder: of the files for programs. what: is in them, for people. recorded: what
        predictions.json says of them.
      legend: names of the colours, uint8 [h, w, 3] RGB; None where they have none.
      scaled: what colours are scaled by, which the frames of a video share; '' for nothing.
    """

    key: ClassVar[str]
    folder: ClassVar[str]
    scaled: ClassVar[str]
    what: str
    recorded: dict[str, str]
    legend: np.ndarray | None

    def own(self, found: np.ndarray, size: Size) -> np.ndarray:
        """Brings a map to its picture's own size."""
        ...

    def write(self, out: pathlib.Path, name: str, own: np.ndarray) -> None:
        """Writes the file for programs."""
        ...

    def raw(self, own: np.ndarray) -> np.ndarray:
        """Returns the numbers that a .npy holds."""
        ...

    def sample(self, own: np.ndarray) -> np.ndarray:
        """Returns the numbers of some pixels, by which colours are scaled."""
        ...

    def scale(self, samples: Sequence[np.ndarray]) -> float:
        """Returns what is drawn at full strength."""
        ...

    def colours(self, own: np.ndarray, scale: float | None) -> np.ndarray:
        """Draws it, uint8 [H, W, 3] RGB; without a scale by its own."""
        ...

    def overlay(self, picture: np.ndarray, own: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Draws it with its picture, uint8 [h, w, 3] RGB both."""
        ...


class LabelFiles:
    """Label ids; train ids as numbers; overlays mix picture and colours."""

    key, folder, scaled = "label", LABELS, ""

    def __init__(self, table: LabelTable):
        self.table, self.what = table, f"ids of {table.name}"
        self.recorded = {"labels": table.name}
        self.legend = legend(table, _LEGEND)

    def own(self, found: np.ndarray, size: Size) -> np.ndarray:
        return found[: size[0], : size[1]]

    def write(self, out: pathlib.Path, name: str, own: np.ndarray) -> None:
        write_ids(out, name, own, self.table)

    def raw(self, own: np.ndarray) -> np.ndarray:
        return own

    def colours(self, own: np.ndarray, scale: float | None) -> np.ndarray:
        return colour(own, self.table)

    def overlay(self, picture: np.ndarray, own: np.ndarray, colours: np.ndarray) -> np.ndarray:
        return mix(picture[..., ::-1], own, self.table)[..., ::-1]


class DepthFiles:
    """Depth as 16-bit PNGs; depth as numbers; overlays show both, one by the other."""

    key, folder, scaled = "inverse_depth", depth_files.DEPTHS, "the 95th percentile of 1 / depth"

    def __init__(self, metric: bool):
        unit = "metres" if metric else "metres, up to a common factor"
        self.legend = None
        self.what, self.recorded = f"{unit}, times 256, 16 bits,", {"unit": unit}

    def own(self, found: np.ndarray, size: Size) -> np.ndarray:
        return depth_files.resize_inverse_depth(found, size)

    def write(self, out: pathlib.Path, name: str, own: np.ndarray) -> None:
        depth_files.write_depth(out, name, own)

    def raw(self, own: np.ndarray) -> np.ndarray:
        return 1 / np.maximum(own, 1e-6)

    def sample(self, own: np.ndarray) -> np.ndarray:
        return own[_EVERY, _EVERY].ravel()

    def scale(self, samples: Sequence[np.ndarray]) -> float:
        return depth_files.brightest(np.concatenate(samples))

    def colours(self, own: np.ndarray, scale: float | None) -> np.ndarray:
        return depth_files.colour(own, scale)

    def overlay(self, picture: np.ndarray, own: np.ndarray, colours: np.ndarray) -> np.ndarray:
        return beside(picture, colours)


class FlowFiles:
    """Flow as KITTI's 16-bit PNGs, with `flo` also as .flo; in Middlebury's colours."""

    key, folder, scaled = (
        "flow",
        FLOWS,
        "the 98th percentile of lengths, pixels",
    )
    what = "flow to the next frame, KITTI's 16-bit PNGs,"

    def __init__(self, flo: bool = False):
        self.legend = None
        self._flo, self.recorded = flo, {"unit": "pixels of the picture, to the next frame"}

    def own(self, found: np.ndarray, size: Size) -> np.ndarray:
        height, width = found.shape[:2]
        large = cv2.resize(found, size[::-1], interpolation=cv2.INTER_LINEAR)
        return large * np.array([size[1] / width, size[0] / height], np.float32)

    def write(self, out: pathlib.Path, name: str, own: np.ndarray) -> None:
        path = out / FLOWS / file_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_kitti_flow(path, own)
        if self._flo:
            write_flo(path.with_suffix(".flo"), own)

    def raw(self, own: np.ndarray) -> np.ndarray:
        return own

    def sample(self, own: np.ndarray) -> np.ndarray:
        return np.linalg.norm(own[_EVERY, _EVERY], axis=-1).ravel()

    def scale(self, samples: Sequence[np.ndarray]) -> float:
        """Returns the 98th percentile of the lengths: one wild vector makes no others pale."""
        return float(np.percentile(np.concatenate(samples), 98)) + 1e-3

    def colours(self, own: np.ndarray, scale: float | None) -> np.ndarray:
        longest = self.scale([self.sample(own)]) if scale is None else scale
        return np.asarray(_draw_flow(own, np.float32(longest)))

    def overlay(self, picture: np.ndarray, own: np.ndarray, colours: np.ndarray) -> np.ndarray:
        return beside(picture, colours)


def beside(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Puts the colours below a picture that is wide, on the right of one that is high."""
    height, width = picture.shape[:2]
    return np.concatenate([picture, colours], axis=0 if width >= height else 1)


def write_colours(out: pathlib.Path, name: str, picture: np.ndarray) -> None:
    """Writes OUT/NAME.png of RGB."""
    write_png(out / file_name(name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def write_raw(out: pathlib.Path, name: str, numbers: np.ndarray) -> None:
    """Writes OUT/npy/NAME.npy."""
    path = (out / RAW / file_name(name)).with_suffix(".npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, numbers, allow_pickle=False)


@jax.jit
def _draw_flow(flow: jax.Array, longest: jax.Array) -> jax.Array:
    picture = flow_to_color(flow, longest)
    return (255 * picture).round().astype(np.uint8)
