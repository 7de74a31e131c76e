"""Names the content of a file."""

import hashlib
import pathlib


def sha256_of_file(path: pathlib.Path) -> str:
    """Returns hex SHA-256 of a file's bytes, which are not all held in memory.

    Raises:
      OSError: it can't be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
