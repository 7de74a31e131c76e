"""Writes annotations in the layout of `labels/folder.py`, with counts and pictures to look at."""

import csv
import hashlib
import io
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

from geoseg_jax.data import pictures
from geoseg_jax.data.annotations.class_lists import make_table
from geoseg_jax.data.annotations.found import NOT_ANNOTATED, Example, Found, Frame, Notes
from geoseg_jax.data.annotations.overlays import overlay
from geoseg_jax.data.annotations.places import READ, safe_name
from geoseg_jax.data.annotations.splits import SPLITS
from geoseg_jax.data.labels.table import IGNORE, LabelTable, to_train_ids, voc_colours
from geoseg_jax.data.progress import track
from geoseg_jax.data.source import BadRecord, DataError

_SHOWN = 8
_ORIENTATION = 0x0112
WHITE = (255, 255, 255)
_BITS = 258  # the tag of TIFF: bits of each channel
NO_SPLIT = "pictures are of no split, and in none of the lists"


class Counts(NamedTuple):
    """What was written.

    table: the classes. pixels, shown: for each class, and ignored behind them, how many pixels and
    how many pictures have it. pictures: how many there are. notes: see `Found`.
    """

    table: LabelTable
    pixels: list[int]
    shown: list[int]
    pictures: int
    notes: Notes


def write(
    found: Found, out: pathlib.Path, *, ignore_background: bool = False, overlays: int = 0
) -> Counts:
    """Writes a folder, whole or not at all.

        out/images/NAME.jpg (or .png), out/labels/NAME.png, out/classes.txt, out/counts.csv,
        out/overlays/NAME.jpg, out/train.txt, val.txt (and test.txt) where the source has both

    Args:
      found: of a reader.
      out: not there yet, or empty.
      ignore_background: whether pixels that nobody annotated are ignored, and no class.
      overlays: how many pictures, spread over all, are drawn with their labels.

    Raises:
      DataError: for a folder that is in use, two pictures of one name, and labels that can't be
        used: the first ones, and how many.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"--out={out} is there already; name a new folder, or remove it")
    if not found.examples:
        raise _none_left(found)
    table = make_table(found.rows, ignore_background, found.format)
    names = _names(found.examples)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as partial:
            folder = pathlib.Path(partial, "whole")
            counts = _write(found, table, names, folder, overlays)
            folder.rename(out)
    except OSError as error:
        raise DataError(f"--out={out} can't be written ({error})") from error
    return counts


def _none_left(found: Found) -> DataError:
    passed = "; ".join(found.notes.lines())
    return DataError(f"{found.format}: no labelled picture is left ({passed or 'none there'})")


def _write(
    found: Found, table: LabelTable, names: Sequence[str], folder: pathlib.Path, overlays: int
) -> Counts:
    pixels, shown = (np.zeros(len(table.classes) + 1, np.int64) for _ in range(2))
    faults: list[str] = []
    first: dict[str, str] = {}
    copies: list[tuple[str, str]] = []
    kept: list[tuple[str, str]] = []  # name and split
    due = np.linspace(0, len(names) - 1, min(overlays, len(names))).astype(int).tolist()
    for i in track(range(len(names)), f"converting {found.format}"):
        example = found.examples[i]
        try:
            picture, data, ending = _read_picture(example)
            ids = example.ids(Frame((picture.shape[0], picture.shape[1]), _orientation(example)))
            if ids is None:
                found.notes.add(NOT_ANNOTATED, example.label)
                continue
            train = to_train_ids(ids, table, example.label)
        except BadRecord as error:
            faults.append(str(error))
            continue
        kept.append((names[i], example.split))
        path = folder / "images" / (names[i] + ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        if first.setdefault(digest, names[i]) != names[i]:
            copies.append((names[i], first[digest]))
        _write_label(folder / "labels" / f"{names[i]}.png", train, table)
        here = np.bincount(train.ravel(), minlength=IGNORE + 1)
        here = np.append(here[: len(table.classes)], here[IGNORE])
        pixels, shown = pixels + here, shown + (here > 0)
        if due and i >= due[0]:
            del due[0]
            path = folder / "overlays" / f"{names[i]}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imencode(".jpg", overlay(picture, train, table))[1].tofile(path)
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DataError("; ".join(faults[:_SHOWN]) + more)
    if not kept:
        raise _none_left(found)
    if copies:
        copy, of = copies[0]
        found.notes[f"pictures copy another, as {copy} does {of}: no split may part them"] = len(
            copies
        )
    counts = Counts(table, pixels.tolist(), shown.tolist(), len(kept), found.notes)
    _write_lists(kept, folder, counts)
    return counts


def _names(examples: Sequence[Example]) -> list[str]:
    """Names by the pictures' places below the folder that holds them all; each one once."""
    paths = [pathlib.PurePath(os.path.abspath(example.name)) for example in examples]
    base = os.path.commonpath([path.parent for path in paths])
    names = [safe_name(path.relative_to(base).with_suffix("").as_posix()) for path in paths]
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        before = first.setdefault(name.lower(), i)  # some file systems know no case
        if before != i:
            raise DataError(
                f"two pictures, {examples[before].name} and {examples[i].name}, lay claim to the "
                f"label labels/{name}.png; rename one"
            )
    return names


def _read_picture(example: Example) -> tuple[np.ndarray, bytes, str]:
    """Returns a picture, BGR and upright, and what to write of it: as it is, or as PNG; ending."""
    data = example.picture
    where = example.label if isinstance(data, bytes) else data
    if isinstance(data, pathlib.Path):
        try:
            data = data.read_bytes()
        except OSError as error:
            raise BadRecord(f"{where}: {error.strerror}; get the file again") from error
    ending = _ending(data)
    if ending not in READ:
        data, ending = _as_png(data, where), ".png"
    return pictures.decode_picture(data, str(where)), data, ending


def _ending(data: bytes) -> str:
    """Returns the ending by what the file is, whatever it is called."""
    return {b"\x89PNG": ".png", b"\xff\xd8\xff\xe0": ".jpg"}.get(
        data[:4], ".jpg" if data.startswith(b"\xff\xd8\xff") else ""
    )


def _as_png(data: bytes, where: object) -> bytes:
    """Converts a picture to PNG of 8 bits, upright; of 16 bits as `pictures.read_picture` does."""
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            deep = 16 in getattr(picture, "tag_v2", {}).get(_BITS, ())
            whole = ImageOps.exif_transpose(picture)
            if whole.mode.startswith(("I", "F")):
                whole = Image.fromarray(_eight_bits(np.asarray(whole), where))
            elif deep:  # colours, of which Pillow gives the upper 8 bits
                values = np.asarray(whole.convert("RGB")) * np.uint16(257)
                whole = Image.fromarray(_eight_bits(values, where))
            whole.convert("RGB").save(buffer, "PNG")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadRecord(f"{where}: the picture can't be decoded; get the file again") from error
    return buffer.getvalue()


def _eight_bits(values: np.ndarray, where: object) -> np.ndarray:
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise BadRecord(
            f"{where}: it holds {values.dtype} from {values.min()} to {values.max()}; convert the "
            "picture to 8 bits"
        )
    return pictures.eight_bits(values.astype(np.uint16), str(where))


def _orientation(example: Example) -> int:
    """The EXIF orientation, 1 to 8."""
    data = example.picture
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
            value = picture.getexif().get(_ORIENTATION, 1)
            return value if value in range(1, 9) else 1
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):
        return 1  # malformed: shown as it is stored


def _write_label(path: pathlib.Path, train: np.ndarray, table: LabelTable) -> None:
    """Writes ids with a palette: indices for programs, the classes' colours for people."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(table.classes)] = table.palette
    # Readers go by colours, so what is ignored has none of a class: white, where it is free.
    taken = {tuple(colour) for colour in table.palette}
    palette[IGNORE] = next(c for c in (WHITE, *voc_colours(256)) if c not in taken)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.frombytes("P", (train.shape[1], train.shape[0]), train.tobytes())
    picture.putpalette(palette.ravel().tolist())
    picture.save(path)


def _write_lists(kept: Sequence[tuple[str, str]], folder: pathlib.Path, counts: Counts) -> None:
    table = counts.table
    rows = enumerate(zip(table.classes, table.palette, strict=True))
    lines = [f"{i} {name} {r} {g} {b}" for i, (name, (r, g, b)) in rows]
    (folder / "classes.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with open(folder / "counts.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "class", "pixels", "pictures"))
        ids = (*range(len(table.classes)), IGNORE)
        writer.writerows(
            zip(ids, (*table.classes, "ignored"), counts.pixels, counts.shown, strict=True)
        )
    splits = {split: [name for name, own in kept if own == split] for split in SPLITS}
    if splits["train"] and splits["val"]:
        for name, own in kept:
            if not own:
                counts.notes.add(NO_SPLIT, name)
        for split, mine in splits.items():
            if mine:
                (folder / f"{split}.txt").write_text("\n".join(mine) + "\n", encoding="utf-8")
