"""Inspects the workdir that a run is started in: nothing, a part of the run, or all of it."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from geoseg_jax.config import changes, settings
from geoseg_jax.training import workdir as workdirs
from geoseg_jax.training.checkpoints import Checkpoints


class Earlier(NamedTuple):
    """What earlier starts of a run have left."""

    step: int  # steps done
    meta: dict[str, Any]  # what was saved beside the state; empty at the beginning
    notes: list[str]  # lines for the user
    finished: dict[str, float] | None  # the results, where nothing is left to do


def inspect(
    workdir: pathlib.Path,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    checkpoints: Checkpoints,
) -> Earlier:
    """Compares a workdir with the run that is to be started in it.

    Args:
      data: manifest.describe_data of the data at hand.

    Raises:
      ConfigError: the workdir holds another run: other settings, other data, or more steps;
      CheckpointError, FileError: a file of it is damaged.
    """
    step = checkpoints.latest()
    if step is None:
        if workdirs.read_manifest(workdir):
            raise settings.ConfigError(
                f"{workdir} holds a finished run without its checkpoints; put them back, or choose "
                "another --workdir"
            )
        notes = list(checkpoints.notes)
        if (workdir / "config.json").exists():
            notes.append(f"{workdir} holds a run without a checkpoint, which starts over")
        return Earlier(0, {}, notes, None)
    meta = checkpoints.read_meta(step)
    changed = changes.check_resume(meta["config"], settings.plain(config), str(workdir))
    notes = [*checkpoints.notes]
    notes += [f"changed since the last start: {change}" for change in changed]
    if meta["data"] != data["sha256"]:
        raise settings.ConfigError(
            f"the data is not what {workdir} was started with (sha256 {meta['data'][:12]}, now "
            f"{data['sha256'][:12]}); restore the data, or choose another --workdir"
        )
    steps = config["train"]["steps"]
    done = workdirs.read_manifest(workdir, "step")
    results = workdirs.read_results(workdir)
    # Else what is set aside as damaged is made again: an older one has other numbers.
    whole = not checkpoints.notes or (done is not None and step >= done["step"])
    if done and results and done["step"] >= steps and whole:
        return Earlier(done["step"], meta, notes, results)
    if step > steps:
        raise settings.ConfigError(
            f"config.train.steps={steps}, but {workdir} has a checkpoint of step {step}; raise it, "
            "or choose another --workdir"
        )
    return Earlier(step, meta, notes, None)
