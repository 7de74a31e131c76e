import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from geoseg_jax.core.batch import FIELDS
from geoseg_jax.data.pipeline import collate, eval_batches, train_batches
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.transforms import Augmentation, flip
from tests.data.fabricate import NumberedSource

FLIP = Augmentation(flip=True)


def take(batches, count):
    taken = list(itertools.islice(batches, count))
    batches.close()
    return taken


def assert_same(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.fixture(scope="module")
def reference():
    return take(train_batches(NumberedSource(7), batch_size=4, seed=3, augment=FLIP), 6)


def test_batches_keep_the_contract(reference):
    for key, value in reference[0].items():
        assert str(value.dtype) == FIELDS[key].dtype
        assert value.shape[0] == 4
        assert value.ndim == len(FIELDS[key].axes)
    assert {"id", "replaced"} <= reference[0].keys()
    assert "mask" not in reference[0]


def test_every_epoch_has_each_record_once_in_another_order(reference):
    ids = np.concatenate([batch["id"] for batch in reference])
    epochs = ids[:21].reshape(3, 7)
    assert [sorted(epoch) for epoch in epochs.tolist()] == [list(range(7))] * 3
    assert len({tuple(epoch) for epoch in epochs.tolist()}) > 1


def test_a_record_is_that_of_its_id_flipped_or_not(reference):
    source = NumberedSource(7)
    flipped = []
    for batch in reference:
        for row, number in enumerate(batch["id"]):
            mirrored = not np.array_equal(batch["image"][row], source[number]["image"])
            flipped.append(mirrored)
            expected = flip(source[number]) if mirrored else source[number]
            for key, value in expected.items():
                np.testing.assert_array_equal(batch[key][row], value)
    assert 4 < sum(flipped) < 20  # of 24


def test_seed_changes_order_and_flips(reference):
    other = take(train_batches(NumberedSource(7), batch_size=4, seed=4, augment=FLIP), 6)
    assert any((a["id"] != b["id"]).any() for a, b in zip(reference, other, strict=True))


def test_without_flip_nothing_is_mirrored():
    source = NumberedSource(7)
    for batch in take(train_batches(source, batch_size=4, seed=3, augment=Augmentation()), 4):
        for row, number in enumerate(batch["id"]):
            np.testing.assert_array_equal(batch["image"][row], source[number]["image"])


@pytest.mark.parametrize("start", [1, 4])
def test_starts_anywhere(reference, start):
    later = train_batches(NumberedSource(7), batch_size=4, seed=3, start_step=start, augment=FLIP)
    assert_same(take(later, 6 - start), reference[start:])


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_same_batch(reference, count):
    """Put together in the order of the processes, their parts are the batch of a single one."""
    parts = [
        take(
            train_batches(
                NumberedSource(7),
                batch_size=4,
                seed=3,
                augment=FLIP,
                start_step=1,
                process_index=index,
                process_count=count,
            ),
            5,
        )
        for index in range(count)
    ]
    joined = [
        {key: np.concatenate([part[key] for part in step]) for key in step[0]}
        for step in zip(*parts, strict=True)
    ]
    assert_same(joined, reference[1:])


def test_workers_change_nothing(reference):
    """Two worker processes, from a later step on; their memory may be kept."""
    batches = train_batches(
        NumberedSource(7), batch_size=4, seed=3, augment=FLIP, start_step=1, workers=2
    )
    assert_same(take(batches, 5), reference[1:])
    assert batches.gi_frame is None  # closed


def test_an_error_in_a_worker_arrives_as_itself_and_in_its_place():
    source = NumberedSource(5, bad=[4])
    batches = eval_batches(source, batch_size=2, workers=1)
    for index, expected in enumerate(itertools.islice(eval_batches(source, batch_size=2), 2)):
        assert_same([next(batches)], [expected])
        assert expected["id"].tolist() == [2 * index, 2 * index + 1]
    with pytest.raises(BadRecord, match=r"^/pictures/4.png: cut short; get it again$"):
        next(batches)


def test_workers_survive_a_signal_to_all_but_not_their_parent():
    """Ctrl-C and SIGTERM go to the whole group; only the training process acts on them."""
    code = (
        "import multiprocessing, sys\n"
        "from geoseg_jax.data.pipeline import train_batches\n"
        "from tests.data.fabricate import NumberedSource\n"
        "if __name__ == '__main__':\n"
        "    batches = train_batches(NumberedSource(3), batch_size=2, seed=0, workers=1)\n"
        "    next(batches)\n"
        "    print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        (worker,) = map(int, run.stdout.readline().split())
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker, number)
        time.sleep(0.2)
        assert alive(worker)
    finally:
        run.kill()
        run.communicate()
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


def alive(process):
    """A process that ended but has no parent to ask for its exit code is not alive."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("size", [1, 3])
def test_batch_larger_than_the_source(size):
    batches = take(train_batches(NumberedSource(size), batch_size=8, seed=0), 3)
    for batch in batches:
        assert batch["image"].shape == (8, 4, 6, 3)
        assert set(batch["id"].tolist()) == set(range(size))


@pytest.mark.parametrize("size", [1, 4, 7, 8])
@pytest.mark.parametrize(("batch_size", "count"), [(1, 1), (3, 1), (4, 2), (8, 4), (16, 2)])
def test_evaluation_covers_each_record_once(size, batch_size, count):
    source = NumberedSource(size)
    parts = [
        list(eval_batches(source, batch_size=batch_size, process_index=i, process_count=count))
        for i in range(count)
    ]
    assert {len(part) for part in parts} == {-(-size // batch_size)}
    ids = []
    for step in zip(*parts, strict=True):
        for batch in step:
            assert batch["image"].shape[0] == batch["mask"].shape[0] == batch_size // count
            assert batch["mask"].dtype == bool
            # Padding is a record like any other, so that nothing in it can turn into NaN.
            assert (batch["depth"][:, 0, 0] == batch["id"] + 1).all()
            ids += batch["id"][batch["mask"]].tolist()
    assert ids == list(range(size))


def test_unreadable_record_stops_by_default():
    source = NumberedSource(4, bad=[2])
    with pytest.raises(BadRecord, match=r"^/pictures/2.png: cut short"):
        take(train_batches(source, batch_size=4, seed=0), 2)
    with pytest.raises(BadRecord, match=r"^/pictures/2.png: cut short"):
        list(eval_batches(source, batch_size=4))


def test_unreadable_records_are_replaced_and_counted():
    bad = (2, 3, 6)
    batches = take(train_batches(NumberedSource(7, bad), batch_size=7, seed=0, bad_share=0.5), 3)
    again = train_batches(NumberedSource(7, bad), batch_size=7, seed=0, bad_share=0.5, start_step=1)
    assert_same(take(again, 2), batches[1:])
    for batch in batches:  # one epoch each
        assert batch["replaced"].sum() == 3
        assert sorted(batch["id"].tolist()) == [0, 0, 1, 4, 4, 4, 5]
        assert sorted(batch["id"][batch["replaced"] == 1].tolist()) == [0, 4, 4]


def test_nothing_readable():
    batches = train_batches(NumberedSource(3, range(3)), batch_size=2, seed=0, bad_share=1.0)
    with pytest.raises(DataError, match=r"3 unreadable records in a row from 'number \d' on"):
        take(batches, 1)


def test_arguments_are_checked_at_once():
    with pytest.raises(DataError, match="the source has no record; left out: none"):
        train_batches(NumberedSource(0), batch_size=2, seed=0)
    with pytest.raises(ValueError, match="batch size 3 must be a positive multiple of the 2"):
        train_batches(NumberedSource(3), batch_size=3, seed=0, process_count=2)
    with pytest.raises(ValueError, match="batch size 0"):
        eval_batches(NumberedSource(3), batch_size=0)
    with pytest.raises(ValueError, match="process_index=2"):
        eval_batches(NumberedSource(3), batch_size=2, process_index=2, process_count=2)


def test_records_are_read_one_at_a_time():
    """Each is in its place, and may be forgotten, before the next one is read."""
    alive = []

    def records():
        for i in range(3):
            alive.append(i)
            yield {"image": np.full((2, 3), i, np.uint8), "id": np.array(i, np.int32)}

    batch = collate(records(), 4)
    assert alive == [0, 1, 2]
    assert batch["id"].tolist() == [0, 1, 2, 2]
    assert batch["id"].dtype == np.int32
    assert batch["image"][:, 1, 2].tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"image": np.zeros((2, 3, 1), np.uint8)},
        {"image": np.zeros((2, 1), np.uint8)},  # which would spread over the columns
        {"image": np.zeros((2, 3), np.float32)},
        {"image": np.zeros((2, 3), np.uint8), "label": np.zeros((2, 3), np.uint8)},
        {},
    ],
)
def test_records_that_differ_are_refused(other):
    with pytest.raises(ValueError, match="records of a batch differ"):
        collate([{"image": np.zeros((2, 3), np.uint8)}, other], 2)
