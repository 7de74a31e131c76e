"""Label pictures of any tool: read as values and, where it has them, colours."""

import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from geoseg_jax.data.annotations.found import Frame, Row, upright
from geoseg_jax.data.labels.pictures import ids_of_colours
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.source import BadRecord, DataError

ENDINGS = (".png", ".bmp", ".tif", ".tiff")  # JPEG changes values
_FAULTS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class MaskFile(NamedTuple):
    """A mask as its file has it.

    values: uint8 [H, W]; None where channels differ. rgb: uint8 [H, W, 3]; None for one channel
    without a palette. A palette has both, and so have three channels that are equal.
    """

    values: np.ndarray | None
    rgb: np.ndarray | None


def check_ending(path: pathlib.Path) -> None:
    """Refuses a mask of a kind that doesn't keep its values. Raises DataError."""
    if path.suffix.lower() not in ENDINGS:
        raise DataError(
            f"{path}: only {', '.join(ENDINGS)} keep the values of masks; export them as PNG"
        )


def read(path: pathlib.Path) -> MaskFile:
    """Reads a mask as stored, its EXIF orientation left alone.

    Fully transparent pixels are black. Raises BadRecord
    where the file can't be read, or has 16 bits and values above 255.
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            if picture.mode == "P" and "transparency" not in picture.info:
                return MaskFile(np.array(picture), np.array(picture.convert("RGB")))
            if picture.mode in ("L", "1"):
                return MaskFile(np.array(picture.convert("L")), None)
            if picture.mode.startswith(("I", "F")):
                return MaskFile(_small(np.array(picture), path), None)
            rgba = np.array(picture.convert("RGBA"))
    except _FAULTS as error:
        raise BadRecord(f"{path}: the mask can't be read; get it again") from error
    rgb = np.where(rgba[..., 3:] == 0, 0, rgba[..., :3]).astype(np.uint8)
    grey = bool((rgb == rgb[..., :1]).all())
    return MaskFile(np.ascontiguousarray(rgb[..., 0]) if grey else None, rgb)


def ids_of(mask: MaskFile, rows: Sequence[Row], frame: Frame, where: str) -> np.ndarray:
    """The mask's ids by the classes' colours where both have some, else its values; upright.

    Values of a palette count where its colours are not the classes'. 255 is ignored unless it is a
    class's. Raises BadRecord for a value, colour or size that doesn't fit.
    """
    colours = {row.colour: row.id for row in rows if row.colour is not None}
    if mask.rgb is not None and colours and (mask.values is None or _known(mask.rgb, colours)):
        return upright(ids_of_colours(mask.rgb, colours, where), frame, where)
    if mask.values is None:
        raise BadRecord(f"{where}: is in colour, and the class list has no colours; add them")
    unknown = set(np.unique(mask.values).tolist()) - {row.id for row in rows} - {IGNORE}
    if unknown:
        some = ", ".join(map(str, sorted(unknown)[:5])) + (", ..." if len(unknown) > 5 else "")
        raise BadRecord(f"{where}: has the values {some}, which the {len(rows)} classes lack")
    return upright(mask.values, frame, where)


def colours_of(rgb: np.ndarray) -> dict[tuple[int, int, int], int]:
    """Returns each colour of a picture and how many pixels have it."""
    codes = rgb.astype(np.int64) @ np.array([65536, 256, 1])
    values, counts = np.unique(codes, return_counts=True)
    return {
        (int(v) >> 16, int(v) >> 8 & 255, int(v) & 255): int(n)
        for v, n in zip(values, counts, strict=True)
    }


def _known(rgb: np.ndarray, colours: dict[tuple[int, int, int], int]) -> bool:
    return colours_of(rgb).keys() <= colours.keys()


def _small(values: np.ndarray, path: pathlib.Path) -> np.ndarray:
    if values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise BadRecord(f"{path}: has values up to {values.max()}; class ids go from 0 to 255")
    return values.astype(np.uint8)
