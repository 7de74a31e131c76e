"""Packing, first half: records of any source, some hundred to a file, each file whole or not there.

Parts are what makes packing resumable and divisible: whoever packs takes parts that are not there
yet. A part holds each different picture of its records once, as JPEG, and each different array.
"""

import hashlib
import io
import json
import math
import pathlib
from typing import Any, NamedTuple

import cv2
import numpy as np

from geoseg_jax.core import archives, atomic
from geoseg_jax.core.batch import check_record
from geoseg_jax.data.provenance.reads import quick_hash
from geoseg_jax.data.reading import read_record, reading
from geoseg_jax.data.scans import check_scan
from geoseg_jax.data.source import (
    BadRecord,
    DataError,
    HasCategories,
    HasVideos,
    HasWords,
    Source,
    drive_of,
    files_of,
)
from geoseg_jax.data.walk import PICTURES

SPLITS = ("train", "eval")
RECORDS = 256  # in a part
# Lists of names that tasks ask a source for, beside its records.
NAMES = {"categories": HasCategories, "words": HasWords, "videos": HasVideos}
# What the pipeline says of a record itself.
_NOT_KEPT = ("id", "replaced")


class Part(NamedTuple):
    """What a file of a part holds.

    records: one dict each: `index` in its source and either `unreadable`, the reason, or `views`
    (hashes of the pictures, the target first), `sources` (whether it has such a field), `arrays`
    (field -> hash) and `origin` (name, drive, files). pictures: hash -> JPEG. arrays: hash -> it.
    """

    records: list[dict[str, Any]]
    pictures: dict[str, bytes]
    arrays: dict[str, np.ndarray]


def sha256(content: bytes) -> str:
    """Returns the hex digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def array_bytes(array: np.ndarray) -> bytes:
    """Returns an array as the content of a .npy file: dtype and shape are in it."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def array_from(content: bytes | memoryview) -> np.ndarray:
    """Returns the array in the content of a .npy file: a view that can't be written to.

    Raises ValueError, or what NumPy's parser does, where the content is not just what its header
    announces.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{dtype}{list(shape)} is not what {len(content)} bytes hold")
    array = np.frombuffer(content, dtype, offset=file.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def part_path(folder: pathlib.Path, split: str, number: int) -> pathlib.Path:
    """Returns the file of a part."""
    return folder / f"{split}-{number:06d}.npz"


def make_part(source: Source, number: int, quality: int, size: int = RECORDS) -> Part:
    """Returns the number-th `size` records of a source, its pictures encoded at that quality.

    A record that can't be read is marked as such; the caller decides what becomes of it. Raises
    ValueError for one that is no part of a batch, see `check_record`.
    """
    encoder = _Encoder(quality)
    records, arrays = [], {}
    whole: set[pathlib.Path] = set()
    for index in range(number * size, min((number + 1) * size, len(source))):
        try:
            _check_scans(source, index, whole)
            record = read_record(source, index)
        except BadRecord as error:
            records.append({"index": index, "unreadable": str(error)})
            continue
        check_record(record, source.describe(index))
        views = [encoder(record["image"]), *map(encoder, record.get("sources", ()))]
        fields = {}
        for key in sorted(record.keys() - {"image", "sources", *_NOT_KEPT}):
            content = array_bytes(record[key])
            fields[key] = sha256(content)
            arrays[fields[key]] = np.asarray(record[key])
        known = {"views": views, "sources": "sources" in record, "arrays": fields}
        records.append({"index": index, **known, "origin": _origin(source, index)})
    return Part(records, encoder.pictures, arrays)


def _check_scans(source: Source, index: int, whole: set[pathlib.Path]) -> None:
    """Looks for damage in a record's pictures, but for those found `whole` before, and adds them.

    Once packed they are JPEGs like any other: this is the last time that damage can be seen.

    Raises:
      BadRecord: naming the first that is damaged.
    """
    paths = {path for path in files_of(source, index).values() if isinstance(path, pathlib.Path)}
    for path in sorted(paths - whole):
        if path.suffix.lower() in PICTURES:
            check_scan(path)
        whole.add(path)


def write_part(path: pathlib.Path, part: Part) -> None:
    """Writes a part, whole or not at all."""
    content = {f"picture_{k}": np.frombuffer(v, np.uint8) for k, v in part.pictures.items()}
    content |= {f"array_{key}": value for key, value in part.arrays.items()}
    content["records"] = np.frombuffer(json.dumps(part.records).encode(), np.uint8)
    with atomic.replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **content)


def read_part(path: pathlib.Path) -> Part:
    """Reads a part, all of whose contents have the hashes that they are named by.

    Raises DataError where the file is damaged.
    """
    remedy = "delete it and run the same command again"
    with reading(path, remedy, DataError, "it is damaged"):
        archive = archives.Archive(path)
        content = {
            name.removesuffix(".npy"): array_from(archive.read(name)) for name in archive.sizes()
        }
        records = json.loads(content.pop("records").tobytes())
    pictures, arrays = {}, {}
    for name, value in content.items():
        kind, _, digest = name.partition("_")
        if kind == "picture":
            pictures[digest] = value.tobytes()
            right = sha256(pictures[digest]) == digest
        else:
            arrays[digest] = value
            right = sha256(array_bytes(value)) == digest
        if not right:
            raise DataError(f"{path} is damaged; {remedy}")
    with reading(path, remedy, DataError, "it is damaged"):
        for record in records:
            _check_entry(record, pictures, arrays)
    return Part(records, pictures, arrays)


def _check_entry(
    record: dict[str, Any], pictures: dict[str, bytes], arrays: dict[str, np.ndarray]
) -> None:
    """Raises ValueError where an entry of `Part.records` is not as said there."""
    good = isinstance(record, dict) and isinstance(record.get("index"), int)
    if good and "unreadable" in record:
        good = isinstance(record["unreadable"], str)
    elif good:
        views, fields, origin = (record.get(key) for key in ("views", "arrays", "origin"))
        good = isinstance(views, list) and isinstance(fields, dict) and bool(views)
        good = good and all(view in pictures for view in views)
        good = good and all(digest in arrays for digest in fields.values())
        good = good and isinstance(origin, dict) and isinstance(origin.get("name"), str)
        good = good and isinstance(record.get("sources"), bool)
    if not good:
        raise ValueError("an entry that is none")


class _Encoder:
    """Pictures to JPEG, each different one once."""

    def __init__(self, quality: int):
        self.pictures: dict[str, bytes] = {}
        self._settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._known: dict[bytes, str] = {}

    def __call__(self, picture: np.ndarray) -> str:
        """Returns the hash of a picture, uint8 [H, W, 3] RGB, as it is kept."""
        pixels = hashlib.sha256(f"{picture.shape} ".encode() + picture.tobytes()).digest()
        if pixels not in self._known:
            good, content = cv2.imencode(".jpg", picture[..., ::-1], self._settings)
            if not good:
                raise DataError(f"a picture of {picture.shape} can't be encoded as JPEG")
            digest = sha256(content.tobytes())
            self._known[pixels], self.pictures[digest] = digest, content.tobytes()
        return self._known[pixels]


def _origin(source: Source, index: int) -> dict[str, Any]:
    """Returns where a record comes from; files by hash, so that leakage is seen in packs."""
    files = {
        name: quick_hash(path) if isinstance(path, pathlib.Path) else path
        for name, path in files_of(source, index).items()
    }
    return {"name": source.describe(index), "drive": drive_of(source, index), "files": files}
