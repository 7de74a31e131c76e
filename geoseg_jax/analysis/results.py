"""Writes a study's rows to a file, and assembles everything that its tables and page show."""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import comparisons, components, metrics, needs, units
from geoseg_jax.analysis.answer import answer
from geoseg_jax.analysis.units import CONDITION, FACTORS, REPLICATE, Row
from geoseg_jax.core import atomic
from geoseg_jax.core.json_files import plain
from geoseg_jax.core.near_miss import did_you_mean

_WHOLE = ("labels", *REPLICATE)
_TEXT = ("cell", "arm", "training", "decoder", "resolution", "encoder", "status")
_LAST_TEXT = ("revision", "warning", "error")
_DRAWN = ("count", "what", "pictures", "pooled")  # of a geoseg_jax.study.resampling.Resampled
_NOT_IN_FILE = ("curve", "command", "labelled", "judged", "start")
# What a study has beside its rows, and what stands there if nothing is given.
ABOUT = {
    **{"title": "", "question": "", "arms": [], "panels": [], "features": {}, "budget": ""},
    **{"goal": None, "guard": "", "versions": {}, "hardware": "", "date": "", "commands": []},
    "rates": [],  # what geoseg_jax.study.sweep.curves gives
    "trial": False,  # whether runs are too short to learn anything
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
    """Reads the rows that `write_csv` wrote; without curves, which it does not hold.

    Raises:
      ValueError: for a file without its columns, or a number that is none.
    """
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    missing = [c for c in ("cell", *FACTORS, "status") if lines and c not in lines[0]]
    if missing or not lines:
        what = f"has no column {missing[0]!r}" if missing else "has no rows"
        raise ValueError(f"{os.fspath(path)} {what}; it must be a results.csv of a study")
    try:
        return [{name: _read(name, text) for name, text in line.items()} for line in lines]
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def _read(name: str, text: str) -> Any:
    if name in (*_TEXT, *_LAST_TEXT):
        return text
    if name in _WHOLE:
        return int(text)
    return float(text) if text else math.nan


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
    """Compares everything that a study compares, for geoseg_jax.report; JSON can hold it.

    Args:
      rows: one of each cell, done or not, in the order that they are to be shown in.
      reference: the arm that the others are compared with.
      metric: what they are compared by; higher is better.
      contrasts: pairs of arms that are compared beside that.
      bound: arms that differ by less are level; 0 for none.
      resampled: a geoseg_jax.study.resampling.Resampled of the cells, where there is one.
      **about: of ABOUT what there is.

    Returns:
      ABOUT, and 'metric' (for people), 'metric_key', 'reference', 'factors' (values of each),
      'replicate_unit' (what intervals count, for people), 'crossed' (whether all units share the
      subsets), 'encoders' (arm -> how many), 'bound', 'resampled' (_DRAWN, or None), 'rows',
      'groups' (see comparisons, with 'steps', 'goal' and 'steps_to_goal' of needs.steps),
      'overall', 'contrasts', 'standing', 'spread', 'class_gains' (see comparisons), 'components'
      (see components), 'efficiency' (see needs.labels), 'steps' (see needs.steps_overall),
      'caution' (what all groups are warned of, left out of each one's own warning), 'classes' and
      'answer', sentences. None stands for nan.

    Raises:
      ValueError: for a name that ABOUT doesn't have, and as comparisons.groups.
    """
    for name in about:
        if name not in ABOUT:
            raise ValueError(f"a study has no {name!r}{did_you_mean(name, ABOUT)}")
    study = ABOUT | about
    study["arms"] = [dict(arm) for arm in study["arms"]]
    study |= _design(rows, reference, metric, bound, resampled)
    study |= {"rows": [dict(row) for row in rows]}
    study |= _findings(rows, reference, metric, about.get("goal"), contrasts, bound, resampled)
    study = plain(study)
    return study | {"answer": answer(study)}


def _design(
    rows: Sequence[Row], reference: str, metric: str, bound: float, resampled: Any
) -> dict[str, Any]:
    """Describes what is compared, by what, and what the intervals count."""
    independent = units.units(rows)
    return {
        "metric": metrics.name(metric),
        "metric_key": metric,
        "reference": reference,
        "factors": {name: _values(rows, name) for name in CONDITION},
        "replicate_unit": independent.name,
        "crossed": independent.crossed,
        "encoders": units.encoders(rows),
        "bound": bound,
        "resampled": resampled and {n: getattr(resampled, n) for n in _DRAWN},
    }


def _findings(
    rows: Sequence[Row],
    reference: str,
    metric: str,
    goal: float | None,
    contrasts: Sequence[tuple[str, str]],
    bound: float,
    resampled: Any,
) -> dict[str, Any]:
    """Makes all comparisons; what every group warns of is moved to 'caution'."""
    classes = list(dict.fromkeys(k[4:] for row in rows for k in row if k.startswith("iou/")))
    groups = _groups(rows, reference, metric, goal)
    caution = _caution(groups)
    for group in groups:
        group["warning"] = _without(group["warning"], caution)
    return {
        "groups": groups,
        "overall": comparisons.overall(rows, reference, metric, bound, resampled),
        "contrasts": comparisons.contrasts(rows, contrasts, metric, bound, resampled),
        "standing": comparisons.standing(rows, reference, metric),
        "efficiency": needs.labels(rows, reference, metric),
        "steps": needs.steps_overall(rows, reference, metric),
        "caution": caution,
        "spread": comparisons.spread(rows, metric),
        "components": components.components(rows, metric, resampled),
        "classes": classes,
        "class_gains": comparisons.class_gains(rows, reference, classes),
    }


def _groups(rows, reference: str, metric: str, goal: float | None) -> list[dict[str, Any]]:
    """Joins what `comparisons` and `needs` say of each arm in each condition."""
    steps = needs.steps(rows, reference, metric, goal)
    groups = comparisons.groups(rows, reference, metric)
    return [g | steps[units.condition(g), g["arm"]] for g in groups]


def _values(rows: Iterable[Row], name: str) -> list:
    values = list(dict.fromkeys(row[name] for row in rows))
    # 0 labels are all there are.
    return sorted(values, key=lambda n: n or math.inf) if name == "labels" else values


def _caution(groups: Sequence[Mapping[str, Any]]) -> str:
    """Finds the warnings that all groups with a score share; '' where only one has a score."""
    warnings = [group["warning"].split("; ") for group in groups if group["n"]]
    if len(warnings) < 2:
        return ""
    return "; ".join(w for w in warnings[0] if w and all(w in other for other in warnings))


def _without(warning: str, caution: str) -> str:
    """Keeps each part once, and none of the caution's."""
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
    if value in ("", None):
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"row {row['cell']!r}: {name} must be a number, got {value!r}") from error
    return "" if math.isnan(number) else repr(number)
