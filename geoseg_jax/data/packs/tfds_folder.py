"""Data sets that tensorflow-datasets prepared as array_record, found and read without TensorFlow.

What such a folder holds is described by its own files; no code of the data set is run.
"""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError

_INFO, _FEATURES = "dataset_info.json", "features.json"
_LARGEST = 1 << 18  # bytes of it; published sets have some thousands
_OWN = "tensorflow_datasets."  # how the names of its own features begin
PREPARE = (
    "prepare it once, where TensorFlow is installed: tfds build NAME --file_format=array_record "
    "--data_dir=ROOT"
)


def find(root: str, name: str) -> pathlib.Path:
    """Returns the folder of a prepared data set, the newest of its versions if none is named.

    Args:
      root: what tensorflow-datasets calls data_dir; '' = ~/tensorflow_datasets.
      name: NAME, NAME/CONFIG, either followed by :VERSION if you like.

    Raises:
      DataError: where it is not there, with the near miss and how to prepare it.
    """
    place = pathlib.Path(root or "~/tensorflow_datasets").expanduser()
    plain, _, version = name.partition(":")
    folder = place / plain
    if version:
        versions = [folder / version] if (folder / version / _INFO).is_file() else []
    else:
        versions = sorted((p.parent for p in folder.glob(f"*/{_INFO}")), key=_version)
    if not plain or not versions:
        known = sorted(_known(place))
        hint = did_you_mean(name, known) or f"; there are {', '.join(known[:8])}"
        raise DataError(
            f"config.data.dataset={name!r} is not in config.data.root={str(place)!r}"
            f"{hint if known else ''}; {PREPARE}"
        )
    return versions[-1]


def open_split(folder: pathlib.Path, split: str, key: str, decoders: Any = None) -> Any:
    """Returns a split as a random-access source of tensorflow-datasets.

    Args:
      folder: of a version. split: as in tensorflow-datasets, 'train' or 'train[:90%]'.
      key: what to call the split in messages. decoders: of features, see tfds.decode.

    Raises:
      DataError: where it can't be opened, has no such split or is in no array_record files.
    """
    opened = builder(folder)
    splits = sorted(opened.info.splits)
    if split.partition("[")[0] not in splits:
        hint = did_you_mean(split, splits)
        raise DataError(f"{key}={split!r} is none of {', '.join(splits)} of {folder}{hint}")
    if str(opened.info.file_format.value) != "array_record":
        raise DataError(
            f"{folder} is prepared as {opened.info.file_format.value}, which can't be read at "
            f"random without TensorFlow; {PREPARE}"
        )
    with reading(f"{folder}: {key}={split!r}", PREPARE, DataError):  # a shard, a slice
        return opened.as_data_source(split, decoders=decoders)


def builder(folder: pathlib.Path) -> Any:
    """Returns what tensorflow-datasets makes of a folder.

    Raises:
      DataError: where its description can't be read, or names features that are not of
        tensorflow-datasets, whose modules would be imported.
    """
    import tensorflow_datasets as tfds  # takes a second to import: only those who need it pay

    with reading(folder, PREPARE, DataError):
        size = (folder / _FEATURES).stat().st_size
        if size > _LARGEST:
            raise DataError(f"{folder / _FEATURES}: {size} bytes describe no features; {PREPARE}")
        content = json.loads((folder / _FEATURES).read_text(encoding="utf-8"))
        strangers = [kind for kind in _kinds(content) if not str(kind).startswith(_OWN)]
        if strangers:
            raise DataError(
                f"{folder / _FEATURES}: the feature {str(strangers[0])[:80]!r} is none of "
                f"tensorflow-datasets' own, and nothing of it was loaded; {PREPARE}"
            )
        return tfds.builder_from_directory(str(folder))


def _kinds(content: Any) -> Iterator[Any]:
    """Yields the names of classes that a description of features holds, wherever in it."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            # The latter three are of older versions.
            keys = ("pythonClassName", "python_class_name", "type", "proto_cls")
            yield from (value[key] for key in keys if isinstance(value.get(key), str))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _known(place: pathlib.Path) -> set[str]:
    """Lists NAME or NAME/CONFIG of what is prepared in a folder."""
    found = [*place.glob(f"*/*/{_INFO}"), *place.glob(f"*/*/*/{_INFO}")]
    return {path.parent.parent.relative_to(place).as_posix() for path in found}


def _version(folder: pathlib.Path) -> tuple[int, ...]:
    parts = folder.name.split(".")
    return tuple(int(part) if part.isdecimal() else -1 for part in parts)
