"""Data sets that tensorflow-datasets prepared as array_record, found and read without TensorFlow.

What such a folder holds is described by its own files; no code of the data set is run.
"""

import pathlib
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data.source import DataError

_INFO = "dataset_info.json"
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
    import tensorflow_datasets as tfds  # takes a second to import: only those who need it pay

    try:
        builder = tfds.builder_from_directory(str(folder))
        splits = sorted(builder.info.splits)
    except Exception as error:  # whatever tfds finds wrong with the files
        raise DataError(f"{folder} can't be read ({_first_line(error)}); {PREPARE}") from error
    if split.partition("[")[0] not in splits:
        hint = did_you_mean(split, splits)
        raise DataError(f"{key}={split!r} is none of {', '.join(splits)} of {folder}{hint}")
    if str(builder.info.file_format.value) != "array_record":
        raise DataError(
            f"{folder} is prepared as {builder.info.file_format.value}, which can't be read at "
            f"random without TensorFlow; {PREPARE}"
        )
    try:
        return builder.as_data_source(split, decoders=decoders)
    except Exception as error:  # a missing shard, a malformed slice
        raise DataError(f"{folder}: {key}={split!r}: {_first_line(error)}; {PREPARE}") from error


def _known(place: pathlib.Path) -> set[str]:
    """Lists NAME or NAME/CONFIG of what is prepared in a folder."""
    found = [*place.glob(f"*/*/{_INFO}"), *place.glob(f"*/*/*/{_INFO}")]
    return {path.parent.parent.relative_to(place).as_posix() for path in found}


def _version(folder: pathlib.Path) -> tuple[int, ...]:
    parts = folder.name.split(".")
    return tuple(int(part) if part.isdecimal() else -1 for part in parts)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
