"""A study from its config to its report: plan, budget, guard, training, tables and pages."""

import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from absl import flags, logging
from ml_collections import ConfigDict

from geoseg_jax import manifest, settings, writers
from geoseg_jax.command_line import quieten
from geoseg_jax.settings import ConfigError
from geoseg_jax.study import (
    audit,
    budget,
    panels,
    plan,
    preview,
    processes,
    ready,
    records,
    run,
    starts,
    write,
)
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Cell, Plan
from geoseg_jax.study.run import Job
from geoseg_jax.tell import tell

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
    only: str = "",
    retry: bool = False,
    report_only: bool = False,
    command: str = "",
    say: Callable[[str], None] = tell,
) -> int:
    """All of it; returns the exit code.

    Args:
      config: a study, see check.KEYS and configs/study_quick.py.
      workdir: the study's folder.
      part: (i, n), which part of the cells is trained here.
      count: of processes that share this, on a machine without accelerators.
      dry_run, commands: say what would be done, and do nothing.
      only: id of the one job that is trained, without a report.
      retry: those of the jobs here that failed are tried again.
      report_only: nothing is trained.
      command: of the whole study, for the report and for the commands of its jobs.

    Raises:
      ConfigError: for a study that can't be planned, or is not that of the workdir;
      guard.UnfairError: for cells that must not be compared.
    """
    study, started = starts.expand(settings.plain(config)), time.monotonic()
    _check_workdir(study, workdir)
    made = plan.make_plan(study, workdir)
    chosen = [] if report_only else _choose(made, part, only)
    if retry and not (dry_run or commands):
        forgotten = records.forget_failures([job.workdir for job in chosen])
        say(f"{forgotten} failed jobs will be tried again")
    ready.check(chosen, made, study)
    counting = (lambda text: None) if commands else say
    made, costs = budget.apply(made, study["budget"], workdir / "costs.json", counting)
    audit.check(made, study.get("declared", ()))
    jobs = [] if report_only else _choose(made, part, only)  # as long as the budget lets them be
    if dry_run or commands:
        listed = preview.commands(made, part, command)
        say(preview.describe(made, study, costs) if dry_run else listed)
        return 0
    workdir.mkdir(parents=True, exist_ok=True)
    manifest.write_json(workdir / STUDY, study)
    train = functools.partial(_train, made, jobs, study, costs)
    ended = _share(count, train, jobs) if count > 1 and len(jobs) > 1 else train(say)
    if jobs:
        say(_ending(jobs, ended, started))
    if ended.signal:
        return 128 + ended.signal
    if not only:
        audit.check(made, study.get("declared", ()))  # others may have worked here too
        for line in write.report(study, made, costs, workdir, command):
            say(line)
    return FAILED if ended.failed else 0


def _ending(jobs: Sequence[Job], ended: run.Ended, started: float) -> str:
    if ended.signal:
        return "stopped; the same command goes on from here"
    took = writers.duration(time.monotonic() - started)
    return f"{len(jobs)} jobs in {took}, {len(ended.failed)} failed"


def _choose(made: Plan, part: tuple[int, int], only: str) -> list[Job]:
    return [run.job_of(made, only)] if only else run.jobs_of(made, part)


def _train(
    made: Plan,
    jobs: Sequence[Job],
    study: Mapping[str, Any],
    costs: Mapping[str, Cost],
    say: Callable[[str], None],
) -> run.Ended:
    return run.work(
        made,
        jobs,
        say,
        keep_checkpoints=study.get("keep_checkpoints", False),
        after=functools.partial(_keep_panels, study=study, say=say),
        size=lambda job: budget.size(costs[job.id]),
    )


def _share(
    count: int, train: Callable[[Callable[[str], None]], run.Ended], jobs: Sequence[Job]
) -> run.Ended:
    """Every process takes whatever job nobody works on."""
    if jax.default_backend() != "cpu":
        raise ConfigError(
            f"--processes={count} divides the cores of a CPU, and this is a {jax.default_backend()}"
            "; start the command once for each accelerator, with --cells=I/N and its number in "
            "CUDA_VISIBLE_DEVICES"
        )
    codes, received = processes.run(count, _train_in_child, train)
    stopped = [received] if received else [code - 128 for code in codes if code > 128]
    if stopped:
        return run.Ended(stopped[0], [])
    found = {job.id: records.read(job.workdir) for job in jobs}
    left = [name for name, record in found.items() if record is None]
    if left:
        raise OSError(
            f"the processes ended with {codes} and left {len(left)} jobs, the first is {left[0]}; "
            "a negative code is the number of the signal that ended one, -9 where memory ran out. "
            "The same command goes on"
        )
    return run.Ended(0, [name for name, record in found.items() if record.state == records.FAILED])


def _train_in_child(train: Callable[[Callable[[str], None]], run.Ended]) -> int:
    flags.FLAGS.mark_as_parsed()  # what app.run does, but not here
    logging.set_verbosity(logging.INFO)
    quieten()
    try:
        ended = train(tell)
    except (OSError, ValueError) as error:
        tell(f"error: {' '.join(str(error).split())}")
        return 1
    return 128 + ended.signal if ended.signal else 0


def _keep_panels(job: Job, study: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Of the first replicate alone, which stands for the others."""
    first = plan.first_replicate(study)
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
