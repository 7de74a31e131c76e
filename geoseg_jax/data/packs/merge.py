"""Packing, second half: parts to one pack, in which every picture of the data set is kept once."""

import hashlib
import io
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from geoseg_jax.data.packs import packed
from geoseg_jax.data.packs import parts as pack_parts
from geoseg_jax.data.packs.parts import SPLITS, Part
from geoseg_jax.data.progress import track
from geoseg_jax.data.source import DataError

INLINE = 1024  # bytes: fields up to this size are in the record itself
_SHARD = 4096  # entries in a file
_BATCH = 64  # entries between two writings of the set's description
UNREADABLE = "unreadable"


def merge(parts: pathlib.Path, plan: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Writes a pack into a folder that is not there yet.

    Args:
      parts: the folder of the parts. plan: how many there are, and what pack.json shall say.

    Raises:
      DataError: for a damaged part, records of differing fields, or more unreadable ones than
        plan's bad_share allows.
    """
    folder.mkdir(parents=True)
    frames = _Frames(folder)
    arrays = _Arrays(folder)
    splits, digests = {}, {}
    for split in SPLITS:
        records = _Records(folder, split, frames, arrays)
        count = plan["splits"][split]["parts"]
        for number in track(range(count), f"packing {split}"):
            records.add(pack_parts.read_part(pack_parts.part_path(parts, split, number)))
        digests[split] = records.close()
        splits[split] = _described(plan, split, records)
    digests |= {"frames": frames.close(), "arrays": arrays.close()}
    described = {key: plan[key] for key in ("source", "height", "width", "fit", "quality", "views")}
    counts = {"frames": len(frames.places), "arrays": len(arrays.places)}
    pack = {"format": packed.FORMAT, **described, "splits": splits, **counts, "digests": digests}
    text = json.dumps(pack, indent=2, sort_keys=True)
    (folder / packed.FILE).write_text(text + "\n", encoding="utf-8")


def _described(plan: Mapping[str, Any], split: str, records: "_Records") -> dict[str, Any]:
    """Returns what pack.json says of a split."""
    given, bad = plan["splits"][split], records.unreadable
    total = records.count + len(bad)
    if len(bad) > plan["bad_share"] * total:
        raise DataError(
            f"{split}: {len(bad)} of {total} records can't be read, more than config.data."
            f"bad_share={plan['bad_share']}; the first: {bad[0]}"
        )
    left_out = given["left_out"] | ({UNREADABLE: len(bad)} if bad else {})
    return {
        "records": records.count,
        "sources": records.sources,
        "fields": sorted(records.fields),
        "left_out": left_out,
        "names": given["names"],
        "fingerprint": given["fingerprint"],
    }


class _Set:
    """A data set of tensorflow-datasets, written in order; made with its first entry."""

    def __init__(self, folder: pathlib.Path, name: str):
        self._folder, self._name = folder / name / packed.VERSION, name
        self._writer: Any = None
        self._batch: list[dict[str, Any]] = []
        self._digest = hashlib.sha256()
        self.count = 0

    def features(self, example: Mapping[str, Any]) -> Any:
        """Returns the features of a set with such entries."""
        raise NotImplementedError

    def put(self, example: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> None:
        """Adds an entry; `stored`: how it is handed to tensorflow-datasets, where otherwise."""
        if self._writer is None:
            self._writer = self._open(example)
        self._digest.update(packed.digest_of(self._name, dict(example)).encode())
        self._batch.append(dict(stored or example))
        self.count += 1
        if len(self._batch) == _BATCH:
            self._flush()

    def close(self) -> str:
        """Returns the hash of all entries."""
        if self._writer is not None:
            self._flush()
            self._writer.close_splits([packed.SPLIT])
        return self._digest.hexdigest()

    def _flush(self) -> None:
        if self._batch:
            self._writer.add_examples({packed.SPLIT: self._batch})
            self._batch = []

    def _open(self, example: Mapping[str, Any]) -> Any:
        import tensorflow_datasets as tfds  # takes a second to import: only those who pack pay

        self._folder.mkdir(parents=True)
        identity = tfds.core.dataset_info.DatasetIdentity(
            name=self._name,
            version=tfds.core.Version(packed.VERSION),
            data_dir=str(self._folder),
            module_name=__name__,
        )
        info = tfds.core.DatasetInfo(
            builder=identity,
            description=f"geoseg_jax pack: {self._name}",
            features=self.features(example),
            disable_shuffling=True,
        )
        writer = tfds.core.SequentialWriter(info, _SHARD, file_format="array_record")
        writer.initialize_splits([packed.SPLIT])
        return writer


class _Frames(_Set):
    """Every picture once; `places`: hash -> place."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder, "frames")
        self.places: dict[str, int] = {}

    def features(self, example: Mapping[str, Any]) -> Any:
        """Describes one picture to tfds."""
        import tensorflow_datasets as tfds

        image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        return tfds.features.FeaturesDict({"image": image})

    def place(self, digest: str, part: Part) -> int:
        """Tells where a picture is, which is added if it is new."""
        if digest not in self.places:
            self.places[digest] = self.count
            content = part.pictures[digest]
            # A file object: tensorflow-datasets encodes whatever else it is given, by TensorFlow.
            self.put({"image": content}, {"image": io.BytesIO(content)})
        return self.places[digest]


class _Arrays(_Set):
    """Every large array once; `places`: hash -> place."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder, "arrays")
        self.places: dict[str, int] = {}

    def features(self, example: Mapping[str, Any]) -> Any:
        """Returns the bytes of one array, which array_record compresses."""
        import tensorflow_datasets as tfds

        return tfds.features.FeaturesDict({"npy": tfds.features.Text()})

    def place(self, digest: str, part: Part) -> int:
        """Tells where an array is, which is added if it is new."""
        if digest not in self.places:
            self.places[digest] = self.count
            self.put({"npy": pack_parts.array_bytes(part.arrays[digest])})
        return self.places[digest]


class _Records(_Set):
    """The records of a split, all with the same fields."""

    def __init__(self, folder: pathlib.Path, split: str, frames: _Frames, arrays: _Arrays):
        super().__init__(folder, split)
        self.unreadable: list[str] = []
        self.fields: dict[str, tuple] = {}
        self.sources = False
        self._frames, self._arrays = frames, arrays
        self._shape: tuple | None = None

    def add(self, part: Part) -> None:
        """Adds the records of a part."""
        for record in part.records:
            if "unreadable" in record:
                self.unreadable.append(record["unreadable"])
                continue
            self._check(record, part)
            frames = [self._frames.place(digest, part) for digest in record["views"]]
            # One text for the same origin, or its hash would not be that of what is read.
            origin = json.dumps(record["origin"], sort_keys=True)
            example = {"frames": np.array(frames, np.int64), "origin": origin}
            small, large = {}, {}
            for key, digest in record["arrays"].items():
                array = part.arrays[digest]
                if array.nbytes <= INLINE:
                    small[key] = array
                else:
                    large[key] = self._arrays.place(digest, part)
            self.put(
                example
                | ({"fields": small} if small else {})
                | ({"arrays": large} if large else {})
            )

    def features(self, example: Mapping[str, Any]) -> Any:
        """Describes the fields to tfds by the first record, whose shapes all others have."""
        import tensorflow_datasets as tfds

        def raw(array: np.ndarray) -> Any:
            kind = np.asarray(array).dtype.type
            return tfds.features.Tensor(shape=np.shape(array), dtype=kind, encoding="bytes")

        features = {"frames": raw(example["frames"]), "origin": tfds.features.Text()}
        if "fields" in example:
            small = {key: raw(value) for key, value in example["fields"].items()}
            features["fields"] = tfds.features.FeaturesDict(small)
        if "arrays" in example:
            places = dict.fromkeys(example["arrays"], np.int64)
            features["arrays"] = tfds.features.FeaturesDict(places)
        return tfds.features.FeaturesDict(features)

    def _check(self, record: Mapping[str, Any], part: Part) -> None:
        """Raises DataError where a record has other fields, or small ones of other shapes."""
        fields = {}
        for key, digest in record["arrays"].items():
            array = part.arrays[digest]
            small = array.nbytes <= INLINE
            fields[key] = (str(array.dtype), array.shape if small else None)
        shape = (len(record["views"]), record["sources"], fields)
        if self._shape is None:
            self._shape, self.fields, self.sources = shape, fields, record["sources"]
        elif shape != self._shape:
            raise DataError(
                f"{record['origin']['name']}: the record has other fields than those before it "
                f"({shape} instead of {self._shape}); such a source can't be packed"
            )
