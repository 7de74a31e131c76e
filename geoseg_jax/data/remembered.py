"""Small sets are decoded once: few labels are seen many times."""

import numpy as np

from geoseg_jax.data.source import Record, Source, Wrapper

LIMIT = 256 * 2**20  # bytes of all records together


class Remembered(Wrapper):
    """Keeps a record after it was read, where all records would fit if they were as large.

    So what is kept never takes more than `limit` bytes. Its arrays can't be written to, since who
    reads the record next gets the same ones.
    """

    def __init__(self, source: Source, limit: int = LIMIT):
        super().__init__(source)
        self._limit = limit
        self._kept: dict[int, Record] = {}

    def __getitem__(self, index: int) -> Record:
        """Raises as the source does."""
        if index in self._kept:
            return dict(self._kept[index])
        record = dict(self.source[index])
        if self._size(record) * len(self) <= self._limit:
            self._kept[index] = {key: _fixed(value) for key, value in record.items()}
            return dict(self._kept[index])
        return record

    @staticmethod
    def _size(record: Record) -> int:
        return sum(np.asarray(value).nbytes for value in record.values())


def _fixed(value: np.ndarray) -> np.ndarray:
    array = np.array(value)  # a copy: a view would keep all that it was cut from
    array.flags.writeable = False
    return array
