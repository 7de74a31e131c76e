"""Writes a probe as one HTML file that needs nothing else, and its tables as text."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from geoseg_jax.analysis.statistics import FEW_PICTURES
from geoseg_jax.core.formats import NONE, count, equals, interval, known, listed, p_value, points
from geoseg_jax.report import page

LINEAR = "linear"
_PROBES = {"linear": "linear", "knn": "kNN"}
_LINE, _LEFT, _WIDE, _RIGHT = 26, 150, 620, 60  # of the figure, in its own units
_MORE_CSS = """
.top h1 { margin-right: 0; }
.dots text { fill: var(--ink); font: 13px var(--sans); }
.dots .soft { fill: var(--soft); }
.dots line { stroke: var(--line); }
.dots .range { stroke: var(--arm-0); stroke-width: 3; }
.dots .point { fill: var(--arm-0); }
.dots .mark { stroke: var(--soft); stroke-dasharray: 4 3; }
figure.shown { margin: 0 0 1.5rem; }
figure.shown > div { display: flex; flex-wrap: wrap; gap: 6px; }
figure.shown figure { margin: 0; width: min(240px, 47%); }
figure.shown img { width: 100%; display: block; }
figure.legend figure { width: auto; }
figure.legend img { width: auto; }
figcaption { font-size: 0.8125rem; color: var(--soft); overflow-wrap: anywhere; }
td, th { overflow-wrap: anywhere; }
"""


class Panel(NamedTuple):
    """Pictures side by side: (caption, data:image/ URI) of each; a legend has no title."""

    title: str
    parts: Sequence[tuple[str, str]]


Content = Mapping[str, Any]
Rows = list[list[str]]


def condition(probe: str, labels: int) -> str:
    """Names a column: 'linear, 8 labels'."""
    return f"{_PROBES[probe]}, {count(labels, 'label') if labels else 'all labels'}"


def main_condition(content: Content) -> tuple[str, int]:
    """Returns the probe and number of labels that the answer is about: the linear one on most."""
    labels = [r["labels"] for r in content["results"]]
    return LINEAR, 0 if 0 in labels else max(labels)


def answer(content: Content) -> list[str]:
    """Says in sentences what came out."""
    probe, labels = main_condition(content)
    ours = _of(content["results"], probe, labels)
    ranked = sorted(ours, key=lambda r: -r["miou"])
    verdicts: dict[str, list[str]] = {}
    for found in _of(content["differences"], probe, labels):
        short = f"{found['encoder']} ({points(found['difference'], sign=True)} points, corrected p "
        verdicts.setdefault(found["verdict"], []).append(f"{short}{equals(found['p_corrected'])})")
    reference = content["reference"]
    said = [
        f"{start} {reference}: {listed(verdicts[verdict])}."
        for verdict, start in (
            ("better", "Better than"),
            ("worse", "Worse than"),
            ("not shown", "Not shown to differ from"),
        )
        if verdict in verdicts
    ]
    scores = ", ".join(f"{r['encoder']} {points(r['miou'])}" for r in ranked)
    where = condition(probe, labels)
    said.append(f"mIoU in percent ({where}): {scores}.")
    said.append(
        f"Beside that: the most common class everywhere has {points(content['constant'])}, and the "
        f"labels themselves, seen through a grid of {content['settings']['stride']} pixels, "
        f"{points(content['ceiling'])}."
    )
    return said


def cautions(content: Content) -> list[str]:
    """Says what limits the numbers of this very run."""
    return [*_few(content), *content["trouble"], *content["notes"]]


def _few(content: Content) -> list[str]:
    """Says how little the judged pictures are, and whether they are independent."""
    units, unit = content["units"], content["unit"]
    said = []
    if content["pictures"] < FEW_PICTURES:
        said.append(
            f"Only {content['pictures']} pictures judge: the intervals say how far another set "
            "like this might move the numbers, and rare classes may hang on one picture."
        )
    if unit == "pictures":
        said.append(
            "Intervals and p take pictures for independent. Frames of one video are not: where "
            "these are some, put each recording into a folder of its own below images/."
        )
    elif unit.startswith("pictures of"):
        said.append(
            f"Intervals and p count {units} {unit}: frames of one recording are alike, so the "
            "truth may lie further away, and p is too small."
        )
    return said


def result_table(content: Content) -> tuple[list[str], Rows]:
    """Arranges scores by encoder and condition, the best of the main condition first."""
    columns = list(dict.fromkeys((r["probe"], r["labels"]) for r in content["results"]))
    columns.sort(key=lambda c: (c[0] != LINEAR, c[1] == 0, c[1]))
    of = {(r["encoder"], r["probe"], r["labels"]): r for r in content["results"]}
    main = main_condition(content)
    names = sorted({e for e, *_ in of}, key=lambda name: -of[name, *main]["miou"])
    rows = []
    for name in names:
        cells = [of[name, *column] for column in columns]
        texts = [_with_interval(c["miou"], c["pictures_low"], c["pictures_high"]) for c in cells]
        mark = " (reference)" if name == content["reference"] else ""
        rows.append([name + mark, *texts])
    return ["encoder", *(condition(*column) for column in columns)], rows


def _with_interval(value: float, low: float, high: float, sign: bool = False) -> str:
    between = interval(low, high, sign)
    return f"{points(value, sign)} ({between})" if between else points(value, sign)


def difference_table(content: Content) -> tuple[list[str], Rows]:
    """Arranges the paired differences to the reference, those of the main condition first."""
    main = main_condition(content)
    ordered = sorted(content["differences"], key=lambda d: (d["probe"], d["labels"]) != main)
    header = ["encoder", "probe", "difference (other pictures)", "other labels", "p", "verdict"]
    rows = [
        [
            d["encoder"],
            condition(d["probe"], d["labels"]),
            _with_interval(d["difference"], d["pictures_low"], d["pictures_high"], sign=True),
            interval(d["choices_low"], d["choices_high"]) or NONE,
            p_value(d["p_corrected"]),
            d["verdict"],
        ]
        for d in ordered
    ]
    return header, rows


def class_table(content: Content) -> tuple[list[str], Rows]:
    """Arranges each class's IoU in the main condition, averaged over repeats."""
    probe, labels = main_condition(content)
    names = list(dict.fromkeys(r["encoder"] for r in content["results"]))
    rows = []
    for name, share in zip(content["classes"], content["class_shares"], strict=True):
        means = [_mean_iou(content, encoder, probe, labels, name) for encoder in names]
        rows.append([name, points(share), *map(points, means)])
    return ["class", "% of pixels", *names], rows


def _mean_iou(content: Content, encoder: str, probe: str, labels: int, name: str) -> float | None:
    rows = [r for r in _of(content["rows"], probe, labels) if r["encoder"] == encoder]
    values = [v for r in rows if known(v := r.get(f"iou/{name}"))]
    return sum(values) / len(values) if values else None


def _of(found: Sequence[Mapping[str, Any]], probe: str, labels: int) -> list[Mapping[str, Any]]:
    return [f for f in found if (f["probe"], f["labels"]) == (probe, labels)]


def render(content: Content, panels: Sequence[Panel]) -> str:
    """Writes the page.

    Args:
      content: what probe.json says.
      panels: pictures with the maps of all encoders.

    Returns:
      HTML, to be written as UTF-8; it loads nothing and runs nothing.
    """
    style = page.read_part("page.css") + _MORE_CSS
    policy = f"default-src 'none'; img-src data:; style-src {page.hash_of(style)}"
    probe, labels = main_condition(content)
    trained = content["trained_on"]
    parts = [
        _section(condition(probe, labels).capitalize(), _figure(content), _FIGURE),
        _section("Scores", _table(result_table(content)), _scores_about(content, trained)),
        _section(
            f"Differences to {content['reference']}",
            _table(difference_table(content)),
            _differences_about(content),
        )
        if content["differences"]
        else "",
        _section("The same pictures", "".join(map(_panel, panels)), _PICTURES) if panels else "",
        _section("Classes", _table(class_table(content)), "IoU in percent of the first figure."),
        _section("What this can't say", _list([*content["trouble"], *content["notes"], *_LIMITS])),
        _section("How it was made", _made(content)),
    ]
    title = f"Frozen probes on {count(content['pictures'], 'labelled picture')}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<title>{_text(title)}</title>\n<link rel="icon" href="data:,">\n<style>{style}</style>\n'
        f'</head>\n<body>\n<header class="top"><h1>{_text(title)}</h1><div class="answer">'
        + "".join(f"<p>{_text(sentence)}</p>" for sentence in (*answer(content), *_few(content)))
        + f"</div></header>\n<main>{''.join(parts)}</main>\n</body>\n</html>\n"
    )


_FIGURE = (
    "mIoU in percent with its 95 % interval over other judged pictures. Dashed: the most common "
    "class everywhere, and the labels seen through the grid. Whether two encoders differ is said "
    "by the paired differences, not by whether two intervals overlap."
)
_PICTURES = (
    "The linear probe on most labels; none of these pictures trained the probe that drew it."
)
_LIMITS = (
    "A frozen probe measures what features say as they are, not how well a network learns from "
    "them: fine-tuning may turn the order round.",
    "Objects smaller than a cell of the grid are lost to every encoder alike.",
    "The intervals count the pictures that judge, not other trainings of an encoder: another seed "
    "of the same pre-training is another encoder.",
    "An encoder that has seen these pictures before has an advantage that no number here shows.",
)


def _scores_about(content: Content, trained: Mapping[str, str]) -> str:
    used = listed([f"{n} for {'all' if key == '0' else key}" for key, n in trained.items()])
    settings = content["settings"]
    return (
        f"mIoU in percent, with its 95 % interval over other {content['unit']}. Every picture is "
        f"judged once by probes that it did not train, in {settings['folds']} folds; pictures that "
        f"train: {used}. Penalty and number of neighbours are chosen on a fourth of them."
    )


def _differences_about(content: Content) -> str:
    return (
        "Points of mIoU on the same pictures and folds. Other pictures: 95 % interval of a "
        f"bootstrap over {content['units']} {content['unit']}. Other labels: Student's interval "
        "over other choices of the pictures that train, where there are several. p: the encoders' "
        "results swapped at random, one of these at a time, corrected by Holm over all lines."
    )


def _figure(content: Content) -> str:
    """Draws dots with intervals, the best first."""
    found = sorted(_of(content["results"], *main_condition(content)), key=lambda r: -r["miou"])
    marks = [("most common class", content["constant"]), ("labels", content["ceiling"])]
    ends = [v for r in found for v in (r["miou"], r["pictures_high"]) if known(v)]
    most = max([*ends, *(value for _, value in marks), 0.01])

    def x(value: float) -> float:
        return round(_LEFT + max(value, 0.0) / most * _WIDE, 1)

    bottom = len(found) * _LINE + 8
    parts = [f'<line x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + _WIDE}" y2="{bottom}"/>']
    for words, value in marks:
        parts.append(f'<line class="mark" x1="{x(value)}" y1="4" x2="{x(value)}" y2="{bottom}"/>')
        parts.append(
            f'<text class="soft" text-anchor="middle" x="{x(value)}" y="{bottom + 18}">'
            f"{words} {points(value)}</text>"
        )
    for number, result in enumerate(found):
        y = number * _LINE + 18
        name = result["encoder"]
        shown = name if len(name) < 21 else f"{name[:19]}…"
        parts.append(f'<text text-anchor="end" x="{_LEFT - 10}" y="{y + 4}">{_text(shown)}</text>')
        if known(result["pictures_low"]):
            low, high = x(result["pictures_low"]), x(result["pictures_high"])
            parts.append(f'<line class="range" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/>')
        place = x(result["miou"])
        parts.append(f'<circle class="point" cx="{place}" cy="{y}" r="6"/>')
        parts.append(f'<text x="{place + 10}" y="{y - 6}">{points(result["miou"])}</text>')
    width = _LEFT + _WIDE + _RIGHT
    return (
        f'<svg class="dots" role="img" aria-label="mIoU of each encoder" width="100%" '
        f'viewBox="0 0 {width} {bottom + 26}">{"".join(parts)}</svg>'
    )


def _panel(panel: Panel) -> str:
    figures = "".join(
        f'<figure><img alt="{_text(caption)}" src="{_image(uri)}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
        for caption, uri in panel.parts
    )
    title = f"<figcaption>{_text(panel.title)}</figcaption>"
    kind = "shown" if panel.title else "shown legend"
    return f'<figure class="{kind}">{title}<div>{figures}</div></figure>'


def _image(uri: str) -> str:
    if not uri.startswith("data:image/"):
        raise ValueError(f"the picture {uri[:60]!r} is not embedded; the page loads nothing")
    return uri


def _made(content: Content) -> str:
    settings = [f"{key} {value}" for key, value in content["settings"].items() if value]
    lines = [f"Command: {content['command']}"] if content["command"] else []
    for encoder in content["encoders"]:
        origin = ", ".join(f"{key} {value}" for key, value in encoder["origin"].items() if value)
        kind = encoder["architecture"] or "mean and deviation of each cell's colours, no network"
        lines.append(f"{encoder['name']}: {encoder['source']} ({kind}; {origin or 'no weights'})")
    lines.append(", ".join(settings))
    lines.append(f"geoseg_jax {content['version']}, {content['date']}")
    if known(content.get("seconds")):
        lines.append(f"{content['seconds']:.0f} s in all")
    return _list(lines)


def _section(heading: str, body: str, about: str = "") -> str:
    said = f'<p class="about">{_text(about)}</p>' if about else ""
    return f"<section><h2>{_text(heading)}</h2>{said}{body}</section>"


def _table(table: tuple[Sequence[str], Rows]) -> str:
    header, rows = table
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{_text(first)}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    table_ = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table_}</div>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>"


def _text(text: str) -> str:
    return html.escape(text)
