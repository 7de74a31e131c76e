"""Writes numbers and pictures: to the terminal, metrics.jsonl, TensorBoard, PNG files.

All writers have the methods of clu.metric_writers.MetricWriter that the loop uses
(write_scalars, write_images, write_hparams, flush, close), without its need for TensorFlow, and
`fail`.
"""

import json
import math
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np

from geoseg_jax.core import atomic, formats
from geoseg_jax.training.workdir import read_metrics

Scalars = Mapping[str, float]
Images = Mapping[str, np.ndarray]  # name -> uint8 [N, H, W, 3] RGB
_GAP, _CAPTION = 4, 18  # pixels between the pictures of a sheet, and for their names


class Writer(Protocol):
    """The interface of a writer; see clu.metric_writers.MetricWriter."""

    def write_scalars(self, step: int, scalars: Scalars) -> None: ...

    def write_images(self, step: int, images: Images) -> None: ...

    def write_hparams(self, hparams: Mapping[str, Any]) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def fail(self) -> None: ...


class SilentWriter:
    """Writes nothing: base of the others, and the writer of all processes but the first."""

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        del step, scalars

    def write_images(self, step: int, images: Images) -> None:
        del step, images

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        del hparams

    def flush(self) -> None:
        return

    def close(self) -> None:
        self.flush()

    def fail(self) -> None:
        """Closes the writer of a run that an error has ended."""
        self.close()


class MultiWriter(SilentWriter):
    """Passes everything to several writers."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = tuple(writers)

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        for writer in self._writers:
            writer.write_scalars(step, scalars)

    def write_images(self, step: int, images: Images) -> None:
        for writer in self._writers:
            writer.write_images(step, images)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        for writer in self._writers:
            writer.write_hparams(hparams)

    def flush(self) -> None:
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def fail(self) -> None:
        for writer in self._writers:
            writer.fail()


class JsonLinesWriter(SilentWriter):
    """One JSON object a line: {"step": 50, "loss": 0.12, ...}; not-a-number becomes null."""

    def __init__(self, path: str | pathlib.Path) -> None:
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115, closed by close()

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        self._file.write(json.dumps({"step": step} | finite(scalars)) + "\n")
        self._file.flush()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoardWriter(SilentWriter):
    """TensorBoard event files; on resume, points from `purge_step` on are hidden.

    Written at once: tensorboardX's own writer leaves it to a thread, which a full disk ends, and
    which whoever writes next then waits for.
    """

    def __init__(self, folder: str | pathlib.Path, purge_step: int | None = None) -> None:
        self._library = _tensorboardx()
        self._events = self._library.event_file_writer.EventsWriter(f"{folder}/events")
        if purge_step is not None:
            start = self._library.proto.event_pb2.SessionLog(status="START")
            self._write(purge_step, session_log=start)

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        for name, value in scalars.items():
            self._write(step, summary=self._library.summary.scalar(name, float(value)))
        self.flush()

    def write_images(self, step: int, images: Images) -> None:
        for name, stack in images.items():
            # TensorBoard has no spaces in names.
            picture = self._library.summary.image(
                name.replace(" ", "_"), np.asarray(stack), dataformats="NHWC"
            )
            self._write(step, summary=picture)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        for summary in self._library.summary.hparams(dict(hparams), {}):
            self._write(0, summary=summary)
        self.flush()

    def _write(self, step: int, **content: Any) -> None:
        event = self._library.proto.event_pb2.Event
        self._events.write_event(event(step=step, wall_time=time.time(), **content))

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        self._events.close()


def _tensorboardx() -> ModuleType:
    """Imports tensorboardX without PyTorch, which takes seconds and memory for nothing."""
    missing = "torch" not in sys.modules
    if missing:
        sys.modules["torch"] = None  # makes its import fail
    try:
        import tensorboardX
        import tensorboardX.event_file_writer
        import tensorboardX.summary
    finally:
        if missing:
            del sys.modules["torch"]
    return tensorboardX


class PictureWriter(SilentWriter):
    """One PNG a step, FOLDER/00000400.png: a row for every example, a column for every name."""

    def __init__(self, folder: str | pathlib.Path) -> None:
        self._folder = pathlib.Path(folder)

    def write_images(self, step: int, images: Images) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{step:08d}.png"
        _, png = cv2.imencode(".png", cv2.cvtColor(sheet(images), cv2.COLOR_RGB2BGR))
        with atomic.replacing(path) as partial:
            partial.write_bytes(png.tobytes())


class TerminalWriter(SilentWriter):
    """One short line a step, through `say`; beside a bar that shows progress, of evaluations."""

    def __init__(
        self, steps: int, say: Callable[[str], None] = print, has_bar: bool = False
    ) -> None:
        self._steps, self._say, self._has_bar = steps, say, has_bar

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        if not (self._has_bar and is_progress(scalars)):
            self._say(describe(step, self._steps, scalars))


def is_progress(scalars: Mapping[str, Any]) -> bool:
    """Tells the numbers of training steps from those of an evaluation."""
    return "learning_rate" in scalars


def grouped(scalars: Scalars) -> dict[str, float]:
    """Names each number by its group: train/loss, data/bad_frames, eval/miou."""

    def group(name: str) -> str:
        if not is_progress(scalars):
            return "eval"
        return "data" if name in ("data_wait_share", "bad_frames") else "train"

    return {f"{group(name)}/{name}": value for name, value in scalars.items()}


def milliseconds() -> int:
    """Returns the time since 1970."""
    return time.time_ns() // 1_000_000


def describe(step: int, steps: int, scalars: Scalars) -> str:
    """Writes the terminal's line: progress where the scalars carry it, else the numbers.

    Those of one class each, as iou/road, are left to eval.json.
    """
    start = f"step {step:>{len(str(steps))}}/{steps}"
    if "seconds_left" not in scalars:
        numbers = "  ".join(
            f"{name} {'nan' if value is None else format(value, '.4g')}"
            for name, value in scalars.items()
            if "/" not in name
        )
        return f"{start}  evaluation: {numbers}"
    return f"{start}  {progress(scalars)}"


def progress(scalars: Mapping[str, Any]) -> str:
    """Writes what the terminal shows of training: loss, speed, time left, what the data costs."""
    line = (
        f"loss {scalars['loss']:.5f}  {scalars['examples_per_second']:.1f} examples/s  "
        f"{formats.duration(scalars['seconds_left'])} left  waiting for data "
        f"{100 * scalars['data_wait_share']:.0f} %"
    )
    bad = int(scalars.get("bad_frames", 0))
    return line + (f"  {bad} unreadable frames replaced" if bad else "")


def finite(scalars: Mapping[str, float | None]) -> dict[str, float | None]:
    """Returns the numbers with those that JSON can't hold as None; None and whole numbers stay."""

    def held(value: float | None) -> float | None:
        if value is None or isinstance(value, int):
            return value
        return float(value) if math.isfinite(value) else None

    return {name: held(value) for name, value in scalars.items()}


def sheet(images: Images) -> np.ndarray:
    """Returns pictures side by side on white, names above the columns: uint8 [H, W, 3].

    Args:
      images: name -> uint8 [N, h, w, 3]; sizes may differ between names. Names with fewer pictures
        than others, as a legend for all, don't make the others' rows higher.
    """
    rows = max(len(stack) for stack in images.values())
    full = max(stack.shape[1] for stack in images.values() if len(stack) == rows) + _GAP
    pitch = {n: full if len(s) == rows else s.shape[1] + _GAP for n, s in images.items()}
    height = _CAPTION + max(pitch[name] * len(stack) for name, stack in images.items())
    width = sum(stack.shape[2] + _GAP for stack in images.values())
    page = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for name, stack in images.items():
        cv2.putText(
            page, name, (left + 2, _CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1
        )
        for row, picture in enumerate(stack):
            top = _CAPTION + row * pitch[name]
            page[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        left += stack.shape[2] + _GAP
    return page


def truncate_metrics(workdir: pathlib.Path, step: int, evaluation_due: bool = False) -> None:
    """Drops what a killed run wrote to metrics.jsonl after the step it is continued from.

    Args:
      workdir: of the run; may have no such file. Half a line at its end is dropped too.
      step: the restored step; its lines stay.
      evaluation_due: the evaluation of `step` will be done again, so its line goes as well.

    Raises:
      FileError: the file is damaged, see workdir.read_metrics.
    """
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return

    def stays(entry: Mapping[str, Any]) -> bool:
        done_again = evaluation_due and not is_progress(entry)
        return entry["step"] < step or (entry["step"] == step and not done_again)

    kept = [json.dumps(entry) for entry in read_metrics(workdir) if stays(entry)]
    atomic.write_text(path, "".join(f"{line}\n" for line in kept))
