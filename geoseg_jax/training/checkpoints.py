"""Checkpoints on orbax: the newest ones and the best are kept, written in the background.

A checkpoint is a folder WORKDIR/checkpoints/STEP. orbax writes it under another name and renames
it when it is whole and has its hashes (intact.py), which every restore verifies. A run goes on from
the newest one that is intact; whoever else asks for the newest is told where that is damaged, since
an older one has other numbers.
"""

import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import flax.serialization
import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from geoseg_jax.core import json_files
from geoseg_jax.training import intact
from geoseg_jax.training.state import TrainState

_OLD_PROGRESS = "batch_stats/progress/share"
KEPT = 2  # by default, of the newest: where one is damaged there is another
# Endings of folders: to be removed, and not fit to go on from.
_OLD, _DAMAGED = ".old", ".damaged"


class CheckpointError(ValueError):
    """A checkpoint that is not there or doesn't fit; the message shows both sides."""


class Checkpoints:
    """The checkpoints of one run. Every method must be called by all processes alike."""

    def __init__(
        self,
        folder: str | pathlib.Path,
        kept: int = KEPT,
        on_whole: Callable[[], None] | None = None,
    ) -> None:
        """Opens or creates the folder (WORKDIR/checkpoints), which all processes must see.

        Folders that are newer than the newest intact checkpoint get another name; `notes` says so.

        Args:
          kept: how many of the newest stay.
          on_whole: called when one is whole, which `save` then waits for.

        Raises:
          CheckpointError: there are checkpoints, and none is intact.
        """
        self.folder = pathlib.Path(folder).absolute()
        self.notes: list[str] = []  # lines for the user
        self._kept, self._on_whole = kept, on_whole
        self._saved, self._best = False, None  # known from the first `save` on
        if jax.process_index() == 0:
            self._clear()
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("the damaged checkpoints are out of the way")
        self._manager = ocp.CheckpointManager(
            self.folder,
            item_handlers={
                intact.STATE: ocp.StandardCheckpointHandler(),
                intact.META: ocp.JsonCheckpointHandler(filename=intact.META_FILE),
            },
            options=ocp.CheckpointManagerOptions(
                cleanup_tmp_directories=True,
                enable_async_checkpointing=True,
                temporary_path_class=intact.HashedPath,
            ),
        )

    def _clear(self) -> None:
        """Puts damaged checkpoints out of the way, and removes what was to be removed."""
        if self.folder.exists() and not self.folder.is_dir():
            raise CheckpointError(
                f"{self.folder} is no folder; move it, or choose another --workdir"
            )
        for old in self.folder.glob(f"*{_OLD}"):
            shutil.rmtree(old)
        found = {step: self.folder / str(step) for step in _numbered(self.folder)}
        damaged: dict[int, str] = {}
        for step in sorted(found, reverse=True):
            if not (problem := _problem(found[step])):
                break
            damaged[step] = problem
        whole = len(damaged) < len(found)
        if not whole and any(not _is_empty(found[step]) for step in damaged):
            told = "; ".join(f"{step}: {problem}" for step, problem in damaged.items())
            raise CheckpointError(
                f"{self.folder}: no checkpoint is intact ({told}); copy them again, or remove this "
                "folder to start over"
            )
        for step, problem in damaged.items():
            aside = found[step].with_name(f"{step}{_DAMAGED}")
            _remove(aside)
            found[step].rename(aside)
            before = f"an older one is taken; see {aside.name}" if whole else f"see {aside.name}"
            self.notes.append(f"checkpoint {found[step]} is damaged: {problem}; {before}")

    def latest(self) -> int | None:
        """Returns the newest step that is there, or None."""
        return self._manager.latest_step()

    def read_meta(self, step: int) -> dict[str, Any]:
        """Reads what was saved beside the state, as plain JSON; see read_meta below."""
        return read_meta(self.folder / str(step))

    def save(
        self, step: int, state: TrainState, meta: Mapping[str, Any], best: int | None = None
    ) -> None:
        """Starts to write a checkpoint and returns when the state may be reused.

        Does nothing where the step is there already. The newest `kept` and `best` are left.
        """
        if self._manager.latest_step() == step:
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(_as_dict(state)),
                meta=ocp.args.JsonSave({**meta, intact.HASHED: True}),
            ),
            force=True,
        )
        self._saved, self._best = True, best
        if self._on_whole:
            self._manager.wait_until_finished()
        self._remove_old()  # the one before is whole now
        if self._on_whole:
            self._on_whole()

    def _remove_old(self) -> None:
        """Removes what is neither new nor the best: renamed first, lest half of it be left."""
        if jax.process_index():
            return
        steps = steps_in(self.folder)
        for step in {*steps[: -self._kept]} - {self._best}:
            old = self.folder / f"{step}{_OLD}"
            (self.folder / str(step)).rename(old)
            shutil.rmtree(old)

    def restore(self, step: int, abstract_state: TrainState) -> TrainState:
        """Reads a state.

        Args:
          step: one of the steps that are there.
          abstract_state: its shapes, dtypes and shardings, for any number of devices.

        Raises:
          CheckpointError: where names, shapes or types differ, with both sides; where it can't be
            read.
        """
        self._manager.wait_until_finished()
        folder = self.folder / str(step)
        reader = ocp.Checkpointer(ocp.StandardCheckpointHandler())
        try:
            there = _flat(reader.metadata(folder / intact.STATE).item_metadata.tree)
        except Exception as error:
            raise _unreadable(folder, error) from error
        here = _flat(_as_dict(abstract_state))
        if _OLD_PROGRESS in there:
            raise CheckpointError(
                f"checkpoint {folder} is of an older version, which kept the progress of training "
                "in batch_stats; finish the run with that version, or start it anew in another "
                "--workdir"
            )
        compare_shapes(there, here, f"checkpoint {folder}")
        try:
            restored = reader.restore(
                folder / intact.STATE, args=ocp.args.StandardRestore(_as_dict(abstract_state))
            )
        except Exception as error:
            raise _unreadable(folder, error) from error
        return _from_dict(abstract_state, restored)

    def close(self) -> None:
        """Waits until all is on disk."""
        self._manager.close()
        if self._saved:
            self._remove_old()


def _numbered(folder: pathlib.Path) -> list[int]:
    """Lists what has the name of a step, whatever it is."""
    names = (path.name for path in folder.glob("*"))
    return [int(name) for name in names if name.isdecimal() and str(int(name)) == name]


def _problem(folder: pathlib.Path) -> str:
    return "it is empty" if _is_empty(folder) else intact.damage(folder)


def _is_empty(folder: pathlib.Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def steps_in(folder: str | pathlib.Path) -> list[int]:
    """Returns the steps of the checkpoints in a folder, oldest first; changes nothing there.

    Damaged ones are among them, empty folders are not.
    """
    folder = pathlib.Path(folder)
    return sorted(step for step in _numbered(folder) if not _is_empty(folder / str(step)))


def choose(workdir: str | pathlib.Path, which: str | int, what: str) -> pathlib.Path:
    """Returns the folder of a run's checkpoint, damaged or not: whoever reads it is told.

    Args:
      which: 'latest', 'best', or the number of a step.
      what: the setting that `which` comes from, for an error.

    Raises:
      CheckpointError: where it is not there, with those that are; for what is no workdir.
    """
    which, folder = str(which), pathlib.Path(workdir) / "checkpoints"
    steps = steps_in(folder)
    if not (folder.is_dir() or folder.with_name("config.json").is_file()):
        raise CheckpointError(
            f"{workdir} is no workdir: name one with {what}, or the checkpoint or file alone"
        )
    if not steps:
        raise CheckpointError(f"{workdir}: the run has no checkpoint yet")
    chosen: Any = steps[-1]
    if which == "best":
        chosen = _best(pathlib.Path(workdir), steps[-1])
    elif which != "latest":
        chosen = int(which) if which.isdecimal() else None
    if chosen not in steps:
        raise CheckpointError(
            f"{what}: {workdir} has no such checkpoint; choose latest, {', '.join(map(str, steps))}"
        )
    return folder / str(chosen)


def _best(workdir: pathlib.Path, newest: int) -> int | None:
    """Tells which step is the best so far, if any.

    What was stopped amid its last evaluation has a last checkpoint that knows nothing of it.
    """
    manifest = json_files.read_json(workdir / "manifest.json", "the manifest of a run", {}) or {}
    if manifest.get("finished") and manifest.get("step") == newest:
        results = json_files.read_json(workdir / "eval.json", "the results of a run", {}) or {}
        if "best_step" in results:
            return results["best_step"]
    return (read_meta(workdir / "checkpoints" / str(newest)).get("best") or {}).get("step")


def read_meta(folder: str | pathlib.Path) -> dict[str, Any]:
    """Reads what was saved beside the state in WORKDIR/checkpoints/STEP, as plain JSON.

    Raises:
      CheckpointError: where it is no checkpoint, or not intact.
    """
    folder = _verified(folder, intact.META)
    try:
        meta = intact.read_meta_file(folder)
    except json_files.FileError as error:
        raise CheckpointError(str(error)) from error
    return {key: value for key, value in meta.items() if key != intact.HASHED}


def read_variables(folder: str | pathlib.Path) -> dict[str, Any]:
    """Reads a checkpoint's parameters and batch statistics, whatever model wrote it.

    Args:
      folder: WORKDIR/checkpoints/STEP.

    Returns:
      {'params': {part: ...}, 'batch_stats': {part: ...}} of numpy arrays.

    Raises:
      CheckpointError: where it is no checkpoint, or not intact.
    """
    folder = _verified(folder, intact.STATE)
    handler = ocp.PyTreeCheckpointHandler()
    reader = ocp.Checkpointer(handler)
    try:
        # Of the handler: the reader warns of a file that a checkpoint of ours never has.
        saved = handler.metadata(folder / intact.STATE).tree
        wanted = {key: saved.get(key, {}) for key in ("params", "batch_stats")}
        return reader.restore(
            folder / intact.STATE,
            args=ocp.args.PyTreeRestore(
                item=jax.tree.map(lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype), wanted),
                restore_args=jax.tree.map(
                    lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
                ),
                partial_restore=True,
            ),
        )
    except Exception as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: pathlib.Path, error: Exception) -> CheckpointError:
    """Makes the error for what orbax can't read, whatever it raises."""
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return CheckpointError(
        f"checkpoint {folder} can't be read ({reason[:200]}); use another step or copy it again"
    )


def _verified(folder: str | pathlib.Path, part: str) -> pathlib.Path:
    """Returns the folder where that part of it is as it was written."""
    folder = pathlib.Path(folder).absolute()
    if not any((folder / part).is_dir() for part in (intact.STATE, intact.META)):
        raise CheckpointError(
            f"{folder} is no checkpoint (it has no folders state and meta); name a workdir, or "
            "WORKDIR/checkpoints/STEP"
        )
    if problem := intact.damage(folder, part):
        others = [str(step) for step in steps_in(folder.parent) if str(step) != folder.name]
        beside = f"; there are {', '.join(others)} beside it" if others else ""
        raise CheckpointError(
            f"checkpoint {folder} is damaged: {problem}; copy it again, or use another step{beside}"
        )
    return folder


def compare_shapes(
    there: Mapping[str, Any],
    here: Mapping[str, Any],
    what: str,
    remedy: str = "use the config it was trained with, or another --workdir",
) -> None:
    """Raises CheckpointError where two flat trees of things with shape and dtype differ."""

    def show(leaf: Any) -> str:
        return (
            f"{jax.numpy.dtype(leaf.dtype).name}{list(leaf.shape)}"
            if leaf is not None
            else "absent"
        )

    names = sorted(there.keys() | here.keys())
    pairs = [(name, show(there.get(name)), show(here.get(name))) for name in names]
    differing = [f"{name}: {a} there, {b} here" for name, a, b in pairs if a != b]
    if differing:
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise CheckpointError(
            f"{what} does not fit this model or optimiser ({'; '.join(differing[:3])}{more}); "
            f"{remedy}"
        )


def _as_dict(state: TrainState) -> dict[str, Any]:
    """Nests leaves in dicts alone: what is on disk does not depend on the classes of optax."""
    flat = flax.traverse_util.flatten_dict(flax.serialization.to_state_dict(state))
    return flax.traverse_util.unflatten_dict(flat)


def _from_dict(abstract_state: TrainState, nested: Mapping[str, Any]) -> TrainState:
    template = flax.serialization.to_state_dict(abstract_state)
    # keep_empty_nodes: from_state_dict wants the parts without leaves, which were not saved.
    flat = flax.traverse_util.flatten_dict(template, keep_empty_nodes=True)
    flat |= flax.traverse_util.flatten_dict(dict(nested))
    return flax.serialization.from_state_dict(
        abstract_state, flax.traverse_util.unflatten_dict(flat)
    )


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    return {"/".join(k): v for k, v in flax.traverse_util.flatten_dict(dict(nested)).items()}
