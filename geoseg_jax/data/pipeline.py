"""Batches from a source: a function of (seed, step), whatever the workers and processes.

Step t takes the records [t B, (t + 1) B) of an endless sequence in which every epoch is shuffled
anew. Of these, process p of P holds the p-th block of B / P, so that the blocks in the order of
the processes are the batch that a single process would hold.
"""

import atexit
import gc
import multiprocessing
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator

import grain
import numpy as np
from absl import flags

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.reading import read_record
from geoseg_jax.data.remembered import Remembered
from geoseg_jax.data.source import BadRecord, DataError, Record, Source, Wrapper, left_out

Batch = dict[str, np.ndarray]

_REPLACEMENT_TRIES = 20
# Batches ahead of the one in use. A batch of 12 at 640x192 with 4 views is 18 MB.
_AHEAD = 4
_OPEN: weakref.WeakSet = weakref.WeakSet()


def train_batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    workers: int = 0,
    augment: Callable[[Record, np.random.Generator], Record] | None = None,
    bad_share: float = 0.0,
) -> Iterator[Batch]:
    """Yields this process's part of each training batch, from `start_step` on without end.

    batch_size: of all processes together, may exceed the size of the source. workers: processes
    that read ahead, 0 = threads of this process. augment: changes each record at random by a
    generator of its own, a function of (seed, place in the sequence); it travels to the workers.
    bad_share: where it is above 0, an unreadable record is replaced by the next readable one and
    counted in `replaced` (the caller holds the sum against the share); at 0 it raises BadRecord.
    Beside the source's keys a batch has `id` and `replaced`, see geoseg_jax.core.batch.

    Raises DataError for an empty source and ValueError for sizes that don't fit, both at once.
    """
    local_size = _check(source, batch_size, process_index, process_count, workers)
    if not workers:  # each would keep its own
        source = Remembered(source)
    records = grain.MapDataset.source(Reader(source, replace=bad_share > 0)).seed(seed)
    records = records.shuffle().repeat()
    if augment:
        records = records.random_map(augment)
    blocks = grain.MapDataset.source(_TrainBlocks(records, local_size))
    # Slicing after all that depends on the seed and the index: the start is exact.
    blocks = blocks[start_step * process_count + process_index :: process_count]
    return _iterate(blocks, workers)


def eval_batches(
    source: Source,
    *,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
    workers: int = 0,
) -> Iterator[Batch]:
    """Yields each record once, in order: this process's part of each batch, with `id` and `mask`.

    Every process gets the same number of batches. The last ones are filled up with copies of a
    record under mask=False. Raises as `train_batches` does; an unreadable record always stops it.
    """
    local_size = _check(source, batch_size, process_index, process_count, workers)
    blocks = grain.MapDataset.source(_EvalBlocks(source, batch_size, local_size, process_index))
    return _iterate(blocks, workers)


class Reader(Wrapper):
    """Adds id and replaced to the records of a source, and replaces unreadable ones if asked."""

    def __init__(self, source: Source, replace: bool):
        super().__init__(source)
        self._tries = min(_REPLACEMENT_TRIES, len(source)) if replace else 1

    def __getitem__(self, index: int) -> Record:
        for attempt in range(self._tries):
            candidate = (index + attempt) % len(self)
            try:
                record = dict(read_record(self.source, candidate))
            except BadRecord as error:
                failure = error
                continue
            record["id"] = np.array(candidate, np.int32)
            record["replaced"] = np.array(attempt > 0, np.int32)
            _check_record(record, self, candidate)
            return record
        if self._tries == 1:
            raise failure
        raise DataError(
            f"{self._tries} unreadable records in a row from {self.describe(index)!r} on; "
            f"the last: {failure}"
        )


class _TrainBlocks:
    """The training batches of one process, from its endless sequence of records."""

    def __init__(self, records: grain.MapDataset, local_size: int):
        self._records, self._local_size = records, local_size

    def __len__(self) -> int:
        return len(self._records) // self._local_size

    def __getitem__(self, index: int) -> Batch:
        first = index * self._local_size
        places = range(first, first + self._local_size)
        return collate((self._records[i] for i in places), self._local_size)


class _EvalBlocks:
    """The evaluation batches of one process, padded."""

    def __init__(self, source: Source, batch_size: int, local_size: int, process_index: int):
        self._source, self._batch_size = source, batch_size
        self._local_size, self._process_index = local_size, process_index

    def __len__(self) -> int:
        return -(-len(self._source) // self._batch_size)

    def __getitem__(self, index: int) -> Batch:
        first = index * self._batch_size + self._process_index * self._local_size
        ids = list(range(first, min(first + self._local_size, len(self._source))))
        # A process whose block lies past the end still needs arrays of the right shape.
        batch = collate(map(self._record, ids or [0]), self._local_size)
        batch["mask"] = np.arange(self._local_size) < len(ids)
        return batch

    def _record(self, index: int) -> Record:
        record = read_record(self._source, index)
        _check_record(record, self._source, index)
        return record | {"id": np.array(index, np.int32)}


def _check_record(record: Record, source: Source, index: int) -> None:
    """Raises ValueError as `check_record` does; the name, which a pack has to read, only then."""
    try:
        check_record(record, "")
    except ValueError:
        check_record(record, source.describe(index))
        raise


def collate(records: Iterable[Record], size: int) -> Batch:
    """Returns a batch of `size` records, each copied to its place before the next one is read.

    So the memory of one record serves the next. Where all of a batch wait to be stacked, each takes
    memory that the system has to clear first, which costs as much as half of a packed picture's
    decoding. Where there are fewer records, the last one is repeated.

    Raises ValueError for records of differing fields, types or shapes.
    """
    batch: Batch = {}
    for place, record in enumerate(records):
        arrays = {key: np.asarray(value) for key, value in record.items()}
        kinds = {key: (str(array.dtype), array.shape) for key, array in arrays.items()}
        if not batch:
            first = kinds
            batch = {key: np.empty((size, *shape), kind) for key, (kind, shape) in kinds.items()}
        if kinds != first:
            one, other = (
                dict(sorted(a.items() - b.items())) for a, b in ((first, kinds), (kinds, first))
            )
            raise ValueError(f"the records of a batch differ: {one} in one, {other} in another")
        for key, array in arrays.items():
            batch[key][place] = array
    for values in batch.values():
        values[place + 1 :] = values[place]
    return batch


def _check(
    source: Source, batch_size: int, process_index: int, process_count: int, workers: int
) -> int:
    """Returns the size of one process's part of a batch."""
    if len(source) == 0:
        raise DataError(f"the source has no record; left out: {left_out(source)}")
    if batch_size < 1 or batch_size % process_count:
        raise ValueError(
            f"batch size {batch_size} must be a positive multiple of the {process_count} processes"
        )
    if not 0 <= process_index < process_count or workers < 0:
        raise ValueError(f"{process_index=} {process_count=} {workers=}: out of range")
    return batch_size // process_count


def _iterate(blocks: grain.MapDataset, workers: int) -> Iterator[Batch]:
    if workers:
        # Each worker reads in one thread: the processes are the parallelism.
        options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        parallel = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
        if not flags.FLAGS.is_parsed():  # grain reads its flags; outside of absl.app none is set
            flags.FLAGS.mark_as_parsed()
        dataset = blocks.to_iter_dataset(options).mp_prefetch(parallel, _start_worker)
    else:
        threads = min(_AHEAD, os.cpu_count() or 1)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=_AHEAD)
        dataset = blocks.to_iter_dataset(options)
    batches = _copies(dataset, shared_memory=workers > 0)
    _OPEN.add(batches)
    return batches


@atexit.register
def _close_all() -> None:
    """Stops the workers of a program that ends amid its batches, while it is still whole."""
    for batches in list(_OPEN):
        batches.close()


def _start_worker(index: int, count: int) -> None:
    """Runs first in each worker: it lives as long as the process that it reads for."""
    del index, count
    # Ctrl-C, a closed terminal and a scheduler's SIGTERM reach all processes, but that one decides
    # what follows: it may want another batch before it saves and ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)  # it was killed and can't stop its workers any more

    threading.Thread(target=watch, daemon=True).start()


def _copies(dataset: grain.IterDataset, shared_memory: bool) -> Iterator[Batch]:
    """Copies batches: workers hand out arrays in memory that is freed."""
    iterator = iter(dataset)
    try:
        while (batch := _next(iterator, shared_memory)) is not None:
            yield batch
    except DataError as error:
        # The line alone: grain adds notes about its own traceback.
        raise type(error)(*error.args) from None
    finally:
        iterator.close()
        if shared_memory:
            # An iterator at its end holds its last batches in a reference cycle, so that their
            # memory would stay until the interpreter ends, and then be reported as leaked.
            del iterator
            gc.collect()


def _next(iterator: Iterator[Batch], copy: bool) -> Batch | None:
    # In a function, so that no reference keeps shared memory while the batch is in use.
    batch = next(iterator, None)
    return batch and {key: np.array(value, copy=copy or None) for key, value in batch.items()}
