"""A full disk is known behind what libraries make of it."""

import errno

import pytest

from geoseg_jax.core import disk


def chained():
    try:
        raise OSError(errno.ENOSPC, "No space left on device", "/w/a")
    except OSError as error:
        raise RuntimeError("can't save") from error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (ValueError("RESOURCE_EXHAUSTED: writing /w/d: No space left on device"), True),
        (ExceptionGroup("two", [ValueError("a"), OSError(errno.ENOSPC, "x")]), True),
        (OSError(errno.EACCES, "x"), False),
        (MemoryError(), False),
    ],
)
def test_what_is_a_full_disk(error, full):
    assert disk.is_full(error) == full


def test_the_file_and_what_happens_next_are_told():
    with pytest.raises(RuntimeError) as raised:
        chained()
    assert disk.is_full(raised.value)
    error = disk.full(raised.value, "/w", "the same command goes on from step 3")
    assert str(error) == "/w/a: the disk is full; make room, the same command goes on from step 3"
    assert disk.is_full(error)
    assert str(disk.full(ValueError(), "/w", "go on")).startswith("/w: the disk is full")
