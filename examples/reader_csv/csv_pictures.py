"""Labelled pictures that a CSV file lists: a reader of one's own, in one file.

    ROOT/pictures.csv    a line SPLIT,PICTURE,LABEL for each, paths within ROOT

    pip install --editable examples/reader_csv
    python -m geoseg_jax.main --config=configs/segment_folder.py --workdir=W \
        --config.data.name=csv --config.data.root=ROOT --config.data.classes=camvid11 \
        --config.data.train_split=train --config.data.eval_split=val

The same settings under `target` of a study's config make it the data that a study compares on.
"""

import csv
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.core.rules import text
from geoseg_jax.core.setting import Setting
from geoseg_jax.data.labels.segmentation import Item, LabelledPictures, make_pair
from geoseg_jax.data.labels.table import table_by
from geoseg_jax.data.name_splits import REST, TRAIN
from geoseg_jax.data.reader import LABELLED_FILES, Reader
from geoseg_jax.data.source import DataError

LIST = {"data.list": Setting(text, "the CSV file within ROOT; pictures.csv where it is not given")}


def make(data: ConfigDict) -> tuple[LabelledPictures, LabelledPictures]:
    """Makes the sources to train and to evaluate on; raises DataError for an empty split."""
    root = pathlib.Path(data.root).expanduser()
    path = root / data.get("list", "pictures.csv")
    trained = read_split(path, data.train_split)
    # Of few labels, 'rest' are those not chosen and 'train' the chosen ones: the caller parts them.
    same = data.eval_split in (REST, TRAIN)
    judged = trained if same else read_split(path, data.eval_split)
    return make_pair(data, table_by(data, "camvid11"), trained, judged, left_out={})


def read_split(path: pathlib.Path, split: str) -> list[Item]:
    """Reads the lines of a split. Raises DataError where there is none, or no such file."""
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; looked for {READER.layout}") from error
    named = [
        Item(picture, path.parent / picture, path.parent / label)
        for name, picture, label in lines
        if name == split
    ]
    if not named:
        splits = ", ".join(sorted({line[0] for line in lines}))
        raise DataError(f"{path}: no line of the split {split!r}; there are {splits}")
    return named


READER = Reader(
    make,
    LABELLED_FILES | LIST,
    layout="ROOT/pictures.csv with a line SPLIT,PICTURE,LABEL for each labelled picture",
    how_to_get="write it by any spreadsheet, paths within ROOT",
    labelled=True,
    table=lambda data: table_by(data, "camvid11"),
)
