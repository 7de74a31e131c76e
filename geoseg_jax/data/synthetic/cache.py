"""A synthetic set rendered once and kept as a tensorflow-datasets data set of array_record files.

The folder is named after a hash of everything the records depend on (see made_once.py).
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from geoseg_jax.data.made_once import made_once
from geoseg_jax.data.progress import track
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError, Record, Source, Wrapper
from geoseg_jax.data.synthetic.worker import rendered

_SPLIT = "records"
_SHARD = 1024  # records in a file
_REMEDY = "delete it to have it rendered again"
_BATCH = 16  # records between two writings of the set's description


def cached_source(
    source: Source, cache_dir: str | os.PathLike = "", workers: int = 0
) -> "CachedSource":
    """Returns the same records as `source`, a SyntheticSource or ObjectSource, read from disk.

    Renders them first where `cache_dir` (default: that of made_once) lacks them, in `workers`
    processes (default: one for each core that this process may use).
    Raises DataError where the folder can't be written or a set in it is not whole.
    """
    name = f"synthetic_{source.parameters['world']}_{source.fingerprint()[:20]}"

    def render(folder: Path) -> None:
        count, what = workers or _cores(), f"rendering {source.parameters['world']}"
        if len(source) > 1:  # one record is a look at shapes
            logging.info("%s once, with %d processes, into %s", what, count, folder.parent / name)
        _write(source, folder, rendered(source.parameters, len(source), count), what)

    return CachedSource(source, made_once(cache_dir, name, render, "the rendered set"))


def _features(record: Record) -> Any:
    import tensorflow_datasets as tfds  # takes a second to import: only those who cache pay

    # Arrays are kept as their raw bytes. array_record compresses them, and reading is several times
    # faster than decoding pictures or parsing lists of floats.
    return tfds.features.FeaturesDict(
        {
            key: tfds.features.Tensor(
                shape=np.shape(value), dtype=value.dtype.type, encoding="bytes"
            )
            for key, value in record.items()
        }
    )


def _write(source: Source, folder: Path, records: Iterator[Record], what: str) -> None:
    import tensorflow_datasets as tfds

    folder.mkdir(parents=True)
    writer, batch = None, []
    try:
        for i in track(range(len(source)), what):
            record = next(records)
            if writer is None:
                identity = tfds.core.dataset_info.DatasetIdentity(
                    name="synthetic",
                    version=tfds.core.Version("1.0.0"),
                    data_dir=str(folder),
                    module_name=__name__,
                )
                info = tfds.core.DatasetInfo(
                    builder=identity,
                    description=f"geoseg_jax synthetic world: {source.parameters}",
                    features=_features(record),
                    disable_shuffling=True,
                )
                writer = tfds.core.SequentialWriter(info, _SHARD, file_format="array_record")
                writer.initialize_splits([_SPLIT])
            batch.append({key: np.asarray(value) for key, value in record.items()})
            if len(batch) == _BATCH or i == len(source) - 1:
                writer.add_examples({_SPLIT: batch})
                batch = []
        writer.close_splits([_SPLIT])
    finally:
        records.close()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class CachedSource(Wrapper):
    """Reads the records of `source` from `folder`."""

    def __init__(self, source: Source, folder: Path):
        super().__init__(source)
        self.folder = Path(folder)
        self._reader = None
        try:
            found = len(self._open())
        except Exception as error:  # whatever tfds or array_record find wrong with the files
            raise DataError(
                f"the rendered set {self.folder} can't be read ({error}); {_REMEDY}"
            ) from error
        if found != len(source):
            raise DataError(
                f"the rendered set {self.folder} has {found} records, not {len(source)}; delete "
                "it to have it rendered again"
            )

    def _open(self) -> Any:
        # Opened by each process for itself: an open file does not travel to workers.
        if self._reader is None:
            import tensorflow_datasets as tfds

            builder = tfds.builder_from_directory(str(self.folder))
            self._reader = builder.as_data_source(_SPLIT)
        return self._reader

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_reader": None}

    def __getitem__(self, i: int) -> Record:
        if not 0 <= int(i) < len(self):
            raise IndexError(f"record {i} is not in 0..{len(self) - 1}")
        with reading(f"the rendered set {self.folder}, record {i}", _REMEDY):
            record = self._open()[int(i)]
        # The arrays are views of the bytes read, which can't be written to; scalars have no shape.
        return {key: np.array(value)[()] for key, value in record.items()}

    def depth(self, i: int) -> np.ndarray:
        """Returns true depth of record i, float32 [H, W] metres, without rendering it again."""
        return self[i]["depth"]

    def flow(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads the flow of record i and where it is known, without tracing it again."""
        record = self[i]
        return record["flow"], record["flow_valid"]

    def label(self, i: int) -> np.ndarray:
        """Reads the label of record i, uint8 [H, W], without rendering it again."""
        return self[i]["label"]
