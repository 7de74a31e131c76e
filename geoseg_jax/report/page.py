"""Writes a study as one HTML file that needs nothing else: no network, no fonts, no framework.

The page is made of the files in the folder `page` beside this module. What the study says reaches
it as JSON in a block that a browser doesn't run, with every `<` escaped, and becomes text there,
never markup. A content security policy names by their hashes the only script and style that may
run, and forbids every request.
"""

import base64
import hashlib
import html
import json
import math
import string
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from geoseg_jax.analysis.answer import in_points
from geoseg_jax.analysis.statistics import significant
from geoseg_jax.analysis.units import CONDITION
from geoseg_jax.core import formats
from geoseg_jax.core.formats import interval, points
from geoseg_jax.core.json_files import plain
from geoseg_jax.report import findings, naming
from geoseg_jax.report.explanation import explanation, multiple, of_sources, rule, steps_needed
from geoseg_jax.report.findings import Table
from geoseg_jax.report.notes import Notes, footnotes, marks, of_difference, of_score

SCRIPTS = (
    "words.js",
    "study.js",
    "chart.js",
    "curves.js",
    "glance.js",
    "comparisons.js",
    "looks.js",
    "making.js",
    "page.js",
)
"""In this order they are one script; a later one uses what an earlier one defines."""


def render(study: Mapping[str, Any], csv: str = "") -> str:
    """Writes the page of a study.

    Args:
      study: what geoseg_jax.analysis.results.assemble gives. Lists may be empty and numbers None or
        not finite; the page then leaves the section out or says what is missing. Where there are
        no 'groups' every other key may lack too. Beside that, 'pretraining_seconds' of all arms.
      csv: the text of results.csv, of the same rows; the page offers those lines of it that its
        filters show. None is offered without.

    Returns:
      HTML, to be written as UTF-8.

    Raises:
      ValueError: for a picture that is not embedded (its `src` is no `data:image/` URI), and for
        a `csv` of other rows.
    """
    _check_pictures(study)
    study = {**study, "csv": _lines(csv, study.get("rows") or ()), "condition": CONDITION}
    if study.get("groups"):
        study = {**study, **_shown(study)}
    style, script = read_part("page.css"), "(() => {\n" + _scripts() + "})();\n"
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hash_of(style),
        "script-src": hash_of(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return string.Template(read_part("page.html")).substitute(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        title=html.escape(str(study.get("title") or "A study")),
        question=html.escape(str(study.get("question") or "")),
        answer="\n".join(
            f"<p>{html.escape(str(sentence))}</p>" for sentence in study.get("answer") or ()
        ),
        style=style,
        data=embedded(study),
        script=script,
    )


def embedded(value: Any) -> str:
    """Writes JSON that may stand within <script>: no `<`, `>`, `&`; null for what is not finite."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _shown(study: Mapping[str, Any]) -> dict[str, Any]:
    """Adds what the page shows: every number as text, tables, names of values, and footnotes."""
    notes = footnotes(study)
    factors, rows, key = study["factors"], study["rows"], study["metric_key"]
    made = {"overall": findings.overall(study, notes), "contrasts": findings.contrasts(study)}
    made |= {"sources": findings.sources(study), "own": findings.own_tasks(study)}
    made |= {"given": findings.given(study, notes), "tried": findings.tried_rates(study)}
    return {
        "groups": [_group(study, group, notes) for group in study["groups"]],
        "tables": {name: _table(table, study.get(name)) for name, table in made.items()},
        "efficiency": [need | {"text": _need(need)} for need in study["efficiency"]],
        "class_gains": [
            item | {"text": {k: points(v, sign=True) for k, v in item["gains"].items()}}
            for item in study["class_gains"]
        ],
        "features": study["features"] | {"cka": _alike(study["features"].get("cka") or [])},
        "rows": [row | {"text": _run(row, key)} for row in rows],
        "names": {
            factor: {str(value): naming.value_name(factor, value) for value in values}
            for factor, values in factors.items()
        },
        "text": {
            "explanation": explanation(study),
            "rule": rule(study),
            "steps": steps_needed(study),
            "sources": of_sources(study),
            "points": in_points(study),
            "goal": f"{points(study['goal'])} %" if study.get("goal") else "",
            "shared": naming.shared_conditions(study),
            "pretraining": formats.duration(study.get("pretraining_seconds")),
            "cells": formats.duration(math.fsum(row["seconds"] or 0 for row in rows) or None),
        },
        "notes": [(letter, text) for text, letter in notes.items()],
    }


def _group(study: Mapping[str, Any], group: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    runs = (
        f"{group['n']} of {group['n_planned']}" if group["n"] < group["n_planned"] else group["n"]
    )
    pairs = f", {formats.count(group['n_pairs'], 'pair')}" if group["n_missing"] else ""
    text = {
        "runs": f"{runs}{pairs}",
        "mean": points(group["mean"]),
        "std": f" ± {points(group['std'])}" if group["std"] is not None else "",
        "ci": interval(group["low"], group["high"], sign=False),
        "difference": points(group["difference"], sign=True),
        "difference_ci": interval(group["difference_low"], group["difference_high"]),
        "bootstrap": interval(group["bootstrap_low"], group["bootstrap_high"]),
        "p": formats.p_value(group["p_corrected"]),
        "steps": multiple(group["steps"]),
        "goal": findings.goal(group),
    }
    return group | {
        "text": text,
        "certain": significant(group["p_corrected"]),
        "score_marks": marks(notes, of_score(group)),
        "difference_marks": marks(notes, of_difference(study, group)),
    }


def _need(need: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ratio": multiple(need | {"ratio_low": None, "shown": True}),
        "multiple": multiple(need),
        "p": formats.p_value(need["p_corrected"]),
    }


def _alike(stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        stage | {"text": [[formats.decimal(value) for value in line] for line in stage["matrix"]]}
        for stage in stages
    ]


def _run(row: Mapping[str, Any], metric: str) -> dict[str, str]:
    scores = {"score": row.get(metric), "accuracy": row.get("pixel_accuracy")}
    text = {name: points(value, digits=2) for name, value in scores.items()}
    return text | {"seconds": formats.duration(row["seconds"])}


def _table(table: Table, results: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Arranges a table as the page draws it; `results` are what its rows compare, if anything."""
    rows = [
        {"arms": arms, "cells": [cell._asdict() for cell in cells]}
        for arms, cells in zip(table.arms, table.rows, strict=True)
    ]
    kept = ("difference", "difference_low", "difference_high", "verdict")
    for row, result in zip(rows, results or (), strict=False):
        row |= {name: result[name] for name in kept}
        row |= {"certain": significant(result["p_corrected"])}
    return {"caption": table.caption, "header": table.header, "rows": rows}


def _lines(csv: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Splits results.csv into its heading and the line of each row; no text in it breaks a line."""
    lines = csv.removesuffix("\n").split("\n") if csv else []
    if lines and len(lines) != 1 + len(rows):
        raise ValueError(f"the csv has {len(lines) - 1} rows, the study {len(rows)}")
    return lines


def _check_pictures(study: Mapping[str, Any]) -> None:
    inside = study.get("features") or {}
    for panel in [*(study.get("panels") or ()), *(inside.get("pca") or ())]:
        for picture in panel.get("pictures") or ():
            source = str(picture.get("src") or "")
            if not source.startswith("data:image/"):
                raise ValueError(
                    f"the picture {picture.get('caption')!r} of {panel.get('title')!r} is at "
                    f"{source[:60]!r}: embed it as a data:image/ URI, the page loads nothing"
                )


def read_part(name: str) -> str:
    """Reads a file of the page, as page.css."""
    return (resources.files("geoseg_jax.report") / "page" / name).read_text(encoding="utf-8")


def _scripts() -> str:
    return "\n".join(read_part(name) for name in SCRIPTS)


def hash_of(text: str) -> str:
    """Returns a style's or script's hash as a Content-Security-Policy has it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
