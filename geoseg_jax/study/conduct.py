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
from geoseg_jax.core import formats, json_files
from geoseg_jax.core.tell import tell
from geoseg_jax.study import (
    audit,
    budget,
    check,
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
from geoseg_jax.training import loop
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
      count: of processes that share this, on a machine without accelerators.
      dry_run, commands: say what would be done, and do nothing.
      only: id of the only job that is trained, without a report.
      retry: those of the jobs here that failed are tried again.
      report_only: nothing is trained.
      command: of the whole study, for the report and for the commands of its jobs.

    Raises:
      ConfigError: for a study that can't be planned, or is not that of the workdir;
      guard.UnfairError: for cells that must not be compared.
    """
    study, started = check.expand(settings.plain(config)), time.monotonic()
    check.check(study)  # before a sweep has trained anything
    _check_workdir(study, workdir)
    only_say, counting = dry_run or commands, (lambda text: None) if commands else say
    retry = retry and not only_say
    train = not (only_say or report_only)
    swept = _Trials(study, workdir, only, count, retry, train, report_only, say).sweep()
    if swept.code is not None:
        return swept.code
    made = plan.make_plan(study, workdir, swept.rates)
    chosen = [] if report_only else _choose(made, part, only)
    if retry:
        _forget(chosen, say)
    ready.check(chosen, made, study)
    made, costs = budget.apply(made, study["budget"], workdir / "costs.json", counting)
    audit.check(made, sweep.declared(study))
    jobs = [] if report_only else _choose(made, part, only)  # as long as the budget lets them be
    if only_say:
        listed = preview.commands(made, part, command, swept.jobs)
        say(preview.describe(made, study, costs, swept.jobs) if dry_run else listed)
        return 0
    _keep_study(study, workdir)
    ended = _work(made, costs, jobs, study, count, say)
    if jobs:
        say(_ending(jobs, ended, started))
    if ended.signal:
        return 128 + ended.signal
    if not only:
        audit.check(made, sweep.declared(study))  # others may have worked here too
        for line in write.report(study, made, costs, workdir, command):
            say(line)
    return FAILED if ended.failed else 0


class _Swept(NamedTuple):
    """The end of a sweep of learning rates."""

    rates: dict[str, float]  # by plan.rate_of
    jobs: list[Job]  # trials, and what they start from, in an order in which they can be done
    code: int | None  # the exit code where this process has nothing else to do


class _Trials(NamedTuple):
    """The sweep that comes before a study, where it asks for one."""

    study: Mapping[str, Any]
    workdir: pathlib.Path
    only: str
    count: int
    retry: bool
    train: bool  # else nothing is trained
    reported: bool  # what is there, so that the rates must be
    say: Callable[[str], None]

    def sweep(self) -> _Swept:
        """Trains what is left of every stage and chooses, as every process does for itself.

        Raises:
          ConfigError: for a job that needs rates that aren't chosen yet, and for a report;
          audit.StaleError: for trials that were run by other settings.
        """
        rates: dict[str, float] = {}
        tried: dict[str, Any] = {}
        listed: dict[str, Job] = {}
        for number in range(sweep.stages(self.study)):
            stage = sweep.stage(self.study, self.workdir, number, rates)
            jobs = {job.id: job for job in _jobs(stage.plan)}
            listed |= jobs
            if self.train or self.reported:  # else stages before may have chosen nothing yet
                audit.check_trials([trial.job for trial in stage.trials])
            if self.train and (not self.only or self.only in jobs):
                code = self._train(stage.plan)
                if code or self.only:
                    return _Swept(rates, [], code)
            outcome = sweep.choose(stage)
            if outcome:
                rates |= outcome[0]
                tried |= outcome[1]
            elif self.train or self.reported:
                raise ConfigError(
                    f"{self.only or 'a report'} needs learning rates that are not chosen yet; run "
                    "all trials of config.sweep first, see --commands"
                )
        if tried and tried != json_files.read_json(self.workdir / sweep.RATES) and self.train:
            json_files.write_json(self.workdir / sweep.RATES, tried)
            self.say("\n".join(sweep.describe(tried)))
        return _Swept(rates, list(listed.values()), None)

    def _train(self, made: Plan) -> int:
        """Trains trials and returns the exit code; a trial that fails is just not chosen."""
        jobs = [run.job_of(made, self.only)] if self.only else _jobs(made)
        if self.retry:
            _forget(jobs, self.say)
        if all(records.read(job.workdir) for job in jobs):
            return 0
        ready.check(jobs, made, self.study)
        _keep_study(self.study, self.workdir)
        memory = self.workdir / "costs.json"
        made, costs = budget.apply(made, self.study["budget"], memory, self.say)
        by_id = {job.id: job for job in (*made.pretrainings, *made.cells)}
        jobs = [by_id[job.id] for job in jobs]
        ended = _work(made, costs, jobs, self.study, self.count, self.say)
        return 128 + ended.signal if ended.signal else 0


def _jobs(made: Plan) -> list[Job]:
    return run.jobs_of(made) if made.cells else list(made.pretrainings)


def _forget(jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    forgotten = records.forget_failures([job.workdir for job in jobs])
    say(f"trying {formats.count(forgotten, 'failed job')} again")


def _work(
    made: Plan,
    costs: Mapping[str, Cost],
    jobs: Sequence[Job],
    study: Mapping[str, Any],
    count: int,
    say: Callable[[str], None],
) -> run.Ended:
    """Trains the jobs, in several processes where there are several of both."""
    train = functools.partial(_train, made, jobs, study, costs)
    return _share(count, train, jobs) if count > 1 and len(jobs) > 1 else train(say)


def _ending(jobs: Sequence[Job], ended: run.Ended, started: float) -> str:
    if ended.signal:
        return "stopped; repeat the command to continue"
    took = formats.duration(time.monotonic() - started)
    return f"{formats.count(len(jobs), 'job')} in {took}, {len(ended.failed)} failed"


def _choose(made: Plan, part: tuple[int, int], only: str) -> list[Job]:
    return [run.job_of(made, only)] if only else run.jobs_of(made, part)


def _train(
    made: Plan,
    jobs: Sequence[Job],
    study: Mapping[str, Any],
    costs: Mapping[str, Cost],
    say: Callable[[str], None],
) -> run.Ended:
    programs, keep = Programs(), study.get("keep_checkpoints", False)
    kept = {str(job.workdir) for job in jobs if keep or not _ends_with_its_numbers(job, study)}

    def train_one(config: ConfigDict, workdir: pathlib.Path) -> Result:
        keeping = str(workdir) in kept
        return loop.run(config, workdir, programs=programs, keep_checkpoints=keeping)

    return run.work(
        made,
        jobs,
        say,
        run=train_one,
        keep_checkpoints=keep,
        after=functools.partial(_keep_panels, study=study, programs=programs, say=say),
        size=lambda job: budget.size(costs[job.id]),
    )


def _share(
    count: int, train: Callable[[Callable[[str], None]], run.Ended], jobs: Sequence[Job]
) -> run.Ended:
    """Shares jobs among processes: each takes whatever job nobody works on."""
    if jax.default_backend() != "cpu":
        raise ConfigError(
            f"--processes={count} shares CPU cores, but jax uses a {jax.default_backend()}; start "
            "the command once per accelerator, with --cells=I/N and CUDA_VISIBLE_DEVICES set"
        )
    codes, received = processes.run(count, _train_in_child, train)
    stopped = [received] if received else [code - 128 for code in codes if code > 128]
    if stopped:
        return run.Ended(stopped[0], [])
    ended = {job.id: records.read(job.workdir) for job in jobs}
    left = [name for name, record in ended.items() if record is None]
    if left:
        raise OSError(
            f"the processes ended with {codes} and left {formats.count(len(left), 'job')}, "
            f"first {left[0]}; a negative code is the signal that ended one, often -9 for want of "
            "memory. Repeat the command to continue"
        )
    return run.Ended(0, [name for name, record in ended.items() if record.state == records.FAILED])


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
    """Raises ConfigError where the folder holds another study; more values of factors and more arms
    are welcome.
    """
    before = json_files.read_json(workdir / STUDY) or study
    for key in ("target", "pretraining", "budget"):
        if before.get(key) != study.get(key):
            raise ConfigError(
                f"{workdir} holds a study with another config.{key} ({before.get(key)} there, "
                f"{study.get(key)} here); choose another --workdir"
            )
