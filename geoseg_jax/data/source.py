"""What every data source is, and the errors it raises."""

import pathlib
from typing import Protocol, runtime_checkable

import numpy as np

# One example: the keys of geoseg_jax.core.batch.FIELDS without the leading B.
Record = dict[str, np.ndarray]
LABEL = " label"  # a label's file has its picture's name with this at its end, see Source


class DataError(Exception):
    """The data can't be used as asked: one line that names the file or key, and the remedy."""


class BadRecord(DataError):
    """One record can't be read; the others may be fine, so a configured share may be skipped."""


@runtime_checkable
class Source(Protocol):
    """Random access to records of numpy arrays, free of randomness and ready at the target size.

    A source is pickled into worker processes: it keeps paths and numbers, not open files.
    `left_out` counts what the source had to leave out: reason -> number of frames.

    A source with true depth may also have two cheap ways in, used by the constant-depth baseline:
    `depth(i)`, the [h, w] float32 map of metres (0 = not measured) or None, at any size, and
    `moment(i)`, a name shared by the records that show the same instant (default: describe(i)).

    A source of labelled pictures also has `label(i)`, the record's label alone, uint8 [h, w] train
    ids without padding, raising as the record does; it is what counts classes cheaply.

    For the check of leakage a source may tell where a record comes from, see `files_of` and
    `drive_of`: `files(i)`, pairs of the published name of a file and its path, or None for what has
    no file of its own and is identified by its name alone, or the file's `reads.quick_hash` where
    it is known and the file is not at hand, as in a pack (a picture's label: its name + LABEL);
    `drive(i)`, the name of the recording, '' where unknown, None where each record has its own.
    """

    left_out: dict[str, int]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record:
        """The record at 0 <= index < len(self). Raises BadRecord where it can't be read."""
        ...

    def describe(self, index: int) -> str:
        """One line that names the record to a person, e.g. `DATE/DRIVE 0000000005 l`."""
        ...

    def fingerprint(self) -> str:
        """sha256 hex digest of what the source holds, the same wherever its files lie."""
        ...


def files_of(source: Source, index: int) -> dict[str, pathlib.Path | str | None]:
    """Published name -> path (or hash) of the files a record is read from; empty where unknown."""
    return dict(source.files(index)) if hasattr(source, "files") else {}


def drive_of(source: Source, index: int) -> str | None:
    """The recording that a record comes from, '' where unknown, None where it is the record's."""
    return source.drive(index) if hasattr(source, "drive") else ""


def left_out(source: Source) -> str:
    """What a source had to leave out, in one phrase."""
    return ", ".join(f"{count} x {why}" for why, count in source.left_out.items()) or "none"
