"""Tries a job, or several at once: trained here, done by others, or failed, whatever happens."""

import contextlib
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from geoseg_jax.core import disk
from geoseg_jax.core.one_line import named
from geoseg_jax.study import deaths, records
from geoseg_jax.study.plan import Cell, Plan, Pretraining
from geoseg_jax.study.records import DONE, FAILED, Record
from geoseg_jax.training import stacked
from geoseg_jax.training import workdir as workdirs
from geoseg_jax.training.checkpoints import steps_in

BUSY = "busy"

Job = Pretraining | Cell


class Context(NamedTuple):
    """What every try needs, and the signals received; see run.work."""

    plan: Plan
    say: Callable[[str], None]
    run: Callable[..., Any]
    together: Callable[[Sequence[Job]], Sequence[stacked.Outcome]] | None
    keep_checkpoints: bool
    after: Callable[[Job], None]
    received: list[int]  # signals


class End(NamedTuple):
    """What became of a job that was tried."""

    state: str  # BUSY, DONE or FAILED
    seconds: float = 0.0  # spent on it here


_WAITS = End(BUSY)  # for another job
_ELSEWHERE = End(BUSY)  # another process has it


def attempt(jobs: Sequence[Job], context: Context) -> list[End]:
    """Tries jobs that can be trained at once; returns what became of each."""
    with contextlib.ExitStack() as stack:
        ends: list[End | None] = []
        for job in jobs:
            # Whoever has the first has come for all of them.
            elsewhere = bool(ends) and all(end is _ELSEWHERE for end in ends)
            first = next((j for j, end in zip(jobs, ends, strict=False) if end is None), None)
            ends.append(_ELSEWHERE if elsewhere else _take(job, first, context, stack))
        ours = [job for job, end in zip(jobs, ends, strict=True) if end is None]
        trained = iter(_train(ours, context) if ours else ())
        return [end or next(trained) for end in ends]


def _take(job: Job, first: Job | None, context: Context, stack: contextlib.ExitStack) -> End | None:
    """Returns None where the job is ours to train while the stack lasts, else what it is.

    first: of those that are trained at once, where that is another.
    """
    record = records.read(job.workdir)
    if record:
        return End(record.state)
    ready, problem = _ready(job, context.plan)
    if not ready or context.received:
        return _WAITS
    with contextlib.ExitStack() as own:
        if not own.enter_context(records.lock(job.workdir)):
            return _ELSEWHERE
        record = records.read(job.workdir)  # by somebody else, just before
        if record:
            return End(record.state)
        started = records.started(job.workdir, first.workdir if first else None)
        died = own.enter_context(started)
        if not problem and died >= deaths.MOST:
            problem = (
                f"it crashed or ran out of memory {died} times at the same step, and ended its "
                "process; make it smaller, then --retry"
            )
        if problem:
            records.write(job.workdir, Record(FAILED, 0.0, problem))
            return End(FAILED)
        stack.push(own.pop_all())
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


def _train(jobs: Sequence[Job], context: Context) -> list[End]:
    """Trains jobs that are ours; returns how each has ended, if it has."""
    for job in jobs:
        context.say(f"\n{job.id}")
    start = time.monotonic()
    outcomes = _outcomes(jobs, context)
    problems = [_after(*pair, context) for pair in zip(jobs, outcomes, strict=True)]
    trained = sum(outcome is not None for outcome in outcomes)
    each = (time.monotonic() - start) / max(trained, 1)
    return [_written(*pair, each, context) for pair in zip(jobs, problems, strict=True)]


_THERE = "there"  # a run that was finished here before
_Outcome = stacked.Outcome | str


def _outcomes(jobs: Sequence[Job], context: Context) -> list[_Outcome]:
    """Trains those jobs that are not finished; returns the outcome of each."""
    found = [_earlier(job) for job in jobs]
    left = [job for job, outcome in zip(jobs, found, strict=True) if outcome is None]
    if context.received or not left:
        return found
    train = _together if context.together else _alone
    trained = iter(train(left, context))
    return [next(trained) if outcome is None else outcome for outcome in found]


def _earlier(job: Job) -> _Outcome:
    """Returns _THERE for a run that is finished, None for one that isn't, or the error."""
    try:
        return _THERE if _finished(job) else None
    except Exception as error:
        return error


def _alone(jobs: Sequence[Job], context: Context) -> list[_Outcome]:
    """Trains one job."""
    (job,) = jobs
    try:
        return [context.run(job.config, job.workdir)]
    except Exception as error:  # one job's end must not be the study's
        if not context.received:
            return [error]
        context.say(_while_stopping(job, error))
        return [None]


def _together(jobs: Sequence[Job], context: Context) -> list[_Outcome]:
    """Trains jobs at once, or in halves where that is more than can be."""
    try:
        return list(context.together(jobs))
    except stacked.StackError as error:
        if context.received:  # a stop that went wrong says nothing of the jobs
            context.say(f"while stopping, {named(error)}")
            return [None] * len(jobs)
        if len(jobs) == 1:
            return [error]
        half = len(jobs) // 2
        context.say(f"{error}; now {half} at once")
    return [*_together(jobs[:half], context), *_together(jobs[half:], context)]


def _while_stopping(job: Job, error: Exception) -> str:
    """Tells of a stop that went wrong, which says nothing of the job."""
    return f"{job.id}: while stopping, {named(error)}"


def _after(job: Job, outcome: _Outcome, context: Context) -> Exception | str | None:
    """Makes what is asked for of a trained job; returns BUSY, or the error that has ended it."""
    if outcome is None or isinstance(outcome, Exception):
        return BUSY if outcome is None else outcome
    if isinstance(outcome, str):
        return None
    if outcome.signal:
        context.received.append(outcome.signal)
        return BUSY
    try:
        context.after(job)
    except Exception as error:
        if not context.received:
            return error
        context.say(_while_stopping(job, error))
        return BUSY
    return None


def _written(job: Job, problem: Exception | str | None, seconds: float, context: Context) -> End:
    """Writes down how a job has ended, if it has; see `_after`."""
    if problem == BUSY:
        return _WAITS
    if isinstance(problem, Exception):
        if disk.is_full(problem):  # which says nothing of the job, and is as full for the next one
            raise problem
        job.workdir.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(problem))
        (job.workdir / "error.txt").write_text(text, encoding="utf-8")
        record = Record(FAILED, seconds, named(problem))
    else:
        record = Record(DONE, seconds if context.together else _of_all_starts(job, seconds), "")
    # The record first: killed between the two, checkpoints are left over and nothing is lost.
    records.write(job.workdir, record)
    if record.state == DONE and isinstance(job, Cell) and not context.keep_checkpoints:
        shutil.rmtree(job.workdir / "checkpoints", ignore_errors=True)
    return End(record.state, seconds)


def _of_all_starts(job: Job, seconds: float) -> float:
    """Gives the run's own sum, where it has one, in place of the seconds of the last start."""
    return max(seconds, (workdirs.read_manifest(job.workdir, "step") or {}).get("seconds", 0.0))


def _finished(job: Job) -> bool:
    """Tells whether a run was finished here whose checkpoints were not kept, or are gone."""
    done = workdirs.read_manifest(job.workdir, "step")
    there = (job.workdir / "eval.json").exists() and not steps_in(job.workdir / "checkpoints")
    return bool(done) and there and done["step"] >= job.recipe.get("train.steps")
