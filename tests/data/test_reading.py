"""Whatever a library raises for a record or file is one BadRecord that names it."""

import pathlib
import struct

import pytest

from geoseg_jax.data.pipeline import eval_batches, train_batches
from geoseg_jax.data.reading import read_record, reading
from geoseg_jax.data.source import BadRecord, DataError
from tests.data.fabricate import NumberedSource

RAISED = [
    KeyError("x"), ValueError("bad\nnumber"), RuntimeError(), MemoryError(), OverflowError("big"),
    RecursionError("deep"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), struct.error("short"),
]  # fmt: skip


class Raising(NumberedSource):
    """A source whose record 2 makes some library raise."""

    def __init__(self, error):
        super().__init__(6)
        self.error = error

    def __getitem__(self, index):
        if index == 2:
            raise self.error
        return super().__getitem__(index)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_a_record_is_named_and_the_cause_kept(error):
    source = Raising(error)
    said = f"^number 2: it can't be read .{type(error).__name__}"
    with pytest.raises(BadRecord, match=said) as found:
        read_record(source, 2)
    assert found.value.__cause__ is error
    assert read_record(source, 1).keys() == source[1].keys()


def test_bad_share_applies_to_whatever_is_raised():
    settings = {"batch_size": 6, "seed": 0}
    batch = next(train_batches(Raising(KeyError("x")), **settings, bad_share=0.5))
    assert batch["replaced"].sum() == 1
    assert 2 not in batch["id"]
    with pytest.raises(BadRecord, match="number 2: it can't be read"):
        next(train_batches(Raising(KeyError("x")), **settings))
    with pytest.raises(BadRecord, match="number 2: it can't be read"):
        list(eval_batches(Raising(KeyError("x")), batch_size=6))


def test_our_own_errors_are_passed_on_as_they_are():
    for error in (DataError("a: one"), BadRecord("b: two")):
        with pytest.raises(type(error)) as found, reading("c"):
            raise error
        assert found.value is error
    said = r"^c: broken \(No such file or directory\); buy another$"
    with pytest.raises(DataError, match=said), reading("c", "buy another", DataError, "broken"):
        pathlib.Path("/not/there").read_bytes()
    with pytest.raises(KeyboardInterrupt), reading("c"):
        raise KeyboardInterrupt
