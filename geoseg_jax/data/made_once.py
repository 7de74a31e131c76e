"""Folders that are made once and kept: rendered sets, frames of videos, lists of what moves.

A folder is written under another name and renamed when complete: it is there as a whole or not at
all. Whoever makes it holds a lock, so that of several processes on a machine one works and the
others wait for it.
"""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import filelock
from absl import logging

from geoseg_jax.data.source import DataError


def default_cache_dir() -> Path:
    """Returns $XDG_CACHE_HOME/geoseg_jax, or ~/.cache/geoseg_jax."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geoseg_jax"


def made_once(
    cache_dir: str | os.PathLike, name: str, make: Callable[[Path], None], what: str
) -> Path:
    """Returns the folder `name` in cache_dir ('': default_cache_dir()), made by `make` if missing.

    Args:
      name: says all that the content depends on, as by a hash.
      make: fills the folder that it is given, which does not exist yet. Where it raises, nothing
        is left.
      what: for people, in a message: 'the rendered set'.

    Raises:
      DataError: where the folder can't be written.
    """
    root = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
    folder = root / name
    if folder.exists():
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{name}.lock", what):
            if not folder.exists():
                _make(root, name, make)
    except OSError as error:
        raise DataError(
            f"{what} {folder} can't be written ({error}); set config.data.cache_dir to a folder "
            "with space that can be written"
        ) from error
    return folder


def _locked(path: Path, what: str) -> filelock.AcquireReturnProxy:
    """Acquires a lock, to be used in `with`; the system lets go of it when its process dies."""
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        logging.info("waiting for another process that makes %s", what)
        return lock.acquire(poll_interval=0.2)


def _make(root: Path, name: str, make: Callable[[Path], None]) -> None:
    """Fills the folder; the caller holds its lock."""
    mine = f".{name}.partial-{socket.gethostname()}"
    for left in root.glob(f"{mine}-*"):  # of a process on this machine that was killed
        shutil.rmtree(left, ignore_errors=True)
    partial = root / f"{mine}-{os.getpid()}"
    try:
        make(partial)
        try:
            partial.rename(root / name)
        except OSError:
            # Another machine that shares the folder was first: it made the same.
            if not (root / name).exists():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
