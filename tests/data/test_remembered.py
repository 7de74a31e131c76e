import numpy as np
import pytest

from geoseg_jax.data.pipeline import train_batches
from geoseg_jax.data.remembered import Remembered
from geoseg_jax.data.source import BadRecord, Wrapper
from geoseg_jax.data.transforms import Augmentation
from tests.data.fabricate import NumberedSource


class Counted(Wrapper):
    """Counts how often each record is read; the first reading of record 2 fails."""

    def __init__(self, source, fails=()):
        super().__init__(source)
        self.read, self._fails = [], list(fails)

    def __getitem__(self, index):
        self.read.append(index)
        if index in self._fails:
            self._fails.remove(index)
            raise BadRecord(f"record {index}")
        return self.source[index]


def size(source):
    return sum(np.asarray(value).nbytes for value in source[0].values())


def test_each_record_is_read_once_where_all_fit():
    plain, counted = NumberedSource(5), Counted(NumberedSource(5))
    remembered = Remembered(counted, limit=5 * size(plain))
    for _ in range(3):
        for index in range(5):
            for key, value in plain[index].items():
                np.testing.assert_array_equal(remembered[index][key], value)
    assert sorted(counted.read) == [0, 1, 2, 3, 4]


def test_nothing_is_kept_where_one_byte_is_missing():
    counted = Counted(NumberedSource(5))
    remembered = Remembered(counted, limit=5 * size(counted.source) - 1)
    for _ in range(3):
        remembered[1]
    assert counted.read == [1, 1, 1]


def test_who_reads_can_change_neither_arrays_nor_the_record():
    remembered = Remembered(NumberedSource(5))
    record = remembered[0]
    with pytest.raises(ValueError, match="read-only"):
        record["image"][:] = 0
    record["image"] = record["image"] * 0
    np.testing.assert_array_equal(remembered[0]["image"], NumberedSource(5)[0]["image"])


def test_a_failure_is_not_remembered():
    remembered = Remembered(Counted(NumberedSource(5), fails=[2]))
    with pytest.raises(BadRecord):
        remembered[2]
    assert set(remembered[2]) == set(NumberedSource(5)[2])


def test_batches_of_many_epochs_read_each_record_once():
    counted = Counted(NumberedSource(5))
    batches = train_batches(counted, batch_size=4, seed=0, augment=Augmentation(flip=True))
    for _ in range(10):
        next(batches)
    batches.close()
    # Threads may meet at a record that neither has read yet.
    assert set(counted.read) == set(range(5))
    assert len(counted.read) <= 5 * 4
