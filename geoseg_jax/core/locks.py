"""Locks that a process holds for as long as it lives, on a folder that machines may share.

The system takes the lock from a process that ends, however it ends: a file that a killed process
left behind locks nobody out.
"""

import contextlib
import errno
import os
import pathlib
import socket
from collections.abc import Iterator

import filelock

# What a file system without locks answers.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextlib.contextmanager
def lock(path: pathlib.Path) -> Iterator[bool]:
    """Locks a file, which is made; yields whether no other process, here or elsewhere, holds it.

    Raises:
      OSError: the file system has no locks (NO_LOCKS), or the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A soft lock would outlive a process that is killed.
    try:
        held = filelock.FileLock(path, fallback_to_soft=False).acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    with held:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield True


def holder(path: pathlib.Path) -> str:
    """Names who has last held the lock; '' where nobody has, or it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
