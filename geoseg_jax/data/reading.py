"""What becomes of whatever a library raises for a file: one line that names it, as a DataError."""

import contextlib
from collections.abc import Iterator

from geoseg_jax.data.source import BadRecord, DataError, Record, Source

_WORDS = 200  # characters of another library's message that are passed on
FAULT, AGAIN = "it can't be read", "get the file again"


@contextlib.contextmanager
def reading(
    what: object, remedy: str = AGAIN, kind: type[DataError] = BadRecord, fault: str = FAULT
) -> Iterator[None]:
    """Makes one error of whatever is raised within: damaged files raise what nobody foresees.

    Args:
      what: is read, a path or more.
      remedy: ends the line.
      kind: of the error; BadRecord where other records may be fine.
      fault: what is wrong, before the library's own words.

    Raises:
      DataError: of that kind; such errors that are raised within are passed on as they are.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise kind(_line(what, fault, error, remedy)) from error


def read_record(source: Source, index: int) -> Record:
    """Reads a record; whatever its files make a decoder or parser raise becomes a BadRecord.

    The one place where records are read, so that `bad_share` applies to all that may be wrong with
    a file, whichever library finds it. Raises DataError as the source does.
    """
    try:
        return source[index]
    except DataError:
        raise
    except Exception as error:
        raise BadRecord(_line(name_of(source, index), FAULT, error, AGAIN)) from error


def name_of(source: Source, index: int) -> str:
    """Describes a record, by its place where its name is part of what can't be read."""
    try:
        return source.describe(index)
    except Exception:
        return f"record {index}"


def _line(what: object, fault: str, error: Exception, remedy: str) -> str:
    return f"{what}: {fault} ({reason(error)}); {remedy}"


def reason(error: BaseException) -> str:
    """Returns an error's type and the beginning of its words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = str(error).strip()
    words = words if len(words) <= _WORDS else f"{words[:_WORDS]}..."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
