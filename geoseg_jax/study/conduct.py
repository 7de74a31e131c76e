"""A study from its config to its report: plan, budget, guard, training, tables and pages."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from geoseg_jax import manifest, settings, writers
from geoseg_jax.command_line import quieten
from geoseg_jax.settings import ConfigError
from geoseg_jax.study import budget, panels, plan, processes, records, run, write
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Cell, Plan

FAILED = 2  # exit code
STUDY = "study.json"


def conduct(
    config: ConfigDict,
    workdir: pathlib.Path,
    *,
    part: tuple[int, int] = (0, 1),
    count: int = 1,
    dry_run: bool = False,
    commands: bool = False,
    retry: bool = False,
    report_only: bool = False,
    command: str = "",
    say: Callable[[str], None] = print,
) -> int:
    """All of it; returns the exit code.

    Args:
      config: a study, see check.KEYS and configs/study_quick.py.
      workdir: the study's folder.
      part: (i, n), which part of the cells is trained here.
      count: of processes that share this, on a machine without accelerators.
      dry_run, commands: say what would be done, and do nothing.
      retry: failed jobs are tried again.
      report_only: nothing is trained.
      command: what the user typed, for the report.

    Raises:
      ConfigError: for a study that can't be planned, or is not that of the workdir;
      guard.UnfairError: for cells that must not be compared.
    """
    study = settings.plain(config)
    _check_workdir(study, workdir)
    made = plan.make_plan(study, workdir)
    counting = (lambda text: None) if commands else say
    made, costs = budget.apply(made, study["budget"], workdir / "costs.json", counting)
    run.check_fair(made, study.get("declared", ()))
    run.check_same(made)
    run.check_same_pictures(made)
    if dry_run:
        say(describe(made, study, costs))
        return 0
    if commands:
        for job in run.jobs_of(made, part):
            say(plan.command("geoseg_jax.main", job.argument, job.config, job.workdir))
        return 0
    workdir.mkdir(parents=True, exist_ok=True)
    manifest.write_json(workdir / STUDY, study)
    if retry:
        every = [job.workdir for job in (*made.pretrainings, *made.cells)]
        say(f"{records.forget_failures(every)} failed jobs will be tried again")
    failed: list[str] = []
    if not report_only:
        many = count > 1
        ended = _share(count, made, part, study) if many else _train(made, part, study, say)
        if ended.signal:
            say("stopped; the same command goes on from here")
            return 128 + ended.signal
        failed = ended.failed
    for line in write.report(study, made, costs, workdir, command):
        say(line)
    return FAILED if failed else 0


def _train(
    made: Plan, part: tuple[int, int], study: Mapping[str, Any], say: Callable[[str], None]
) -> run.Ended:
    keep = study.get("keep_checkpoints", False)
    after = functools.partial(_keep_panels, study=study, say=say)
    return run.work(made, part, say, keep_checkpoints=keep, after=after)


def _share(count: int, made: Plan, part: tuple[int, int], study: Mapping[str, Any]) -> run.Ended:
    """Every process takes whatever job nobody works on."""
    if jax.default_backend() != "cpu":
        raise ConfigError(
            f"--processes={count} divides the cores of a CPU, and this is a {jax.default_backend()}"
            "; start the command once for each accelerator, with --cells=I/N and its number in "
            "CUDA_VISIBLE_DEVICES"
        )
    codes = processes.run(count, _train_as_one, made, part, study)
    stopped = [code - 128 for code in codes if code > 128]
    if stopped:
        return run.Ended(stopped[0], [])
    found = {job.id: records.read(job.workdir) for job in run.jobs_of(made, part)}
    left = [name for name, record in found.items() if record is None]
    if left:
        raise OSError(
            f"the processes ended with {codes} and left {len(left)} jobs, the first is {left[0]}; "
            "a negative code is the number of the signal that ended one, -9 where memory ran out. "
            "The same command goes on"
        )
    return run.Ended(0, [name for name, record in found.items() if record.state == records.FAILED])


def _train_as_one(made: Plan, part: tuple[int, int], study: Mapping[str, Any]) -> int:
    quieten()
    ended = _train(made, part, study, print)
    return 128 + ended.signal if ended.signal else 0


def _keep_panels(job: run.Job, study: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Of the first subset and seed alone, which stand for the others."""
    first = dict(zip(("subset", "seed"), plan.replicates(study)[0], strict=True))
    count = study.get("panels", 0)
    if not count or not isinstance(job, Cell) or not first.items() <= job.factors.items():
        return
    try:
        panels.keep(job, count)
    except Exception as error:  # of a picture for the report; the cell's numbers are there
        say(f"{job.id}: no panels for the report: {type(error).__name__}: {error}")


def _check_workdir(study: Mapping[str, Any], workdir: pathlib.Path) -> None:
    """Raises ConfigError where the folder holds another study; more values of factors and more arms
    are welcome.
    """
    before = manifest.read_json(workdir / STUDY) or study
    for key in ("target", "pretraining", "budget"):
        if before.get(key) != study.get(key):
            raise ConfigError(
                f"{workdir} holds a study with another config.{key} ({before.get(key)}, now "
                f"{study.get(key)}); choose another --workdir"
            )


def describe(made: Plan, study: Mapping[str, Any], costs: Mapping[str, Cost]) -> str:
    """The plan for a terminal: cells, what each reuses, what each arm gets, and the time."""
    lines = [study["title"], "", "pre-trainings, each once:"]
    for job in made.pretrainings:
        users = sum(cell.pretraining == job.id for cell in made.cells)
        start = job.config.get("init_from")
        more = f", from {pathlib.Path(start).name}" if start else ""
        more += _state(job.workdir)
        lines.append(f"  {job.id:<32} {_cost(costs[job.id])}  for {users} cells{more}")
    lines += ["", f"cells ({len(made.cells)}):"]
    for cell in made.cells:
        start = cell.pretraining or cell.config.get("init_from") or "random weights"
        lines.append(f"  {cell.id:<60} from {start}{_state(cell.workdir)}")
    jobs = (*made.pretrainings, *made.cells)
    left = [costs[job.id] for job in jobs if not records.read(job.workdir)]
    rate = budget.measured_rate()
    seconds = sum(cost.flops for cost in left) / rate + budget.STARTING * len(left)
    per_cell = _cost(costs[made.cells[0].id])
    lines += [
        "",
        f"a cell: {per_cell}",
        f"budget of every pre-training: {study['budget']['amount']:g} {study['budget']['measure']}",
        f"left to do: {len(left)} of {len(jobs)} jobs, {sum(c.flops for c in left):.2e} FLOP; at "
        f"{rate / 1e9:.0f} GFLOP/s, measured here just now on a convolution, and "
        f"{budget.STARTING:.0f} s to start each: about {writers.duration(seconds)}, without "
        "evaluation and without compiling each program once",
    ]
    return "\n".join(lines)


def _state(workdir: pathlib.Path) -> str:
    found = records.read(workdir)
    return f"  ({found.state})" if found else ""


def _cost(cost: Cost) -> str:
    return f"{cost.steps:>6} steps, {cost.images:>8} images, {cost.flops:.2e} FLOP"
