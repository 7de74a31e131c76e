"""Predicts on a split of a run's data or on one's own pictures, and writes files.

One process and one device do it: most of the time goes into reading and writing pictures.
"""

import pathlib
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.config.check import check
from geoseg_jax.core import json_files, places
from geoseg_jax.core.tell import tell
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE, LabelTable
from geoseg_jax.data.own_pictures import OwnPictures
from geoseg_jax.data.readers import find_reader
from geoseg_jax.data.source import HasLabels, HasNames, HasOriginals, can, left_out
from geoseg_jax.data.video import clips
from geoseg_jax.prediction.files import Files, depth_files, label_files
from geoseg_jax.scoring.label_files import COLOURS, file_name
from geoseg_jax.tasks import make_task, task_named
from geoseg_jax.tasks.base import Batch, Task
from geoseg_jax.training import checkpoints
from geoseg_jax.training import workdir as workdirs
from geoseg_jax.training.state import sha256_of

RECORD = "predictions.json"
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
    say: Callable[[str], None] = tell,
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
      say: takes lines of progress.

    Returns:
      How many predictions were written.

    Raises:
      ConfigError, CheckpointError, DataError: one line, for a workdir without a run or checkpoint,
        a task that predicts nothing to write, and data that can't be read.
    """
    places.check_local(workdir, "--workdir")
    places.check_local(out, "--out")
    places.check_local(images or "", "--images")
    workdir, out = pathlib.Path(workdir), pathlib.Path(out)
    config = read_config(workdir, root)
    folder = checkpoints.choose(workdir, step, f"--step={step}")
    source, task, files = _parts(config, split, images)
    variables = checkpoints.read_variables(folder)
    record = out / RECORD
    record.unlink(missing_ok=True)
    dropped = f" (left out: {left_out(source)})" if source.left_out else ""
    say(f"predicting {len(source)} pictures{dropped} with step {folder.name} of {workdir}…")
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
    json_files.write_json(record, content | files.recorded)
    say(f"{len(source)} predictions: {files.what} in {out / files.folder}, colours in {COLOURS}/")
    return len(source)


def read_config(workdir: pathlib.Path, root: str | None = None) -> ConfigDict:
    """Reads what a workdir's run was started with. Raises ConfigError where there is none."""
    content = workdirs.read_config(workdir)
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
) -> tuple[Any, Task, Files]:
    """Returns what to predict on, the task, and how to write its predictions."""
    depth = task_named(config.task.name).predicts == "depth"
    if depth:
        config.data.truth = "none"  # what is to be predicted need not be known
    if images:
        source, table = _own(images, config), None if depth else table_of(config)
        task = task_of(config, table)
    else:
        data = make_data(config, check_labels=False)
        source, table = getattr(data, split), None if depth else data.train.table
        task = make_task(config, data)
    if task.predict is None:
        raise settings.ConfigError(
            f"config.task.name={config.task.name!r} predicts nothing to write; name the workdir of "
            "a run of segmentation or of depth"
        )
    return source, task, depth_files(is_metric(config)) if depth else label_files(table)


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


def task_of(config: ConfigDict, table: LabelTable | None) -> Task:
    """Makes the task without its data. table: of its classes, for segmentation."""
    return make_task(config, types.SimpleNamespace(train=types.SimpleNamespace(table=table)))


def is_metric(config: ConfigDict) -> bool:
    """Tells whether a depth run predicts metres: truth, a stereo pair's baseline and given poses
    are in metres; else a moving camera knows no scale.
    """
    known = config.data.stereo or config.task.get("poses") == "given"
    return config.task.name != "selfsup_depth" or known


def table_of(config: ConfigDict) -> LabelTable | None:
    """Returns the table of a run's classes, without its data where it can be had without."""
    reader = find_reader(config.data.name)
    if reader.table:
        return reader.table(config.data)
    train = make_data(config, check_labels=False).train
    return train.table if can(train, HasLabels) else None


def _batches(source: Any, batch_size: int) -> Iterator[tuple[Batch, list[str]]]:
    """Yields batches with an empty label canvas of each original size, and the names in them."""
    names = source.names if can(source, HasNames) else _file_names(source)
    for name in names:
        file_name(name)  # one that is none is told before anything is predicted
    for batch in pipeline.eval_batches(source, batch_size=batch_size):
        sizes = batch.get("label_size", np.array([batch["image"].shape[1:3]] * batch_size))
        if can(source, HasOriginals):  # labels may have been made smaller with their pictures
            sizes = np.array([source.original(int(i)) for i in batch["id"]], np.int32)
        real = batch["id"][batch["mask"]]
        yield to_batch(batch["image"], sizes), [names[i] for i in real]


def to_batch(images: np.ndarray, sizes: np.ndarray) -> Batch:
    """Makes a batch to predict on: pictures as the network sees them, uint8 [N, h, w, 3], and an
    empty canvas that holds labels of the pictures' own sizes, int32 [N, 2].
    """
    height, width = (-(-int(n) // _CANVAS) * _CANVAS for n in sizes.max(0))
    label = np.full((len(images), height, width), IGNORE, np.uint8)
    return {"image": images, "label": label, "label_size": sizes}


def _file_names(source: Any) -> list[str]:
    """Returns what describes the records, fit for files."""
    return [re.sub(r"[^\w./-]+", "_", source.describe(i)) for i in range(len(source))]
