"""Rebuilds the tables and figures of studies on these pages from the results that are kept here.

    python docs/results.py               # writes them anew
    python docs/results.py --check       # says which tables differ, and exits with 1
    python docs/results.py --take W one_world   # keeps the study of workdir W as results/one_world

Kept of a study are results.csv, a row for each cell, pretrainings.csv, one for each encoder, and
about.json: what its arms are and were given, learning curves, and what is said of other judged
pictures, which takes each picture's matrix. From these results/NAME.md has every table and figure.
Contrasts and verdicts, or where the scatter of a crossed study comes from, stand on the page that
names the study in two comments, between them; contrasts.png has those of all studies of results.md.
What people wrote around them isn't checked.
"""

import argparse
import difflib
import pathlib
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
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
from geoseg_jax.report import figures, tables
from geoseg_jax.report.findings import contrasts, given, overall, sources
from geoseg_jax.report.notes import footnotes

DOCS = pathlib.Path(__file__).resolve().parent
KEPT = DOCS / "results"
PAGE = "results.md"
FIGURES = {
    "labels": figures.by_labels,
    "differences": figures.differences,
    "curves": figures.curves,
    "rates": figures.rates,
    "cka": figures.cka,
}
_WORD = re.compile(r"\w+")
NAMED = r"<!-- (\w+): written by"
BLOCK = "<!-- {0}: written by docs/results.py -->\n\n{1}\n<!-- end of {0} -->"
WHOLE = """# {title}: every table and figure

Written by `python docs/results.py` from the files in {name}: [results.csv]({name}/results.csv), a
row for each cell, about.json and, where they were kept, pretrainings.csv, a row for each encoder
with the hash of its parameters. What they say: [{page}](../{page}).

"""
CROSSED = """This study tells where scatter comes from. It has too few pre-trainings to show a
difference between arms: what is said of differences below is for completeness.

"""
_ABOUT = ("title", "question", "arms", "budget", "goal", "versions", "hardware", "date", "trial")
_ABOUT += ("calibrated", "rates")
_OF_PICTURES = ("pictures_low", "pictures_high")


def take(workdir: pathlib.Path, name: str) -> None:
    """Keeps what the page needs of a study, without paths of the machine that it ran on."""
    found = json_files.read_json(workdir / "results.json", "a study's results", {}, "run it")
    if found is None:
        raise SystemExit(f"error: {workdir} has no results.json; name the workdir of a study")
    about = {key: found[key] for key in (*_ABOUT, "bound", "reference", "resampled")}
    about["arms"] = [{k: v for k, v in a.items() if k != "command"} for a in found["arms"]]
    about["metric"] = found["metric_key"]
    about["contrasts"] = [[c["arm"], c["other"]] for c in found["contrasts"]]
    about["features"] = {"cka": found["features"].get("cka", [])}
    about["curves"] = {row["cell"]: row["curve"] for row in found["rows"] if len(row["curve"]) > 1}
    about["pictures"] = {
        kind: [{name: of[name] for name in _OF_PICTURES} for of in found[kind]]
        for kind in ("overall", "contrasts")
    }
    about["pictures"]["components"] = [{PICTURES: of[PICTURES]} for of in found["components"]]
    (KEPT / name).mkdir(parents=True, exist_ok=True)
    json_files.write_json(KEPT / name / "about.json", about)
    for file in ("results.csv", "pretrainings.csv"):
        shutil.copyfile(workdir / file, KEPT / name / file)


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
            r | {"curve": curves.get(r["cell"], [])}
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


def whole(
    found: dict[str, Any], name: str, page: str, title: str, drawn: Mapping[str, Figure]
) -> str:
    """Writes every table and figure of a study, of which `page` tells in short."""
    text = WHOLE.format(title=title, name=name, page=page)
    text += CROSSED if found["components"] else ""
    text += tables.markdown(found).partition("\n\n")[2]  # without its heading
    text += "\n" + tables.markdown_table(given(found, footnotes(found))) + "\n"
    for kind, figure in drawn.items():
        text += f"\n![{' '.join(figure.get_suptitle().split())}]({name}/{kind}.png)\n"
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
      SystemExit: a study has no place on the page, or a place no study.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    made = Rebuilt({}, {})
    compared = {}
    folders = {path.parent.name: path.parent for path in sorted(KEPT.glob("*/results.csv"))}
    named = {name for text in texts.values() for name in re.findall(NAMED, text)}
    if left := sorted((named | {path.stem for path in KEPT.glob("*.md")}) - {*folders}):
        raise SystemExit(f"error: {left[0]} is on a page, but {KEPT / left[0]} has no results.csv")
    for name, folder in folders.items():
        found = findings(folder)
        page, title = _put(texts, name, short(found))
        drawn = {kind: figure for kind, make in FIGURES.items() if (figure := make(found))}
        made.figures.update({folder / kind: figure for kind, figure in drawn.items()})
        made.pages[KEPT / f"{name}.md"] = whole(found, name, page.name, title, drawn)
        made.pages[page] = texts[page]
        if page.name == PAGE and found["contrasts"]:
            compared[texts[page].index(BLOCK.format(name, "").partition("\n")[0])] = title, found
    if compared:  # in the order of the page
        made.figures[KEPT / "contrasts"] = overview([of for _, of in sorted(compared.items())])
    return made


def overview(studies: Sequence[tuple[str, dict[str, Any]]]) -> Figure:
    """Draws the contrasts of all studies, those of the same kind together."""
    kinds: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for title, found in studies:
        for of in found["contrasts"]:
            arm, other = (label(found, of[which]) for which in ("arm", "other"))
            first = "Classification, then depth" if ", then" in arm else _WORD.findall(arm)[0]
            name = f"{title}: {arm[0].lower()}{arm[1:]}"
            kinds.setdefault(f"{first} − {_WORD.findall(other)[0].lower()}", []).append((name, of))
    heights = [len(rows) + 0.5 for rows in kinds.values()]
    with matplotlib.rc_context(figures.STYLE):
        figure = Figure((8.5, 0.8 + 0.25 * sum(heights) + 0.25 * len(kinds)), layout="constrained")
        panels = figure.subplots(len(kinds), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axes, (kind, rows) in zip(panels[:, 0], kinds.items(), strict=True):
            _differences(axes, rows)
            axes.set_title(kind, loc="left", fontweight="bold")
        axes.set_xlabel("difference in mIoU points")
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _differences(axes: Axes, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Draws one difference a line, of which those that were shown are filled."""
    heights = np.arange(len(rows))
    for training, colour, mark in zip(
        ("fine_tuned", "frozen"), figures.COLOURS, "^v", strict=False
    ):
        values = [100 * of["by_training"].get(training, np.nan) for _, of in rows]
        style = {"color": colour, "markersize": 5, "label": training.replace("_", "-")}
        axes.plot(values, heights + (0.2 if mark == "^" else -0.2), mark, **style)
    mean, low, high = (
        np.array([100 * of[f"difference{end}"] for _, of in rows]) for end in ("", "_low", "_high")
    )
    bars = {"color": "black", "capsize": 2, "elinewidth": 0.9}
    axes.errorbar(mean, heights, xerr=(mean - low, high - mean), fmt="none", **bars)
    shown = np.array([significant(of["p_corrected"]) for _, of in rows])
    for chosen, fill, name in ((shown, "black", "≤"), (~shown, "white", ">")):
        style = {"color": "black", "markerfacecolor": fill, "markersize": 5}
        name = f"mean over conditions, 95 % CI; corrected p {name} .05"
        axes.plot(mean[chosen], heights[chosen], "D", **style, label=name)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(heights, [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _put(texts: dict[pathlib.Path, str], name: str, tables: str) -> tuple[pathlib.Path, str]:
    """Puts the tables of a study where a page has a place for them.

    Returns:
      That page, and the study's name in the heading above the place.
    """
    start, end = BLOCK.format(name, "\0").split("\0")
    place = re.compile(f"{re.escape(start.strip())}.*?{re.escape(end.strip())}", re.DOTALL)
    for page, text in texts.items():
        if found := place.search(text):
            texts[page] = place.sub(lambda _: f"{start}{tables}\n{end}", text)
            return page, re.findall(r"^#+ ([^:\n]+)", text[: found.start()], re.MULTILINE)[-1]
    raise SystemExit(f"error: no page of {DOCS} has a place for {name}: {start.strip()}")


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
    options = parser.parse_args()
    if options.take:
        take(pathlib.Path(options.take[0]), options.take[1])
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
