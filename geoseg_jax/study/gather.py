"""Gathers what a plan's jobs left behind: a row for each cell, and one for each pre-training."""

import collections
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from geoseg_jax.analysis import metrics
from geoseg_jax.analysis import pretrainings as of_arms
from geoseg_jax.analysis.units import FACTORS
from geoseg_jax.core.formats import count
from geoseg_jax.data.provenance import leakage, reads
from geoseg_jax.data.source import DataError
from geoseg_jax.study import records
from geoseg_jax.study.plan import Cell, Plan
from geoseg_jax.training import manifest
from geoseg_jax.training import workdir as workdirs


def rows(plan: Plan, reference: str, metric: str = "miou") -> list[dict[str, Any]]:
    """Makes a row of each cell.

    It has id, factors, status, metrics (nan where there is none), seconds, error, warning, revision
    (of the code), curve, the (step, metric) of each evaluation, start, what it started from, and,
    where done, labelled, the number of pictures that it was trained on, and judged, the hash of the
    data that it was judged on.

    Args:
      reference: the arm whose runs others are paired with; a run by other code is warned of.
      metric: what the study compares by.

    Raises:
      ValueError: for a finished run that has no such metric.
    """
    made = [_row(cell, metric) for cell in plan.cells]
    beside = {_pair(row): row["revision"] for row in made if row["arm"] == reference}
    for row in made:
        other = beside.get(_pair(row), "")
        if row["revision"] and other and row["revision"] != other:
            warning = f"run by other code than {reference} ({row['revision']}, not {other})"
            row["warning"] = "; ".join(filter(None, (row["warning"], warning)))
    return made


def _pair(row: Mapping[str, Any]) -> tuple:
    """Gives what a run shares with the reference's that it is paired with."""
    return tuple(row[name] for name in FACTORS if name != "arm")


def _row(cell: Cell, metric: str) -> dict[str, Any]:
    record = records.read(cell.workdir)
    row: dict[str, Any] = {"cell": cell.id, **cell.factors, "status": "missing"}
    row |= {name: math.nan for name in (*metrics.ALWAYS, metric, "seconds")}
    row |= {"error": "", "warning": "", "revision": ""}
    row["start"] = cell.pretraining or str(cell.recipe.get("init_from") or "")
    if record is None:
        return row | {"curve": []}
    row |= {"status": record.state, "seconds": record.seconds, "error": record.error}
    scores = workdirs.read_results(cell.workdir) if record.state == records.DONE else None
    if scores:
        if metric not in scores:
            raise ValueError(metrics.missing(metric, scores, f"{cell.workdir / 'eval.json'}"))
        row |= {k: _number(v) for k, v in scores.items() if k in metrics.NAMES or k == metric}
        row |= {k: _number(v) for k, v in scores.items() if k.startswith(metrics.CLASS)}
        row["warning"] = leakage_warning(cell.workdir)
        row |= _provenance(cell.workdir)
    return row | {"curve": curve(cell.workdir, metric)}


def pretrainings(plan: Plan) -> list[dict[str, Any]]:
    """Makes a row of each pre-training, with the columns of analysis/pretrainings.py.

    'number' is empty where it has no score of its own beside a constant prediction's, or not yet;
    by parameters_sha256 one sees whether another run came to the same encoder.
    """
    made = []
    for job in plan.pretrainings:
        record = records.read(job.workdir)
        found = of_arms.scored(workdirs.read_results(job.workdir) or {})
        row = {"pretraining": job.id, "arm": job.arm, "encoder": job.encoder, "seed": job.seed}
        row |= {"status": record.state if record else "missing"}
        row |= found._asdict() if found else {"number": "", "score": math.nan, "constant": math.nan}
        row["seconds"] = record.seconds if record else math.nan
        made.append(row | _made_by(job.workdir))
    return made


def _made_by(workdir: pathlib.Path) -> dict[str, str]:
    """Reads the hash of a pre-training's parameters, and the code that it was run by."""
    known = workdirs.read_manifest(workdir, "git_revision", "versions")
    if not known:
        return {"parameters_sha256": "", "revision": ""}
    return {"parameters_sha256": known.get("parameters_sha256", ""), "revision": _revision(known)}


def _provenance(workdir: pathlib.Path) -> dict[str, Any]:
    """Reads from a finished cell's manifest its data and code; {} without one."""
    keys = ("data.train.size", "data.eval.sha256", "git_revision", "versions.geoseg_jax")
    provenance = workdirs.read_manifest(workdir, *keys, "versions.jax")
    if not provenance:
        return {}
    data = provenance["data"]
    return {
        "labelled": data["train"]["size"],
        "judged": data["eval"]["sha256"],
        "revision": _revision(provenance),
    }


def _revision(provenance: Mapping[str, Any]) -> str:
    """Names the code of a run by its manifest."""
    versions = provenance["versions"]
    own = (provenance["git_revision"] or versions["geoseg_jax"] or "").replace(
        "-dirty", " and changes"
    )
    return f"{own[:12]}{own[40:]}, jax {versions['jax']}"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def leakage_warning(workdir: pathlib.Path) -> str:
    """Says what a cell, or its pre-training, has seen of the pictures that it was judged on.

    The cell's own training is the same for all arms, its pre-training is not: one that has looked
    at test pictures, or at others of the same recording, may owe its place to that.
    """
    try:
        run = reads.read_run(workdir)
    except DataError:
        warnings = ["no record of whether test pictures were seen in pre-training"]
        return "; ".join(warnings + _untrained_statistics(workdir))
    past = leakage.between(run.ancestors, run.eval)
    own = leakage.between([("", run.train)], run.eval)
    warnings = [f"pre-training saw {what}" for what in _seen(past)]
    warnings += [f"in every arm, training and test pictures share {what}" for what in _seen(own)]
    if past.unknown:
        warnings.append("no record of what its weights from elsewhere were trained on")
    warnings += _untrained_statistics(workdir)
    if past.without_drive and any(trained.drives for _, trained in run.ancestors):
        warnings.append("test pictures of unknown recordings may be of those that pre-training saw")
    return "; ".join(warnings)


def _untrained_statistics(workdir: pathlib.Path) -> list[str]:
    """Warns where a cell's weights came with the batch statistics of an untrained network, and it
    did not compute its own.
    """
    provenance = workdirs.read_manifest(workdir, "parents", "calibration") or {}
    if provenance.get("calibration"):
        return []
    warnings = [parent.get("untrained_statistics") for parent in provenance.get("parents", [])]
    return [f"of its weights, {what}" for what in warnings if what]


def _seen(shared: leakage.Shared) -> list[str]:
    counts = (len(shared.files), "test picture"), (len(shared.drives), "test recording")
    return [count(n, what) for n, what in counts if n]


def curve(workdir: pathlib.Path, metric: str) -> list[tuple[int, float]]:
    """Reads (step, metric) of every evaluation of a run from its metrics.jsonl."""
    scores = {
        values["step"]: float(values[metric])
        for values in workdirs.read_metrics(workdir)
        if values.get(metric) is not None
    }
    return sorted(scores.items())


def machines(plan: Plan) -> tuple[dict[str, str], str]:
    """Gives (versions, hardware) of all finished runs; where they differ, each of them.

    Those of this process where no run is finished.
    """
    folders = [job.workdir for job in (*plan.pretrainings, *plan.cells)]
    keys = ("git_revision", "versions", "python", "devices", "device", "platform")
    manifests = [m for folder in folders if (m := workdirs.read_manifest(folder, *keys))]
    here = manifest.describe_machine()
    runs = [_machine(m) for m in manifests or [here]]
    names = dict.fromkeys(name for versions, _ in runs for name in versions)
    versions = {name: _together(v.get(name, "unknown") for v, _ in runs) for name in names}
    report = here["git_revision"] or "unknown"
    if versions.get("git revision", report) != report:
        versions["git revision of the report"] = report
    return versions, _together(hardware for _, hardware in runs)


def _machine(run: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    versions = {"python": run["python"]} | {k: v for k, v in run["versions"].items() if v}
    if run["git_revision"]:
        versions["git revision"] = run["git_revision"]
    return versions, f"{run['devices']} × {run['device']}, {run['platform']}"


def _together(values: Iterable[str]) -> str:
    counts = collections.Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value} ({count} runs)" for value, count in counts.most_common())
