"""Trains what a plan holds: each job once, whoever else works on it, whatever happens to one."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.formats import duration
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.study import records
from geoseg_jax.study.attempts import BUSY, Context, Job, attempt
from geoseg_jax.study.plan import Plan
from geoseg_jax.study.records import FAILED
from geoseg_jax.training import loop, stacked
from geoseg_jax.training.checkpoints import steps_in
from geoseg_jax.training.interrupts import noted
from geoseg_jax.training.programs import INDEPENDENT

# Between two looks at what others are working on.
PATIENCE = 5.0  # seconds


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
    together: Callable[[Sequence[Job]], Sequence[stacked.Outcome]] | None = None,
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
      together: in place of `run`, trains one or several; see stacked.run.
    """
    waiting, marks, said = list(jobs), [], ""
    # Some signals reach no training, or one that was about to end.
    with noted() as received:
        context = Context(plan, say, run, together, keep_checkpoints, after, received)
        while waiting:
            idle = True
            for group in _groups(waiting, stack):
                ends = attempt(group, context)
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
            # A --retry elsewhere may have taken records away meanwhile.
            waiting = waiting or [job for job in jobs if not records.read(job.workdir)]
            if waiting and idle:
                said = _say_wait(_held(waiting, plan), said, say)
                time.sleep(PATIENCE)
    ends = {job.id: records.read(job.workdir) for job in jobs}
    return Ended(0, [name for name, record in ends.items() if record and record.state == FAILED])


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


def _groups(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """Divides jobs into groups of those that may be trained at once, in the order of their first.

    Those who have ended a process may do so again: they are tried alone.
    """
    if size == 1:
        return [[job] for job in jobs]
    kinds: dict[Any, list[Job]] = {}
    for job in jobs:
        step = max(steps_in(job.workdir / "checkpoints"), default=0)
        kind = type(job), step, job.recipe.kind(_tells_apart)
        kinds.setdefault(job.id if records.blamed(job.workdir) else kind, []).append(job)
    groups = [alike[i : i + size] for alike in kinds.values() for i in range(0, len(alike), size)]
    places = {job.id: place for place, job in enumerate(jobs)}
    return sorted(groups, key=lambda group: places[group[0].id])


def _tells_apart(key: str) -> bool:
    """Tells whether jobs with other values of a setting can't be trained at once."""
    return key not in INDEPENDENT or key == "train.steps"


def _time_left(marks: Sequence[tuple[float, float]], pace: float) -> str:
    """Estimates the time left for all who work on the study.

    Args:
      marks: (time, work left then) after each of the last few jobs of this process.
      pace: seconds for each unit of work in the last job.
    """
    (first, before), (last, left) = marks[0], marks[-1]
    return duration(left * ((last - first) / (before - left) if before > left else pace))
