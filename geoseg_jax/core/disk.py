"""Recognises a full disk behind whatever a library makes of it."""

import errno
import os
from collections.abc import Iterator

_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
# As the system words them, for libraries that pass on the words alone.
_WORDS = ("No space left on device", "Disk quota exceeded", "disk quota exceeded")


class DiskFullError(OSError):
    """There was no room for a file; one line that names the folder and what to do."""


def is_full(error: BaseException) -> bool:
    """Tells whether an error, or one that it came from, is that of a full disk or quota."""
    return any(
        isinstance(e, DiskFullError)
        or (isinstance(e, OSError) and e.errno in _ERRNOS)
        or any(words in str(e) for words in _WORDS)
        for e in _chain(error, set())
    )


def full(error: BaseException, folder: str | os.PathLike, then: str) -> DiskFullError:
    """Makes the error to raise from one that `is_full`.

    Args:
      folder: what was written to, where the error doesn't name a file.
      then: what happens once there is room: 'the same command goes on'.
    """
    named = (e.filename for e in _chain(error, set()) if isinstance(e, OSError) and e.filename)
    place = next(named, None) or folder
    return DiskFullError(f"{os.fspath(place)}: the disk is full; make room, {then}")


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        yield from _chain(other, seen)
