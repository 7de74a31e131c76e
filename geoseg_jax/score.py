"""Scores a folder of label PNGs against another: geoseg_jax.scoring.folders on the command line.

    python -m geoseg_jax.score PREDICTIONS LABELS --labels=cityscapes --json FILE

See scoring/matching.py for which files belong together, scoring/scores.py for the numbers. Exit
code 1, and no FILE, where anything is wrong.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from geoseg_jax.core import places
from geoseg_jax.core.formats import points
from geoseg_jax.core.json_files import write_json
from geoseg_jax.data.labels.class_list import read_class_list
from geoseg_jax.data.labels.folder import CLASS_LISTS
from geoseg_jax.data.labels.table import TABLES, USUAL, LabelTable, label_table
from geoseg_jax.data.source import DataError
from geoseg_jax.scoring.folders import Scored, hints, result, score_folders
from geoseg_jax.scoring.scores import judged_classes


def find_table(name: str) -> LabelTable:
    """Finds a table by its name or its data set's, or reads a class list by its path.

    Raises DataError for an unknown name and for a malformed list.
    """
    if name not in TABLES and name not in USUAL and pathlib.Path(name).is_file():
        return read_class_list(name)
    return label_table(name, "--labels")


def show(scored: Scored, table: LabelTable, console: Console) -> None:
    """Prints the numbers as a table, in percent."""
    left_out = f" ({scored.left_out} without a prediction left out)" if scored.left_out else ""
    console.print(f"{scored.images} images{left_out}, classes of {table.name}", highlight=False)
    if scored.passed_over:
        console.print(f"left out: {scored.passed_over}", highlight=False)
    page = Table()
    page.add_column("class")
    page.add_column("IoU %", justify="right")
    page.add_column("share of the truth %", justify="right")
    shares = scored.matrix.sum(1) / max(1, scored.matrix.sum())
    for c in judged_classes(table):
        name = table.classes[c]
        page.add_row(
            name, points(scored.numbers[f"iou/{name}"], digits=2), points(shares[c], digits=2)
        )
    page.add_section()
    for name, value in scored.numbers.items():
        if "/" not in name:
            page.add_row(name, points(value, digits=2), "")
    console.print(page)


def _beside(folder: pathlib.Path) -> str:
    """Finds the class list beside a folder of labels, or beside the `labels` that it is in."""
    whole = folder.absolute()
    above = (path for path in whole.parents if path.name == "labels")
    lists = (path.parent / name for path in (whole, *above) for name in CLASS_LISTS)
    return next((str(path) for path in lists if path.is_file()), "cityscapes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.score", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("predictions", type=pathlib.Path, help="folder of predicted label PNGs")
    parser.add_argument("labels_folder", metavar="labels", type=pathlib.Path, help="of true ones")
    parser.add_argument(
        "--labels",
        metavar="TABLE",
        help=f"{', '.join(USUAL)}; or {', '.join(TABLES)}; or a class list (default: the "
        f"{CLASS_LISTS[0]} beside the folder of labels, else cityscapes)",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers here")
    parser.add_argument(
        "--partial", action="store_true", help="leave out labels without a prediction"
    )
    given = parser.parse_args(arguments)
    try:
        places.check_local(given.predictions, "PREDICTIONS")
        places.check_local(given.labels_folder, "LABELS")
        table = find_table(given.labels or _beside(given.labels_folder))
        if given.json and not given.json.absolute().parent.is_dir():
            raise DataError(f"--json={given.json}: its folder does not exist; make it first")
        scored = score_folders(given.predictions, given.labels_folder, table, given.partial)
        if given.json:
            write_json(given.json, result(scored, table))
    except (DataError, places.ConfigError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    show(scored, table, Console(markup=False, emoji=False))
    for remark in hints(scored):
        print(remark, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
