"""What every data source is, and the errors it raises."""

import functools
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

import numpy as np

from geoseg_jax.core.one_line import one_line

# One example: the keys of geoseg_jax.core.batch.FIELDS without the leading B.
Record = dict[str, np.ndarray]
LABEL = " label"  # a label's file has its picture's name with this at its end, see Source


class DataError(Exception):
    """The data can't be used as asked: one line that names the file or key, and the remedy.

    What a file brings into the line, however long or wild, is made fit for it.
    """

    def __init__(self, text: str):
        super().__init__(one_line(text))


class BadRecord(DataError):
    """One record can't be read; the others may be fine, so a configured share may be skipped."""


@runtime_checkable
class Source(Protocol):
    """Random access to records of numpy arrays, free of randomness and ready at the target size.

    A source is pickled into worker processes: it keeps paths and numbers, not open files.
    `left_out` counts what the source had to leave out: reason -> number of frames.

    What else a source may be able to do is an ability each: HasDepth, HasLabels, ..., see `can`.
    """

    left_out: dict[str, int]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record:
        """Returns the record at 0 <= index < len(self). Raises BadRecord where it can't be read."""
        ...

    def describe(self, index: int) -> str:
        """Names the record to a person in one line, e.g. `DATE/DRIVE 0000000005 l`."""
        ...

    def fingerprint(self) -> str:
        """Hashes what the source holds (sha256, hex), the same wherever its files lie."""
        ...


class HasDepth(Protocol):
    """True depth at a glance, for the constant predictions."""

    def depth(self, index: int) -> np.ndarray | None:
        """Reads float32 [h, w] metres, 0 = not measured, of any size, or None."""
        ...

    def has_depth(self, index: int) -> bool:
        """Tells whether `depth(index)` is there, without reading it."""
        ...


class HasMoments(Protocol):
    """Records that show the same instant, as those of a stereo pair."""

    def moment(self, index: int) -> str:
        """Returns a name shared by these records."""
        ...


class HasFlow(Protocol):
    """True flow at a glance, for the constant prediction."""

    def flow(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns float32 [h, w, 2] pixels of its own size, and bool [h, w] where it is known."""
        ...


class HasNames(Protocol):
    """Published names of the records, unique and in their order."""

    names: Sequence[str]


class HasOriginals(Protocol):
    """Pictures whose size before any resizing is known."""

    def original(self, index: int) -> tuple[int, int]:
        """Returns height and width."""
        ...


class HasLabels(HasNames, HasOriginals, Protocol):
    """Labels by a table of classes, each to be had without its picture."""

    table: Any  # a labels.table.LabelTable

    def label(self, index: int) -> np.ndarray:
        """Reads the label, uint8 [h, w] train ids without padding; raises as the record does."""
        ...

    def check(self, index: int) -> float:
        """Returns the share of the label's pixels that have a class.

        Raises BadRecord where the label can't be used, or its picture is damaged.
        """
        ...


class HasCategories(Protocol):
    """The names of the classes that `category` counts, in their order."""

    categories: Sequence[str]


class HasWords(Protocol):
    """What people call the categories, in their order."""

    words: Sequence[str]


class HasVideos(Protocol):
    """The names of the videos that `video` counts, each of one camera, in their order."""

    videos: Sequence[str]


class HasFields(Protocol):
    """The keys of the records beside pictures, known without reading one."""

    fields: Sequence[str]


class HasFiles(Protocol):
    """Where a record comes from, for the check of leakage."""

    def files(self, index: int) -> Iterable[tuple[str, pathlib.Path | str | None]]:
        """Returns (published name, path) of its files; a label's name is its picture's + LABEL.

        None for what has no file of its own and is told by its name alone; the file's
        `reads.quick_hash` where it is known and the file is not at hand, as in a pack.
        """
        ...


class HasDrives(Protocol):
    """Which recording a record comes from, for the check of leakage."""

    def drive(self, index: int) -> str | None:
        """Returns the recording's name, '' where unknown, None where each record has its own."""
        ...


Ability = TypeVar("Ability")


def can(source: object, ability: type[Ability]) -> TypeGuard[Ability]:
    """Tells whether a source has all that an ability, one of the protocols above, asks for.

    Unlike isinstance, which since Python 3.12 does not see what a Wrapper passes on.
    """
    return all(hasattr(source, name) for name in _asked_for(ability))


@functools.cache  # it is asked of every record of a set
def _asked_for(ability: type) -> tuple[str, ...]:
    """Names what an ability consists of."""
    parts = [(*vars(part), *getattr(part, "__annotations__", ())) for part in ability.__mro__]
    return tuple(name for names in parts for name in names if not name.startswith("_"))


class Wrapper:
    """A source made of another: whatever it does not change is the other's, abilities included."""

    def __init__(self, source: Source):
        self.source = source
        self.left_out = dict(source.left_out)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Record:
        return self.source[index]

    def describe(self, index: int) -> str:
        return self.source.describe(index)

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def __getattr__(self, name: str) -> Any:
        # Unpickling asks for names with _ before there is a source.
        if name.startswith("_") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)


def files_of(source: Source, index: int) -> dict[str, pathlib.Path | str | None]:
    """Maps published name -> path or hash of a record's files; empty where unknown."""
    return dict(source.files(index)) if can(source, HasFiles) else {}


def drive_of(source: Source, index: int) -> str | None:
    """Returns a record's recording, '' where unknown, None where it is the record's own."""
    return source.drive(index) if can(source, HasDrives) else ""


def moment_of(source: Source, index: int) -> str:
    """Returns a name shared by records of the same instant; the record's own where unknown."""
    return source.moment(index) if can(source, HasMoments) else source.describe(index)


def left_out(source: Source) -> str:
    """Returns what a source had to leave out, in one phrase."""
    return ", ".join(f"{count} x {why}" for why, count in source.left_out.items()) or "none"
