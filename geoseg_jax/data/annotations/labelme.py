"""LabelMe's JSON files, one a picture: polygons, rectangles, circles and masks.

Format: what labelme (github.com/wkentaro/labelme) writes since version 3. A label is a class; what
no shape has is background, `__ignore__` is ignored. Later shapes lie on earlier ones, as in
LabelMe's own converters. group_id tells instances apart and is of no effect on classes.
"""

import base64
import binascii
import functools
import io
import os
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from PIL import Image

from geoseg_jax.data.annotations import untrusted
from geoseg_jax.data.annotations.class_lists import id_of, rows_of_names
from geoseg_jax.data.annotations.drawing import Mask, Shape, circle, rectangle
from geoseg_jax.data.annotations.found import (
    NOT_ANNOTATED,
    Asked,
    Example,
    Found,
    Frame,
    Notes,
    Size,
    draw_upright,
    size_to_draw,
)
from geoseg_jax.data.annotations.places import Pictures
from geoseg_jax.data.annotations.splits import split_of
from geoseg_jax.data.source import BadRecord, DataError

NAME = "LabelMe JSON"
CONTESTED = "pixels claimed by two classes; the later shape has them"
EMBEDDED = "pictures taken from the JSON itself (imageData), as no file is there"
NO_PICTURE = "JSON files whose picture isn't there and isn't embedded"
NO_AREA = "points and lines, which have no area, passed over"
_NO_AREA = ("point", "points", "line", "linestrip")


def is_labelme(value: Any) -> bool:
    """Tells whether JSON is of this format."""
    return isinstance(value, dict) and isinstance(value.get("shapes"), list)


def read(asked: Asked, files: Sequence[pathlib.Path]) -> Found:
    """Reads the JSON files.

    imagePath, of whatever machine, says the picture's name; a file of that name is looked for, one
    beside the JSON first, then one with the JSON's own name, then imageData is taken. A file beside
    other JSON files is theirs: numbered frames of two recordings have the same names.

    Raises DataError for what isn't of the format, for labels that a given class list lacks, and for
    a picture that two files annotate.
    """
    notes = Notes()
    pictures = Pictures(asked.folders)
    loaded = [(path, untrusted.read(path)) for path in files]
    for path, value in loaded:
        if not is_labelme(value):
            raise DataError(
                f"{path}: is no {NAME} (no list 'shapes'); remove it, or export it again"
            )
    labels = dict.fromkeys(
        untrusted.get(shape, "label", str, f"{path}: shapes[{i}]")
        for path, value in loaded
        for i, shape in enumerate(value["shapes"])
        if not (isinstance(shape, dict) and shape.get("shape_type") in _NO_AREA)
    )
    rows = rows_of_names(list(labels), asked.classes)
    find = id_of(rows)
    homes = {path.parent for path, _ in loaded}
    claims: dict[pathlib.Path, pathlib.Path] = {}
    examples = []
    for path, value in loaded:
        if not value["shapes"] and not asked.keep_empty:
            notes.add(NOT_ANNOTATED, path)
            continue
        picture = _picture(path, value, pictures, homes, notes)
        if picture is None:
            notes.add(NO_PICTURE, path)
            continue
        if isinstance(picture, pathlib.Path) and claims.setdefault(picture, path) != path:
            raise DataError(f"{path} and {claims[picture]} both lay claim to the picture {picture}")
        drawing = functools.partial(
            _draw, path, _size(path, value), value["shapes"], find, notes, asked.keep_empty
        )
        at = picture if isinstance(picture, pathlib.Path) else path
        examples.append(Example(picture, str(at), drawing, str(path), split_of(at, asked.folders)))
    return Found(NAME, rows, examples, notes)


def _picture(
    path: pathlib.Path,
    value: Any,
    pictures: Pictures,
    homes: Collection[pathlib.Path],
    notes: Notes,
) -> pathlib.Path | bytes | None:
    said = untrusted.get(value, "imagePath", str, str(path), default="")
    exact = pathlib.Path(os.path.normpath(path.parent / said.replace("\\", "/")))

    def own(found: pathlib.Path | None) -> pathlib.Path | None:
        elsewhere = found and found.parent in homes and not found.is_relative_to(path.parent)
        return None if elsewhere else found

    found = (
        (exact if exact in pictures.there else None)
        or own(pictures.find(said, path.parent, str(path)))
        or own(pictures.find(path.stem, path.parent, str(path), stem=True))
    )
    data = untrusted.get(value, "imageData", str, str(path), default="")
    if found or not data:
        return found
    notes.add(EMBEDDED, path)
    return _base64(data, f"{path}: 'imageData'")


def _size(path: pathlib.Path, value: Any) -> Size | None:
    height, width = (untrusted.side(value, f"image{s}", str(path)) for s in ("Height", "Width"))
    return (height, width) if height and width else None


def _draw(
    path: pathlib.Path,
    said: Size | None,
    shapes: Sequence[Any],
    find: Callable[[str], int],
    notes: Notes,
    keep_empty: bool,
    frame: Frame,
) -> np.ndarray | None:
    """Draws the label of one picture, whose size the JSON says, or None."""
    size = size_to_draw(frame, said, str(path))
    drawn = {}
    for place, shape in enumerate(shapes):
        where = f"{path}: shapes[{place}]"
        kind = untrusted.get(shape, "shape_type", str, where, default="polygon")
        if kind in _NO_AREA:
            notes.add(NO_AREA, where)
            continue
        part = _part(kind, shape, size, where)
        drawn[where] = Shape(find(untrusted.get(shape, "label", str, where)), [part])
    return draw_upright(
        drawn, size, frame, str(path), notes=notes, contested=CONTESTED, keep_empty=keep_empty
    )


def _part(kind: str, shape: Any, size: Size, where: str) -> np.ndarray | Mask:
    given = untrusted.get(shape, "points", list, where)
    if kind == "polygon":
        return untrusted.polygon(given, where)
    points = untrusted.points(given, where)
    if kind not in ("rectangle", "circle", "mask"):
        raise BadRecord(f"{where}: the shape_type {kind!r} is not known; draw it as a polygon")
    if kind == "rectangle" and len(points) == 4:  # X-AnyLabeling writes all corners
        return untrusted.polygon(given, where)
    if len(points) != 2:
        raise BadRecord(f"{where}: a {kind} has 2 points, this one {len(points)}; draw a polygon")
    (x1, y1), (x2, y2) = points
    if kind == "rectangle":
        return rectangle(x1, y1, x2, y2)
    if kind == "circle":  # its centre and a point on it
        return circle(x1, y1, float(np.hypot(x2 - x1, y2 - y1)))
    data = _base64(untrusted.get(shape, "mask", str, where), f"{where}: 'mask'")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width > size[1] or picture.height > size[0]:
                raise BadRecord(f"{where}: its mask is larger than the picture")
            pixels = np.asarray(picture.convert("L")) > 0
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadRecord(f"{where}: its mask can't be decoded; draw it again") from error
    return Mask(pixels, round(min(y1, y2)), round(min(x1, x2)))


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRecord(f"{where} is no base64 ({error}); save it again") from error
