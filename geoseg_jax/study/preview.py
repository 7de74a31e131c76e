"""What a study would do, told beforehand: the plan and its cost, and its jobs as commands."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import power, statistics, units
from geoseg_jax.analysis.units import CONDITION
from geoseg_jax.study import budget, records, run
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Plan
from geoseg_jax.training import writers


def describe(
    made: Plan,
    study: Mapping[str, Any],
    costs: Mapping[str, Cost],
    trials: Sequence[run.Job] = (),
) -> str:
    """The plan for a terminal: cells, what each reuses, what each arm gets, and the time.

    trials: of the sweep before it, with what they start from.
    """
    lines = [study["title"], ""]
    if trials:
        left = sum(not records.read(job.workdir) for job in trials)
        told = "; until then the configs' own rates stand below" if left else ""
        lines += [f"sweep of learning rates: {len(trials)} jobs first, {left} left{told}", ""]
    lines += ["pre-trainings, each once:"]
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
        *_encoders(made, costs),
        *_power(made, study),
        "",
        f"a cell: {per_cell}",
        f"budget of every pre-training: {budget.given(study['budget'])}",
        f"left to do: {len(left)} of {len(jobs)} jobs, {sum(c.flops for c in left):.2e} FLOP; at "
        f"{rate / 1e9:.0f} GFLOP/s, measured here just now on a convolution, and "
        f"{budget.STARTING:.0f} s to start each: about {writers.duration(seconds)}, without "
        "evaluation, without compiling each program once, and for one process that does it all",
    ]
    return "\n".join(lines)


def _encoders(made: Plan, costs: Mapping[str, Cost]) -> list[str]:
    """What encoders of their own cost the replicates, and what one for all of them can't say."""
    seeds = {job.seed for job in made.pretrainings}
    if not seeds:
        return []
    if len(seeds) == 1:
        return [
            "one pre-training an arm: its intervals speak of these encoders alone; "
            "config.factors.replicate gives each replicate one of its own",
        ]
    whole = sum(costs[job.id].flops for job in made.pretrainings)
    one = sum(costs[job.id].flops for job in made.pretrainings if job.seed == min(seeds))
    return [
        f"{len(seeds)} pre-training seeds, one for each replicate: {whole:.2e} FLOP of "
        f"pre-training. With config.factors.pretraining_seed=({min(seeds)},) it is {one:.2e}, and "
        "all intervals speak of these encoders alone",
    ]


def _power(made: Plan, study: Mapping[str, Any]) -> list[str]:
    """How many replicates it takes, and what difference those that are planned can show."""
    pairs = units_of(made)
    lines = [
        f"power of {pairs} replicates, by the exact permutation test after Holm's correction, in "
        "standard deviations of paired differences"
        + (f" (of {100 * study['spread']:g} points)" if study.get("spread") else "")
        + ":"
    ]
    for what, count in families(made, study).items():
        if not count:
            continue
        smallest = power.detectable(pairs, count)
        points = f", {100 * smallest * study['spread']:.1f} points" if study.get("spread") else ""
        shown = f"a difference of {smallest:.1f}{points} is found in 80 %"
        shown = shown if math.isfinite(smallest) else "none can be significant"
        needed = statistics.pairs_needed(count)
        number = f"{count} comparison{'' if count == 1 else 's'}"
        lines.append(f"  {what}: {number}, {needed} replicates needed; {shown}")
    return lines


def units_of(made: Plan) -> int:
    """How many independent units the planned cells have: what the report's intervals count."""
    return len(set(units.units(cell.factors for cell in made.cells).of.values()))


def families(made: Plan, study: Mapping[str, Any]) -> dict[str, int]:
    """Comparisons that are corrected together: what they are -> how many."""
    there = {cell.factors["arm"] for cell in made.cells}
    arms = len(there) - 1
    conditions = len({tuple(cell.factors[f] for f in CONDITION) for cell in made.cells})
    found = {
        "each arm against the reference, over all conditions": arms,
        "the contrasts": sum(there.issuperset(pair) for pair in study.get("contrasts", ())),
    }
    if conditions > 1:
        found["each arm against the reference, in each condition"] = arms * conditions
    return found


def commands(made: Plan, part: tuple[int, int], whole: str, trials: Sequence[run.Job] = ()) -> str:
    """A command for each job, for a job array, in an order in which they can be done; then the
    report's. Lines that begin with # say what must be done before what follows.

    Args:
      part: (i, n), which part of the cells, see run.jobs_of.
      trials: of the sweep before it, with what they start from.
      whole: the command of the whole study.
    """
    first = [job.id for job in trials]
    jobs = [job for job in run.jobs_of(made, part) if job.id not in first]
    pretrainings = [job.id for job in jobs if job in made.pretrainings]
    cells = [job.id for job in jobs if job not in made.pretrainings]
    chained = any(job.config.get("init_from") for job in made.pretrainings)
    order = "; what one starts from stands before it" if chained else ""
    swept = [
        f"# {len(first)} jobs of the sweep of learning rates, each after what it starts from",
        *(f"{whole} --only={name}" for name in first),
    ]
    lines = [
        *(swept if first else ()),
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
    distinct = f"{cost.pictures:>6} distinct" if cost.pictures else "all labelled"
    return (
        f"{cost.steps:>6} steps, {cost.images:>8} images, {cost.encoder_images:>8} through the "
        f"encoder, {distinct}, {cost.flops:.2e} FLOP"
    )
