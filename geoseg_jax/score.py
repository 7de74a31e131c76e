"""Scores a folder of label PNGs against another, whatever model made them.

    python -m geoseg_jax.score PREDICTIONS LABELS --labels=cityscapes --json FILE

Both folders hold label ids of the table (cityscapes and kitti: Cityscapes label ids, as a
submission does; train ids would score next to nothing), one channel of 8 bits a file, any sizes.
See scoring/matching.py for which files belong together, scoring/scores.py for the numbers. Exit
code 1, and no FILE, where anything is wrong.
"""

import argparse
import concurrent.futures
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from geoseg_jax.core.formats import points
from geoseg_jax.core.json_files import write_json
from geoseg_jax.data.labels.class_list import read_class_list
from geoseg_jax.data.labels.pictures import read_ids
from geoseg_jax.data.labels.table import (
    IGNORE,
    TABLES,
    USUAL,
    LabelTable,
    label_table,
    to_train_ids,
    void_id,
)
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.scoring.matching import Pair, match
from geoseg_jax.scoring.scores import judged_classes, scores
from geoseg_jax.training.writers import finite

# Above this share of predictions without a class the ids are probably of another kind.
_SUSPICIOUS = 0.25


class Scored(NamedTuple):
    """The result of `score_folders`."""

    numbers: dict[str, float]  # see scores.scores
    matrix: np.ndarray  # int64 [C, C + 1], the last column for predictions of no class
    images: int
    left_out: int  # labels without a prediction


def score_folders(
    predictions: str | pathlib.Path,
    labels: str | pathlib.Path,
    table: LabelTable,
    partial: bool = False,
) -> Scored:
    """Scores all label files of a folder, or with `partial` those that have a prediction.

    Raises:
      DataError: for folders and files that don't match (see matching.match), that are no label
        pictures of one channel of 8 bits, of another size than their partner, or hold an id that
        the table doesn't know. One line, naming the file.
    """
    pairs, missing = match(pathlib.Path(predictions), pathlib.Path(labels), partial)
    count = len(table.classes)
    total = np.zeros((count, count + 1), np.int64)
    # Threads are enough: most of the time goes into decoding and counting, outside of Python.
    with concurrent.futures.ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            for matrix in pool.map(lambda pair: pair_matrix(pair, table), pairs):
                total += matrix
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    return Scored(scores(total, table), total, len(pairs), len(missing))


def pair_matrix(pair: Pair, table: LabelTable) -> np.ndarray:
    """Counts one pair, int64 [C, C + 1]: the last column has predictions of no class.

    Raises BadRecord, see `score_folders`.
    """
    predicted = _read(pair.prediction, prediction_table(table))
    truth = _read(pair.label, table)
    if predicted.shape != truth.shape:
        sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (predicted, truth)]
        raise BadRecord(
            f"{pair.prediction} is {sizes[0]} and its label {pair.label} {sizes[1]}; write "
            "predictions at the label's own size"
        )
    count = len(table.classes)
    judged = truth != IGNORE
    column = np.minimum(predicted[judged], count)
    cells = truth[judged].astype(np.intp) * (count + 1) + column
    return np.bincount(cells, minlength=count * (count + 1)).reshape(count, count + 1)


def prediction_table(table: LabelTable) -> LabelTable:
    """Gives the table that predictions are read by, with the ids that they are written with.

    That is the labels' own table but for one that merges the classes of the label files, such as
    nyu13_from40, where predictions hold ids of the merged classes.
    """
    written = {i: train for train, i in enumerate(table.file_ids)}
    if all(table.train_ids.get(i) in (train, IGNORE) for i, train in written.items()):
        return table
    return table._replace(train_ids={void_id(table): IGNORE, **written}, colours=None)


def _read(path: pathlib.Path, table: LabelTable) -> np.ndarray:
    """Reads a label PNG as train ids, uint8 [H, W]."""
    try:
        return to_train_ids(read_ids(path, table), table, str(path))
    except BadRecord as error:
        raise BadRecord(str(error).replace("config.data.classes", "--labels")) from error


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


def hint(scored: Scored) -> str | None:
    """Remarks on many predictions of no class, which is what mixed-up ids look like."""
    share = scored.matrix[:, -1].sum() / max(1, scored.matrix.sum())
    if share <= _SUSPICIOUS:
        return None
    return (
        f"note: {points(share, digits=0)} % of the judged pixels have predicted ids without a "
        "class; are these train ids, or ids of another table?"
    )


def result(scored: Scored, table: LabelTable) -> dict[str, Any]:
    """Gives what the JSON file holds; numbers without a value are null."""
    pixels = int(scored.matrix.sum())
    return finite(scored.numbers) | {
        "labels": table.name,
        "images": scored.images,
        "images_without_prediction": scored.left_out,
        "pixels": pixels,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.score", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("predictions", type=pathlib.Path, help="folder of predicted label PNGs")
    parser.add_argument("labels_folder", metavar="labels", type=pathlib.Path, help="of true ones")
    parser.add_argument(
        "--labels",
        default="cityscapes",
        metavar="TABLE",
        help=f"{', '.join(USUAL)}; or {', '.join(TABLES)}; or a class list (classes.txt)",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers here")
    parser.add_argument(
        "--partial", action="store_true", help="leave out labels without a prediction"
    )
    given = parser.parse_args(arguments)
    try:
        table = find_table(given.labels)
        if given.json and not given.json.absolute().parent.is_dir():
            raise DataError(f"--json={given.json}: its folder does not exist; make it first")
        scored = score_folders(given.predictions, given.labels_folder, table, given.partial)
        if given.json:
            write_json(given.json, result(scored, table))
    except (DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    show(scored, table, Console())
    remark = hint(scored)
    if remark:
        print(remark, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
