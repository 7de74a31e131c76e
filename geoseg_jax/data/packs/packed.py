"""Packs: a data set at training size in a few large files, as `geoseg_jax.prepare` left it.

    DIR/pack.json                  what was packed and how, with a hash of everything
    DIR/frames/1.0.0/...           every picture once, as JPEG
    DIR/arrays/1.0.0/...           every large array once (depth, flow, ...), as the bytes of a .npy
    DIR/train/1.0.0/..., eval/...  records: which pictures and arrays, and small fields themselves

The folders are data sets of tensorflow-datasets in array_record, each with the one split `records`,
so that tfds.data_source("frames", split="records", data_dir=DIR) opens the pictures of any pack.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.core import json_files
from geoseg_jax.data import pictures
from geoseg_jax.data.fit import Fit, fits
from geoseg_jax.data.packs import tfds_folder
from geoseg_jax.data.packs.parts import NAMES, SPLITS, array_from, sha256
from geoseg_jax.data.reader import ANY_SIZE, Reader
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError, Record

FILE = "pack.json"
FORMAT = 2  # of the folder; raised with any change to it or to what sources serve
VERSION = "1.0.0"  # of its parts as data sets of tensorflow-datasets
SPLIT = "records"
STEREO = "stereo"
_MOST = 1 << 40  # records of a pack, pixels of a side
_KEYS: json_files.Keys = {
    **{"height": int, "width": int, "fit": str, "views": list, "source": dict},
    **{"digests": dict, "splits": dict[str, dict]},
}
_DIGESTS = dict.fromkeys(("frames", "arrays", *SPLITS), str)
_SPLIT: json_files.Keys = {
    **{"records": int, "sources": bool, "fields": list[str], "fingerprint": str},
    **{"left_out": dict[str, int], "names": dict[str, list[str]]},
}
_ORIGIN: json_files.Keys = {"name": str, "drive": str | None, "files": dict[str, str]}
LAYOUT = f"ROOT/{FILE}"
_REMEDY = "prepare the pack anew"
HOW_TO_GET = "make one by python -m geoseg_jax.prepare CONFIG --out=DIR"


def make(data: ConfigDict) -> tuple["PackedSource", "PackedSource"]:
    """Makes the sources to train and to evaluate on, those that were packed.

    config.data: root, the pack; height and width, which must be the pack's, except for pictures of
    any size, see `fit.fits`; frames and stereo, which may ask for fewer views than were packed.
    Raises DataError for a folder that is no pack, or one of other sizes, views or truth.
    """
    root = pathlib.Path(data.root).expanduser()
    pack = read_pack(root)
    _check_truth(data, pack, root)
    _check_poses(data, pack, root)
    train, judged = fits(data)
    if pack["fit"] != "cover":
        size = (pack["height"], pack["width"])
        if (data.height, data.width) != size:
            raise DataError(
                f"config.data.height={data.height} and width={data.width}: {root} is a pack of "
                f"{size[0]}x{size[1]}; set them so, or prepare another"
            )
        train = judged = None
    views = _views(data, pack, root)
    return (
        PackedSource(root, "train", views, train),
        PackedSource(root, "eval", views, judged),
    )


def read_pack(root: pathlib.Path) -> dict[str, Any]:
    """Reads pack.json. Raises DataError where it is missing, damaged or of another format."""
    path = root / FILE
    try:
        pack = json_files.read_json(path, "the description of a pack", {}, _REMEDY)
        if pack is None:
            raise DataError(f"config.data.root={str(root)!r} is no pack; {HOW_TO_GET}")
        if (found := pack.get("format")) != FORMAT:
            raise DataError(f"{path}: format {found} is not {FORMAT}; {_REMEDY}")
        json_files.check_keys(pack, _KEYS)
        json_files.check_keys(pack["digests"], _DIGESTS)
        for split in SPLITS:
            json_files.check_keys(pack["splits"].get(split, {}), _SPLIT)
    except json_files.FileError as error:
        raise DataError(str(error)) from error
    except ValueError as error:
        raise DataError(f"{path} {error}; {_REMEDY}") from error
    numbers = {key: pack[key] for key in ("height", "width")}
    numbers |= {f"{split}'s records": pack["splits"][split]["records"] for split in SPLITS}
    for name, number in numbers.items():
        if not 0 <= number < _MOST:
            raise DataError(f"{path}: {name} = {number}; {_REMEDY}")
    return pack


class PackedSource:
    """A split of a pack as a Source of the records that were packed.

    root: the pack. split: 'train' or 'eval'. views: which of the packed source views to serve, by
    their places, None for all. fit: what is kept of a picture, None for all of it.
    `fields` are the keys beside the pictures; `categories`, `words` and `videos` are there where
    the packed source had them.
    """

    def __init__(
        self,
        root: pathlib.Path,
        split: str,
        views: tuple[int, ...] | None = None,
        fit: Fit | None = None,
    ):
        pack = read_pack(root)
        self._root, self._split, self._fit, self._views = root, split, fit, views
        described = pack["splits"][split]
        self.left_out: dict[str, int] = described["left_out"]
        self.fields: tuple[str, ...] = tuple(described["fields"])
        for key, names in described["names"].items():
            if key in NAMES:
                setattr(self, key, tuple(names))
        self._size, self._has_sources = described["records"], described["sources"]
        # Without its partner a view's pose to it must not be asked for.
        self._no_stereo = views is not None and pack["views"][-1:] == [STEREO]
        self._no_stereo = self._no_stereo and len(pack["views"]) - 1 not in views
        self._digest = repr((pack["digests"], split, views, fit and tuple(fit)))
        self._readers: dict[str, Any] = {}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord where the record, a picture or an array can't be read."""
        with reading(self._place(index), _REMEDY):
            return self._record(index)

    def _record(self, index: int) -> Record:
        example = self._example(index)
        frames = example["frames"]
        record = {"image": self._picture(frames[0])}
        if self._has_sources:
            chosen = frames[1:] if self._views is None else [frames[1 + v] for v in self._views]
            record["sources"] = np.empty((len(chosen), *record["image"].shape), np.uint8)
            for frame, place in zip(chosen, record["sources"], strict=True):
                self._picture(frame, place)
        # Arrays are views of the bytes read, which can't be written to; scalars have no shape.
        record |= {key: np.array(value)[()] for key, value in example.get("fields", {}).items()}
        for key, place in example.get("arrays", {}).items():
            record[key] = array_from(self._open("arrays")[int(place)]["npy"])
        if self._views is not None and "source_poses" in record:
            record["source_poses"] = record["source_poses"][list(self._views)]
        if self._no_stereo and "stereo_pose" in record:
            record["stereo_pose"] = np.eye(4, dtype=np.float32)
        for key, names in (("category", "categories"), ("video", "videos")):
            count = len(getattr(self, names, ()))
            if count and not 0 <= record.get(key, 0) < count:
                raise ValueError(f"{key} {record[key]} is none of the {count} {names}")
        return record

    def describe(self, index: int) -> str:
        return self._origin(index)["name"]

    def drive(self, index: int) -> str | None:
        """Returns the record's recording, '' where unknown, None where it is its own."""
        return self._origin(index)["drive"]

    def files(self, index: int) -> tuple[tuple[str, str | None], ...]:
        """Returns (name, quick hash) of the files that were packed."""
        return tuple(self._origin(index)["files"].items())

    def fingerprint(self) -> str:
        """Hashes the pack's hashes and of what is served of it."""
        return hashlib.sha256(self._digest.encode()).hexdigest()

    def _origin(self, index: int) -> dict[str, Any]:
        """Reads a record's origin: name, drive, files. Raises BadRecord where it can't be read."""
        with reading(self._place(index), _REMEDY):
            origin = json.loads(self._example(index)["origin"])
            if not isinstance(origin, dict) or "drive" not in origin:
                raise ValueError("it has no origin")
            json_files.check_keys(origin, _ORIGIN)
            return origin

    def _place(self, index: int) -> str:
        return f"{self._root}: record {index} of {self._split}"

    def _example(self, index: int) -> dict[str, Any]:
        if not 0 <= int(index) < self._size:
            raise IndexError(f"record {index} is not in 0..{self._size - 1}")
        return self._open(self._split)[int(index)]

    def _picture(self, place: int, out: np.ndarray | None = None) -> np.ndarray:
        content = self._open("frames")[int(place)]["image"]
        picture = pictures.decode(content, cv2.IMREAD_COLOR, f"{self._root} frame {place}")
        return pictures.to_rgb(picture if self._fit is None else self._fit(picture), out)

    def _open(self, name: str) -> Any:
        # Opened by each process for itself: an open file does not travel to workers.
        if name not in self._readers:
            reader = open_set(self._root, name)
            if name == self._split and len(reader) != self._size:
                raise DataError(
                    f"{self._root / name} holds {len(reader)} records, not {self._size} as {FILE} "
                    f"says; {_REMEDY}"
                )
            self._readers[name] = reader
        return self._readers[name]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_readers": {}}


def open_set(root: pathlib.Path, name: str) -> Any:
    """Opens 'frames', 'arrays', 'train' or 'eval' of a pack, its pictures as they are stored."""
    import tensorflow_datasets as tfds  # takes a second to import: only those who need it pay

    decoders = {"image": tfds.decode.SkipDecoding()} if name == "frames" else None
    return tfds_folder.open_split(root / name / VERSION, SPLIT, "split", decoders)


def examples(root: pathlib.Path, name: str) -> Iterator[dict[str, Any]]:
    """Yields all that a part of a pack holds, in order; nothing where it has no such part."""
    if (root / name).is_dir():
        reader = open_set(root, name)
        for place in range(len(reader)):
            yield reader[place]


def digest_of(name: str, example: dict[str, Any]) -> str:
    """Hashes one entry of a part of a pack, the same before it is written and as read."""
    if name == "frames":
        return sha256(example["image"])
    if name == "arrays":
        return sha256(example["npy"])
    origin = example["origin"]
    digest = hashlib.sha256(origin if isinstance(origin, bytes) else origin.encode())
    digest.update(np.asarray(example["frames"], "<i8").tobytes())
    for key, value in sorted(example.get("fields", {}).items()):
        digest.update(key.encode() + np.asarray(value).tobytes())
    for key, place in sorted(example.get("arrays", {}).items()):
        digest.update(f"{key} {int(place)}".encode())
    return digest.hexdigest()


def verify(root: pathlib.Path) -> dict[str, int]:
    """Reads all of a pack and compares its hashes.

    Returns:
      The part's name -> number of entries.

    Raises:
      DataError: naming what can't be read or differs from pack.json.
    """
    pack, counts = read_pack(root), {}
    for name in ("frames", "arrays", *SPLITS):
        digest, counts[name] = hashlib.sha256(), 0
        try:
            for example in examples(root, name):
                digest.update(digest_of(name, example).encode())
                counts[name] += 1
        except DataError:
            raise
        except Exception as error:  # whatever array_record finds wrong with the files
            raise DataError(
                f"{root / name}: entry {counts[name]} can't be read ({type(error).__name__}); "
                f"{_REMEDY}"
            ) from error
        if digest.hexdigest() != pack["digests"][name]:
            raise DataError(
                f"{root / name} does not hold what pack.json says ({counts[name]} entries of "
                f"another hash); {_REMEDY}"
            )
    return counts


def _views(data: ConfigDict, pack: dict[str, Any], root: pathlib.Path) -> tuple[int, ...] | None:
    """Finds the wanted source views among the packed ones, None for all."""
    # A data set of pairs has its source view even where the packed config named none.
    unnamed = "frames" not in pack["source"] and pack["splits"]["train"]["sources"]
    if "frames" not in data or unnamed:
        return None
    wanted = [*data.frames, *([STEREO] if data.get("stereo") else [])]
    missing = [view for view in wanted if view not in pack["views"]]
    if missing:
        packed = f"with the source views {pack['views']} alone" if pack["views"] else "without any"
        raise DataError(
            f"config.data.frames={tuple(data.frames)}, stereo={data.get('stereo', False)}: {root} "
            f"was packed {packed}; prepare it with the config that you train with"
        )
    return tuple(map(pack["views"].index, wanted)) if wanted != pack["views"] else None


def _check_poses(data: ConfigDict, pack: dict[str, Any], root: pathlib.Path) -> None:
    """Refuses records without the poses that training asks for."""
    if data.get("poses") and "source_poses" not in pack["splits"]["train"]["fields"]:
        raise DataError(
            f"config.data.poses=True: the records of {root} were packed without poses; prepare it "
            "with the config that you train with"
        )


def _check_truth(data: ConfigDict, pack: dict[str, Any], root: pathlib.Path) -> None:
    """Refuses records without the truth that evaluation, and training where it learns it, need."""
    wanted = [("eval", data.get("truth", "depth"))]
    if data.get("truth_in_training"):
        wanted.append(("train", data.get("truth", "depth")))
    for split, key in wanted:
        if key != "none" and key not in pack["splits"][split]["fields"]:
            raise DataError(
                f"config.data.truth={key!r}: the {split} records of {root} were packed without it; "
                "prepare it with the config that you train with"
            )


READER = Reader(
    make,
    ANY_SIZE,
    needs=("data.root", "data.height", "data.width"),
    layout=LAYOUT,
    how_to_get=HOW_TO_GET,
    poses=True,
)
