"""Describes what a study would do: the plan and its cost, and its jobs as commands."""

import collections
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import power, statistics, units
from geoseg_jax.analysis.units import CONDITION
from geoseg_jax.core.formats import count, duration, flop, listed, points
from geoseg_jax.data.factory import make_data
from geoseg_jax.study import budget, records, run
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Cell, Plan, Pretraining, arms_of, replicates


def describe(
    made: Plan,
    study: Mapping[str, Any],
    costs: Mapping[str, Cost],
    trials: Sequence[run.Job] = (),
) -> str:
    """Describes the plan: cells, what each reuses, what each arm gets, and the time.

    trials: of the sweep before it, with what they start from.
    """
    lines = [study["title"], "", *_summary(made, study), ""]
    if trials:
        left = sum(not records.read(job.workdir) for job in trials)
        until = "; until it is done the rates below are those of the configs" if left else ""
        lines += [f"learning-rate sweep first: {len(trials)} jobs, {left} left{until}", ""]
    lines += [f"pre-trainings ({len(made.pretrainings)}):"]
    users = collections.Counter(cell.pretraining for cell in made.cells)
    for job in made.pretrainings:
        chain = made.chain(job)
        start = job.recipe.get("init_from")
        more = f", from {pathlib.Path(start).name}" if start else ""
        if len(chain) > 1:
            more += f", {flop(sum(costs[link.id].flops for link in chain))} in all"
        more += _state(job.workdir)
        lines.append(
            f"  {job.id:<32} {_cost(costs[job.id])}  for {count(users[job.id], 'cell')}{more}"
        )
    lines += ["", f"cells ({len(made.cells)}):"]
    width = max(len(cell.id) for cell in made.cells)
    for cell in made.cells:
        start = cell.pretraining or cell.recipe.get("init_from") or "random weights"
        lines.append(f"  {cell.id:<{width}}  from {start}{_state(cell.workdir)}")
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
        f"left to do: {len(left)} of {len(jobs)} jobs, {flop(sum(c.flops for c in left))}. One "
        f"process needs about {duration(seconds)}, plus evaluation and compilation, at "
        f"{flop(rate)}/s (measured just now on a convolution) and "
        f"{budget.STARTING:.0f} s to start each job",
    ]
    return "\n".join(lines)


def _summary(made: Plan, study: Mapping[str, Any]) -> list[str]:
    """Says in words what is multiplied with what, and who judges."""
    arms = list(arms_of(study).values())
    names = [a.get("label", a["name"]) for a in arms]
    trained = sum(bool(a.get("config")) for a in arms)
    runs, encoders = len(replicates(study)), study["factors"]["encoder"]
    seeds = len({job.seed for job in made.pretrainings})
    factors = [f"{count(len(arms), 'arm')} ({', '.join(names)})"]
    for name in CONDITION:
        values = [_named(name, value) for value in study["factors"][name]]
        number = count(len(values), {"labels": "label number"}.get(name, name))
        factors.append(f"{number} ({', '.join(values)})")
    lines = [
        f"{' x '.join(factors)} x {count(runs, 'replicate')}",
        f"= {count(len(made.cells), 'cell')}: each trains and judges a segmentation once",
        f"{count(trained, 'pre-trained arm')} x {count(len(encoders), 'encoder')} x "
        f"{count(seeds, 'seed')} = {count(len(made.pretrainings), 'pre-training')}",
        _apart(study, seeds),
    ]
    return lines + _judges(made, runs)


def _apart(study: Mapping[str, Any], seeds: int) -> str:
    """Says what sets replicates apart; seeds: of pre-trainings."""
    if "replicate" in study["factors"]:
        each = ["subset of labels"] if any(study["factors"]["labels"]) else []
        each += ["seed", *(["encoders"] if seeds > 1 else [])]
        return f"a replicate has a {listed(each)} of its own, the same for all arms"
    kinds = ("label subset", "seed", "pre-training seed")
    values = zip(kinds, zip(*replicates(study), strict=True), strict=True)
    varied = [count(len(set(of)), kind) for kind, of in values if len(set(of)) > 1]
    return f"replicates: {' x '.join(varied) or 'one'}, the same for all arms"


def _named(factor: str, value: Any) -> str:
    if factor == "labels" and not value:
        return "all"
    return value.replace("_", "-") if factor == "training" else str(value)


def _judges(made: Plan, runs: int) -> list[str]:
    """Says which labelled pictures judge, where these lie in files; nothing when all is done."""
    cell = next((cell for cell in made.cells if not records.read(cell.workdir)), None)
    if cell is None or not cell.recipe.get("data.root"):
        return []
    config = cell.config
    config.data.update({"labels": 0, "subset": -1})
    data = make_data(config, check_labels=False)
    judged, folds = len(data.eval), getattr(data.eval, "folds", 0)
    total = judged + len(data.train) if folds else judged
    few = "; that is few, see the interval over pictures" if total < statistics.FEW_PICTURES else ""
    if not folds:
        text = f"{len(data.train):,} pictures may train, every cell is judged on {judged:,} others"
        return [text + few]
    used = len({c.recipe.get("data.fold") for c in made.cells})
    if used == folds < runs:
        text = f"{count(total, 'labelled picture')} in {folds} folds judge by turns over "
        text += f"{runs} replicates"
    elif used == folds:
        text = f"each of {count(total, 'labelled picture')} judges once over {folds} replicates"
    else:
        text = f"{used} of {folds} folds of {count(total, 'labelled picture')} judge"
    return [f"{text}: about {total / folds:.0f} judge a cell, the others may train{few}"]


def _encoders(made: Plan, costs: Mapping[str, Cost]) -> list[str]:
    """Says what an encoder for each replicate costs, and what one for all cannot show."""
    seeds = {job.seed for job in made.pretrainings}
    if not seeds:
        return []
    if len(seeds) == 1:
        return [
            "one pre-training per arm: intervals hold for these encoders only; "
            "config.factors.replicate gives each replicate its own",
        ]
    whole = sum(costs[job.id].flops for job in made.pretrainings)
    one = sum(costs[job.id].flops for job in made.pretrainings if job.seed == min(seeds))
    shared = len(seeds) < len({units.replicate(cell.factors) for cell in made.cells})
    of = "each shared by several replicates" if shared else "one per replicate"
    return [
        f"{len(seeds)} pre-training seeds, {of}: {flop(whole)} of pre-training. "
        f"With config.factors.pretraining_seed=({min(seeds)},) it would be {flop(one)}, but "
        "intervals would hold for these encoders only",
    ]


def _power(made: Plan, study: Mapping[str, Any]) -> list[str]:
    """Says how many replicates it takes, and what difference the planned ones can show."""
    pairs, unit = units_of(made), units.units(cell.factors for cell in made.cells).name
    spread = study.get("spread")
    lines = [
        f"power of {count(pairs, unit)} (exact permutation test with Holm's correction; "
        "differences in standard deviations of pairs"
        + (f", {points(spread)} points each" if spread else "")
        + "):"
    ]
    for what, comparisons in families(made, study).items():
        if not comparisons:
            continue
        smallest = power.detectable(pairs, comparisons)
        also = f" ({points(smallest * spread)} points)" if spread else ""
        shown = f"a difference of {smallest:.1f}{also} is found in 80 % of studies"
        shown = shown if math.isfinite(smallest) else "none can be significant"
        needed = statistics.pairs_needed(comparisons)
        number = count(comparisons, "comparison")
        lines.append(f"  {what}: {number}, needs {count(needed, unit)}; {shown}")
    return lines


def units_of(made: Plan) -> int:
    """Counts the independent units of the planned cells, as the report's intervals do."""
    return len(set(units.units(cell.factors for cell in made.cells).of.values()))


def families(made: Plan, study: Mapping[str, Any]) -> dict[str, int]:
    """Counts the comparisons that are corrected together: what they are -> how many."""
    there = {cell.factors["arm"] for cell in made.cells}
    arms = len(there) - 1
    conditions = len({tuple(cell.factors[f] for f in CONDITION) for cell in made.cells})
    counts = {
        "each arm against the reference, over all conditions": arms,
        "the contrasts": sum(there.issuperset(pair) for pair in study.get("contrasts", ())),
    }
    if conditions > 1:
        counts["each arm against the reference, in each condition"] = arms * conditions
    return counts


def commands(made: Plan, part: tuple[int, int], whole: str, trials: Sequence[run.Job] = ()) -> str:
    """Writes a command for each job, in an order in which they can be done; then the report's.

    Lines that begin with # say what must be done before what follows.

    Args:
      part: (i, n), which part of the cells, see run.jobs_of.
      trials: of the sweep before it, with what they start from.
      whole: the command of the whole study.
    """
    first = [job.id for job in trials]
    jobs = [job for job in run.jobs_of(made, part) if job.id not in first]
    pretrainings = [job.id for job in jobs if isinstance(job, Pretraining)]
    cells = [job.id for job in jobs if isinstance(job, Cell)]
    chained = any(job.recipe.get("init_from") for job in made.pretrainings)
    order = ", each after the one it starts from" if chained else ""
    swept = [
        f"# {len(first)} jobs of the learning-rate sweep, each after what it starts from",
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
    record = records.read(workdir)
    return f"  ({record.state})" if record else ""


def _cost(cost: Cost) -> str:
    distinct = f"{count(cost.pictures):>7} distinct" if cost.pictures else "all labelled"
    return (
        f"{count(cost.steps):>7} steps, {count(cost.images):>9} images, "
        f"{count(cost.encoder_images):>9} through the encoder, {distinct}, {flop(cost.flops)}"
    )
