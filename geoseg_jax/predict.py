"""A run's predictions as files, for a split of its data or for pictures of one's own.

    python -m geoseg_jax.predict --workdir=W --out=DIR [--split=eval|train] [--step=latest|best|N]
    python -m geoseg_jax.predict --workdir=W --out=DIR --images=FOLDER or VIDEO.mp4

Of a segmentation DIR/labels holds label ids at the pictures' own size, ready for a benchmark or
geoseg_jax.score, of a depth run DIR/depth metres as 16-bit PNGs (depth_files.py); DIR/colour the
same for people, DIR/predictions.json what they were made with; it is written last.
One process and one device do it: most of the time goes into reading and writing pictures.
"""

import argparse
import pathlib
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.config.check import check
from geoseg_jax.core import json_files
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE, LabelTable
from geoseg_jax.data.own_pictures import OwnPictures
from geoseg_jax.data.readers import find_reader
from geoseg_jax.data.source import DataError, HasLabels, HasNames, HasOriginals, can
from geoseg_jax.data.video import clips
from geoseg_jax.scoring.depth_files import DEPTHS, write_depth
from geoseg_jax.scoring.label_files import COLOURS, LABELS, write_prediction
from geoseg_jax.tasks import make_task, task_named
from geoseg_jax.tasks.base import Batch, Task
from geoseg_jax.training import checkpoints
from geoseg_jax.training.state import sha256_of

PAPERS = "predictions.json"
# Maps are predicted on canvases of multiples of this, so that pictures of nearly equal sizes, as
# KITTI has them, share one compiled program.
_CANVAS = 128


def predict(
    workdir: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    split: str = "eval",
    step: str = "latest",
    images: str | pathlib.Path | None = None,
    root: str | None = None,
    batch_size: int = 4,
    say: Callable[[str], None] = print,
) -> int:
    """Predicts and writes; files of the same names are replaced.

    Args:
      workdir: of a run with at least one checkpoint.
      out: the folder to write to.
      split: 'eval' or 'train', of the run's data.
      step: 'latest', 'best', or the number of a checkpoint that is there.
      images: a folder of pictures or a video file in place of a split.
      root: in place of the run's config.data.root, where the data lies elsewhere here.
      batch_size: pictures at a time, on one device.
      say: told of what is done.

    Returns:
      How many predictions were written.

    Raises:
      ConfigError, CheckpointError, DataError: one line, for a workdir without a run or checkpoint,
        a task that predicts nothing to write, and data that can't be read.
    """
    workdir, out = pathlib.Path(workdir), pathlib.Path(out)
    config = read_config(workdir, root)
    folder = checkpoints.choose(workdir, step, f"--step={step}")
    source, task, files = _parts(config, split, images)
    variables = checkpoints.read_variables(folder)
    papers = out / PAPERS
    papers.unlink(missing_ok=True)
    say(f"predicting {len(source)} pictures with step {folder.name} of {workdir}…")
    run = jax.jit(task.predict)
    for batch, names in _batches(source, min(batch_size, len(source))):
        maps = np.asarray(run(variables, batch)[files.key])
        for i, name in enumerate(names):
            files.write(out, name, maps[i], tuple(map(int, batch["label_size"][i])))
    content = {
        "workdir": str(workdir),
        "step": int(folder.name),
        "parameters_sha256": sha256_of(variables["params"]),
        "pictures": len(source),
        "of": str(images) if images else f"{split} split",
    }
    json_files.write_json(papers, content | files.papers)
    say(f"{len(source)} predictions: {files.what} in {out / files.folder}, colours in {COLOURS}/")
    return len(source)


class _Files(NamedTuple):
    """What becomes of a task's predictions."""

    key: str  # of the map among what the task predicts
    write: Callable[..., Any]  # (out, name, map, (height, width) of the picture)
    folder: str
    what: str  # is in the folder, for people
    papers: dict[str, str]  # what predictions.json says of them


def read_config(workdir: pathlib.Path, root: str | None = None) -> ConfigDict:
    """Reads what a workdir's run was started with. Raises ConfigError where there is none."""
    content = json_files.read_json(workdir / "config.json")
    if content is None:
        raise settings.ConfigError(f"{workdir} holds no run: config.json is not there")
    check(content)
    if root is not None:
        content["data"]["root"] = root
    # Weights of classes are for the loss, and may need all training labels to be read.
    if "class_weights" in content.get("task", {}):
        content["task"]["class_weights"] = []
    return ConfigDict(content)


def _parts(
    config: ConfigDict, split: str, images: str | pathlib.Path | None
) -> tuple[Any, Task, _Files]:
    """Returns what to predict on, the task, and how to write its predictions."""
    depth = task_named(config.task.name).predicts == "depth"
    if depth:
        config.data.truth = "none"  # what is to be predicted need not be known
    if images:
        source = _own(images, config)
        table = None if depth else _table(config)
        data = types.SimpleNamespace(train=types.SimpleNamespace(table=table))
    else:
        data = make_data(config, check_labels=False)
        source = getattr(data, split)
    task = make_task(config, data)
    if task.predict is None:
        raise settings.ConfigError(
            f"config.task.name={config.task.name!r} predicts nothing to write; name the workdir of "
            "a run of segmentation or of depth"
        )
    return source, task, _depth_files(config) if depth else _label_files(data.train.table)


def _own(images: str | pathlib.Path, config: ConfigDict) -> OwnPictures:
    """Returns the pictures of a folder, or the frames of a video file."""
    folder = pathlib.Path(images)
    if folder.suffix.lower() in clips.VIDEOS and not folder.is_dir():
        cache = config.data.get("cache_dir", "")
        folder = clips.find_clips(images, stride=1, size=None, cache_dir=cache, key="--images")
        folder = folder[0].folder
    data = config.data
    resize = data.get("picture_resize", "area")
    return OwnPictures(folder, height=data.height, width=data.width, resize=resize)


def _label_files(table: LabelTable) -> _Files:
    def write(out: pathlib.Path, name: str, labels: np.ndarray, size: tuple[int, int]) -> None:
        write_prediction(out, name, labels[: size[0], : size[1]], table)

    return _Files("label", write, LABELS, f"ids of {table.name}", {"labels": table.name})


def _depth_files(config: ConfigDict) -> _Files:
    # Truth, a stereo pair's baseline and given poses are in metres; else a moving camera knows no
    # scale.
    metric = config.task.name != "selfsup_depth" or config.data.stereo
    metric = metric or config.task.get("poses") == "given"
    unit = "metres" if metric else "metres, up to a common factor"
    what = f"{unit}, times 256, 16 bits,"
    return _Files("inverse_depth", write_depth, DEPTHS, what, {"unit": unit})


def _table(config: ConfigDict) -> LabelTable | None:
    """Returns the table of a run's classes, without its data where it can be had without."""
    reader = find_reader(config.data.name)
    if reader.table:
        return reader.table(config.data)
    train = make_data(config, check_labels=False).train
    return train.table if can(train, HasLabels) else None


def _batches(source: Any, batch_size: int) -> Iterator[tuple[Batch, list[str]]]:
    """Batches with an empty canvas for the labels of each original size, and the names in them."""
    names = source.names if can(source, HasNames) else _file_names(source)
    for batch in pipeline.eval_batches(source, batch_size=batch_size):
        sizes = batch.get("label_size", np.array([batch["image"].shape[1:3]] * batch_size))
        if can(source, HasOriginals):  # labels may have been made smaller with their pictures
            sizes = np.array([source.original(int(i)) for i in batch["id"]], np.int32)
        height, width = (-(-int(n) // _CANVAS) * _CANVAS for n in sizes.max(0))
        label = np.full((batch_size, height, width), IGNORE, np.uint8)
        real = batch["id"][batch["mask"]]
        seen = {"image": batch["image"], "label": label, "label_size": sizes}
        yield seen, [names[i] for i in real]


def _file_names(source: Any) -> list[str]:
    """Returns what describes the records, fit for files."""
    return [re.sub(r"[^\w./-]+", "_", source.describe(i)) for i in range(len(source))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.predict", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", required=True, help="the run's folder")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--split", choices=("eval", "train"), default="eval")
    which.add_argument("--images", metavar="FOLDER", help="pictures or a video in place of a split")
    parser.add_argument("--step", default="latest", help="latest, best or a number")
    parser.add_argument("--root", help="in place of the run's config.data.root")
    parser.add_argument("--batch_size", type=int, default=4, help="pictures at a time")
    logging.set_verbosity(logging.ERROR)  # orbax misses a file that plain checkpoints don't have
    try:
        predict(**vars(parser.parse_args(arguments)))
    except (DataError, ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
