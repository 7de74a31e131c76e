"""Which format of annotations a folder or file has."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data import walk
from geoseg_jax.data.annotations import coco, label_studio, labelme, masks, untrusted, voc
from geoseg_jax.data.annotations.found import Asked, Found
from geoseg_jax.data.annotations.places import ENDINGS, list_below
from geoseg_jax.data.source import DataError

_JSON: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "coco": (coco.NAME, coco.is_coco),
    "labelme": (labelme.NAME, labelme.is_labelme),
    "label_studio": (label_studio.NAME, label_studio.is_label_studio),
}
_READ = {"coco": coco.read, "labelme": labelme.read, "label_studio": label_studio.read}
FORMATS = (*_JSON, "voc", "masks")


def read(asked: Asked, format: str = "") -> Found:
    """Recognises the format of asked.source and reads it.

    format: one of FORMATS, where SOURCE holds several. Raises DataError for what isn't there, for
    an unknown format, whose name is told where it has one that can't be read, and for several.
    """
    if format and format not in FORMATS:
        raise DataError(
            f"--format={format} is none of {', '.join(FORMATS)}{did_you_mean(format, FORMATS)}"
        )
    for path in filter(None, (asked.source, asked.images, asked.classes)):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    found: dict[str, Callable[[], Found]] = {}
    by_kind = _json_files(asked)
    for kind, files in by_kind.items():
        if kind in _READ:
            reader = _READ[kind]
            found[kind] = lambda reader=reader, files=files: reader(asked, files)
    if asked.source.is_dir():
        folders = voc.folders_of(asked.source)
        if folders:
            found["voc"] = lambda: voc.read(asked, folders)
        if format == "masks" or not found:
            pairs, left = masks.find_pairs(asked)
            if pairs:
                found["masks"] = lambda: masks.read(asked, pairs, left)
    if format:
        if format not in found:
            raise DataError(f"{asked.source}: nothing there is of --format={format}")
        return _noted(asked, found[format](), by_kind)
    if len(found) > 1:
        raise DataError(f"{asked.source} holds {' and '.join(found)}; choose one by --format")
    if not found:
        raise DataError(f"{asked.source}: {_why_not(asked.source, set(by_kind))}")
    return _noted(asked, next(iter(found.values()))(), by_kind)


def _noted(asked: Asked, found: Found, by_kind: Mapping[str, Sequence[pathlib.Path]]) -> Found:
    """Notes what lies there and is read by no reader."""
    for kind in sorted(by_kind.keys() - _READ.keys()):
        text = f"JSON files passed over: {kind or 'of no known kind'}"
        found.notes.add(text, by_kind[kind][0], len(by_kind[kind]))
    for folder in asked.folders:
        passed_over = walk.walk(folder, ()).passed_over
        for why in (walk.DANGLING, walk.LOOP, walk.CLOSED):
            found.notes[f"x {why}, passed over"] += passed_over[why]
    return found


def _json_files(asked: Asked) -> dict[str, list[pathlib.Path]]:
    """JSON files by their kind: a key of _JSON, the name of a known format that isn't read, or ''.

    Raises DataError for one that is no JSON.
    """
    files = [asked.source] if asked.source.is_file() else list_below(asked.source, (".json",))
    found: dict[str, list[pathlib.Path]] = {}
    for path in files:
        if path.suffix.lower() == ".json":
            found.setdefault(_kind(untrusted.read(path)), []).append(path)
    return found


def _kind(value: Any) -> str:
    if coco.is_panoptic(value):  # which has the lists of the other, too
        return "COCO panoptic JSON; export instances (polygons or RLE)"
    for key, (_, test) in _JSON.items():
        if test(value):
            return key
    if isinstance(value, dict) and "_via_img_metadata" in value:
        return "VGG Image Annotator's project; export annotations as COCO"
    if isinstance(value, dict) and isinstance(value.get("objects"), list):
        return "Supervisely's JSON; export as COCO or as masks"
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, dict) and "annotation_id" in first:
        return "Label Studio's JSON-MIN; export as JSON"
    return ""


def _why_not(source: pathlib.Path, kinds: set[str]) -> str:
    """Names what lies there, and what to do."""
    if source.is_file() and source.suffix.lower() in (".zip", ".tar", ".gz", ".7z"):
        return "is an archive; unpack it and name the folder"
    named = sorted(kinds - {""} - set(_JSON))
    if named:
        return f"recognised {named[0]}, which is not read"
    if source.is_dir():
        names = {path.name for path in list_below(source, (".xml", ".yaml", ".png", ".txt"))}
        if any(label_studio.PNG.fullmatch(name) for name in names):
            return (
                "recognised Label Studio's PNG export, which doesn't say of which picture a brush "
                "is; export the project as JSON and put the pictures beside it"
            )
        if "annotations.xml" in names:
            return 'recognised CVAT\'s XML; export as "Segmentation mask 1.1" or COCO 1.0'
        if "data.yaml" in names:
            return "recognised YOLO's text files; export as COCO, or as masks"
        if any(name.endswith(".xml") for name in names):
            return "recognised Pascal VOC's boxes (XML), which are no masks; export masks"
        count = len(list_below(source, ENDINGS))
        if count:
            return (
                f"holds {count} pictures and no labels that are known: {_known()}; masks are found "
                "in images/ and masks/, or as NAME_mask.png; name other folders as SOURCE and "
                "--images"
            )
    return f"holds no annotations that are known: {_known()}"


def _known() -> str:
    names = [name for name, _ in _JSON.values()]
    return ", ".join((*names, voc.CVAT, voc.VOC, masks.ROBOFLOW, "masks as PNG"))
