"""Writes what a study found: rows (CSV), results.json, tables, figures and report.html."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax import interop
from geoseg_jax.analysis import pretrainings, results, units
from geoseg_jax.analysis.units import Row
from geoseg_jax.core import atomic, json_files
from geoseg_jax.report import figures, page, tables
from geoseg_jax.study import budget, gather, inside, panels, plan, records, resampling, sweep
from geoseg_jax.study.budget import Cost
from geoseg_jax.study.plan import Cell, Plan, Pretraining
from geoseg_jax.training import workdir as workdirs


def report(
    study: Mapping[str, Any],
    made: Plan,
    costs: Mapping[str, Cost],
    workdir: pathlib.Path,
    command: str,
) -> list[str]:
    """Writes all results that there are, and returns lines for a terminal.

    Args:
      study: the study's config as plain data.
      costs: of each job, by its id.
      command: that made the study, for whoever wants to make it again.
    """
    metric = study.get("metric", "miou")
    rows = gather.rows(made, study["reference"], metric)
    for row, cell in zip(rows, made.cells, strict=True):
        row["command"] = plan.command("geoseg_jax.main", cell.argument, cell.config, cell.workdir)
    versions, hardware = gather.machines(made)
    lines = []
    # First what can't fail: the numbers.
    workdir.mkdir(parents=True, exist_ok=True)
    results.write_csv(workdir / "results.csv", rows)
    pretrained = gather.pretrainings(made)
    pretrainings.write_csv(workdir / "pretrainings.csv", pretrained)
    findings = results.assemble(
        rows,
        study["reference"],
        metric,
        contrasts=_contrasts(study, made),
        bound=study.get("equivalence", 0.0),
        resampled=_resampled(rows, made, metric),
        trial=study.get("trial", False),
        title=study["title"],
        question=study["question"],
        arms=[_arm(arm, made, costs, pretrained) for arm in plan.arms_of(study).values()],
        panels=panels.collect(study, made),
        features=_features(study, made, lines),
        budget=_budget(study, made, costs),
        goal=study.get("goal") or None,
        guard=_guard(study, made),
        rates=sweep.curves(workdir, made, metric) if study.get("sweep") else [],
        calibrated=made.cells[0].recipe.get("transfer.statistics") == "calibrated",
        versions=versions,
        hardware=hardware,
        date=json_files.now(),
        commands=[command],
    )
    # Each once, which the arms' own sums are not: a chain has what it starts from too.
    findings["pretraining_seconds"] = sum(_seconds(made.pretrainings)) or None
    json_files.write_json(workdir / "results.json", findings)
    atomic.write_text(workdir / "table.md", tables.markdown(findings))
    atomic.write_text(workdir / "table.tex", tables.latex(findings))
    atomic.write_text(
        workdir / "report.html", page.render(findings, (workdir / "results.csv").read_text("utf-8"))
    )
    figures.write_all(findings, workdir / "figures")
    missing = sum(row["status"] != records.DONE for row in rows)
    lines += [f"{missing} of {len(rows)} cells have no result"] if missing else []
    return [*lines, *findings["answer"], f"report: {workdir / 'report.html'}"]


def _resampled(rows: Sequence[Row], made: Plan, metric: str) -> resampling.Resampled | None:
    """Resamples the judged pictures; replicates that are judged on folds are pooled.

    Of these only such that are done in every arm: else arms would be held against each other on
    different pictures.
    """
    folders = {cell.id: cell.workdir for cell in made.cells}
    lacking = {
        (units.condition(r), units.replicate(r)) for r in rows if r["status"] != records.DONE
    }
    pools = {r["cell"]: (r["arm"], units.condition(r)) for r in rows}
    alone = {r["cell"] for r in rows if (units.condition(r), units.replicate(r)) in lacking}
    return resampling.resample(folders, metric, pools, alone)


def _features(study, made: Plan, lines: list[str]) -> dict[str, Any]:
    """Compares the encoders' features, or adds a line on why that failed."""
    try:
        return inside.look(study, made)
    except Exception as error:  # out of memory, data gone: the numbers are there all the same
        lines.append(f"encoders not compared: {type(error).__name__}: {error}")
        return {}


def _contrasts(study: Mapping[str, Any], made: Plan) -> list[tuple[str, str]]:
    """Lists contrasts of arms that were not left out."""
    there = {cell.factors["arm"] for cell in made.cells}
    return [tuple(pair) for pair in study.get("contrasts", ()) if there.issuperset(pair)]


def _guard(study: Mapping[str, Any], made: Plan) -> str:
    """Says what the guard, which let the study pass, has checked."""
    declared = sweep.declared(study)
    more = f" and the declared settings {', '.join(declared)}" if declared else ""
    return f"{len(made.cells)} cells differ only in the factors{more}{_rates(study, made)}"


def _rates(study: Mapping[str, Any], made: Plan) -> str:
    """Lists the learning rates that a sweep has chosen."""
    spec = study.get("sweep") or {}
    jobs: list[Pretraining | Cell] = list(made.pretrainings) if spec.get("pretraining") else []
    jobs += made.cells if spec.get("learning_rate") else []
    rates = {plan.rate_of(job): job.recipe.get("optimizer.learning_rate") for job in jobs}
    listed = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
    return f"; learning rates, chosen without test labels: {listed}" if listed else ""


def _arm(arm, made: Plan, costs, pretrained) -> dict[str, Any]:
    """Describes an arm for the report: what it was trained on, at what cost, and from what.

    The command is that of the first pre-training seed; others differ in config.seed.
    """
    own = [job for job in made.pretrainings if job.arm == arm["name"]]
    chains: dict[str, list[list[Pretraining]]] = {}  # of every seed, by encoder
    for job in own:
        chains.setdefault(job.encoder, []).append(made.chain(job))
    jobs = [job for by_seed in chains.values() for job in by_seed[0]]
    encoders = dict.fromkeys(cell.factors["encoder"] for cell in made.cells)
    known = not arm.get("weights")
    return {
        "name": arm["name"],
        "label": arm.get("label", arm["name"]),
        "config": arm.get("config", "") or arm.get("weights", "") or "random weights",
        "command": "; ".join(
            plan.command("geoseg_jax.main", job.argument, job.config, job.workdir) for job in jobs
        ),
        "spent": [{"encoder": e} | _spent(chains.get(e, ()), costs, known) for e in encoders],
        "own_task": pretrainings.summary(row for row in pretrained if row["arm"] == arm["name"]),
        "ancestors": _ancestors(arm, own, made),
    }


def _ancestors(arm, own: Sequence[Pretraining], made: Plan) -> list[str]:
    """Lists what an arm starts from, the nearest first: other arms, then downloaded weights."""
    cells = [cell for cell in made.cells if cell.factors["arm"] == arm["name"]]
    chain = made.chain(own[0]) if own else cells[:1]
    first = chain[0]
    before = [job.arm for job in reversed(chain[:-1])]
    return before + ([_weights(first)] if first.recipe.get("init_from") else [])


def _weights(job: Pretraining | Cell) -> str:
    """Names what a job starts from, with the hash of its content then."""
    provenance = workdirs.read_manifest(job.workdir, "parents") or {}
    parents = provenance.get("parents")
    digest = f", sha256 {parents[-1]['sha256'][:12]}" if parents and "sha256" in parents[-1] else ""
    source = job.recipe.get("init_from")
    return (source if interop.is_name(source) else pathlib.Path(source).name) + digest


def _spent(chains: Sequence[Sequence[Pretraining]], costs, known: bool) -> dict[str, float]:
    """Sums what one encoder of an arm has looked at and used up, with what it starts from.

    Distinct pictures of the same data count once for a chain. The seconds are the mean over the
    pre-training seeds that have ended; nan where none has, and for downloaded weights, of
    which nothing is known.

    Args:
      chains: of every seed of the encoder, the first link first.
    """
    names = ("images", "encoder_images", "steps", "flops")
    if not known:
        return dict.fromkeys((*names, "pictures", "seconds"), math.nan)
    chain = chains[0] if chains else ()
    spent = {name: sum(getattr(costs[job.id], name) for job in chain) for name in names}
    pictures: dict[str, int] = {}
    for job in chain:
        data = budget.name_of_data(job.config)
        pictures[data] = max(pictures.get(data, 0), costs[job.id].pictures)
    ended = [seconds for c in chains if len(seconds := _seconds(c)) == len(c)]
    mean = math.fsum(map(sum, ended)) / len(ended) if ended else math.nan
    return spent | {"pictures": sum(pictures.values()), "seconds": mean}


def _seconds(jobs: Sequence[Pretraining]) -> list[float]:
    """Lists the times of those that have ended."""
    return [record.seconds for job in jobs if (record := records.read(job.workdir))]


def _budget(study, made: Plan, costs) -> str:
    """Says what every job was given."""
    arms = plan.arms_of(study).values()
    cell = costs[made.cells[0].id]
    pretraining = f"each pre-training {budget.given(study['budget'])}"
    weights = [a["name"] for a in arms if a.get("weights")]
    chains = [a.get("label", a["name"]) for a in arms if a.get("start", "") not in ("", *weights)]
    if chains:
        pretraining += f" ({', '.join(chains)}: as much for every pre-training in the chain)"
    unknown = [a for a in arms if a.get("weights") or a.get("start", "-") in weights]
    if unknown:
        named = ", ".join(a.get("label", a["name"]) for a in unknown)
        pretraining += f" ({named}: downloaded weights too, whose cost is unknown)"
    return f"{pretraining}; each cell {cell.steps:,} segmentation steps"
