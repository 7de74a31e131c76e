"""Counts how often a job has ended its process, and not those times that somebody else has.

A job that runs out of memory or crashes would end every process that tries it, for ever. On
machines that are taken away at any moment, processes are killed for no fault of the job. What tells
the two apart is written down when a job starts: the system's count of processes killed for want of
memory, and a file that the interpreter writes to when the process crashes.
"""

import contextlib
import faulthandler
import os
import pathlib
import platform
import re
import sys
from collections.abc import Iterator
from typing import Any

from geoseg_jax.core import json_files

# Times that a job may end its process at the same checkpoint.
MOST = 5
_KEYS = {"step": int, "deaths": int, "machine": str, "killed": int}
# Files in which Linux counts processes killed for want of memory: of a container or job, or of all.
_COUNTERS = ("memory.events", "memory.oom_control")


@contextlib.contextmanager
def watched(
    path: pathlib.Path, crash: pathlib.Path, step: int, beside: pathlib.Path | None = None
) -> Iterator[int]:
    """Notes that a job is started; yields how often it has ended its process at this checkpoint.

    Args:
      path: keeps the count between starts; it is removed when the block ends, as then the process
        has lived on.
      crash: where the interpreter writes if the process crashes.
      step: of the newest checkpoint; a new one is progress, by which the count begins anew.
      beside: that file of another job which this process trains at once, and which is watched
        already: the interpreter writes to one file alone, and a crash is that of all of them.

    Raises:
      FileError: path is damaged.
    """
    deaths = count(path, crash, step)
    note = {"step": step, "deaths": deaths, "machine": machine(), "killed": killed_for_memory()}
    json_files.write_json(path, note)
    crash.unlink(missing_ok=True)
    if beside:
        with contextlib.suppress(OSError):  # a file system without links
            os.link(beside, crash)
    try:
        with contextlib.nullcontext() if beside else _crash_is_written_to(crash):
            yield deaths
    finally:
        forget(path, crash)


@contextlib.contextmanager
def _crash_is_written_to(path: pathlib.Path) -> Iterator[None]:
    before = faulthandler.is_enabled()
    with open(path, "w", encoding="utf-8") as file:
        faulthandler.enable(file)
        try:
            yield
        finally:
            faulthandler.disable()
            if before and sys.__stderr__:
                faulthandler.enable(sys.__stderr__)


def forget(path: pathlib.Path, crash: pathlib.Path) -> None:
    """Forgets all starts."""
    path.unlink(missing_ok=True)
    crash.unlink(missing_ok=True)


def count(path: pathlib.Path, crash: pathlib.Path, step: int) -> int:
    """Counts the deaths at this step, that of the last start included if the job has caused it."""
    remedy = "remove it, and the job's starts are counted anew"
    last: dict[str, Any] | None = json_files.read_json(path, "the starts of a job", _KEYS, remedy)
    if last is None or last["step"] != step:
        return 0
    crashed = crash.is_file() and crash.stat().st_size > 0
    starved = last["machine"] == machine() and killed_for_memory() > last["killed"]
    return last["deaths"] + (crashed or starved)


def machine() -> str:
    """Names the machine, since it was started last."""
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id")
    return f"{platform.node()} {boot.read_text().strip() if boot.is_file() else ''}".strip()


def killed_for_memory(proc: pathlib.Path = pathlib.Path("/proc")) -> int:
    """Counts the processes that Linux has killed for want of memory; 0 where it doesn't say.

    Those of this process's control group where that is counted, else of the whole machine.
    """
    cgroup = pathlib.Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError):
        inside = (proc / "self" / "cgroup").read_text().splitlines()
        # ID:CONTROLLERS:PATH, with no controllers in version 2.
        own = [line.split(":", 2)[2] for line in inside if line.split(":")[1] in ("", "memory")]
        places = [cgroup / f"{sub}{path}" for path in own for sub in (".", "memory")]
        for place in (*places, cgroup, cgroup / "memory"):
            for name in _COUNTERS:
                if (place / name).is_file():
                    return _counted((place / name).read_text())
    with contextlib.suppress(OSError):
        return _counted((proc / "vmstat").read_text())
    return 0


def _counted(text: str) -> int:
    found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0
