"""The folder of a run: who works in it, and its files for those who read them."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import disk, json_files, locks
from geoseg_jax.training import sharding
from geoseg_jax.training.checkpoints import steps_in

LOCK = "run.lock"
_ORIGINAL = "put the original back, or repeat the run in another --workdir"
_PARENT = {
    "taken": dict[str, str] | None,
    "sha256": str | None,
    "untrained_statistics": str | None,
}
# Key -> type of what manifest.json of a finished run holds, see finish.write_results.
_MANIFEST = {
    "config": dict,
    "step": int,
    "data": dict,
    "data.train.size": int,
    "data.train.sha256": str,
    "data.eval.sha256": str,
    "parts_sha256": dict[str, str],
    "parents": [_PARENT],
    "calibration": dict | None,
    "versions": dict[str, str | None],
    "versions.jax": str,
    "versions.geoseg_jax": str | None,
    "git_revision": str | None,
    "python": str,
    "platform": str,
    "device": str,
    "devices": int,
}

_METRICS = {"step": int, "*": float | None}


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
    """Keeps all other runs out of the folder, which is made; the first process does it for all.

    Raises:
      ConfigError: another run is at work there.
    """
    if not sharding.is_first_process():
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            free = stack.enter_context(locks.lock(workdir / LOCK))
        except OSError as error:
            if error.errno not in locks.NO_LOCKS:
                raise
            free = True
            sharding.say(
                f"{workdir}: this file system has no locks: see to it that no other run uses this "
                "folder"
            )
        if not free:
            who = locks.holder(workdir / LOCK) or "another process"
            raise ConfigError(
                f"{workdir} is in use by {who}; wait until that has ended, or choose another "
                "--workdir"
            )
        yield


@contextlib.contextmanager
def room(workdir: pathlib.Path) -> Iterator[None]:
    """Tells of a full disk in one line, and leaves nothing there that only takes up room.

    Raises:
      DiskFullError: the block has met a full disk.
    """
    try:
        yield
    except Exception as error:
        if not disk.is_full(error):
            raise
        folder = workdir / "checkpoints"
        if sharding.is_first_process():
            for partial in folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(partial, ignore_errors=True)
        step = max(steps_in(folder), default=0)
        raise disk.full(error, workdir, f"the same command goes on from step {step}") from error


def read_manifest(workdir: pathlib.Path, *keys: str) -> dict[str, Any] | None:
    """Reads the manifest.json of a finished run; None where it is not finished, or has none.

    keys: those of _MANIFEST that the caller needs.

    Raises:
      FileError: it is damaged, or lacks one of them.
    """
    wanted = {key: _MANIFEST[key] for key in keys}
    file = workdir / "manifest.json"
    begun = json_files.read_json(file, "the manifest of a run", {}, _ORIGINAL)
    if begun is None or begun.get("finished", "") is None:
        return None
    return json_files.read_json(file, "the manifest of a run", wanted, _ORIGINAL)


def read_results(workdir: pathlib.Path) -> dict[str, float | None] | None:
    """Reads eval.json: numbers by name, None for what is not finite; None without one.

    Raises:
      FileError: it is damaged.
    """
    numbers = {"*": float | bool | None}
    return json_files.read_json(workdir / "eval.json", "the results of a run", numbers, _ORIGINAL)


def read_config(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Reads config.json, what a run was started with; None without one.

    Raises:
      FileError: it is damaged.
    """
    return json_files.read_json(workdir / "config.json", "the config of a run", {}, _ORIGINAL)


def read_metrics(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """Reads metrics.jsonl, a dict a line; [] without one.
    Raises:
      FileError: it is damaged, but for a last line that was cut off.
    """
    return json_files.read_json_lines(workdir / "metrics.jsonl", "the log of a run", _METRICS)
