"""A study's results: the file of all rows, and everything that its tables and its page show."""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import comparisons, metrics, needs, units
from geoseg_jax.analysis.answer import answer
from geoseg_jax.analysis.units import CONDITION, FACTORS, REPLICATE, Row
from geoseg_jax.core import atomic
from geoseg_jax.core.near_miss import did_you_mean

STATUS = ("done", "failed", "missing")
_WHOLE = ("labels", *REPLICATE)
_TEXT = ("cell", "arm", "training", "decoder", "resolution", "encoder", "status")
_LAST_TEXT = ("revision", "warning", "error")
_NOT_IN_FILE = ("curve", "command", "labelled", "judged", "start")
# What a study has beside its rows, and what stands there if nothing is given.
ABOUT = {
    **{"title": "", "question": "", "arms": [], "panels": [], "features": {}, "budget": ""},
    **{"goal": None, "guard": "", "versions": {}, "hardware": "", "date": "", "commands": []},
    "calibrated": False,  # whether frozen encoders have the labelled pictures' batch statistics
}


def write_csv(path: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Writes one line for each row, whole or not at all.

    Columns: cell, FACTORS, status, metrics (those of single classes last), seconds, revision,
    warning, error.
    A number that there isn't is empty. _NOT_IN_FILE is left out.

    Raises:
      ValueError: for rows without an id or a factor, or a metric that is no number.
    """
    first = ("cell", *FACTORS, "status")
    kept = (*first, "seconds", *_LAST_TEXT, *_NOT_IN_FILE)
    metrics = dict.fromkeys(key for row in rows for key in row if key not in kept)
    ordered = sorted(metrics, key=lambda name: "/" in name)  # stable
    columns = (*first, *ordered, "seconds", *_LAST_TEXT)
    lines = [[_written(row, name) for name in columns] for row in rows]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *lines])
    atomic.write_text(path, text.getvalue())


def read_csv(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The rows that `write_csv` wrote: whole numbers, text, and floats with nan where empty.

    Raises:
      ValueError: naming line and column of what can't be read.
      OSError: where the file can't be read.
    """
    with open(path, newline="", encoding="utf-8") as handle:
        lines = list(csv.reader(handle))
    header = lines[0] if lines else []
    for name in ("cell", *FACTORS, "status"):
        if name not in header:
            raise ValueError(f"{path} has no column {name!r}{did_you_mean(name, header)}")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(header):
            raise ValueError(f"{path}, line {number}: {len(line)} fields for {len(header)} columns")
        pairs = zip(header, line, strict=True)
        rows.append({name: _read(text, name, f"{path}, line {number}") for name, text in pairs})
    return rows


def assemble(
    rows: Sequence[Row],
    reference: str,
    metric: str = "miou",
    *,
    contrasts: Sequence[tuple[str, str]] = (),
    bound: float = 0.0,
    resampled: Any = None,
    **about: Any,
) -> dict[str, Any]:
    """Everything that a study found, for geoseg_jax.report; JSON can hold it.

    Args:
      rows: one of each cell, done or not, in the order that they are to be shown in.
      reference: the arm that the others are compared with.
      metric: what they are compared by; higher is better.
      contrasts: pairs of arms that are compared beside that.
      bound: arms that differ by less are level; 0 for none.
      resampled: a geoseg_jax.study.pictures.Resampled of the cells, where there is one.
      **about: of ABOUT what there is.

    Returns:
      ABOUT, and 'metric' (for people), 'metric_key', 'reference', 'factors' (values of each),
      'unit' (what intervals count, for people), 'crossed' (whether all units share the subsets),
      'encoders' (arm -> how many), 'bound', 'resampled' ('count' and 'what' was drawn, or None),
      'rows', 'groups' (see comparisons, with 'steps', 'goal' and 'steps_to_goal' of needs.steps),
      'overall', 'contrasts', 'standing', 'class_gains' (see comparisons), 'efficiency' (see
      needs.labels), 'steps' (see needs.steps_overall), 'caution' (what all groups are warned of,
      which then no single one says), 'classes' and 'answer', sentences. None stands for nan.

    Raises:
      ValueError: for a name that ABOUT doesn't have, and as comparisons.groups.
    """
    for name in about:
        if name not in ABOUT:
            raise ValueError(f"{name}= is nothing of a study{did_you_mean(name, ABOUT)}")
    classes = dict.fromkeys(k[4:] for row in rows for k in row if k.startswith("iou/"))
    study = ABOUT | about
    study["arms"] = [dict(arm) for arm in study["arms"]]
    groups = _groups(rows, reference, metric, about.get("goal"))
    caution = _caution(groups)
    for group in groups:
        group["warning"] = _without(group["warning"], caution)
    independent = units.units(rows)
    drawn = resampled and {"count": resampled.count, "what": resampled.what}
    study |= {
        "metric": metrics.name(metric),
        "metric_key": metric,
        "reference": reference,
        "factors": {name: _values(rows, name) for name in CONDITION},
        "unit": independent.name,
        "crossed": independent.crossed,
        "encoders": units.encoders(rows),
        "bound": bound,
        "resampled": drawn,
        "rows": [dict(row) for row in rows],
        "groups": groups,
        "overall": comparisons.overall(rows, reference, metric, bound, resampled),
        "contrasts": comparisons.contrasts(rows, contrasts, metric, bound, resampled),
        "standing": comparisons.standing(rows, reference, metric),
        "efficiency": needs.labels(rows, reference, metric),
        "steps": needs.steps_overall(rows, reference, metric),
        "caution": caution,
        "classes": list(classes),
        "class_gains": comparisons.class_gains(rows, reference, list(classes)),
    }
    study = plain(study)
    return study | {"answer": answer(study)}


def _groups(rows, reference: str, metric: str, goal: float | None) -> list[dict[str, Any]]:
    """With what each needs of steps."""
    steps = needs.steps(rows, reference, metric, goal)
    found = comparisons.groups(rows, reference, metric)
    return [g | steps[units.condition(g), g["arm"]] for g in found]


def plain(value: Any) -> Any:
    """The same in what JSON has: numbers that aren't finite as None, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy's
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _values(rows: Iterable[Row], name: str) -> list:
    found = list(dict.fromkeys(row[name] for row in rows))
    # 0 labels are all there are.
    return sorted(found, key=lambda n: n or math.inf) if name == "labels" else found


def _caution(groups: Sequence[Mapping[str, Any]]) -> str:
    """What all that have a score are warned of alike; '' where that is one alone."""
    told = [group["warning"].split("; ") for group in groups if group["n"]]
    common = [part for part in told[0] if all(part in other for other in told)] if told else []
    return "; ".join(filter(None, common)) if len(told) > 1 else ""


def _without(warning: str, caution: str) -> str:
    """Each part once, and none of the caution's."""
    parts = dict.fromkeys(warning.split("; "))
    return "; ".join(part for part in parts if part and part not in caution.split("; "))


def _written(row: Row, name: str) -> str:
    if name in ("cell", *FACTORS) and name not in row:
        raise ValueError(f"row {row.get('cell', row)!r} has no {name!r}")
    value = row.get(name, "")
    if name in _WHOLE:
        return str(int(value))
    if name in (*_TEXT, *_LAST_TEXT):
        return " ".join(str(value).split())
    if value in ("", None) or math.isnan(_number(value, name, f"row {row['cell']!r}")):
        return ""
    return repr(float(value))


def _read(text: str, name: str, where: str) -> Any:
    if name == "status" and text not in STATUS:
        raise ValueError(f"{where}: status {text!r} is none of {', '.join(STATUS)}")
    if name in (*_TEXT, *_LAST_TEXT):
        return text
    if name in _WHOLE:
        return int(_number(text, name, where))
    return _number(text, name, where) if text else math.nan


def _number(value: Any, name: str, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {name} must be a number, got {value!r}") from error
