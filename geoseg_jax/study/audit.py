"""Audits whether cells may be compared: fair, as planned, of the same data and parents.

Done before anything is trained, and again before anything is reported, since others may work on the
same folder.
"""

import functools
import os
import pathlib
from collections.abc import Iterator, Sequence

from geoseg_jax.config import settings, table
from geoseg_jax.core import nested
from geoseg_jax.core.formats import count
from geoseg_jax.data.name_splits import REST, TRAIN
from geoseg_jax.study import guard
from geoseg_jax.study.guard import Difference
from geoseg_jax.study.plan import Cell, Plan, Pretraining
from geoseg_jax.training import workdir as workdirs

# Settings of data that leave the records as they are: they act while training, or not at all.
_NO_RECORDS = table.keys(lambda setting: not setting.records)
# And those that choose the records of one split alone.
_TRAINED = table.keys(lambda setting: setting.split == "train")
_JUDGED = table.keys(lambda setting: setting.split == "eval")
# What the budget of a study decides.
_OF_BUDGET = ("train.steps", "optimizer.warmup_steps")


def check(plan: Plan, declared: Sequence[str] = (), read: Plan | None = None) -> None:
    """Makes all checks of this file.

    Args:
      declared: settings in which arms may differ, see guard.differences.
      read: the part of the plan whose folders are read, if not all.

    Raises:
      guard.UnfairError: with a table of all differences of a kind.
    """
    read = _begun(read or plan)
    check_fair(plan, declared, read)
    jobs = (*read.pretrainings, *read.cells)
    stale = [*_unplanned(jobs), *_other_data(read, declared), *_other_parents(read)]
    if stale:
        raise StaleError(stale)


def check_trials(jobs: Sequence[Pretraining | Cell]) -> None:
    """Refuses trials of a sweep that were run by other settings than planned now.

    What a budget decides is passed over: it is the same for all that a folder holds.

    Raises:
      StaleError: with a table of all differences.
    """
    stale = [d for d in _unplanned(jobs) if d.key not in _OF_BUDGET]
    if stale:
        raise StaleError(stale)


class StaleError(guard.UnfairError):
    """Jobs in the study's folder that were trained on another plan, other data or weights."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        super().__init__(differences)
        self.args = (
            f"{count(len({d.cell for d in differences}), 'job')} done with other settings, data or "
            "weights; restore those, remove the jobs' folders to repeat them, or choose another "
            "--workdir",
        )


def _begun(plan: Plan) -> Plan:
    """Leaves of the plan what has a folder; those of thousands of jobs are listed at once."""
    jobs = (*plan.pretrainings, *plan.cells)
    parents = {job.workdir.parent for job in jobs}
    there = {parent: set(os.listdir(parent)) if parent.is_dir() else set() for parent in parents}

    def begun(job: Pretraining | Cell) -> bool:
        return job.workdir.name in there[job.workdir.parent]

    return Plan(list(filter(begun, plan.pretrainings)), list(filter(begun, plan.cells)))


def check_fair(plan: Plan, declared: Sequence[str] = (), read: Plan | None = None) -> None:
    """Runs the guard over what has been trained already and what is planned of the rest.

    Args:
      read: the part of the plan whose folders are read, if not all.

    Raises:
      guard.UnfairError: with the table of differences.
    """
    relevant = functools.cache(lambda shared: guard.relevant(shared.flat))
    wanted = {cell.id for cell in (read or plan).cells}
    cells = []
    for cell in plan.cells:
        if trained := workdirs.read_config(cell.workdir) if cell.id in wanted else None:
            flat = guard.relevant(settings.flatten(trained))
        else:
            flat = guard.with_own(relevant(cell.recipe.shared), cell.recipe.own)
        cells.append((cell.id, cell.factors, flat))
    if unexplained := guard.differences(cells, declared):
        raise guard.UnfairError(unexplained)


def _unplanned(jobs: Sequence[Pretraining | Cell]) -> Iterator[Difference]:
    """Finds settings of what was trained that the plan has otherwise."""
    for job in jobs:
        trained = workdirs.read_config(job.workdir)
        if trained is None:
            continue
        for key, pair in nested.changed(trained, job.recipe.flat).items():
            if key == "init_from":  # the folder may have been moved as a whole; see _other_parents
                pair = tuple(pathlib.Path(str(path or "")).name for path in pair)
            if key not in guard.IRRELEVANT and pair[0] != pair[1]:
                yield Difference(job.id, "the plan", key, *pair)


def _other_data(plan: Plan, declared: Sequence[str]) -> Iterator[Difference]:
    """Finds finished cells that were not judged on what others of their resolution were, or not
    trained on what others of their labels and subset were, as where a root has changed.
    """
    keys = {key for key in declared if key.startswith("data.")} - _NO_RECORDS
    arms_differ = {"train": bool(keys - _JUDGED), "eval": bool(keys - _TRAINED)}
    firsts: dict[tuple, tuple[str, str]] = {}
    for cell in plan.cells:
        done = workdirs.read_manifest(cell.workdir, "data.train.sha256", "data.eval.sha256")
        if not done:
            continue
        factors = cell.factors
        fold = cell.recipe.get("data.fold")  # where there are any
        # All labels have no subsets.
        chosen = (factors["labels"], factors["subset"] if factors["labels"] else "")
        # Where those are judged that no label was taken from, or those alone, the choice matters.
        by_choice = cell.recipe.get("data.eval_split", "") in (REST, TRAIN)
        for split, choice in (("eval", chosen if by_choice else ()), ("train", chosen)):
            arm = factors["arm"] if arms_differ[split] else ""
            own = done["data"][split]["sha256"]
            place = (split, factors["resolution"], arm, choice, fold)
            first, expected = firsts.setdefault(place, (cell.id, own))
            if own != expected:
                yield Difference(cell.id, first, f"data of {split}", own[:12], expected[:12])


def _other_parents(plan: Plan) -> Iterator[Difference]:
    """Finds finished jobs that started from other weights than their pre-training has now, or than
    the first that started from the same place; part by part, as encoder and decoder.
    """
    firsts: dict[tuple[str, str], tuple[str, str]] = {}
    for job in (*plan.pretrainings, *plan.cells):
        done = workdirs.read_manifest(job.workdir, "parents")
        if not done or not done.get("parents"):
            continue
        now = _ended_with(plan, job)
        for part, own in (done["parents"][-1].get("taken") or {}).items():
            expected = (plan.start(job).id, now[part]) if part in now else (job.id, own)
            other, expected = firsts.setdefault((str(job.recipe.get("init_from")), part), expected)
            if own != expected:
                yield Difference(job.id, other, f"{part} at the start", own[:12], expected[:12])


def _ended_with(plan: Plan, job: Pretraining | Cell) -> dict[str, str]:
    """Reads the hashes of parts at the end of what the job starts from; {} where unknown."""
    start = plan.start(job)
    if start is None or job.recipe.get("transfer.checkpoint") != "latest":
        return {}
    done = workdirs.read_manifest(start.workdir, "parts_sha256")
    return done["parts_sha256"] if done else {}
