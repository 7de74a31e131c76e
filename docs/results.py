"""Rebuilds the tables and figures of docs/results.md from the results that are kept beside it.

    python docs/results.py               # writes them anew
    python docs/results.py --check       # says what differs from the page, and exits with 1
    python docs/results.py --take W one_world   # keeps the study of workdir W as results/one_world

Kept of a study are results.csv, a row for each cell, and about.json: what its arms are, their own
tasks and budgets, and the intervals over judged pictures, which take each picture's matrix.
"""

import argparse
import difflib
import pathlib
import re
import sys
from typing import Any

import PIL.Image

from geoseg_jax.analysis import results
from geoseg_jax.core import json_files
from geoseg_jax.report import figures, tables
from geoseg_jax.report.findings import given
from geoseg_jax.report.notes import footnotes

DOCS = pathlib.Path(__file__).resolve().parent
PAGE, KEPT = DOCS / "results.md", DOCS / "results"
FIGURES = {"labels": figures.by_labels, "differences": figures.differences, "cka": figures.cka}
BLOCK = "<!-- {0}: written by docs/results.py -->\n\n{1}\n<!-- end of {0} -->"
_ABOUT = ("title", "question", "arms", "budget", "goal", "versions", "hardware", "date", "trial")


def take(workdir: pathlib.Path, name: str) -> None:
    """Keeps what the page needs of a study, without paths of the machine that it ran on."""
    found = json_files.read_json(workdir / "results.json", "a study's results", {}, "run it")
    if found is None:
        raise SystemExit(f"error: {workdir} has no results.json; name the workdir of a study")
    about = {key: found[key] for key in (*_ABOUT, "calibrated", "bound", "reference")}
    about["arms"] = [{k: v for k, v in a.items() if k != "command"} for a in found["arms"]]
    about["metric"] = found["metric_key"]
    about["contrasts"] = [[c["arm"], c["other"]] for c in found["contrasts"]]
    about["resampled"] = found["resampled"]
    about["features"] = {"cka": found["features"].get("cka", [])}
    about["pictures"] = {
        kind: [[c["pictures_low"], c["pictures_high"]] for c in found[kind]]
        for kind in ("overall", "contrasts")
    }
    (KEPT / name).mkdir(parents=True, exist_ok=True)
    json_files.write_json(KEPT / name / "about.json", about)
    rows = results.read_csv(workdir / "results.csv")
    results.write_csv(KEPT / name / "results.csv", rows)


def findings(folder: pathlib.Path) -> dict[str, Any]:
    """Compares what is to be compared, from the files that are kept."""
    about = json_files.read_json(folder / "about.json", "what a study is", {}, "take it again")
    assert about is not None
    known = {key: about[key] for key in (*_ABOUT, "calibrated", "features")}
    found = results.assemble(
        [row | {"curve": []} for row in results.read_csv(folder / "results.csv")],
        about["reference"],
        about["metric"],
        contrasts=[tuple(pair) for pair in about["contrasts"]],
        bound=about["bound"],
        **known,
    )
    found["resampled"] = about["resampled"]
    for kind, intervals in about["pictures"].items():
        for result, (low, high) in zip(found[kind], intervals, strict=True):
            result |= {"pictures_low": low, "pictures_high": high}
    return found


def rebuilt(text: str) -> str:
    """Writes the page with its tables anew."""
    for folder in sorted(path.parent for path in KEPT.glob("*/results.csv")):
        start, end = BLOCK.format(folder.name, "\0").split("\0")
        marks = re.escape(start.strip()), re.escape(end.strip())
        block = re.compile(".*?".join(marks), re.DOTALL)
        if not block.search(text):
            raise SystemExit(f"error: {PAGE.name} has no place for {folder.name}: {start.strip()}")
        found = findings(folder)
        tabled = tables.markdown(found).partition("\n\n")[2]  # without its heading
        tabled += "\n" + tables.markdown_table(given(found, footnotes(found))) + "\n"
        text = block.sub(lambda _, new=start + tabled + end: new, text)
    return text


def draw(folder: pathlib.Path) -> None:
    """Draws the page's figures beside the results."""
    found = findings(folder)
    for name, make in FIGURES.items():
        figure = make(found)
        for file in figures.save(figure, folder / name) if figure else ():
            if file.suffix == ".svg":
                file.unlink()
                continue
            picture = PIL.Image.open(file).convert("P", palette=PIL.Image.Palette.ADAPTIVE)
            picture.save(file, optimize=True)  # a fifth of the size, for the repository


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where they differ")
    parser.add_argument("--take", nargs=2, metavar=("WORKDIR", "NAME"), help="keep a study")
    options = parser.parse_args()
    if options.take:
        take(pathlib.Path(options.take[0]), options.take[1])
    before = PAGE.read_text(encoding="utf-8")
    after = rebuilt(before)
    if options.check:
        changes = difflib.unified_diff(before.splitlines(), after.splitlines(), "page", "rebuilt")
        print("\n".join(changes) or "the page is what its results give")
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    for folder in (path.parent for path in KEPT.glob("*/results.csv")):
        draw(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
