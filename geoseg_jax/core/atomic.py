"""Files that are there whole or not at all, whoever else writes them at the same time.

A process that is killed leaves a file as it was before; of several that write at once, on one
machine or on many that share the folder, the last one wins as a whole.
"""

import contextlib
import os
import pathlib
import socket
from collections.abc import Iterator


def write_text(path: str | pathlib.Path, text: str) -> None:
    """Writes a file in UTF-8, lines as they are."""
    with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(text)


@contextlib.contextmanager
def replacing(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path beside the given one to write and close; it then takes the other's place.

    Where the block raises, the file stays as it was and what was written is removed.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.partial-{socket.gethostname()}-{os.getpid()}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())  # or a crash may leave the new name with nothing in it
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
