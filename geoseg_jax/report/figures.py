"""Draws a study's figures as PNG and SVG; the same study gives the same bytes.

Single runs are shown beside means and intervals: three dots say more than a bar. Colours are those
of Okabe and Ito, which colour-blind readers tell apart, and markers and dashes repeat them.
"""

import math
import os
import pathlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geoseg_jax.analysis.answer import in_points, label
from geoseg_jax.core import atomic
from geoseg_jax.core.formats import NONE, decimal, points
from geoseg_jax.report import naming
from geoseg_jax.report.naming import Condition, Study

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F")
MARKERS = ("s", "^", "v", "D", "P", "X", "<", ">")
DASHES = ("-", (0, (6, 2)), (0, (2, 1)))
REFERENCE = {"color": "black", "marker": "o", "linestyle": (0, (4, 2, 1, 2))}
_ACROSS = 3  # panels side by side
STYLE = {
    **{"svg.hashsalt": "geoseg_jax", "svg.fonttype": "path", "font.size": 9, "axes.grid": True},
    **{"grid.alpha": 0.3, "axes.axisbelow": True, "legend.frameon": False, "savefig.dpi": 150},
    **{"axes.spines.top": False, "axes.spines.right": False, "font.family": "DejaVu Sans"},
    "text.parse_math": False,  # names of arms are no formulas
}


def write_all(study: Study, folder: str | os.PathLike) -> list[pathlib.Path]:
    """Draws every figure that the study has something for, as NAME.png and NAME.svg.

    Names: labels, differences, curves, classes, cka, rates.

    Args:
      study: what geoseg_jax.analysis.results.assemble gives.
      folder: made where it isn't there.

    Returns:
      The files written.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    makers = {"labels": by_labels, "differences": differences, "curves": curves}
    makers |= {"classes": class_gains, "cka": cka, "rates": rates}
    written = []
    for name, make in makers.items():
        figure = make(study)
        written += save(figure, folder / name) if figure else []
    return written


def save(figure: Figure, path: pathlib.Path) -> list[pathlib.Path]:
    """Writes path.png and path.svg without date or version; each whole or not at all."""
    written = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        target = path.with_name(f"{path.name}.{kind}")
        with matplotlib.rc_context(STYLE), atomic.replacing(target) as partial:
            figure.savefig(partial, format=kind, metadata=metadata, facecolor="white")
        written.append(target)
    return written


def by_labels(study: Study) -> Figure | None:
    """Draws the score against the number of labels: means with 95 % CIs, single runs as dots.

    One panel for each condition without labels. None where no run is done.
    """
    groups = [group for group in study["groups"] if group["mean"] is not None]
    if not groups:
        return None
    counts = study["factors"]["labels"]
    places = _positions(counts)
    kinds = list(dict.fromkeys(place[1:] for place in naming.conditions(study)))
    arms = naming.arms(study)
    # Apart enough for dots to be seen, too little for lines to look as if arms differed.
    step = 0.02 * (max(places.values()) - min(places.values()) or 1.0)
    step = min(step, 0.5 / max(len(arms) - 1, 1))
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(kinds), sharey=True)
        for axes, kind in zip(panels, kinds, strict=True):
            for number, arm in enumerate(arms):
                shift = (number - (len(arms) - 1) / 2) * step
                of_arm = [g for g in groups if g["arm"] == arm and naming.place_of(g)[1:] == kind]
                _points(axes, study, of_arm, {n: x + shift for n, x in places.items()})
            axes.set_title(naming.condition_name(study, (0, *kind), ["labels"]))
            axes.set_xticks(list(places.values()), [str(n) if n else "all" for n in counts])
            axes.set_xlabel("labelled pictures")
            if len(counts) == 1:  # the arms alone would fill the panel's width
                axes.margins(x=1.0)
        single = [row.get(study["metric_key"]) for row in study["rows"]]
        _limits(panels[0], single + [v for g in groups for v in (g["mean"], g["low"], g["high"])])
        _finish(
            figure,
            panels,
            study,
            f"{study['metric']} in %, 95 % CIs of each arm alone; dots: single runs",
        )
    return figure


def differences(study: Study) -> Figure | None:
    """Draws the mean paired difference of each arm to the reference, with its 95 % CI.

    This, not whether two intervals of `by_labels` overlap, tells whether an arm is better. One
    panel for each condition without labels, and one over all. None where nothing can be compared.
    """
    groups = [group for group in study["groups"] if group["difference"] is not None]
    if not groups:
        return None
    counts = study["factors"]["labels"]
    kinds = list(dict.fromkeys(place[1:] for place in naming.conditions(study)))
    everything = [o for o in study["overall"] if o["difference"] is not None]
    everything = everything if len(naming.conditions(study)) > 1 else []
    arms = [arm for arm in naming.arms(study) if arm != study["reference"]]
    shades = matplotlib.colormaps["viridis"]
    size = (3.1, 0.9 + len(arms) * (0.15 + 0.11 * len(counts)))
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(kinds) + bool(everything), size, sharex=True, sharey=True)
        for axes, kind in zip(panels, kinds, strict=False):
            here = [g for g in groups if naming.place_of(g)[1:] == kind]
            for number, count in enumerate(counts):
                shift = 0.6 * (number + 0.5) / len(counts) - 0.3
                shown = [g for g in here if g["labels"] == count]
                style = {"color": shades(number / len(counts)), "marker": MARKERS[number % 8]}
                name = naming.value_name("labels", count)
                _forest(axes, shown, arms, shift, {"label": name} | style)
            axes.set_title(naming.condition_name(study, (0, *kind), ["labels"]))
        if everything:
            style = {"label": "mean over conditions", "color": "black", "marker": "D"}
            _forest(panels[-1], everything, arms, 0.0, style)
            panels[-1].set_title("over all conditions")
        for axes in panels:
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_yticks(range(len(arms)), [label(study, arm) for arm in arms])
        panels[0].set_ylim(len(arms) - 0.5, -0.5)
        _legend(figure, panels)
        reference = label(study, study["reference"])
        _title(figure, f"Difference to {reference} in {in_points(study)}, 95 % CIs")
    return figure


def curves(study: Study) -> Figure | None:
    """Draws learning curves: the mean of each arm's runs, single runs thin. None without curves."""
    rows = [row for row in study["rows"] if row.get("curve")]
    if not rows:
        return None
    places = [p for p in naming.conditions(study) if any(naming.place_of(r) == p for r in rows)]
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(places), sharey=True)
        for axes, place in zip(panels, places, strict=True):
            for arm in naming.arms(study):
                runs = [
                    dict(map(tuple, row["curve"]))
                    for row in rows
                    if row["arm"] == arm and naming.place_of(row) == place
                ]
                _curve(axes, runs, label(study, arm), _style(study, arm))
            axes.set_title(naming.condition_name(study, place))
            axes.set_xlabel("steps")
        _finish(figure, panels, study, f"{study['metric']} in %; thin: single runs")
    return figure


def class_gains(study: Study) -> Figure | None:
    """Draws what each arm gains on each class, in points. None where nothing can be compared."""
    items = study["class_gains"]
    gains = [g for f in items for g in f["gains"].values() if g is not None]
    if not gains:
        return None
    classes, arms = study["classes"], list(dict.fromkeys(f["arm"] for f in items))
    places = [p for p in naming.conditions(study) if any(naming.place_of(f) == p for f in items)]
    limit = 100 * max(max(map(abs, gains)), 0.001)
    size = (1.3 + 0.62 * len(arms), 1.2 + 0.24 * len(classes))
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(places), size)
        for axes, place in zip(panels, places, strict=True):
            by_arm = {f["arm"]: f["gains"] for f in items if naming.place_of(f) == place}
            values = np.array([[_percent(by_arm.get(a, {}).get(c)) for a in arms] for c in classes])
            _heat(axes, values, "RdBu", (-limit, limit), lambda v: points(v / 100, sign=True))
            _ticks(axes, [label(study, arm) for arm in arms], classes)
            axes.set_title(naming.condition_name(study, place))
        reference = label(study, study["reference"])
        _title(figure, f"Difference to {reference} in IoU points of each class")
    return figure


def cka(study: Study) -> Figure | None:
    """Draws linear CKA between arms, a heat map for each stage. None where there is none."""
    stages = study["features"].get("cka") or []
    if not stages:
        return None
    side = 1.2 + 0.5 * max(len(stage["arms"]) for stage in stages)
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(stages), (side, side))
        for axes, stage in zip(panels, stages, strict=True):
            values = np.array(stage["matrix"], float)  # None becomes nan
            _heat(axes, values, "viridis", (0.0, 1.0), decimal)
            names = [label(study, arm) for arm in stage["arms"]]
            _ticks(axes, names, names)
            axes.set_title(stage["stage"])
        _title(figure, "Linear CKA between arms: 1 is the same up to rotation")
    return figure


def rates(study: Study) -> Figure | None:
    """Draws what each arm scored by learning rate where several were tried; the best one is big.

    One panel for each way to train segmentation, in the study's metric, and one for each arm's
    pre-training, in its own. None where none were tried.
    """
    if not study["rates"]:
        return None
    shown: dict[str, list[Mapping[str, Any]]] = {}
    for tried in study["rates"]:
        shown.setdefault(_tried_for(study, tried), []).append(tried)
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(shown))
        for axes, (name, of_arms) in zip(panels, shown.items(), strict=True):
            for tried in of_arms:
                scale = 100 if tried["kind"] == "segmentation" else 1
                points = {r: scale * s for r, s in tried["tried"] if s is not None}
                style = _style(study, tried["arm"])
                line = style | {"label": label(study, tried["arm"]), "linewidth": 1.2}
                axes.plot(*zip(*points.items(), strict=True), **line, markersize=4)
                big = style | {"linestyle": "none", "markersize": 9}
                axes.plot(tried["chosen"], points[tried["chosen"]], **big)
            axes.set_xscale("log")
            ticks = sorted({rate for tried in of_arms for rate, _ in tried["tried"]})
            axes.set_xticks(ticks, [f"{rate:g}" for rate in ticks])
            axes.minorticks_off()
            axes.set_title(name)
            axes.set_xlabel("learning rate")
        _legend(figure, panels, [label(study, arm) for arm in naming.arms(study)])
        _title(
            figure, "Scores by learning rate (big: the best), by no label that judges the result"
        )
    return figure


def _tried_for(study: Study, tried: Mapping[str, Any]) -> str:
    """Names what rates were tried for, and its score."""
    if tried["kind"] == "segmentation":
        what = naming.condition_name(study, naming.place_of({"labels": 0, **tried}), ["labels"])
        return ", ".join(filter(None, (what, f"{study['metric']} in %")))
    several = len(study["factors"]["encoder"]) > 1
    whose = f"{label(study, tried['arm'])}{', ' + tried['encoder'] if several else ''}"
    better = "less" if tried["less"] else "more"
    return f"{whose}: {tried['metric']}, {better} is better"


def _panels(
    count: int, size: tuple[float, float] = (3.1, 2.8), **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Makes the axes of a figure; `size` is that of one panel, in inches."""
    across = 2 if count == 4 else min(count, _ACROSS)
    down = math.ceil(count / across)
    figure = Figure((max(size[0] * across, 4.5), size[1] * down + 0.5), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, **shared).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, list(grid[:count])


def _finish(figure: Figure, panels: Sequence[Axes], study: Study, what: str) -> None:
    """Adds a legend for all panels, and names the scale once."""
    _legend(figure, panels, [label(study, arm) for arm in naming.arms(study)])
    _title(figure, "; ".join(filter(None, (what, naming.shared_conditions(study)))))


def _legend(figure: Figure, panels: Sequence[Axes], order: Sequence[str] = ()) -> None:
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    names = [name for name in order or entries if name in entries]
    handles = [entries[name] for name in names]
    columns = _letters(figure) // (max(map(len, names)) + 8)  # each with its mark before it
    columns = max(1, min(len(names), 4, columns))
    _enlarge(figure, -(-len(names) // columns) - 1)
    figure.legend(handles, names, loc="outside lower center", ncols=columns)


def _title(figure: Figure, text: str) -> None:
    """Writes a title in as many lines as it takes: a figure of one panel is narrow."""
    lines = textwrap.wrap(text, _letters(figure), break_on_hyphens=False)
    _enlarge(figure, len(lines) - 1)
    figure.suptitle("\n".join(lines))


def _enlarge(figure: Figure, lines: int) -> None:
    """Adds the height of so many lines, which panels need not give up."""
    figure.set_figheight(figure.get_figheight() + 0.19 * lines)


def _letters(figure: Figure) -> int:
    """Estimates how many letters stand side by side in the figure."""
    return int(11 * figure.get_figwidth())


def _positions(counts: Sequence[int]) -> dict[int, float]:
    """Places counts by octaves; all labels (0), whose number isn't known, one beyond the rest."""
    places = {count: math.log2(count) for count in counts if count}
    if 0 in counts:
        places[0] = max(places.values(), default=0.0) + 1
    return places


def _points(axes: Axes, study: Study, groups: Sequence[Mapping], places: Mapping) -> None:
    """Draws one arm in one panel."""
    if not groups:
        return
    groups = sorted(groups, key=lambda g: places[g["labels"]])
    arm = groups[0]["arm"]
    x = np.array([places[g["labels"]] for g in groups])
    mean, low, high = (np.array([_percent(g[k]) for g in groups]) for k in ("mean", "low", "high"))
    style = _style(study, arm)
    axes.errorbar(
        *(x, mean, (mean - low, high - mean)),
        **{"label": label(study, arm), "capsize": 2, "markersize": 5, "linewidth": 1.2},
        **{"elinewidth": 0.9, **style},
    )
    for group in groups:
        runs = _runs(study, group)
        axes.plot(
            *([places[group["labels"]]] * len(runs), runs),
            **{"linestyle": "none", "marker": ".", "markersize": 4, "alpha": 0.6},
            color=style["color"],
        )


def _forest(
    axes: Axes, results: Sequence[Mapping], arms: Sequence[str], shift: float, style: Mapping
) -> None:
    """Draws one mark and interval for each arm."""
    if not results:
        return
    x, low, high = (
        np.array([_percent(f[f"difference{end}"]) for f in results])
        for end in ("", "_low", "_high")
    )
    y = [arms.index(r["arm"]) + shift for r in results]
    axes.errorbar(
        *(x, y),
        **{"xerr": (x - low, high - x), "linestyle": "none", "capsize": 2},
        **{"markersize": 4, "elinewidth": 0.9, **style},
    )


def _runs(study: Study, group: Mapping[str, Any]) -> list[float]:
    place: Condition = naming.place_of(group)
    key = study["metric_key"]
    return [
        100 * row[key]
        for row in study["rows"]
        if (naming.place_of(row), row["arm"], row["status"]) == (place, group["arm"], "done")
        and row.get(key) is not None
    ]


def _limits(axes: Axes, values: Sequence[float | None]) -> None:
    """Sets limits around what can be: an interval of few runs may reach beyond 0 and 100 %."""
    known = [100 * min(max(v, 0.0), 1.0) for v in values if v is not None]
    margin = max(0.04 * (max(known) - min(known)), 0.5)
    axes.set_ylim(min(known) - margin, max(known) + margin)


def _curve(axes: Axes, runs: Sequence[Mapping[float, float]], name: str, style: Mapping) -> None:
    """Draws runs, and their mean over the steps that all of them were evaluated at."""
    if not runs:
        return
    for run in runs if len(runs) > 1 else ():
        steps = sorted(run)
        values = [_percent(run[s]) for s in steps]
        axes.plot(steps, values, color=style["color"], linewidth=0.5, alpha=0.45)
    common = sorted(set.intersection(*(set(run) for run in runs)))
    mean = [np.mean([_percent(run[s]) for run in runs]) for s in common]
    axes.plot(common, mean, label=name, linewidth=1.4, markersize=4, **style)


def _heat(axes: Axes, values: np.ndarray, colours: str, limits: tuple, text: Callable) -> None:
    """Draws a heat map with the number in each field, in a colour that can be read on it."""
    shown = axes.imshow(values, colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.grid(False)
    for (i, j), value in np.ndenumerate(values):
        if math.isnan(value):
            written, dark = NONE, False
        else:
            written = text(value)
            dark = np.dot(shown.cmap(shown.norm(value))[:3], (0.3, 0.59, 0.11)) < 0.5
        axes.text(
            *(j, i, written),
            **{"ha": "center", "va": "center", "fontsize": 7, "color": "w" if dark else "k"},
        )


def _ticks(axes: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), columns, **turned)
    axes.set_yticks(range(len(rows)), rows)


def _style(study: Study, arm: str) -> dict[str, Any]:
    """Gives an arm's style, the same in every figure of a study; the reference is black."""
    if arm == study["reference"]:
        return dict(REFERENCE)
    number = [a for a in naming.arms(study) if a != study["reference"]].index(arm)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def _percent(value: float | None) -> float:
    return math.nan if value is None else 100 * value
