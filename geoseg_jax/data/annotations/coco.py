"""COCO's JSON of instances: polygons and runs, as COCO, CVAT, Roboflow and others export them.

Format: https://cocodataset.org/#format-data, "object detection". A category is a class; pixels that
no annotation has are background. Annotations have no order in the format: crowds are drawn first,
then the others from the largest to the smallest, so that what lies on something is seen.
"""

import functools
import pathlib
from collections.abc import Mapping, Sequence
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
from geoseg_jax.data.annotations.places import Pictures
from geoseg_jax.data.annotations.splits import split_of
from geoseg_jax.data.source import BadRecord, DataError

NAME = "COCO JSON"
NO_PICTURE = "pictures that the JSON lists and that aren't there"
NO_AREA = "annotations without a mask (boxes, key points), passed over"
CONTESTED = "pixels claimed by two classes; the smaller object has them"


def is_coco(value: Any) -> bool:
    """Tells whether JSON is of this format."""
    return isinstance(value, dict) and all(
        isinstance(value.get(key), list) for key in ("images", "annotations", "categories")
    )


def is_panoptic(value: Any) -> bool:
    """Tells whether JSON is of COCO's panoptic format, whose masks are PNGs beside it."""
    annotations = value.get("annotations") if isinstance(value, dict) else None
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    return isinstance(first, dict) and "segments_info" in first


def read(asked: Asked, files: Sequence[pathlib.Path]) -> Found:
    """Reads the JSON files of a data set, whose categories go together by name.

    Raises DataError for what isn't of the format, for annotations of a category or with an id that
    the file lacks, and for a picture that two files or entries annotate.
    """
    notes = Notes()
    loaded = [(path, untrusted.read(path)) for path in files]
    pictures = Pictures(asked.folders, _file_names(loaded))
    names = {path: _categories(path, value, notes) for path, value in loaded}
    rows = rows_of_names(
        list(dict.fromkeys(name for of in names.values() for name in of.values())), asked.classes
    )
    claims: dict[pathlib.Path, str] = {}
    examples = []
    for path, value in loaded:
        ids = {i: id_of(rows)(name) for i, name in names[path].items()}
        for example in _examples(asked, path, value, ids, pictures, notes):
            assert isinstance(example.picture, pathlib.Path)
            before = claims.setdefault(example.picture, example.label)
            if before != example.label:
                raise DataError(
                    f"{example.label} and {before} both lay claim to the picture "
                    f"{example.picture}; name one JSON file as SOURCE, or remove one entry"
                )
            examples.append(example)
    return Found(NAME, rows, examples, notes)


def _file_names(loaded: Sequence[tuple[pathlib.Path, Any]]) -> list[str]:
    images = [image for _, value in loaded for image in value["images"] if isinstance(image, dict)]
    return [name for image in images if isinstance(name := image.get("file_name"), str)]


def _categories(path: pathlib.Path, value: Any, notes: Notes) -> dict[int, str]:
    """Returns category id -> name, in the order of the ids."""
    used = {
        a["category_id"]
        for a in value["annotations"]
        if isinstance(a, dict) and isinstance(a.get("category_id"), int | float)
    }
    found: dict[int, str] = {}
    groups: set[str] = set()
    for place, category in enumerate(value["categories"]):
        where = f"{path}: categories[{place}]"
        i, name = (
            untrusted.get(category, "id", int, where),
            untrusted.get(category, "name", str, where),
        )
        if i in found or name in found.values():
            raise DataError(f"{where}: the id {i} or the name {name!r} occurs twice")
        found[i] = name
        group = category.get("supercategory")
        groups |= {group} if isinstance(group, str) and group != name else set()
    # Roboflow writes the name of the project as category 0, the others' group.
    for i in [i for i, name in found.items() if name in groups and i not in used]:
        notes[f"category {found.pop(i)!r}, a group without annotations, left out"] += 1
    return dict(sorted(found.items()))


def _examples(
    asked: Asked,
    path: pathlib.Path,
    value: Any,
    ids: Mapping[int, int],
    pictures: Pictures,
    notes: Notes,
) -> list[Example]:
    annotations: dict[int, list[tuple[str, Any]]] = {}
    for place, annotation in enumerate(value["annotations"]):
        where = f"{path}: annotations[{place}]"
        image = untrusted.get(annotation, "image_id", int, where)
        annotations.setdefault(image, []).append((where, annotation))
    examples, seen = [], set()
    for place, image in enumerate(value["images"]):
        where = f"{path}: images[{place}]"
        i = untrusted.get(image, "id", int, where)
        if i in seen:
            raise DataError(f"{where}: two pictures lay claim to the id {i}, and so to one label")
        seen.add(i)
        mine = annotations.pop(i, [])
        said = untrusted.get(image, "file_name", str, where)
        picture = pictures.find(said, path.parent, f"{where}, {said!r}")
        if picture is None:
            notes.add(NO_PICTURE, said)
        elif not mine and not asked.keep_empty:
            notes.add(NOT_ANNOTATED, where)
        else:
            sides = [untrusted.side(image, key, where) for key in ("height", "width")]
            size = (sides[0], sides[1]) if sides[0] and sides[1] else None
            drawing = functools.partial(_draw, where, size, mine, ids, notes, asked.keep_empty)
            split = split_of(picture, asked.folders, path)
            examples.append(Example(picture, str(picture), drawing, where, split))
    if annotations:
        notes["annotations of pictures that the JSON doesn't list"] += sum(
            map(len, annotations.values())
        )
    return examples


def _draw(
    where: str,
    said: Size | None,
    annotations: Sequence[tuple[str, Any]],
    ids: Mapping[int, int],
    notes: Notes,
    keep_empty: bool,
    frame: Frame,
) -> np.ndarray | None:
    """Draws the label of one picture, whose size the JSON says, or None."""
    size = size_to_draw(frame, said, where)
    shapes = []
    for place, annotation in annotations:
        category = untrusted.get(annotation, "category_id", int, place)
        if category not in ids:
            raise BadRecord(f"{place}: the category {category} is not among the categories")
        parts = _parts(annotation, size, place)
        if not parts:
            notes.add(NO_AREA, place)
            continue
        shape = Shape(ids[category], parts)
        crowd = bool(annotation.get("iscrowd"))
        shapes.append((not crowd, -shape.area(), len(shapes), place, shape))
    ordered = {entry[-2]: entry[-1] for entry in sorted(shapes, key=lambda entry: entry[:3])}
    return draw_upright(
        ordered, size, frame, where, notes=notes, contested=CONTESTED, keep_empty=keep_empty
    )


def _parts(annotation: Any, size: tuple[int, int], where: str) -> list[np.ndarray | Mask]:
    """Polygons, whose union the object is, or one mask; nothing where there is none."""
    segmentation = annotation.get("segmentation") or []
    if isinstance(segmentation, list):
        return [untrusted.polygon(polygon, where) for polygon in segmentation if polygon]
    said = untrusted.get(segmentation, "size", list, where)
    if said != list(size):
        raise BadRecord(f"{where}: its mask has another size than its picture, {list(size)}")
    counts = segmentation.get("counts")
    if not isinstance(counts, str | list):
        raise BadRecord(f"{where}: 'counts' must be a text or a list of runs")
    try:
        return [Mask(rle.coco_mask(counts, *size))]
    except ValueError as error:
        raise BadRecord(f"{where}: {error}; export it again") from error
