"""What a study would do, told beforehand: the plan and its cost, and its jobs as commands."""

import pathlib
from collections.abc import Mapping
from typing import Any

from geoseg_jax import writers
from geoseg_jax.study import budget, records, run
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Plan


def describe(made: Plan, study: Mapping[str, Any], costs: Mapping[str, Cost]) -> str:
    """The plan for a terminal: cells, what each reuses, what each arm gets, and the time."""
    lines = [study["title"], "", "pre-trainings, each once:"]
    for job in made.pretrainings:
        users = sum(cell.pretraining == job.id for cell in made.cells)
        chain = made.chain(job)
        start = job.config.get("init_from")
        more = f", from {pathlib.Path(start).name}" if start else ""
        if len(chain) > 1:
            more += f", together {sum(costs[link.id].flops for link in chain):.2e} FLOP"
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
        f"budget of every pre-training: {budget.given(study['budget'])}",
        f"left to do: {len(left)} of {len(jobs)} jobs, {sum(c.flops for c in left):.2e} FLOP; at "
        f"{rate / 1e9:.0f} GFLOP/s, measured here just now on a convolution, and "
        f"{budget.STARTING:.0f} s to start each: about {writers.duration(seconds)}, without "
        "evaluation, without compiling each program once, and for one process that does it all",
    ]
    return "\n".join(lines)


def commands(made: Plan, part: tuple[int, int], whole: str) -> str:
    """A command for each job, for a job array, in an order in which they can be done; then the
    report's. Lines that begin with # say what must be done before what follows.

    Args:
      part: (i, n), which part of the cells, see run.jobs_of.
      whole: the command of the whole study.
    """
    jobs = run.jobs_of(made, part)
    pretrainings = [job.id for job in jobs if job in made.pretrainings]
    cells = [job.id for job in jobs if job not in made.pretrainings]
    chained = any(job.config.get("init_from") for job in made.pretrainings)
    order = "; what one starts from stands before it" if chained else ""
    lines = [
        f"# {len(pretrainings)} pre-trainings{order}",
        *(f"{whole} --only={name}" for name in pretrainings),
        f"# {len(cells)} cells, each after its pre-training",
        *(f"{whole} --only={name}" for name in cells),
        "# when all are done",
        f"{whole} --report",
    ]
    return "\n".join(lines)


def _state(workdir: pathlib.Path) -> str:
    found = records.read(workdir)
    return f"  ({found.state})" if found else ""


def _cost(cost: Cost) -> str:
    return f"{cost.steps:>6} steps, {cost.images:>8} images, {cost.flops:.2e} FLOP"
