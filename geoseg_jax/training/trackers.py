"""The tools that config.train.writers names: TensorBoard, Weights & Biases, MLflow, clu's writer.

Each is opened where it is asked for, so that none is needed otherwise, and clu's, which is
TensorFlow's, pulls in TensorFlow for nobody else.
"""

import importlib.util
import os
import pathlib
import re
import shlex
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import disk, json_files
from geoseg_jax.core.one_line import named
from geoseg_jax.training import writers
from geoseg_jax.training.writers import Images, Scalars, SilentWriter, Writer

IDS = "trackers.json"  # WORKDIR/trackers.json: tool -> the id of this run there
_REPAIR = "put the original back, or remove it, and the tools begin new runs"
PROJECT = "geoseg_jax"  # where WANDB_PROJECT or MLFLOW_EXPERIMENT_NAME names no other


class Opened(NamedTuple):
    """A tool's writer for one run."""

    writer: Writer
    how_to_look: str  # a command or an address
    id: str = ""  # of the run there, where the tool has one


class Tool(NamedTuple):
    """A tool: the packages that it needs, how to install them, and what opens it.

    open(workdir, steps done, id or '') is called by the first process alone.
    """

    modules: tuple[str, ...]
    install: str
    open: Callable[[pathlib.Path, int, str], Opened]


class TrackerWriter(SilentWriter):
    """Passes a run on to one tool, numbers by group; the run outlives a tool that fails."""

    def __init__(self, name: str, writer: Writer, say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._writer: Writer | None = writer

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        self._try(lambda writer: writer.write_scalars(step, writers.grouped(scalars)))

    def write_images(self, step: int, images: Images) -> None:
        named = {f"eval/{name}": stack for name, stack in images.items()}
        self._try(lambda writer: writer.write_images(step, named))

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        self._try(lambda writer: writer.write_hparams(hparams))

    def flush(self) -> None:
        self._try(lambda writer: writer.flush())

    def close(self) -> None:
        self._try(lambda writer: writer.close())

    def fail(self) -> None:
        self._try(lambda writer: getattr(writer, "fail", writer.close)())  # clu's has none

    def _try(self, act: Callable[[Writer], None]) -> None:
        if self._writer is None:
            return
        try:
            act(self._writer)
        except Exception as error:  # of a server, a network, a library: none is worth the training
            if disk.is_full(error):
                raise
            self._writer = None
            self._say(
                f"{self._name} is written to no more, the training goes on; metrics.jsonl has all "
                f"numbers: {named(error)}"
            )


class WandbWriter(SilentWriter):
    """A run of Weights & Biases; its own settings (WANDB_MODE, WANDB_PROJECT, ...) hold."""

    def __init__(self, workdir: pathlib.Path, run_id: str) -> None:
        import wandb

        self._image = wandb.Image
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=workdir.name,
            dir=str(workdir),
            id=run_id,
            resume="allow",
            reinit="create_new",  # a study has a run for each of its jobs
            settings=wandb.Settings(silent=True, console="off"),
        )

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        self.run.log(dict(scalars), step=step)

    def write_images(self, step: int, images: Images) -> None:
        shown = {name: [self._image(picture) for picture in s] for name, s in images.items()}
        self.run.log(shown, step=step)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        self.run.config.update(dict(hparams), allow_val_change=True)

    def close(self) -> None:
        self.run.finish()

    def fail(self) -> None:
        self.run.finish(exit_code=1)


class MlflowWriter(SilentWriter):
    """A run of MLflow, at MLFLOW_TRACKING_URI."""

    def __init__(self, workdir: pathlib.Path, run_id: str) -> None:
        import mlflow

        self._client = mlflow.MlflowClient()
        self._metric, self._param = mlflow.entities.Metric, mlflow.entities.Param
        if not run_id:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            there = self._client.get_experiment_by_name(name)
            experiment = there.experiment_id if there else self._client.create_experiment(name)
            run_id = self._client.create_run(experiment, run_name=workdir.name).info.run_id
        self._client.update_run(run_id, "RUNNING")  # one that goes on had ended
        self.run_id, self.uri = run_id, mlflow.get_tracking_uri()

    def write_scalars(self, step: int, scalars: Scalars) -> None:
        now = writers.milliseconds()
        # Classes may have names with letters that MLflow refuses.
        named = {re.sub(r"[^\w\-./ ]", "_", name): float(v) for name, v in scalars.items()}
        metrics = [self._metric(name, value, now, step) for name, value in named.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def write_images(self, step: int, images: Images) -> None:
        page = writers.sheet({name.rpartition("/")[2]: stack for name, stack in images.items()})
        self._client.log_image(self.run_id, page, f"pictures/{step:08d}.png")

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        params = [self._param(name, str(value)[:500]) for name, value in hparams.items()]
        for start in range(0, len(params), 100):  # as many as a request may have
            self._client.log_batch(self.run_id, params=params[start : start + 100])

    def close(self) -> None:
        self._client.set_terminated(self.run_id)

    def fail(self) -> None:
        self._client.set_terminated(self.run_id, "FAILED")


def _tensorboard(workdir: pathlib.Path, step: int, _: str) -> Opened:
    writer = writers.TensorBoardWriter(workdir, step + 1 if step else None)
    return Opened(writer, _tensorboard_command(workdir))


def _tensorboard_command(workdir: pathlib.Path) -> str:
    there = importlib.util.find_spec("tensorboard") is not None
    install = "" if there else " (after pip install tensorboard)"
    return f"tensorboard --logdir {shlex.quote(str(workdir))}{install}"


def _clu(workdir: pathlib.Path, _: int, __: str) -> Opened:
    from clu import metric_writers

    return Opened(metric_writers.SummaryWriter(str(workdir)), _tensorboard_command(workdir))


def _wandb(workdir: pathlib.Path, _: int, run_id: str) -> Opened:
    run_id = run_id or uuid.uuid4().hex[:8]
    writer = WandbWriter(workdir, run_id)
    place = shlex.quote(str(workdir / "wandb"))
    command = f"offline, wandb sync {place}/offline-run-*-{run_id}"
    return Opened(writer, command if writer.run.offline else writer.run.url or "", run_id)


def _mlflow(workdir: pathlib.Path, _: int, run_id: str) -> Opened:
    writer = MlflowWriter(workdir, run_id)
    command = f"mlflow ui --backend-store-uri {shlex.quote(writer.uri)}, run {writer.run_id}"
    return Opened(writer, command, writer.run_id)


TOOLS = {
    "tensorboard": Tool(("tensorboardX",), "tensorboardX", _tensorboard),
    "wandb": Tool(("wandb",), "'geoseg_jax[wandb]'", _wandb),
    "mlflow": Tool(("mlflow",), "'geoseg_jax[mlflow]'", _mlflow),
    "clu": Tool(("tensorflow", "tensorboard"), "tensorflow tensorboard", _clu),
}


def names_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what config.train.writers asks for; TensorBoard where it says nothing."""
    return tuple(config["train"].get("writers", ("tensorboard",)))


def check(names: Sequence[str]) -> None:
    """Refuses a tool whose package is not installed, at the start and not hours later.

    Raises:
      ConfigError: naming it and what installs it.
    """
    for name in names:
        missing = [m for m in TOOLS[name].modules if importlib.util.find_spec(m) is None]
        if missing:
            raise ConfigError(
                f"config.train.writers={tuple(names)}: {name!r} needs {missing[0]}, which "
                f"is not installed; pip install {TOOLS[name].install}, or leave it out"
            )


def open_all(
    names: Sequence[str], workdir: pathlib.Path, step: int, say: Callable[[str], None]
) -> list[Writer]:
    """Opens a run's tools and says how to look at each; one that goes on goes on there too.

    Args:
      names: of TOOLS.
      workdir: of the run.
      step: steps done; at 0 the tools begin anew.
      say: takes lines of text.

    Raises:
      ConfigError: a tool can't be opened, as without its server, and no step is done yet.
    """
    kept = json_files.read_json(workdir / IDS, "the runs at other tools", {"*": str}, _REPAIR) or {}
    ids = dict(kept) if step else {}
    opened = []
    for name in names:
        try:
            tool = TOOLS[name].open(workdir, step, ids.get(name, ""))
        except Exception as error:
            if disk.is_full(error):
                raise
            line = f"{name} can't be opened ({named(error)})"
            if step:  # a scheduler has started it again, and nobody may be there to repair it
                say(f"{line}: it is not written to, the training goes on; metrics.jsonl has all")
                continue
            raise ConfigError(
                f"config.train.writers={tuple(names)}: {line}; repair that, or leave it out"
            ) from error
        say(f"{name}: {tool.how_to_look}")
        opened.append(TrackerWriter(name, tool.writer, say))
        ids |= {name: tool.id} if tool.id else {}
    if ids != kept:
        json_files.write_json(workdir / IDS, ids)
    return opened
