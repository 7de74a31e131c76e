"""Tells whether a checkpoint is as it was written: the hash of every file lies beside them."""

import asyncio
import pathlib
from typing import Any

import orbax.checkpoint as ocp

from geoseg_jax.core import json_files
from geoseg_jax.core.digest import sha256_of_file

FILE = "sha256.json"
# The parts of a checkpoint, by the folder that each is in.
STATE, META = "state", "meta"
# What was saved beside the state: its file, and a key of it that says that there are hashes.
META_FILE, HASHED = "metadata", "hashed"


class HashedPath(ocp.path.atomicity.AtomicRenameTemporaryPath):
    """What orbax writes a checkpoint to before it gets its name; it gets its hashes before that.

    In the background, as all of the writing; only the first process does it.
    """

    async def finalize(self) -> None:
        """Writes the hashes, then gives the folder its name."""
        if self.get_final().name.isdecimal():  # else a part, which gets its name first
            await asyncio.to_thread(write_hashes, pathlib.Path(self.get()))
        await super().finalize()


def write_hashes(folder: pathlib.Path) -> None:
    """Hashes every file of the parts; what orbax keeps beside them is of no use to a restore."""
    files = sorted(p for part in (STATE, META) for p in (folder / part).rglob("*") if p.is_file())
    hashes = {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}
    json_files.write_json(folder / FILE, {"files": hashes})


def damage(folder: pathlib.Path, part: str = "") -> str:
    """Compares a checkpoint with its hashes; says what is wrong with it, '' where nothing is.

    Files that nobody wrote down are passed over: file managers and servers leave some.

    Args:
      folder: WORKDIR/checkpoints/STEP.
      part: STATE or META, where only that is to be read; '' for all.
    """
    for name in (STATE, META):
        if not (folder / name).is_dir():
            return f"it has no folder {name}"
    try:
        kept = json_files.read_json(folder / FILE, "the hashes", {"files": dict[str, str]})
        meta = {} if kept else read_meta_file(folder)
    except json_files.FileError as error:
        return str(error)
    if kept is None:  # of an older version, unless it says otherwise
        return f"{FILE} is missing" if meta.get(HASHED) else ""
    for name, expected in kept["files"].items():
        path = folder / name
        if not name.startswith(part):
            continue
        try:
            if not path.is_file():
                return f"{name} is {'no file' if path.exists() else 'missing'}"
            if sha256_of_file(path) != expected:
                return f"{name} is not as it was written"
        except OSError as error:
            return f"{name} can't be read ({error.strerror})"
    return ""


def read_meta_file(folder: pathlib.Path) -> dict[str, Any]:
    """Reads what was saved beside the state.

    Raises:
      FileError: it is missing or damaged.
    """
    path = folder / META / META_FILE
    content = json_files.read_json(path, "what is kept beside the state", {})
    if content is None:
        raise json_files.FileError(f"{path} is missing; put the original back")
    return content
