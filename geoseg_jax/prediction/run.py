"""Predicts on a split of a run's data or on one's own pictures, and writes files.

One process and one device do it: most of the time goes into reading and writing pictures.
"""

import functools
import pathlib
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.config.check import check
from geoseg_jax.core import json_files, places
from geoseg_jax.core.tell import tell
from geoseg_jax.data import pictures, pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE, LabelTable
from geoseg_jax.data.own_pictures import OwnPictures, Place, told
from geoseg_jax.data.readers import find_reader
from geoseg_jax.data.source import HasLabels, HasNames, HasOriginals, can, left_out
from geoseg_jax.prediction import points
from geoseg_jax.prediction.files import (
    DepthFiles,
    Files,
    FlowFiles,
    LabelFiles,
    write_colours,
    write_raw,
)
from geoseg_jax.prediction.painting import Drawn, Painter
from geoseg_jax.prediction.points import POINTS
from geoseg_jax.prediction.wanted import Cameras, Wanted
from geoseg_jax.scoring.label_files import COLOURS, file_name
from geoseg_jax.tasks import make_task, task_named
from geoseg_jax.tasks.base import Batch, Task
from geoseg_jax.training import checkpoints
from geoseg_jax.training import workdir as workdirs
from geoseg_jax.training.state import sha256_of

RECORD = "predictions.json"
BEGUN = ".predicting"  # in its place until all is written
# Maps are predicted on canvases of multiples of this, so that pictures of nearly equal sizes, as
# KITTI has them, share one compiled program.
_CANVAS = 128
# What tasks predict from beside the picture, and what tells which record it is.
_SEEN = ("sources", "intrinsics", "video", "id")


_USUAL = Wanted()


def predict(
    workdir: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    split: str = "eval",
    step: str = "latest",
    images: Place | Sequence[Place] | None = None,
    root: str | None = None,
    batch_size: int = 4,
    wanted: Wanted = _USUAL,
    say: Callable[[str], None] = tell,
) -> int:
    """Predicts and writes.

    Args:
      workdir: of a run with at least one checkpoint.
      out: the folder to write to; earlier predictions in it may be replaced, other files not.
      split: 'eval' or 'train', of the run's data.
      step: 'latest', 'best', or the number of a checkpoint that is there.
      images: pictures, folders, patterns and videos in place of a split, see OwnPictures.
      root: in place of the run's config.data.root, where the data lies elsewhere here.
      batch_size: pictures at a time, on one device.
      wanted: further files.
      say: takes lines of progress.

    Returns:
      How many predictions were written.

    Raises:
      ConfigError, CheckpointError, DataError: one line, for a workdir without a run or checkpoint,
        a task that predicts nothing to write, and data that can't be read.
    """
    workdir, out = _checked(workdir, out, batch_size)
    config = read_config(workdir, root)
    folder = checkpoints.choose(workdir, step, f"--step={step}")
    wanted.check(task_named(config.task.name).predicts, own=bool(images))
    _check_outside(out, images)
    source, task, files = _parts(config, split, images, wanted)
    if wanted.video and not any(row.rate for row in source.rows):
        raise settings.ConfigError("--video: there is no video among --images; give --fps=RATE too")
    variables = checkpoints.read_variables(folder)
    cameras = Cameras(wanted, config, variables, own=bool(images))
    _begin(out, [files.folder, COLOURS, *wanted.folders()])
    dropped = f" (left out: {left_out(source)})" if source.left_out else ""
    say(f"predicting {len(source)} pictures{dropped} with step {folder.name} of {workdir}…")
    every = _found(source, task, variables, batch_size, cameras)
    painted = _write_all(out, source, every, files, wanted, cameras)
    made = {
        "workdir": str(workdir),
        "step": int(folder.name),
        "parameters_sha256": sha256_of(variables["params"]),
        "pictures": len(source),
        "of": told(images) if images else f"{split} split",
    }
    json_files.write_json(out / RECORD, made | painted | files.recorded)
    (out / BEGUN).unlink(missing_ok=True)
    say(_ending(out, len(source), files, wanted))
    return len(source)


def _write_all(
    out: pathlib.Path,
    source: Any,
    every: Iterable["_Found"],
    files: Files,
    wanted: Wanted,
    cameras: Cameras,
) -> dict[str, Any]:
    """Writes all predictions; returns what a reader of them must know: scales and camera."""
    with Painter(out, files, overlays=wanted.overlays, video=wanted.video) as painter:
        for found in every:
            _write(out, found, files, wanted, cameras)
            row = source.row(found.index) if isinstance(source, OwnPictures) else None
            drawn = Drawn(found.name, found.maps[files.key][found.place], found.size, found.picture)
            painter.add(drawn, row)
    if files.legend is not None:
        write_colours(out, "legend", files.legend)
    scales = {"full_strength": {"is": files.scaled, "of": painter.scales}} if painter.scales else {}
    return scales | ({"camera": cameras.said} if wanted.ply else {})


def _ending(out: pathlib.Path, count: int, files: Files, wanted: Wanted) -> str:
    """Says what was written, and where."""
    more = [f"{name}/" for name in wanted.folders() if (out / name).is_dir()]
    where = ", ".join([f"colours in {COLOURS}/", *more])
    return f"{count} predictions: {files.what} in {out / files.folder}, {where}"


def _checked(
    workdir: str | pathlib.Path, out: str | pathlib.Path, batch_size: int
) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns both as paths; refuses addresses, and batches of nothing. Raises ConfigError."""
    places.check_local(workdir, "--workdir")
    places.check_local(out, "--out")
    if batch_size < 1:
        raise settings.ConfigError(f"--batch_size={batch_size} must be at least 1")
    return pathlib.Path(workdir), pathlib.Path(out)


def _check_outside(out: pathlib.Path, images: Place | Sequence[Place] | None) -> None:
    """Refuses to write below the pictures, which would be predicted on the next time.

    Raises:
      ConfigError: naming the folder of pictures.
    """
    given = [images] if isinstance(images, str | pathlib.Path) else images or ()
    for place in given:
        folder = pathlib.Path(place).expanduser()
        if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            raise settings.ConfigError(
                f"--out={out} is within --images={place}, where the next prediction would take it "
                "for pictures; name a folder elsewhere"
            )


def _begin(out: pathlib.Path, folders: Sequence[str]) -> None:
    """Makes the folder, unless what no prediction has written would be replaced there.

    Labels drawn by hand have the same names as predicted ones.

    Raises:
      ConfigError: naming the folder.
    """
    theirs = [name for name in folders if (out / name).is_dir() and any((out / name).iterdir())]
    if theirs and not ((out / RECORD).exists() or (out / BEGUN).exists()):
        raise settings.ConfigError(
            f"--out={out}: its {theirs[0]}/ holds files that are no predictions ({RECORD} is not "
            "there), and would be replaced; name another folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / BEGUN).touch()
    (out / RECORD).unlink(missing_ok=True)


def read_config(workdir: pathlib.Path, root: str | None = None) -> ConfigDict:
    """Reads what a workdir's run was started with. Raises ConfigError where there is none."""
    content = workdirs.read_config(workdir)
    if content is None:
        inside = places.runs_inside(workdir)
        raise settings.ConfigError(f"{workdir} holds no run: config.json is not there{inside}")
    check(content)
    if root is not None:
        content["data"]["root"] = root
    # Weights of classes are for the loss, and may need all training labels to be read.
    if "class_weights" in content.get("task", {}):
        content["task"]["class_weights"] = []
    return ConfigDict(content)


def _parts(
    config: ConfigDict, split: str, images: Place | Sequence[Place] | None, wanted: Wanted
) -> tuple[Any, Task, Files]:
    """Returns what to predict on, the task, and how to write its predictions."""
    predicts = task_named(config.task.name).predicts
    if predicts == "depth":
        config.data.truth = "none"  # what is to be predicted need not be known
    if not predicts:
        raise settings.ConfigError(
            f"config.task.name={config.task.name!r} predicts nothing to write; name the workdir of "
            "a run of segmentation, of depth or of flow"
        )
    table = None
    if images:
        table = table_of(config) if predicts == "label" else None
        source, task = _own(images, config, predicts, wanted), task_of(config, table)
    else:
        data = make_data(config, check_labels=False)
        source, task = getattr(data, split), make_task(config, data)
        table = data.train.table if predicts == "label" else None
    if predicts == "depth":
        return source, task, DepthFiles(is_metric(config))
    return source, task, FlowFiles(wanted.flo) if predicts == "flow" else LabelFiles(table)


def _own(
    images: Place | Sequence[Place], config: ConfigDict, predicts: str, wanted: Wanted
) -> OwnPictures:
    data = config.data
    return OwnPictures(
        images,
        height=data.height,
        width=data.width,
        resize=data.get("picture_resize", "area"),
        pairs=predicts == "flow",
        rate=wanted.fps,
        cache_dir=data.get("cache_dir", ""),
    )


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


class _Found(NamedTuple):
    """A prediction: its record's index and name, the maps of its batch and its place in them."""

    index: int
    name: str
    maps: dict[str, np.ndarray]
    place: int
    size: tuple[int, int]  # of the picture, height and width
    picture: Callable[[], np.ndarray]  # reads it, uint8 [H, W, 3] RGB


def _found(
    source: Any, task: Task, variables: Any, batch_size: int, cameras: Cameras
) -> Iterator[_Found]:
    """Yields the predictions on all records, in their order.

    The device is given a batch before the predictions on the one before are handed out: while they
    are written it works.
    """
    predict = jax.jit(task.predict)
    waiting: Any = None
    for batch, names in _batches(source, min(batch_size, len(source)), cameras):
        begun = predict(variables, batch), batch, names
        if waiting is not None:
            yield from _each(source, *waiting)
        waiting = begun
    if waiting is not None:
        yield from _each(source, *waiting)


def _each(
    source: Any, predicted: Mapping[str, jax.Array], batch: Batch, names: Sequence[str]
) -> Iterator[_Found]:
    """Yields the predictions on a batch."""
    maps = {key: np.asarray(value) for key, value in predicted.items()}
    for place, name in enumerate(names):
        index = int(batch["id"][place])
        size = tuple(map(int, batch["label_size"][place]))
        picture = functools.partial(_picture, source, index, batch["image"][place], size)
        yield _Found(index, name, maps, place, size, picture)


def _picture(source: Any, index: int, seen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns one's own picture as it is; of a split what the network saw, enlarged."""
    if isinstance(source, OwnPictures):
        return source.whole(index)
    return pictures.resize(seen, *size)


def _write(
    out: pathlib.Path, found: _Found, files: Files, wanted: Wanted, cameras: Cameras
) -> None:
    """Writes a prediction for programs."""
    own = files.own(found.maps[files.key][found.place], found.size)
    files.write(out, found.name, own)
    if wanted.npy:
        write_raw(out, found.name, files.raw(own))
    if wanted.ply:
        camera = cameras.of(found.maps, found.place, found.size)
        path = (out / POINTS / file_name(found.name)).with_suffix(".ply")
        points.write_ply(path, files.raw(own), found.picture(), camera)


def _batches(source: Any, batch_size: int, cameras: Cameras) -> Iterator[tuple[Batch, list[str]]]:
    """Yields batches with an empty label canvas of each original size, and the names in them."""
    names = source.names if can(source, HasNames) else _file_names(source)
    for name in names:
        file_name(name)  # one that is none is told before anything is predicted
    for batch in pipeline.eval_batches(source, batch_size=batch_size):
        sizes = batch.get("label_size", np.array([batch["image"].shape[1:3]] * batch_size))
        if can(source, HasOriginals):  # labels may have been made smaller with their pictures
            sizes = np.array([source.original(int(i)) for i in batch["id"]], np.int32)
        kept = {key: batch[key] for key in _SEEN if key in batch}
        if cameras.learned:
            kept["intrinsics"] = cameras.guess(sizes)
        real = batch["id"][batch["mask"]]
        yield to_batch(batch["image"], sizes) | kept, [names[i] for i in real]


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
