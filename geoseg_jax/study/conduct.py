"""Conducts a study from its config to its report: plan, budget, guard, training, tables, page."""

import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from absl import flags, logging
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.config.command_line import quieten
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import formats, json_files, places
from geoseg_jax.core.tell import tell
from geoseg_jax.study import (
    audit,
    budget,
    check,
    gpus,
    panels,
    plan,
    preview,
    processes,
    ready,
    records,
    run,
    sweep,
    write,
)
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Cell, Plan
from geoseg_jax.study.run import Job
from geoseg_jax.training import compile_cache, loop, stacked
from geoseg_jax.training.loop import Result
from geoseg_jax.training.programs import Programs

FAILED = 2  # exit code
STUDY = "study.json"


def conduct(
    config: ConfigDict,
    workdir: pathlib.Path,
    *,
    part: tuple[int, int] = (0, 1),
    count: int = 1,
    stack: int = 1,
    environments: Sequence[gpus.Environment] = (),
    dry_run: bool = False,
    commands: bool = False,
    only: str = "",
    retry: bool = False,
    report_only: bool = False,
    command: str = "",
    say: Callable[[str], None] = tell,
) -> int:
    """Runs a study; returns the exit code.

    Args:
      config: a study, see check.KEYS and configs/study_quick.py.
      workdir: the study's folder.
      part: (i, n), which part of the cells is trained here.
      count: of processes that share this.
      stack: jobs that differ in values alone, as replicates do, are trained so many at once.
      environments: of these, with a GPU each; () where they share the cores.
      dry_run, commands: say what would be done, and do nothing.
      only: id of the only job that is trained, without a report.
      retry: those of the jobs here that failed are tried again.
      report_only: nothing is trained.
      command: of the whole study, for the report and for the commands of its jobs.

    Raises:
      ConfigError: for a study that can't be planned, or is not that of the workdir;
      guard.UnfairError: for cells that must not be compared.
    """
    places.check_local(workdir, "--workdir")
    study, started = check.expand(settings.plain(config)), time.monotonic()
    check.check(study)  # before a sweep has trained anything
    _check_workdir(study, workdir)
    retry = retry and not (dry_run or commands)
    order = _Order(
        *(study, workdir, part, count, stack, environments),
        *(dry_run, commands, only, retry, report_only, command, say),
    )
    if order.trains and study.get("sweep") and not only:  # before it has trained anything
        unswept = plan.make_plan(study, workdir)
        ready.check(order.jobs(unswept), unswept, study)
    swept = _sweep(order)
    if swept.code is not None:
        return swept.code
    made = plan.make_plan(study, workdir, swept.rates)
    made, costs = _ready(order, made)
    if dry_run:
        say(preview.describe(made, study, costs, swept.jobs))
    elif commands:
        say(preview.commands(made, part, command, swept.jobs))
    else:
        return _carry_out(order, made, costs, started)
    return 0


def _ready(order: "_Order", made: Plan) -> tuple[Plan, dict[str, Cost]]:
    """Checks that what is to be trained can start and is fair; gives it its steps and costs."""
    chosen = order.jobs(made)
    if order.retry:
        _forget(chosen, order.say)
    ready.check(chosen, made, order.study)
    quiet = (lambda text: None) if order.commands else order.say
    # One job alone needs neither the others' folders nor what they cost.
    needed = made.alone(chosen[0]) if order.only and order.trains else made
    costs_file = order.workdir / "costs.json"
    needed, costs = budget.apply(needed, order.study["budget"], costs_file, quiet)
    audit.check(made, sweep.declared(order.study), needed)
    return needed, costs


class _Order(NamedTuple):
    """What the command asks for; see `conduct`."""

    study: Mapping[str, Any]
    workdir: pathlib.Path
    part: tuple[int, int]
    count: int
    stack: int
    environments: Sequence[gpus.Environment]
    dry_run: bool
    commands: bool
    only: str
    retry: bool
    report_only: bool
    command: str
    say: Callable[[str], None]

    @property
    def trains(self) -> bool:
        """Tells whether anything may be trained."""
        return not (self.dry_run or self.commands or self.report_only)

    def jobs(self, made: Plan) -> list[Job]:
        """Chooses what this process trains of a plan."""
        if self.report_only:
            return []
        return [run.job_of(made, self.only)] if self.only else run.jobs_of(made, self.part)


def _carry_out(order: _Order, made: Plan, costs: Mapping[str, Cost], started: float) -> int:
    """Trains this process's jobs, writes the report, and returns the exit code."""
    study, say = order.study, order.say
    jobs = order.jobs(made)  # as long as the budget lets them be
    _keep_study(study, order.workdir)
    ended = _work(made, costs, jobs, order)
    if jobs:
        say(_ending(jobs, ended, started))
    if ended.signal:
        return 128 + ended.signal
    if not order.only:
        audit.check(made, sweep.declared(study))  # others may have worked here too
        for line in write.report(study, made, costs, order.workdir, order.command):
            say(line)
    return FAILED if ended.failed else 0


class _Swept(NamedTuple):
    """The end of a sweep of learning rates."""

    rates: dict[str, float]  # by plan.rate_of
    jobs: list[Job]  # trials, and what they start from, in an order in which they can be done
    code: int | None  # the exit code where this process has nothing else to do


def _sweep(order: _Order) -> _Swept:
    """Trains what is left of every stage of a sweep and chooses rates, in every process alike.

    Raises:
      ConfigError: for a job or a report that needs rates that aren't chosen yet;
      audit.StaleError: for trials that were run by other settings.
    """
    rates: dict[str, float] = {}
    tried: dict[str, Any] = {}
    listed: dict[str, Job] = {}
    needed = order.trains or order.report_only  # else earlier stages may have chosen nothing yet
    for number in range(sweep.stages(order.study)):
        stage = sweep.stage(order.study, order.workdir, number, rates)
        jobs = {job.id: job for job in _jobs(stage.plan)}
        listed |= jobs
        if needed:
            audit.check_trials([trial.job for trial in stage.trials])
        if order.trains and (not order.only or order.only in jobs):
            code = _try(order, stage.plan)
            if code or order.only:
                return _Swept(rates, [], code)
        outcome = sweep.choose(stage)
        if outcome:
            rates |= outcome[0]
            tried |= outcome[1]
        elif needed:
            raise ConfigError(
                f"{order.only or 'a report'} needs learning rates that are not chosen yet; run "
                "all trials of config.sweep first, see --commands"
            )
    if order.trains and tried and tried != sweep.read_rates(order.workdir):
        json_files.write_json(order.workdir / sweep.RATES, tried)
        order.say("\n".join(sweep.describe(tried)))
    return _Swept(rates, list(listed.values()), None)


def _try(order: _Order, made: Plan) -> int:
    """Trains trials and returns the exit code; a trial that fails is just not chosen."""
    jobs = [run.job_of(made, order.only)] if order.only else _jobs(made)
    if order.retry:
        _forget(jobs, order.say)
    if all(records.read(job.workdir) for job in jobs):
        return 0
    ready.check(jobs, made, order.study)
    _keep_study(order.study, order.workdir)
    memory = order.workdir / "costs.json"
    made, costs = budget.apply(made, order.study["budget"], memory, order.say)
    by_id = {job.id: job for job in (*made.pretrainings, *made.cells)}
    jobs = [by_id[job.id] for job in jobs]
    ended = _work(made, costs, jobs, order)
    return 128 + ended.signal if ended.signal else 0


def _jobs(made: Plan) -> list[Job]:
    return run.jobs_of(made) if made.cells else list(made.pretrainings)


def _forget(jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    forgotten = records.forget_failures([job.workdir for job in jobs])
    say(f"trying {formats.count(forgotten, 'failed job')} again")


def _work(made: Plan, costs: Mapping[str, Cost], jobs: Sequence[Job], order: _Order) -> run.Ended:
    """Trains the jobs, in several processes where there are several of both."""
    train = functools.partial(_train, made, jobs, order.study, costs, order.stack)
    if order.environments and jobs:  # even one, which this process has no GPU for
        order.say(gpus.describe(order.environments))
    elif order.count == 1 or len(jobs) < 2:
        return train(order.say)
    return _share(order.count, train, jobs, order.environments)


def _ending(jobs: Sequence[Job], ended: run.Ended, started: float) -> str:
    if ended.signal:
        return "stopped; repeat the command to continue"
    took = formats.duration(time.monotonic() - started)
    return f"{formats.count(len(jobs), 'job')} in {took}, {len(ended.failed)} failed"


def _train(
    made: Plan,
    jobs: Sequence[Job],
    study: Mapping[str, Any],
    costs: Mapping[str, Cost],
    stack: int,
    say: Callable[[str], None],
) -> run.Ended:
    programs, keep = Programs(), study.get("keep_checkpoints", False)
    kept = {str(job.workdir) for job in jobs if keep or not _ends_with_its_numbers(job, study)}

    def train_one(config: ConfigDict, workdir: pathlib.Path) -> Result:
        keeping = str(workdir) in kept
        return loop.run(config, workdir, programs=programs, keep_checkpoints=keeping)

    def train_together(jobs: Sequence[Job]) -> Sequence[stacked.Outcome]:
        given = [stacked.Job(j.config, j.workdir, str(j.workdir) in kept) for j in jobs]
        return stacked.run(given, programs=programs)

    return run.work(
        made,
        jobs,
        say,
        run=train_one,
        keep_checkpoints=keep,
        after=functools.partial(_keep_panels, study=study, programs=programs, say=say),
        size=lambda job: budget.size(costs[job.id]),
        stack=stack,
        together=train_together if stack > 1 else None,
    )


def _share(
    count: int,
    train: Callable[[Callable[[str], None]], run.Ended],
    jobs: Sequence[Job],
    environments: Sequence[gpus.Environment] = (),
) -> run.Ended:
    """Shares jobs among processes: each takes whatever job nobody works on."""
    if jax.default_backend() != "cpu":
        raise ConfigError(
            f"--processes={count} shares CPU cores or NVIDIA GPUs, but jax uses a "
            f"{jax.default_backend()}; start the command once per accelerator, with --cells=I/N"
        )
    codes, received = processes.run(count, _train_in_child, train, environments=environments)
    stopped = [received] if received else [code - 128 for code in codes if code > 128]
    if stopped:
        return run.Ended(stopped[0], [])
    ended = {job.id: records.read(job.workdir) for job in jobs}
    left = [name for name, record in ended.items() if record is None]
    if left:
        raise OSError(
            f"the processes ended with {codes} and left {formats.count(len(left), 'job')}, "
            f"first {left[0]}; a negative code is the signal that ended one, -9 often means "
            "out of memory. Repeat the command to continue"
        )
    return run.Ended(0, [name for name, record in ended.items() if record.state == records.FAILED])


def _train_in_child(train: Callable[[Callable[[str], None]], run.Ended]) -> int:
    flags.FLAGS.mark_as_parsed()  # what app.run does, but not here
    logging.set_verbosity(logging.INFO)
    quieten(once=True)
    compile_cache.keep_compiled()
    try:
        ended = train(tell)
    except (OSError, ValueError) as error:
        tell(f"error: {' '.join(str(error).split())}")
        return 1
    return 128 + ended.signal if ended.signal else 0


def _has_panels(job: Job, study: Mapping[str, Any]) -> bool:
    """Tells whether it is a cell of the first replicate, which stands for the others."""
    first = plan.first_replicate(study)
    return bool(study.get("panels", 0)) and first.items() <= job.factors.items()


def _ends_with_its_numbers(job: Job, study: Mapping[str, Any]) -> bool:
    """Tells whether nothing is made of the trained weights but what the run itself writes."""
    return isinstance(job, Cell) and not _has_panels(job, study)


def _keep_panels(
    job: Job, study: Mapping[str, Any], programs: Programs, say: Callable[[str], None]
) -> None:
    if not isinstance(job, Cell) or not _has_panels(job, study):
        return
    try:
        panels.keep(job, study["panels"], programs)
    except Exception as error:  # of a picture for the report; the cell's numbers are there
        say(f"{job.id}: no pictures for the report: {type(error).__name__}: {error}")


def _keep_study(study: Mapping[str, Any], workdir: pathlib.Path) -> None:
    """Writes down what the folder holds, before anything is trained in it."""
    workdir.mkdir(parents=True, exist_ok=True)
    json_files.write_json(workdir / STUDY, study)


def _check_workdir(study: Mapping[str, Any], workdir: pathlib.Path) -> None:
    """Refuses a folder of another study; more values of factors and more arms are welcome."""
    remedy = "put the original back, or choose another --workdir"
    before = json_files.read_json(workdir / STUDY, "the study of this folder", {}, remedy) or study
    for key in ("target", "pretraining", "budget"):
        if before.get(key) != study.get(key):
            raise ConfigError(
                f"{workdir} holds a study with another config.{key} ({before.get(key)} there, "
                f"{study.get(key)} here); choose another --workdir"
            )
