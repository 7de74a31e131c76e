"""Label Studio's JSON: brushes (RGBA in runs) and polygons, a task a picture.

Format: https://labelstud.io/guide/task_format and the tags BrushLabels and PolygonLabels. A label
is a class; what no region has is background. Later regions lie on earlier ones. Its PNG export
gives a file a brush and doesn't say of which picture: the JSON export does.
"""

import functools
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from geoseg_jax.data.annotations import rle, untrusted
from geoseg_jax.data.annotations.class_lists import id_of, rows_of_names
from geoseg_jax.data.annotations.drawing import Mask, Shape
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
from geoseg_jax.data.annotations.places import ENDINGS, Pictures
from geoseg_jax.data.annotations.splits import split_of
from geoseg_jax.data.source import BadRecord, DataError

NAME = "Label Studio JSON"
CONTESTED = "pixels claimed by two classes; the later region has them"
NO_PICTURE = "tasks whose picture isn't there"
NOT_DONE = "tasks without an annotation, left out"
NO_AREA = "regions of other tags than BrushLabels and PolygonLabels, passed over"
_KINDS = ("brushlabels", "polygonlabels")
_UPLOAD = re.compile(r"(?<![^\\/])[0-9a-f]{8}-(?=[^\\/]*$)")  # what an upload's name is given
PNG = re.compile(r"task-\d+-annotation-\d+-by-.*\.png")


def is_label_studio(value: Any) -> bool:
    """Tells whether JSON is of this format."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and "data" in first and "annotations" in first


def read(asked: Asked, files: Sequence[pathlib.Path]) -> Found:
    """Reads the JSON files.

    Raises DataError for what isn't of the format, for labels that a given class list lacks, and for
    a task or picture with two annotations of which none alone is marked as ground truth.
    """
    notes = Notes()
    tasks = []
    for path in files:
        for i, task in enumerate(untrusted.read(path)):
            where = f"{path}: [{i}]"
            regions = _annotation(task, where)
            if regions is None:
                notes[NOT_DONE] += 1
            else:
                tasks.append((path, where, task, regions))
    names = [name for _, where, _, regions in tasks for name in _names(regions, where)]
    rows = rows_of_names(list(dict.fromkeys(names)), asked.classes)
    drawn = [(task, where) for _, where, task, regions in tasks if regions or asked.keep_empty]
    pictures = Pictures(asked.folders, [_said(*of) for of in drawn])
    find = id_of(rows)
    claims: dict[pathlib.Path, str] = {}
    examples = []
    for path, where, task, regions in tasks:
        if not regions and not asked.keep_empty:
            notes.add(NOT_ANNOTATED, where)
            continue
        said = _said(task, where)
        picture = pictures.find(said, path.parent, where)
        picture = picture or pictures.find(_UPLOAD.sub("", said), path.parent, where)
        if picture is None:
            notes.add(NO_PICTURE, where)
            continue
        if claims.setdefault(picture, where) != where:
            raise DataError(
                f"{where} and {claims[picture]} both lay claim to the picture {picture}"
            )
        drawing = functools.partial(_draw, where, regions, find, notes, asked.keep_empty)
        split = split_of(picture, asked.folders, path)
        examples.append(Example(picture, str(picture), drawing, where, split))
    return Found(NAME, rows, examples, notes)


def _annotation(task: Any, where: str) -> list[Any] | None:
    """The regions of a task, None where nobody annotated it."""
    done = [
        annotation
        for annotation in untrusted.get(task, "annotations", list, where)
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
    ]
    if len(done) > 1:
        chosen = [annotation for annotation in done if annotation.get("ground_truth")]
        if len(chosen) != 1:
            raise DataError(
                f"{where}: {len(done)} annotations lay claim to one picture; mark one as ground "
                "truth in Label Studio, or remove the others"
            )
        done = chosen
    return untrusted.get(done[0], "result", list, where) if done else None


def _regions(regions: Sequence[Any], where: str) -> Iterator[tuple[str, str, Any, str]]:
    """Yields kind, class, region and its place, of those that have an area."""
    for place, region in enumerate(regions):
        at = f"{where}, result[{place}]"
        kind = untrusted.get(region, "type", str, at, default="-")
        if kind in _KINDS:
            names = untrusted.get(untrusted.get(region, "value", dict, at), kind, list, at)
            if len(names) != 1 or not isinstance(names[0], str):
                raise BadRecord(f"{at}: a region needs one label; this one has {len(names)}")
            yield kind, names[0], region, at


def _names(regions: Sequence[Any], where: str) -> list[str]:
    return [name for _, name, _, _ in _regions(regions, where)]


def _said(task: Any, where: str) -> str:
    """The address of the picture that the task's data holds; it is one on Label Studio's server."""
    data = untrusted.get(task, "data", dict, where)
    texts = [value for value in data.values() if isinstance(value, str)]
    for text in texts:
        address = urllib.parse.urlsplit(text) if "\\" not in text else None
        local = urllib.parse.parse_qs(address.query).get("d") if address else None
        said = local[0] if local else urllib.parse.unquote(address.path if address else text)
        name = re.split(r"[\\/]", said)[-1]
        if pathlib.PurePath(name).suffix.lower() in ENDINGS:
            return said
    raise DataError(f"{where}: its data names no picture file; export tasks of images as JSON")


def _draw(
    where: str,
    regions: Sequence[Any],
    find: Callable[[str], int],
    notes: Notes,
    keep_empty: bool,
    frame: Frame,
) -> np.ndarray | None:
    shapes, said = {}, None
    for kind, name, region, at in _regions(regions, where):
        height, width = (untrusted.side(region, f"original_{s}", at) for s in ("height", "width"))
        if not height or not width:
            raise BadRecord(f"{at}: lacks original_width and original_height; export it again")
        if untrusted.get(region, "image_rotation", int, at, default=0):
            raise BadRecord(
                f"{at}: was drawn on a rotated picture; rotate it back and export again"
            )
        said = size_to_draw(frame, (height, width), at)
        value = untrusted.get(region, "value", dict, at)
        shapes[at] = Shape(find(name), [_part(kind, value, said, at)])
    if len(regions) > len(shapes):
        notes.add(NO_AREA, where, len(regions) - len(shapes))
    size = said or frame.size
    return draw_upright(
        shapes, size, frame, where, notes=notes, contested=CONTESTED, keep_empty=keep_empty
    )


def _part(kind: str, value: Any, size: Size, where: str) -> np.ndarray | Mask:
    if kind == "polygonlabels":  # in per cent of the sides
        points = untrusted.polygon(untrusted.get(value, "points", list, where), where)
        return points * np.array([size[1], size[0]]) / 100
    try:
        return Mask(rle.label_studio_mask(untrusted.get(value, "rle", list, where), *size))
    except ValueError as error:
        raise BadRecord(f"{where}: {error}; export it again") from error
