"""What the jobs of a plan left behind, as rows: one for each cell, done or not."""

import collections
import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from geoseg_jax.analysis import metrics
from geoseg_jax.analysis.units import FACTORS
from geoseg_jax.core import json_files
from geoseg_jax.data.provenance import leakage, reads
from geoseg_jax.data.source import DataError
from geoseg_jax.study import records
from geoseg_jax.study.plan import Cell, Plan
from geoseg_jax.training import manifest


def rows(plan: Plan, reference: str, metric: str = "miou") -> list[dict[str, Any]]:
    """For each cell: its id, factors, status, metrics (nan where there is none), seconds, error,
    warning, revision (of the code), curve, the (step, metric) of each evaluation, start, what it
    started from, and, where done, labelled, the number of pictures that it was trained on, and
    judged, the hash of the data that it was judged on.

    Args:
      reference: the arm whose runs others are paired with; a run by other code is warned of.
      metric: what the study compares by.

    Raises:
      ValueError: for a finished run that has no such metric.
    """
    found = [_row(cell, metric) for cell in plan.cells]
    beside = {_pair(row): row["revision"] for row in found if row["arm"] == reference}
    for row in found:
        other = beside.get(_pair(row), "")
        if row["revision"] and other and row["revision"] != other:
            told = f"run by other code than {reference} ({row['revision']}, not {other})"
            row["warning"] = "; ".join(filter(None, (row["warning"], told)))
    return found


def _pair(row: Mapping[str, Any]) -> tuple:
    """What a run shares with the reference's that it is paired with."""
    return tuple(row[name] for name in FACTORS if name != "arm")


def _row(cell: Cell, metric: str) -> dict[str, Any]:
    record = records.read(cell.workdir)
    row: dict[str, Any] = {"cell": cell.id, **cell.factors, "status": "missing"}
    row |= {name: math.nan for name in (*metrics.ALWAYS, metric, "seconds")}
    row |= {"error": "", "warning": "", "revision": ""}
    row["start"] = cell.pretraining or str(cell.config.get("init_from") or "")
    if record is None:
        return row | {"curve": []}
    row |= {"status": record.state, "seconds": record.seconds, "error": record.error}
    found = (
        json_files.read_json(cell.workdir / "eval.json") if record.state == records.DONE else None
    )
    if found:
        if metric not in found:
            raise ValueError(metrics.missing(metric, found, f"{cell.workdir / 'eval.json'}"))
        row |= {k: _number(v) for k, v in found.items() if k in metrics.NAMES or k == metric}
        row |= {k: _number(v) for k, v in found.items() if k.startswith(metrics.CLASS)}
        row["warning"] = leakage_warning(cell.workdir)
        row |= _papers(cell.workdir)
    return row | {"curve": curve(cell.workdir, metric)}


def _papers(workdir: pathlib.Path) -> dict[str, Any]:
    """What a finished cell's papers say of its data and of the code that it ran; {} without."""
    papers = json_files.read_json(workdir / "manifest.json")
    if not papers:
        return {}
    data, versions = papers["data"], papers["versions"]
    own = (papers["git_revision"] or versions["geoseg_jax"] or "").replace("-dirty", " and changes")
    return {
        "labelled": data["train"]["size"],
        "judged": data["eval"]["sha256"],
        "revision": f"{own[:12]}{own[40:]}, jax {versions['jax']}",
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def leakage_warning(workdir: pathlib.Path) -> str:
    """What a cell has seen of the pictures that it was judged on, its pre-training told apart.

    The cell's own training is the same for all arms, its pre-training is not: one that has looked
    at test pictures, or at others of the same drive, may owe its place to that.
    """
    try:
        run = reads.read_run(workdir)
    except DataError:
        told = ["not recorded whether test pictures were seen before"]
        return "; ".join(told + _untrained_statistics(workdir))
    past = leakage.between(run.ancestors, run.eval)
    own = leakage.between([("", run.train)], run.eval)
    told = [f"pre-training saw {what}" for what in _seen(past)]
    told += [f"in every arm, labelled and judged pictures share {what}" for what in _seen(own)]
    if past.unknown:
        told.append("what its weights from elsewhere were trained on is not recorded")
    told += _untrained_statistics(workdir)
    if past.without_drive and any(trained.drives for _, trained in run.ancestors):
        told.append(
            f"the drive of {past.without_drive} test pictures is unknown, which pre-training may "
            "have seen"
        )
    return "; ".join(told)


def _untrained_statistics(workdir: pathlib.Path) -> list[str]:
    """A warning where a cell's weights came with the batch statistics of an untrained network, and
    it was not told to compute its own.
    """
    papers = json_files.read_json(workdir / "manifest.json") or {}
    if papers.get("calibration"):
        return []
    found = [parent.get("untrained_statistics") for parent in papers.get("parents", [])]
    return [f"of its weights, {what}" for what in found if what]


def _seen(shared: leakage.Shared) -> list[str]:
    counts = (len(shared.files), "test picture"), (len(shared.drives), "test drive")
    return [f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts if n]


def curve(workdir: pathlib.Path, metric: str) -> list[tuple[int, float]]:
    """(step, metric) of every evaluation of a run, from its metrics.jsonl."""
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return []
    found = {}
    for line in path.read_text().splitlines():
        try:
            values = json.loads(line)
        except ValueError:  # the last one, of a run that was killed while writing it
            continue
        if values.get(metric) is not None:
            found[int(values["step"])] = float(values[metric])
    return sorted(found.items())


def machines(plan: Plan) -> tuple[dict[str, str], str]:
    """(versions, hardware) of all runs that are finished; where they differ, each of them.

    Of this process where none is.
    """
    workdirs = [job.workdir for job in (*plan.pretrainings, *plan.cells)]
    papers = [p for w in workdirs if (p := json_files.read_json(w / "manifest.json"))]
    here = manifest.describe_machine()
    found = [_machine(p) for p in papers or [here]]
    names = dict.fromkeys(name for versions, _ in found for name in versions)
    versions = {name: _together(v.get(name, "unknown") for v, _ in found) for name in names}
    report = here["git_revision"] or "unknown"
    if versions.get("git revision", report) != report:
        versions["git revision of the report"] = report
    return versions, _together(hardware for _, hardware in found)


def _machine(papers: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    versions = {"python": papers["python"]} | {k: v for k, v in papers["versions"].items() if v}
    if papers["git_revision"]:
        versions["git revision"] = papers["git_revision"]
    return versions, f"{papers['devices']} x {papers['device']}, {papers['platform']}"


def _together(values: Iterable[str]) -> str:
    counts = collections.Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value} ({count} runs)" for value, count in counts.most_common())
