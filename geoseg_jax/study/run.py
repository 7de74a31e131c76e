"""Trains what a plan holds: each job once, whoever else works on it, whatever happens to one."""

import contextlib
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import disk
from geoseg_jax.core.formats import duration
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.study import deaths, records
from geoseg_jax.study.plan import Cell, Plan, Pretraining
from geoseg_jax.study.records import DONE, FAILED, Record
from geoseg_jax.training import loop, stacked
from geoseg_jax.training import workdir as workdirs
from geoseg_jax.training.checkpoints import steps_in
from geoseg_jax.training.interrupts import noted
from geoseg_jax.training.programs import INDEPENDENT

# Between two looks at what others are working on.
PATIENCE = 5.0  # seconds
BUSY = "busy"

Job = Pretraining | Cell


class _Context(NamedTuple):
    """The arguments of `work` that every job needs, and the signals received."""

    plan: Plan
    say: Callable[[str], None]
    run: Callable[..., Any]
    together: Callable[[Sequence[Job]], Sequence[Any]]
    keep_checkpoints: bool
    after: Callable[[Job], None]
    received: list[int]  # signals


class Ended(NamedTuple):
    """The end of the work."""

    signal: int  # that it was stopped by, else 0
    failed: list[str]  # ids of jobs


def jobs_of(plan: Plan, part: tuple[int, int] = (0, 1)) -> list[Job]:
    """Lists part i of n of the cells, and before them the pre-trainings that these need.

    The cells of one comparison, one of each arm, follow each other in the plan; from one to the
    next they are rotated by one, so that no part has always the same arms.
    """
    index, count = part
    arms = len({cell.factors["arm"] for cell in plan.cells})
    order = [k - k % arms + (k + k // arms) % arms for k in range(len(plan.cells))]
    cells = [plan.cells[k] for k in order][index::count]
    used = {cell.pretraining for cell in cells}
    needed = {link.id for p in plan.pretrainings if p.id in used for link in plan.chain(p)}
    return [*(p for p in plan.pretrainings if p.id in needed), *cells]


def job_of(plan: Plan, name: str) -> Job:
    """Finds the job with that id.

    Raises:
      ConfigError: where there is none, or it starts from one that is not done.
    """
    jobs = {job.id: job for job in (*plan.pretrainings, *plan.cells)}
    if name not in jobs:
        raise ConfigError(f"--only={name}: no job has that id{did_you_mean(name, jobs)}")
    needed = plan.start(jobs[name])
    if needed and records.read(needed.workdir) is None:
        raise ConfigError(
            f"{name} starts from {needed.id}, which is not done; run --only={needed.id} first"
        )
    return jobs[name]


def work(
    plan: Plan,
    jobs: Sequence[Job],
    say: Callable[[str], None],
    run: Callable[..., Any] = loop.run,
    keep_checkpoints: bool = False,
    after: Callable[[Job], None] = lambda job: None,
    size: Callable[[Job], float] = lambda job: 1.0,
    stack: int = 1,
    together: Callable[[Sequence[Job]], Sequence[stacked.Outcome]] = lambda jobs: [],
) -> Ended:
    """Trains until every job is done or has failed, here or elsewhere.

    Args:
      plan: of the study.
      jobs: of it, those to work on.
      say: takes lines of text.
      run: (config, workdir) -> loop.Result.
      keep_checkpoints: else a cell's are removed when it is done; pre-trainings keep theirs.
      after: what else is to be made of a finished job while its checkpoints are there.
      size: how much work a job is, in whatever unit: the time left is estimated from it.
      stack: as many jobs that differ in values alone are trained at once.
      together: as `run`, for several jobs; see stacked.run.
    """
    waiting, marks, said = list(jobs), [], ""
    # Some signals reach no training, or one that was about to end.
    with noted() as received:
        context = _Context(plan, say, run, together, keep_checkpoints, after, received)
        while waiting:
            idle = True
            for group in _groups(waiting, stack):
                ends = _try(group, context)
                if received:
                    return Ended(received[0], [])
                over = {job.id for job, end in zip(group, ends, strict=True) if end.state != BUSY}
                idle &= not over
                for job, (state, seconds) in zip(group, ends, strict=True):
                    if not seconds:
                        continue
                    # Others work on them too.
                    unfinished = [other for other in waiting if not records.read(other.workdir)]
                    marks.append((time.monotonic(), sum(map(size, unfinished))))
                    remaining = _time_left(marks[-9:], seconds / size(job))
                    done = len(jobs) - len(unfinished)
                    say(f"{job.id}: {state}. {done} of {len(jobs)} jobs, about {remaining} left")
                waiting = [job for job in waiting if job.id not in over]
            if waiting and idle:
                said = _say_wait(_held(waiting, plan), said, say)
                time.sleep(PATIENCE)
    return Ended(0, [job.id for job in jobs if records.read(job.workdir).state == FAILED])


def _held(jobs: Sequence[Job], plan: Plan) -> str:
    """Names the jobs that these wait for, and who works on them."""
    starts = [plan.start(job) for job in jobs]
    first = {job.id: job for job in (*filter(None, starts), *jobs) if not records.read(job.workdir)}
    held = [f"{job.id} ({who})" for job in first.values() if (who := records.holder(job.workdir))]
    return ", ".join(held)


def _say_wait(held: str, said: str, say: Callable[[str], None]) -> str:
    """Says once what is waited for; returns what has been said."""
    if held and held != said:
        say(f"waiting for {held}")
    return held


class _End(NamedTuple):
    """What became of a job that was tried."""

    state: str  # BUSY, DONE or FAILED
    seconds: float = 0.0  # spent on it here


def _groups(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Divides jobs, in their order, into groups of those that may be trained at once."""
    kinds: dict[Any, list[Job]] = {}
    for job in jobs:
        kind = job.id if size == 1 else (type(job), job.recipe.kind(_tells_apart))
        kinds.setdefault(kind, []).append(job)
    return [alike[i : i + size] for alike in kinds.values() for i in range(0, len(alike), size)]


def _tells_apart(key: str) -> bool:
    """Tells whether jobs with other values of a setting can't be trained at once."""
    return key not in INDEPENDENT or key == "train.steps"


def _try(jobs: Sequence[Job], context: _Context) -> list[_End]:
    """Tries the jobs of a group; returns what became of each."""
    with contextlib.ExitStack() as stack:
        ends = [_take(job, context, stack) for job in jobs]
        ours = [job for job, end in zip(jobs, ends, strict=True) if end is None]
        trained = iter(_train(ours, context) if ours else [])
        return [end or next(trained) for end in ends]


def _take(job: Job, context: _Context, stack: contextlib.ExitStack) -> _End | None:
    """Returns None where the job is ours to train while the stack lasts, else what it is."""
    record = records.read(job.workdir)
    if record:
        return _End(record.state)
    ready, problem = _ready(job, context.plan)
    if not ready or context.received or not stack.enter_context(records.lock(job.workdir)):
        return _End(BUSY)
    record = records.read(job.workdir)  # by somebody else, just before
    if record:
        return _End(record.state)
    died = stack.enter_context(records.started(job.workdir))
    if not problem and died >= deaths.MOST:
        problem = (
            f"it crashed or ran out of memory {died} times at the same step, and ended its "
            "process; make it smaller, then --retry"
        )
    if problem:
        records.write(job.workdir, Record(FAILED, 0.0, problem))
        return _End(FAILED)
    return None


def _ready(job: Job, plan: Plan) -> tuple[bool, str]:
    """Tells whether what the job starts from is there, and why it never will be."""
    needed = plan.start(job)
    if needed is None:
        return True, ""
    record = records.read(needed.workdir)
    if record is None:
        return False, ""
    return True, f"its pre-training {needed.id} failed" if record.state == FAILED else ""


def _train(jobs: Sequence[Job], context: _Context) -> list[_End]:
    for job in jobs:
        context.say(f"\n{job.id}")
    start = time.monotonic()
    unfinished = [job for job in jobs if not _finished(job)]
    trained = zip(unfinished, _outcomes(unfinished, context), strict=True)
    problems = {job.id: _after(job, outcome, context) for job, outcome in trained}
    each = (time.monotonic() - start) / len(jobs)
    return [_written(job, problems.get(job.id), each, context) for job in jobs]


def _outcomes(jobs: Sequence[Job], context: _Context) -> Sequence[stacked.Outcome]:
    if len(jobs) > 1:
        return context.together(jobs)
    try:
        return [context.run(job.config, job.workdir) for job in jobs]
    except Exception as error:  # one job's end must not be the study's
        return [error]


def _after(job: Job, outcome: stacked.Outcome, context: _Context) -> Exception | str | None:
    """Makes what is asked for of a trained job; returns BUSY, or the error that has ended it."""
    if outcome is None or isinstance(outcome, Exception):
        return BUSY if outcome is None else outcome
    if outcome.signal:
        context.received.append(outcome.signal)
        return BUSY
    try:
        context.after(job)
    except Exception as error:
        return error
    return None


def _written(job: Job, problem: Exception | str | None, seconds: float, context: _Context) -> _End:
    """Writes down how a job has ended, if it has; see `_after`."""
    if problem == BUSY:
        return _End(BUSY)
    if problem is None:
        record = Record(DONE, seconds, "")
    elif disk.is_full(problem):  # which says nothing of the job, and is as full for the next one
        raise problem
    else:
        line = " ".join(f"{type(problem).__name__}: {problem}".split())
        if context.received:  # a stop that went wrong says nothing of the job
            context.say(f"{job.id}: while stopping, {line}")
            return _End(BUSY)
        job.workdir.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(problem))
        (job.workdir / "error.txt").write_text(text, encoding="utf-8")
        record = Record(FAILED, seconds, line)
    # The record first: killed between the two, checkpoints are left over and nothing is lost.
    records.write(job.workdir, record)
    if record.state == DONE and isinstance(job, Cell) and not context.keep_checkpoints:
        shutil.rmtree(job.workdir / "checkpoints", ignore_errors=True)
    return _End(record.state, record.seconds)


def _finished(job: Job) -> bool:
    """Tells whether a run was finished here whose checkpoints were not kept, or are gone."""
    done = workdirs.read_manifest(job.workdir, "step")
    there = (job.workdir / "eval.json").exists() and not steps_in(job.workdir / "checkpoints")
    return bool(done) and there and done["step"] >= job.recipe.get("train.steps")


def _time_left(marks: Sequence[tuple[float, float]], pace: float) -> str:
    """Estimates the time left for all who work on the study.

    Args:
      marks: (time, work left then) after each of the last few jobs of this process.
      pace: seconds for each unit of work in the last job.
    """
    (first, before), (last, left) = marks[0], marks[-1]
    return duration(left * ((last - first) / (before - left) if before > left else pace))
