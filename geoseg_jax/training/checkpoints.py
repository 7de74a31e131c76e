"""Checkpoints on orbax: the latest and the best are kept, written in the background.

A checkpoint is a folder WORKDIR/checkpoints/STEP. orbax writes it under another name and renames
it when it is whole, so what is named by a number can be read; leftovers of a killed run are
removed when the folder is opened again.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import flax.serialization
import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import PreservationPolicy

from geoseg_jax.training.state import TrainState

_OLD_PROGRESS = "batch_stats/progress/share"


class CheckpointError(ValueError):
    """A checkpoint that is not there or doesn't fit; the message shows both sides."""


class Checkpoints:
    """The checkpoints of one run. Every method must be called by all processes alike."""

    def __init__(self, folder: str | pathlib.Path) -> None:
        """Opens or creates the folder (WORKDIR/checkpoints), which all processes must see."""
        self.folder = pathlib.Path(folder).absolute()
        self._policy = _LatestAndBest()
        self._manager = ocp.CheckpointManager(
            self.folder,
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "meta": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                preservation_policy=self._policy,
                cleanup_tmp_directories=True,
                enable_async_checkpointing=True,
            ),
        )

    def latest(self) -> int | None:
        """Returns the newest step that is there, or None."""
        return self._manager.latest_step()

    def all(self) -> list[int]:
        """Returns the steps that are there, oldest first."""
        return sorted(self._manager.all_steps())

    def read_meta(self, step: int) -> dict[str, Any]:
        """Reads what was saved beside the state, as plain JSON."""
        restored = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))
        return restored["meta"]

    def save(
        self, step: int, state: TrainState, meta: Mapping[str, Any], best: int | None = None
    ) -> None:
        """Starts to write a checkpoint and returns when the state may be reused.

        Does nothing where the step is there already. Afterwards this step and `best` are kept.
        """
        if self._manager.latest_step() == step:
            return
        self._policy.best = best
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(_as_dict(state)), meta=ocp.args.JsonSave(dict(meta))
            ),
            force=True,
        )

    def restore(self, step: int, abstract_state: TrainState) -> TrainState:
        """Reads a state.

        Args:
          step: one of the steps that are there.
          abstract_state: its shapes, dtypes and shardings, for any number of devices.

        Raises:
          CheckpointError: where names, shapes or types differ, with both sides.
        """
        saved = self._manager.item_metadata(step)["state"]
        there = _flat(saved.tree if hasattr(saved, "tree") else saved)
        here = _flat(_as_dict(abstract_state))
        if _OLD_PROGRESS in there:
            raise CheckpointError(
                f"checkpoint {self.folder / str(step)} is of an older version, which kept the "
                "progress of training in batch_stats; finish the run with that version, or start "
                "it anew in another --workdir"
            )
        compare_shapes(there, here, f"checkpoint {self.folder / str(step)}")
        restored = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(_as_dict(abstract_state)))
        )
        return _from_dict(abstract_state, restored["state"])

    def close(self) -> None:
        """Waits until all is on disk."""
        self._manager.close()


def steps_in(folder: str | pathlib.Path) -> list[int]:
    """Returns the steps of the checkpoints in a folder, oldest first; changes nothing there."""
    whole = [p for p in pathlib.Path(folder).glob("*") if (p / "state").is_dir()]
    return sorted(int(p.name) for p in whole if p.name.isdecimal())


def choose(workdir: str | pathlib.Path, which: str, what: str) -> pathlib.Path:
    """Returns the folder of a run's checkpoint.

    Args:
      which: 'latest', 'best', or the number of a step.
      what: the setting that `which` comes from, for an error.

    Raises:
      CheckpointError: where it is not there, with those that are.
    """
    folder = pathlib.Path(workdir) / "checkpoints"
    steps = steps_in(folder)
    if not steps:
        raise CheckpointError(f"{workdir}: the run has no checkpoint yet")
    chosen: Any = steps[-1]
    if which == "best":
        chosen = (read_meta(folder / str(steps[-1])).get("best") or {}).get("step")
    elif which != "latest":
        chosen = int(which) if which.isdecimal() else None
    if chosen not in steps:
        raise CheckpointError(
            f"{what}: {workdir} has no such checkpoint; choose latest, {', '.join(map(str, steps))}"
        )
    return folder / str(chosen)


def read_meta(folder: str | pathlib.Path) -> dict[str, Any]:
    """Reads what was saved beside the state in WORKDIR/checkpoints/STEP, as plain JSON."""
    reader = ocp.Checkpointer(ocp.JsonCheckpointHandler())
    return reader.restore(_whole(folder) / "meta", args=ocp.args.JsonRestore())


def read_variables(folder: str | pathlib.Path) -> dict[str, Any]:
    """Reads a checkpoint's parameters and batch statistics, whatever model wrote it.

    Args:
      folder: WORKDIR/checkpoints/STEP.

    Returns:
      {'params': {part: ...}, 'batch_stats': {part: ...}} of numpy arrays.

    Raises:
      CheckpointError: where it is no whole checkpoint, or can't be read.
    """
    state = _whole(folder) / "state"
    reader = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
    try:
        saved = reader.metadata(state).item_metadata.tree
        wanted = {key: saved.get(key, {}) for key in ("params", "batch_stats")}
        return reader.restore(
            state,
            args=ocp.args.PyTreeRestore(
                item=jax.tree.map(lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype), wanted),
                restore_args=jax.tree.map(
                    lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
                ),
                partial_restore=True,
            ),
        )
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"checkpoint {folder} can't be read ({reason[:200]}); use another step or copy it again"
        ) from error


def _whole(folder: str | pathlib.Path) -> pathlib.Path:
    folder = pathlib.Path(folder).absolute()
    if not (folder / "state").is_dir() or not (folder / "meta").is_dir():
        raise CheckpointError(
            f"{folder} is no checkpoint (it has no folders state and meta); name a workdir, or "
            "WORKDIR/checkpoints/STEP"
        )
    return folder


class _LatestAndBest(PreservationPolicy):
    """Keeps the newest step and the one that was named the best.

    orbax's own best_fn knows only evaluations that were there when the checkpoint was written; an
    evaluation that was cut short and done again after a restart comes later.
    """

    def __init__(self) -> None:
        self.best: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        del context
        newest = max((c.step for c in checkpoints), default=None)
        return [c.step in (newest, self.best) for c in checkpoints]


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
