"""The synthetic world as a labelled set: pictures with exact labels and nothing else."""

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.data.labels.tables.synthetic import CLASSES
from geoseg_jax.data.reader import LABELLED, RENDERED, WORLD, Reader
from geoseg_jax.data.source import DataError, Record, Source
from geoseg_jax.data.synthetic.cache import cached_source
from geoseg_jax.data.synthetic.source import EVAL_SEED, SyntheticSource

_KEYS = ("image", "label", "label_size")


class SyntheticLabels:
    """Records {image, label, label_size} of a synthetic world, with what labelled sources have."""

    def __init__(self, source: Source):
        self._source = source
        self.table = label_table(f"synthetic_{source.world}")
        self.left_out: dict[str, int] = {}
        self.names = [f"{source.world}-{source.seed}/{i:06d}" for i in range(len(source))]

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        record = self._source[index]
        record["label_size"] = record["depth_size"]  # both are the picture's
        return {key: record[key] for key in _KEYS}

    def label(self, index: int) -> np.ndarray:
        """Returns the record's label alone, uint8 [height, width] train ids."""
        return self._source.label(index)

    def check(self, index: int) -> float:
        """Returns 1: what is drawn is right, and has a class everywhere."""
        del index
        return 1.0

    def describe(self, index: int) -> str:
        return self._source.describe(index)

    def original(self, index: int) -> tuple[int, int]:
        """Returns height and width of the picture."""
        del index
        return self._source.height, self._source.width

    def drive(self, index: int) -> None:
        """Returns None: each record is a world of its own."""
        return self._source.drive(index)

    def files(self, index: int) -> tuple[tuple[str, None], ...]:
        """Returns the name of the record's world; there is no file."""
        return self._source.files(index)

    def fingerprint(self) -> str:
        return self._source.fingerprint()


def make(data: ConfigDict) -> tuple[SyntheticLabels, SyntheticLabels]:
    """Makes the sources; the evaluation's worlds have a seed of their own.

    config.data: world, train_size, eval_size, seed, height, width, cache_dir.
    Raises DataError for an unknown world or a folder that can't be written.
    """
    if data.world not in CLASSES:
        raise DataError(f"config.data.world={data.world!r} is unknown; known: {sorted(CLASSES)}")
    settings = {"world": data.world, "height": data.height, "width": data.width}
    sets = ((data.train_size, data.seed), (data.eval_size, data.seed + EVAL_SEED))
    train, evaluation = (
        SyntheticLabels(
            cached_source(
                SyntheticSource(size=size, seed=seed, frames=(), stereo=False, **settings),
                data.get("cache_dir", ""),
            )
        )
        for size, seed in sets
    )
    return train, evaluation


READER = Reader(
    make,
    LABELLED | WORLD | RENDERED,
    needs=(*WORLD, *RENDERED),
    labelled=True,
    table=lambda data: label_table(f"synthetic_{data['world']}"),
)
