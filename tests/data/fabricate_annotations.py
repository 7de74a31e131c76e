"""Three pictures of 12x16 in each format of annotation tools, with the same pixels of each class.

Picture `a` has a cat, rows 2 to 5 and columns 3 to 8 (24 pixels); `b` the same cat and a dog of
rows 6 to 9 and columns 10 to 14 (20); `c`, in a folder below, a dog alone.
"""

import base64
import io
import itertools
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from tests.data import fabricate_labels

HEIGHT, WIDTH = 12, 16
BOXES = {"cat": (2, 6, 3, 9), "dog": (6, 10, 10, 15)}  # rows, columns, ends behind the last
PICTURES = {"a": ("cat",), "b": ("cat", "dog"), "deep/c": ("dog",)}
PIXELS = {"background": 576 - 88, "cat": 48, "dog": 40}
SHOWN = {"background": 3, "cat": 2, "dog": 2}
COLOURS = {"background": (0, 0, 0), "cat": (250, 50, 83), "dog": (36, 179, 83)}


def polygon(name: str) -> list[tuple[float, float]]:
    top, bottom, left, right = BOXES[name]
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def mask(name: str) -> np.ndarray:
    inside = np.zeros((HEIGHT, WIDTH), bool)
    top, bottom, left, right = BOXES[name]
    inside[top:bottom, left:right] = True
    return inside


def ids(names: tuple[str, ...]) -> np.ndarray:
    """Background 0, cat 1, dog 2."""
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name in names:
        label[mask(name)] = list(BOXES).index(name) + 1
    return label


def pictures(folder: pathlib.Path, ending: str = ".jpg") -> None:
    for seed, name in enumerate(PICTURES):
        fabricate_labels.write_image(folder / (name + ending), seed, HEIGHT, WIDTH)


def write_json(path: pathlib.Path, value: Any) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def runs(inside: np.ndarray) -> list[int]:
    """COCO's runs, down the columns."""
    flat = inside.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return [0, *counts] if flat[0] else counts


def compressed(counts: list[int]) -> str:
    """COCO's runs as a string; see rle.coco_counts."""
    text = ""
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
            if not more:
                break
    return text


def coco(root: pathlib.Path, kind: str = "polygon") -> dict[str, Any]:
    """kind: polygon, runs or compressed. Ids have gaps, as COCO's own."""
    pictures(root / "images")
    categories = {"dog": 18, "cat": 17}
    annotations: list[dict[str, Any]] = []
    for number, names in enumerate(PICTURES.values()):
        for name in names:
            segmentation: Any = [np.ravel(polygon(name)).tolist()]
            if kind != "polygon":
                counts: Any = runs(mask(name))
                counts = compressed(counts) if kind == "compressed" else counts
                segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 10 * number,
                    "category_id": categories[name],
                    "segmentation": segmentation,
                    "iscrowd": int(kind == "runs"),
                    "bbox": [0, 0, 1, 1],
                }
            )
    value = {
        "images": [
            {"id": 10 * n, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH}
            for n, name in enumerate(PICTURES)
        ],
        "annotations": annotations,
        "categories": [{"id": i, "name": n, "supercategory": "pet"} for n, i in categories.items()],
    }
    write_json(root / "annotations" / "instances_default.json", value)
    return value


def labelme_file(name: str, names: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    shapes = [
        {"label": n, "points": polygon(n), "group_id": None, "shape_type": "polygon", "flags": {}}
        for n in names
    ]
    usual = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{name.split('/')[-1]}.jpg",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    return usual | changes


def labelme(root: pathlib.Path) -> None:
    pictures(root)
    for name, names in PICTURES.items():
        write_json(root / f"{name}.json", labelme_file(name, names))


def png(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def coloured(names: tuple[str, ...]) -> np.ndarray:
    return np.array(list(COLOURS.values()), np.uint8)[ids(names)]


def cvat(root: pathlib.Path) -> None:
    """Segmentation mask 1.1, saved with the pictures."""
    pictures(root / "JPEGImages")
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in COLOURS.items()]
    (root / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *lines]))
    for name, names in PICTURES.items():
        for folder in ("SegmentationClass", "SegmentationObject"):
            fabricate_labels.write_label(root / folder / f"{name}.png", coloured(names))
    sets = root / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "default.txt").write_text("\n".join(PICTURES))


def voc_palette() -> list[int]:
    """The colour map of the development kit, by its definition."""
    colours = np.zeros((256, 3), int)
    for i in range(256):
        for bit in range(8):
            for channel in range(3):
                colours[i, channel] |= (i >> (3 * bit + channel) & 1) << (7 - bit)
    return colours.ravel().tolist()


def write_voc(path: pathlib.Path, label: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(label).convert("L")
    picture.putpalette(voc_palette())
    picture.save(path)


def voc(root: pathlib.Path) -> None:
    """VOC 2012: ids of its own, a border of 255 around nothing but the last column."""
    base = root / "VOCdevkit" / "VOC2012"
    pictures(base / "JPEGImages")
    for name, names in PICTURES.items():
        label = np.array([0, 8, 12], np.uint8)[ids(names)]
        label[:, -1] = 255
        write_voc(base / "SegmentationClass" / f"{name}.png", label)
    sets = base / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\nb\n")
    (sets / "val.txt").write_text("deep/c\n")


def roboflow(root: pathlib.Path) -> None:
    for (name, names), split in zip(PICTURES.items(), ("train", "train", "valid"), strict=True):
        stem = name.split("/")[-1]
        fabricate_labels.write_image(root / split / f"{stem}.jpg", len(stem), HEIGHT, WIDTH)
        fabricate_labels.write_label(root / split / f"{stem}_mask.png", ids(names))
        rows = "Pixel Value, Class\n0, background\n1, cat\n2, dog\n"
        (root / split / "_classes.csv").write_text(rows)


def brush(inside: np.ndarray) -> list[int]:
    """Label Studio's runs of an RGBA picture, blocks of the longest lengths; see rle.py."""
    values = np.repeat(inside.ravel().astype(np.uint8) * 255, 4)
    bits = f"{values.size:032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    starts = [0, *(np.flatnonzero(np.diff(values)) + 1), values.size]
    for start, end in itertools.pairwise(starts):
        if end - start == 1:
            bits += f"000000{values[start]:08b}"
        else:
            bits += f"111{end - start - 1:016b}{values[start]:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def label_studio(root: pathlib.Path) -> list[dict[str, Any]]:
    """A task a picture; names as an upload gets them; a brush for cats, a polygon for dogs."""
    pictures(root)
    tasks = []
    for number, (name, names) in enumerate(PICTURES.items()):
        result: list[Mapping[str, Any]] = []
        for n in names:
            value: dict[str, Any] = {"format": "rle", "rle": brush(mask(n)), "brushlabels": ["cat"]}
            if n == "dog":
                corners = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in polygon(n)]
                value = {"points": corners, "polygonlabels": ["dog"]}
            result.append(
                {
                    "original_width": WIDTH,
                    "original_height": HEIGHT,
                    "image_rotation": 0,
                    "type": "brushlabels" if n == "cat" else "polygonlabels",
                    "value": value,
                }
            )
        upload = f"/data/upload/1/0a1b2c3d-{name.split('/')[-1]}.jpg"
        annotations = [{"id": number, "was_cancelled": False, "result": result}]
        tasks.append({"id": number, "data": {"image": upload}, "annotations": annotations})
    write_json(root / "project.json", tasks)
    return tasks


def masks(root: pathlib.Path, kind: str = "ids") -> None:
    """kind: ids, colours or binary (everything is the foreground)."""
    pictures(root / "images")
    for name, names in PICTURES.items():
        label = ids(names)
        if kind == "colours":
            label = coloured(names)
        elif kind == "binary":
            label = np.where(label > 0, 255, 0).astype(np.uint8)
        fabricate_labels.write_label(root / "masks" / f"{name}.png", label)
