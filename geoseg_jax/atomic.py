"""Files that are there whole or not at all, whoever else writes them at the same time."""

import os
import pathlib
import socket


def write_text(path: str | pathlib.Path, text: str) -> None:
    """Writes a file in UTF-8, lines as they are.

    A process that is killed leaves the file as it was before; of several that write at once, on
    one machine or on many that share the folder, the last one wins as a whole.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.partial-{socket.gethostname()}-{os.getpid()}")
    try:
        with open(partial, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
