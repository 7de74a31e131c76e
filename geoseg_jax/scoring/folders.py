"""Scores a folder of label PNGs against another, whatever model made them.

Both hold label ids of the table (cityscapes and kitti: Cityscapes label ids, as a submission does;
train ids would score next to nothing), one channel of 8 bits a file, any sizes.
"""

import concurrent.futures
import os
import pathlib
from typing import Any, NamedTuple

import cv2
import numpy as np

from geoseg_jax.core.formats import points
from geoseg_jax.core.json_files import plain
from geoseg_jax.data import walk
from geoseg_jax.data.labels.check import MOSTLY
from geoseg_jax.data.labels.pictures import read_ids
from geoseg_jax.data.labels.table import IGNORE, LabelTable, to_train_ids, void_id
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.scoring.matching import Pair, match
from geoseg_jax.scoring.scores import scores

# Above this share of predictions without a class the ids are probably of another kind.
_SUSPICIOUS = 0.25
_EXACT = 1 << 24  # OpenCV hands counts out in float32, which holds all whole numbers up to this


class Scored(NamedTuple):
    """The result of `score_folders`."""

    numbers: dict[str, float]  # see scores.scores
    matrix: np.ndarray  # int64 [C, C + 1], the last column for predictions of no class
    images: int
    left_out: int  # labels without a prediction
    passed_over: str  # files in the folders that were not looked at, in a phrase
    pixels: int  # of all labels, ignored ones too


def score_folders(
    predictions: str | pathlib.Path,
    labels: str | pathlib.Path,
    table: LabelTable,
    partial: bool = False,
) -> Scored:
    """Scores all label files of a folder, or with `partial` those that have a prediction.

    Args:
      predictions: folder of label PNGs, as `python -m geoseg_jax.predict` writes to labels/.
      labels: folder of the true ones, of the same names.
      table: of the ids in both, as `load_segmenter(workdir).table`.
      partial: whether labels without a prediction are left out; else they are an error.

    Returns:
      Numbers by name, such as numbers["miou"], from 0 to 1; and what they were counted from.

    Raises:
      DataError: for folders and files that don't match (see matching.match), that are no label
        pictures of one channel of 8 bits, of another size than their partner, or hold an id that
        the table doesn't know; for labels without a pixel of any class. One line, naming the file.
    """
    pairs, missing, passed_over = match(pathlib.Path(predictions), pathlib.Path(labels), partial)
    count = len(table.classes)
    total, pixels = np.zeros((count, count + 1), np.int64), 0
    # Threads are enough: most of the time goes into decoding and counting, outside of Python.
    with concurrent.futures.ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            for matrix, size in pool.map(lambda pair: pair_matrix(pair, table), pairs):
                total, pixels = total + matrix, pixels + size
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    if not total.any():
        raise DataError(
            f"{labels}: all {pixels} pixels of the labels are ignored by {table.name}; name their "
            "table by --labels"
        )
    told = walk.told(passed_over)
    return Scored(scores(total, table), total, len(pairs), len(missing), told, pixels)


def pair_matrix(pair: Pair, table: LabelTable) -> tuple[np.ndarray, int]:
    """Counts one pair, int64 [C, C + 1]: the last column has predictions of no class.

    And how many pixels it has, ignored ones too.

    Raises BadRecord, see `score_folders`.
    """
    written = prediction_table(table)
    predicted, truth = read_ids(pair.prediction, written), read_ids(pair.label, table)
    if predicted.shape != truth.shape:
        sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (predicted, truth)]
        raise BadRecord(
            f"{pair.prediction} is {sizes[0]} and its label {pair.label} {sizes[1]}; write "
            "predictions at the label's own size"
        )
    counts, count = count_pairs(truth, predicted), len(table.classes)
    # Only now are ids looked up: there are few of them, and millions of pixels.
    rows, ids = _seen(counts.sum(1), table, pair.label)
    columns, predicted_ids = _seen(counts.sum(0), written, pair.prediction)
    judged = rows != IGNORE
    matrix = np.zeros((count, count + 1), np.int64)
    cells = rows[judged, None], np.minimum(columns, count)[None]
    np.add.at(matrix, cells, counts[np.ix_(ids[judged], predicted_ids)])
    return matrix, truth.size


def count_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Counts the pairs of values of two uint8 maps of one size: int64 [256, 256], [i, j] the pixels
    that are i in the first and j in the second. By OpenCV, in a tenth of the time of NumPy.
    """
    counts = np.zeros((256, 256), np.int64)
    for start in range(0, first.size, _EXACT):
        parts = [a.reshape(1, -1)[:, start : start + _EXACT] for a in (first, second)]
        found = cv2.calcHist(parts, [0, 1], None, [256, 256], [0, 256, 0, 256])
        counts += found.astype(np.int64)
    return counts


def prediction_table(table: LabelTable) -> LabelTable:
    """Gives the table that predictions are read by, with the ids that they are written with.

    That is the labels' own table but for one that merges the classes of the label files, such as
    nyu13_from40, where predictions hold ids of the merged classes.
    """
    written = {i: train for train, i in enumerate(table.file_ids)}
    if all(table.train_ids.get(i) in (train, IGNORE) for i, train in written.items()):
        return table
    return table._replace(train_ids={void_id(table): IGNORE, **written}, colours=None)


def _seen(
    counts: np.ndarray, table: LabelTable, path: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the train ids, and the ids themselves, that occur in a file, by the counts of all."""
    ids = np.flatnonzero(counts)
    try:
        return to_train_ids(ids, table, str(path)), ids
    except BadRecord as error:
        raise BadRecord(str(error).replace("config.data.classes", "--labels")) from error


def hints(scored: Scored) -> list[str]:
    """Remarks on many ignored labels and many predictions of no class: what mixed-up ids do."""
    judged, found = int(scored.matrix.sum()), []
    ignored, nothing = 1 - judged / scored.pixels, scored.matrix[:, -1].sum() / judged
    if ignored > MOSTLY:
        found.append(
            f"note: {points(ignored, digits=0)} % of the labels' pixels are ignored; is this their "
            "table?"
        )
    if nothing > _SUSPICIOUS:
        found.append(
            f"note: {points(nothing, digits=0)} % of the judged pixels have predicted ids without "
            "a class; are these train ids, or ids of another table?"
        )
    return found


def result(scored: Scored, table: LabelTable) -> dict[str, Any]:
    """Gives what the JSON file holds; numbers without a value are null."""
    pixels = int(scored.matrix.sum())
    return plain(scored.numbers) | {
        "labels": table.name,
        "images": scored.images,
        "images_without_prediction": scored.left_out,
        "pixels": pixels,
    }
