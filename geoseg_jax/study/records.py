"""Records how a job ended, and who works on it.

A job is a pre-training or a cell. Its record is a file beside its workdir, written whole or not at
all; its lock is held by a process for as long as that lives, on a file system that several machines
may share.
"""

import contextlib
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import NamedTuple

import filelock

from geoseg_jax.core import json_files
from geoseg_jax.training.checkpoints import steps_in

DONE, FAILED = "done", "failed"
# Times that a job may end its process without a word at the same checkpoint, which is what running
# out of memory looks like. More often than anyone kills a study by hand.
DEATHS = 5


class Record(NamedTuple):
    """The end of a job."""

    state: str  # DONE or FAILED
    seconds: float  # of the last start alone
    error: str  # one line; '' where it is done


def read(workdir: pathlib.Path) -> Record | None:
    """Reads the record of the job with that workdir; None where it has not ended yet.

    What is done and whose folder somebody has removed is to be done again.
    """
    record = json_files.read_json(_path(workdir, "record"))
    if record is None or (record["state"] == DONE and not workdir.is_dir()):
        return None
    return Record(record["state"], record["seconds"], record["error"])


def write(workdir: pathlib.Path, record: Record) -> None:
    """Writes how a job ended."""
    workdir.parent.mkdir(parents=True, exist_ok=True)
    json_files.write_json(_path(workdir, "record"), record._asdict())


def forget_failures(workdirs: list[pathlib.Path]) -> int:
    """Forgets failed jobs, so that they are tried again; returns how many."""
    failed = [w for w in workdirs if (record := read(w)) and record.state == FAILED]
    for workdir in failed:
        _path(workdir, "record").unlink(missing_ok=True)
        _path(workdir, "starts").unlink(missing_ok=True)
    return len(failed)


@contextlib.contextmanager
def lock(workdir: pathlib.Path) -> Iterator[bool]:
    """Locks the job; yields whether no other process, here or elsewhere, works on it."""
    workdir.parent.mkdir(parents=True, exist_ok=True)
    path = _path(workdir, "lock")
    # A soft lock would outlive a process that is killed.
    try:
        held = filelock.FileLock(path, fallback_to_soft=False).acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise OSError(
            f"{workdir.parent}: this file system has no locks ({error.strerror}); choose a "
            "--workdir on another one"
        ) from error
    with held:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield True


def holder(workdir: pathlib.Path) -> str:
    """Names who has last worked on the job; '' where nobody has."""
    file = _path(workdir, "lock")
    return file.read_text().strip() if file.exists() else ""


def count_start(workdir: pathlib.Path) -> int:
    """Notes that the job is started; returns how often it was at the same checkpoint before."""
    newest = max(steps_in(workdir / "checkpoints"), default=0)
    before = json_files.read_json(_path(workdir, "starts")) or {"step": -1, "times": 0}
    times = before["times"] if before["step"] == newest else 0
    json_files.write_json(_path(workdir, "starts"), {"step": newest, "times": times + 1})
    return times


def discount_start(workdir: pathlib.Path) -> None:
    """Forgets a start that was stopped on purpose, which says nothing of the job."""
    _path(workdir, "starts").unlink(missing_ok=True)


def _path(workdir: pathlib.Path, what: str) -> pathlib.Path:
    return workdir.parent / f"{workdir.name}.{what}{'' if what == 'lock' else '.json'}"
