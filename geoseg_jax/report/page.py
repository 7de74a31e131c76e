"""A study as one HTML file that needs nothing else: no network, no fonts, no framework.

The page is made of the files in the folder `page` beside this module. What the study says reaches
it as JSON in a block that a browser doesn't run, with every `<` escaped, and becomes text there,
never markup. A content security policy names by their hashes the only script and style that may
run, and forbids every request.
"""

import base64
import hashlib
import html
import json
import string
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from geoseg_jax.analysis.results import plain
from geoseg_jax.report.findings import explanation, tables
from geoseg_jax.report.notes import Notes, of_arm, of_difference, of_overall, of_score
from geoseg_jax.report.tables import MARKDOWN_COLUMNS

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
    """The page of a study.

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
    study = {**study, "csv": _lines(csv, study.get("rows") or ())}
    if study.get("groups"):
        study = {**study, "explanation": explanation(study), **_footnotes(study)}
    style, script = _read("page.css"), "(() => {\n" + _scripts() + "})();\n"
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return string.Template(_read("page.html")).substitute(
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
    """JSON that may stand within <script>: no `<`, `>`, `&`, and null for what is not finite."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _footnotes(study: Mapping[str, Any]) -> dict[str, Any]:
    """'notes', (letter, text) of each, and what bears them: groups, all conditions, arms.

    A letter means what it does in table.md, whatever the page shows of the study.
    """
    notes = Notes()
    tables(study, notes, MARKDOWN_COLUMNS)
    groups = [
        {
            **group,
            "score_marks": notes.marks(*of_score(group)),
            "difference_marks": notes.marks(*of_difference(study, group)),
        }
        for group in study["groups"]
    ]
    overall = [{**o, "marks": notes.marks(*of_overall(study, o))} for o in study["overall"]]
    arms = [{**arm, "spent": _flagged(study, arm, notes)} for arm in study["arms"]]
    return {"groups": groups, "overall": overall, "arms": arms, "notes": notes.listed()}


def _flagged(study: Mapping[str, Any], arm: Mapping[str, Any], notes: Notes) -> list[dict]:
    """What was spent on each encoder of an arm, with the letters of what it has seen."""
    return [
        {**spent, "marks": notes.marks(*of_arm(study, arm["name"], spent.get("encoder")))}
        for spent in arm.get("spent") or [{}]
    ]


def _lines(csv: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The heading and a line of each row, in their order; no text in results.csv breaks a line."""
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


def _read(name: str) -> str:
    return (resources.files("geoseg_jax.report") / "page" / name).read_text(encoding="utf-8")


def _scripts() -> str:
    return "\n".join(_read(name) for name in SCRIPTS)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
