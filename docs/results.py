"""Rebuilds the tables and figures of studies on these pages from the results that are kept here.

    python docs/results.py               # writes them anew
    python docs/results.py --check       # says which tables differ, and exits with 1
    python docs/results.py --take W one_world   # keeps the study of workdir W as results/one_world
    python docs/results.py --take W one_world --panels   # and its judged pictures, if they are ours

Kept of a study are results.csv, a row for each cell, pretrainings.csv, one for each encoder, and
about.json: what its arms are and were given, learning curves, and what is said of other judged
pictures, which takes each picture's matrix. Its page results/NAME.md has every table and figure,
between two comments. Where another page has such comments with its name, its contrasts and verdicts
stand there, or where the scatter of a crossed study comes from. On results.md stand those of all
studies that it links by name, as [one_world], in a figure and in tables. What people wrote around
them isn't checked.
"""

import argparse
import base64
import difflib
import io
import pathlib
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geoseg_jax.analysis import pretrainings, results
from geoseg_jax.analysis.answer import answer, label
from geoseg_jax.analysis.components import PICTURES
from geoseg_jax.analysis.statistics import significant
from geoseg_jax.core import json_files
from geoseg_jax.core.formats import NONE
from geoseg_jax.report import figures, tables
from geoseg_jax.report.findings import Cell, Table, contrasts, given, overall, sources
from geoseg_jax.report.notes import footnotes

DOCS = pathlib.Path(__file__).resolve().parent
KEPT = DOCS / "results"
FIGURES = {
    "labels": figures.by_labels,
    "differences": figures.differences,
    "curves": figures.curves,
    "rates": figures.rates,
    "cka": figures.cka,
}
LEFT_OUT = ("bootstrap", "over test pictures", "ahead in")
TRAININGS = {"fine_tuned": figures.COLOURS[0], "frozen": figures.COLOURS[1]}
MERGED: dict[str, Callable[[Any], Table]] = {
    "contrasts": contrasts,
    "reference": lambda found: overall(found, {}),
}
NAMED = re.compile(r"<!-- (\w+): written by")
LINKED = re.compile(r"\[(\w+)\]\(results/\1\.md\)")
BLOCK = "<!-- {0}: written by docs/results.py -->\n\n{1}\n<!-- end of {0} -->"
NEW = "# {0}\n\n" + BLOCK + "\n"
FILES = """Written by `python docs/results.py` from the files in {0}:
[results.csv]({0}/results.csv), a row for each cell, about.json and, where they were kept,
pretrainings.csv, a row for each encoder with the hash of its parameters.

"""
CROSSED = """This study tells where scatter comes from. It has too few pre-trainings to show a
difference between arms: what is said of differences below is for completeness.

"""
_ABOUT = ("title", "question", "arms", "budget", "goal", "versions", "hardware", "date", "trial")
_ABOUT += ("calibrated", "rates")
_OF_PICTURES = ("pictures_low", "pictures_high")


def take(workdir: pathlib.Path, name: str, pictures: bool) -> None:
    """Keeps what the page needs of a study, without paths of the machine that it ran on.

    pictures: whether its panels are kept too. Those of data from elsewhere stay where they are.
    """
    found = json_files.read_json(workdir / "results.json", "a study's results", {}, "run it")
    if found is None:
        raise SystemExit(f"error: {workdir} has no results.json; name the workdir of a study")
    if not re.fullmatch(r"\w+", name) or name in MERGED:
        raise SystemExit(f"error: a study can't be named {name!r}; take letters, digits and _")
    if pictures and not found["panels"]:
        raise SystemExit(f"error: the study of {workdir} has no panels; leave --panels out")
    about = {key: found[key] for key in (*_ABOUT, "bound", "reference", "resampled")}
    about["arms"] = [{k: v for k, v in a.items() if k != "command"} for a in found["arms"]]
    about["metric"] = found["metric_key"]
    about["contrasts"] = [[c["arm"], c["other"]] for c in found["contrasts"]]
    about["features"] = {"cka": found["features"].get("cka", [])}
    about["curves"] = {row["cell"]: row["curve"] for row in found["rows"] if len(row["curve"]) > 1}
    labelled = [row["labelled"] for row in found["rows"] if not row["labels"] and "labelled" in row]
    about["labelled"] = max(filter(None, labelled), default=None)  # how many "all labels" are
    about["pictures"] = {
        kind: [{name: of[name] for name in _OF_PICTURES} for of in found[kind]]
        for kind in ("overall", "contrasts")
    }
    about["pictures"]["components"] = [{PICTURES: of[PICTURES]} for of in found["components"]]
    (KEPT / name).mkdir(parents=True, exist_ok=True)
    json_files.write_json(KEPT / name / "about.json", about)
    for file in ("results.csv", "pretrainings.csv"):
        shutil.copyfile(workdir / file, KEPT / name / file)
    (KEPT / name / "panels.png").unlink(missing_ok=True)
    if pictures:
        save(panels(found), KEPT / name / "panels")


def panels(found: Mapping[str, Any]) -> Figure:
    """Draws the panels of a report: a line for each picture, its label and every arm's answer."""
    rows = [row for row in found["panels"] if not row.get("legend")]
    columns = list(dict.fromkeys(of["caption"] for row in rows for of in row["pictures"]))
    with matplotlib.rc_context(figures.STYLE | {"axes.grid": False}):
        figure = Figure((1.5 * len(columns) + 1.6, 0.62 * len(rows) + 0.3), layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False)
        for axes in grid.ravel():
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for line, row in zip(grid, rows, strict=True):
            for of in row["pictures"]:
                axes = line[columns.index(of["caption"])]
                axes.imshow(_decoded(of["src"]), interpolation="nearest")
            name = row["title"].replace(", picture", "\npicture")
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        for axes, name in zip(grid[0], columns, strict=True):
            axes.set_title(textwrap.fill(name, 20), fontsize=8)
    return figure


def _decoded(source: str) -> PIL.Image.Image:
    """Reads the picture of a data: URI."""
    return PIL.Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")


def findings(folder: pathlib.Path) -> dict[str, Any]:
    """Compares what is to be compared, from the files that are kept."""
    about = json_files.read_json(folder / "about.json", "what a study is", {}, "take it again")
    assert about is not None
    curves = about["curves"]
    if (file := folder / "pretrainings.csv").exists():
        pretrained = pretrainings.read_csv(file)
        for arm in about["arms"]:
            own = [row for row in pretrained if row["arm"] == arm["name"]]
            arm["own_task"] = pretrainings.summary(own)
    found = results.assemble(
        [
            r | {"curve": curves.get(r["cell"], []), "labelled": r["labels"] or about["labelled"]}
            for r in results.read_csv(folder / "results.csv")
        ],
        about["reference"],
        about["metric"],
        contrasts=[tuple(pair) for pair in about["contrasts"]],
        bound=about["bound"],
        **{key: about[key] for key in (*_ABOUT, "features")},
    )
    found["resampled"] = about["resampled"]
    for kind, of_pictures in about["pictures"].items():
        for result, known in zip(found[kind], of_pictures, strict=True):
            result |= known
    return found | {"answer": answer(found)}  # which speaks of the pictures too


def whole(found: dict[str, Any], name: str, drawn: Mapping[str, Figure]) -> str:
    """Writes every table and figure of a study."""
    text = FILES.format(name) + (CROSSED if found["components"] else "")
    text += tables.markdown(found).partition("\n\n")[2]  # without its heading
    text += "\n" + tables.markdown_table(given(found, footnotes(found))) + "\n"
    for kind, figure in drawn.items():
        text += f"\n![{' '.join(figure.get_suptitle().split())}]({name}/{kind}.png)\n"
    if (KEPT / name / "panels.png").exists():
        text += f"\n![Judged pictures, their labels and what each arm sees]({name}/panels.png)\n"
    return text


def short(found: dict[str, Any]) -> str:
    """Writes a study's contrasts and verdicts, or where a crossed study's scatter comes from."""
    made = [sources(found)] if found["components"] else [contrasts(found), overall(found, {})]
    return "\n\n".join(tables.markdown_table(table) for table in made if table.rows)


class Rebuilt(NamedTuple):
    """Texts by the file of their page, figures by their path without a suffix."""

    pages: dict[pathlib.Path, str]
    figures: dict[pathlib.Path, Figure]


def rebuilt() -> Rebuilt:
    """Writes the pages anew, and draws their figures.

    Raises:
      SystemExit: a study has no place on its page, or a place no study.
    """
    pages = [*DOCS.glob("*.md"), *KEPT.glob("*.md")]
    made = Rebuilt({path: path.read_text(encoding="utf-8") for path in pages}, {})
    studies = {}
    for folder in sorted(path.parent for path in KEPT.glob("*/results.csv")):
        found, name, own = findings(folder), folder.name, folder.with_suffix(".md")
        drawn = {kind: figure for kind, make in FIGURES.items() if (figure := make(found))}
        made.figures.update({folder / kind: figure for kind, figure in drawn.items()})
        text = made.pages.setdefault(own, NEW.format(name, ""))
        if name not in NAMED.findall(text):
            raise SystemExit(f"error: {own} has no place for {BLOCK.format(name, '...')}")
        for page, text in made.pages.items():
            content = whole(found, name, drawn) if page == own else short(found)
            made.pages[page] = _put(text, name, content)
        heading = re.search(r"^# ([^:\n]+)", made.pages[own], re.MULTILINE)
        studies[name] = heading[1] if heading else name, found
    for page, text in made.pages.items():
        if left := [name for name in NAMED.findall(text) if name not in {*studies, *MERGED}]:
            raise SystemExit(f"error: {page} names {left[0]}, but {KEPT / left[0]} has no results")
    _merge(made, studies)
    return made


def _put(text: str, name: str, tables: str) -> str:
    """Puts tables where a page has a place for them, if it has one."""
    start, end = BLOCK.format(name, "\0").split("\0")
    if text.count(start.strip()) != text.count(end.strip()):
        raise SystemExit(f"error: a page has only one of {start.strip()} and {end.strip()}")
    place = re.compile(f"{re.escape(start.strip())}.*?{re.escape(end.strip())}", re.DOTALL)
    return place.sub(lambda _: f"{start}{tables.rstrip()}\n{end}", text)


def _merge(made: Rebuilt, studies: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
    """Puts what is said of all studies that a page links on this page, in place."""
    if (page := DOCS / "results.md") not in made.pages:
        return
    linked = [name for name in dict.fromkeys(LINKED.findall(made.pages[page])) if name in studies]
    compared = [studies[name] for name in linked if studies[name][1]["contrasts"]]
    if not compared:
        return
    for name, table in MERGED.items():
        text = tables.markdown_table(merged(compared, table))
        made.pages[page] = _put(made.pages[page], name, text)
    made.figures[KEPT / "contrasts"] = overview(compared)


def merged(studies: Sequence[tuple[str, dict[str, Any]]], made: Callable[[Any], Table]) -> Table:
    """Gathers the rows of all studies, without some columns, which their own pages have."""
    of_all = [(title, made(found)) for title, found in studies]
    heads = list(dict.fromkeys(head for _, table in of_all for head in table.header))
    heads = [head for head in heads if head not in LEFT_OUT]
    rows = []
    for title, table in of_all:
        for row in table.rows:
            cells = dict(zip(table.header, row, strict=True))
            rows.append([Cell(title), *(cells.get(head, Cell(NONE)) for head in heads)])
    rows = [[cell._replace(marks=()) for cell in row] for row in rows]
    return Table(of_all[0][1].caption, ["study", *heads], rows, [()] * len(rows))


def overview(studies: Sequence[tuple[str, dict[str, Any]]]) -> Figure:
    """Draws the contrasts of all studies, those of the same kind together."""
    kinds: dict[str, list[tuple[str, list[dict[str, Any]]]]] = {}
    for title, found in studies:
        halves = [_of_training(found, training) for training in TRAININGS]
        for number, of in enumerate(found["contrasts"]):
            arm, other = (label(found, of[which]) for which in ("arm", "other"))
            kind = kinds.setdefault(f"{_kind(arm)} − {_small(_kind(other))}", [])
            kind.append((f"{title}: {_small(arm)}", [of, *(half[number] for half in halves)]))
    heights = [len(rows) + 0.5 for rows in kinds.values()]
    with matplotlib.rc_context(figures.STYLE):
        figure = Figure((8.5, 0.8 + 0.28 * sum(heights) + 0.25 * len(kinds)), layout="constrained")
        panels = figure.subplots(len(kinds), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axes, (kind, rows) in zip(panels[:, 0], kinds.items(), strict=True):
            _differences(axes, rows)
            axes.set_title(kind, loc="left", fontweight="bold")
        axes.set_xlabel("difference in mIoU points, 95 % CI")
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _kind(name: str) -> str:
    """Names what an arm learns, whatever it learns it from."""
    return "Classification, then depth" if ", then" in name else re.findall(r"\w+", name)[0]


def _small(name: str) -> str:
    """Begins a name with a small letter, but for names such as NYUv2."""
    return name[0].lower() + name[1:] if name[1:2].islower() else name


def _of_training(found: Mapping[str, Any], training: str) -> list[dict[str, Any]]:
    """Compares the runs of one way to train alone; nothing where there is no other."""
    pairs = [(of["arm"], of["other"]) for of in found["contrasts"]]
    rows = [row for row in found["rows"] if row["training"] == training]
    if len(rows) in (0, len(found["rows"])):
        return [{}] * len(pairs)
    given = {"contrasts": pairs, "arms": found["arms"], "bound": found["bound"]}
    return results.assemble(rows, found["reference"], found["metric_key"], **given)["contrasts"]


def _differences(axes: Axes, rows: Sequence[tuple[str, list[dict[str, Any]]]]) -> None:
    """Draws the differences of each line: over all, filled if they were shown, and of each half."""
    heights = np.arange(len(rows))
    for number, (training, colour) in enumerate(TRAININGS.items(), 1):
        _bars(axes, [of[number] for _, of in rows], heights + 0.25 * (3 - 2 * number), colour)
        name = f"{training.replace('_', '-')}, not tested"
        axes.plot([], [], "o", color=colour, markersize=3, label=name)
    mean = _bars(axes, [of[0] for _, of in rows], heights, "black", mark="")
    shown = np.array([significant(of[0]["p_corrected"]) for _, of in rows])
    for chosen, fill, sign in ((shown, "black", "≤"), (~shown, "white", ">")):
        style = {"color": "black", "markerfacecolor": fill, "markersize": 5}
        name = f"over all conditions, corrected p {sign} .05"
        axes.plot(mean[chosen], heights[chosen], "D", **style, label=name)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(heights, [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _bars(
    axes: Axes, results: Sequence[Mapping[str, Any]], heights: np.ndarray, colour: str, mark="o"
) -> np.ndarray:
    """Draws intervals, and returns what is in their middle, in points."""
    mean, low, high = (  # nan where there is none
        100 * np.array([of.get(f"difference{end}") for of in results], float)
        for end in ("", "_low", "_high")
    )
    style = {"color": colour, "markersize": 3, "elinewidth": 0.9, "capsize": 0 if mark else 2}
    axes.errorbar(mean, heights, xerr=(mean - low, high - mean), fmt=mark or "none", **style)
    return mean


def save(figure: Figure, path: pathlib.Path) -> None:
    """Writes path.png, of few colours: a fifth of the size, for the repository."""
    for file in figures.save(figure, path):
        if file.suffix == ".svg":
            file.unlink()
            continue
        picture = PIL.Image.open(file).convert("P", palette=PIL.Image.Palette.ADAPTIVE)
        picture.save(file, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where they differ")
    parser.add_argument("--take", nargs=2, metavar=("WORKDIR", "NAME"), help="keep a study")
    parser.add_argument("--panels", action="store_true", help="of it, with its judged pictures")
    options = parser.parse_args()
    if options.take:
        take(pathlib.Path(options.take[0]), options.take[1], options.panels)
    made = rebuilt()
    if options.check:
        changed = [change for page, text in made.pages.items() for change in _changes(page, text)]
        print("\n".join(changed) or "the tables are what their results give")
        return int(bool(changed))
    for page, text in made.pages.items():
        page.write_text(text, encoding="utf-8")
    for path, figure in made.figures.items():
        save(figure, path)
    return 0


def _changes(page: pathlib.Path, text: str) -> list[str]:
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    return list(difflib.unified_diff(before.splitlines(), text.splitlines(), page.name, "rebuilt"))


if __name__ == "__main__":
    sys.exit(main())
