"""Records how a job ended, and who works on it.

A job is a pre-training or a cell. Its record is a file beside its workdir, written whole or not at
all; its lock is held by a process for as long as that lives, on a file system that several machines
may share.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from geoseg_jax.core import json_files, locks
from geoseg_jax.study import deaths
from geoseg_jax.training.checkpoints import steps_in

DONE, FAILED = "done", "failed"
_KEYS = {"state": str, "seconds": float, "error": str}


class Record(NamedTuple):
    """The end of a job."""

    state: str  # DONE or FAILED
    seconds: float  # of all starts; of a run of a stack its share of the last one
    error: str  # one line; '' where it is done


def read(workdir: pathlib.Path) -> Record | None:
    """Reads the record of the job with that workdir; None where it has not ended yet.

    What is done and whose folder somebody has removed is to be done again.

    Raises:
      FileError: the record is damaged.
    """
    remedy = "remove it, and the job is done again or found done"
    path = _path(workdir, "record")
    record = json_files.read_json(path, "the record of a job", _KEYS, remedy)
    if record and record["state"] not in (DONE, FAILED):
        raise json_files.FileError(f"{path} is damaged: state {record['state']!r}; {remedy}")
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
        deaths.forget(_path(workdir, "deaths"), _path(workdir, "crash"))
    return len(failed)


@contextlib.contextmanager
def lock(workdir: pathlib.Path) -> Iterator[bool]:
    """Locks the job; yields whether no other process, here or elsewhere, works on it.

    Raises:
      OSError: the file system has no locks, or can't be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            ours = stack.enter_context(locks.lock(_path(workdir, "lock")))
        except OSError as error:
            if error.errno not in locks.NO_LOCKS:
                raise
            raise OSError(
                f"{workdir.parent}: this file system has no locks ({error.strerror}); choose a "
                "--workdir on another one"
            ) from error
        yield ours


def holder(workdir: pathlib.Path) -> str:
    """Names who has last worked on the job; '' where nobody has."""
    return locks.holder(_path(workdir, "lock"))


@contextlib.contextmanager
def started(workdir: pathlib.Path, beside: pathlib.Path | None = None) -> Iterator[int]:
    """Notes that the job is started, while the block lasts; yields how often that has ended its
    process at the same checkpoint before. See deaths.watched.

    beside: the workdir of the first of the jobs that this process trains at once, if it is another.
    """
    newest = max(steps_in(workdir / "checkpoints"), default=0)
    first = _path(beside, "crash") if beside else None
    with deaths.watched(_path(workdir, "deaths"), _path(workdir, "crash"), newest, first) as before:
        yield before


def blamed(workdir: pathlib.Path) -> bool:
    """Tells whether the last start of the job may be what has ended its process."""
    newest = max(steps_in(workdir / "checkpoints"), default=0)
    return deaths.count(_path(workdir, "deaths"), _path(workdir, "crash"), newest) > 0


def _path(workdir: pathlib.Path, what: str) -> pathlib.Path:
    ending = {"lock": "lock", "crash": "crash.txt"}.get(what, f"{what}.json")
    return workdir.parent / f"{workdir.name}.{ending}"
