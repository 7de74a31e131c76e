"""Makes what a run needs before its first step: batches, programs, the first state, writers."""

import functools
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.core import json_files
from geoseg_jax.data import pipeline
from geoseg_jax.data.provenance import leakage
from geoseg_jax.data.source import Source
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import (
    accumulation,
    calibration,
    sharding,
    steps,
    trackers,
    transfer,
    writers,
)
from geoseg_jax.training.bar import Bar
from geoseg_jax.training.checkpoints import Checkpoints
from geoseg_jax.training.evaluation import better
from geoseg_jax.training.optimizers import Optimizer, make_schedule
from geoseg_jax.training.programs import Programs, key_of
from geoseg_jax.training.progress import Progress
from geoseg_jax.training.resume import Earlier
from geoseg_jax.training.sharding import say
from geoseg_jax.training.state import TrainState


class Run(NamedTuple):
    """The inputs of a run; none of them changes."""

    config: ConfigDict
    workdir: pathlib.Path
    task: Task
    data: Any  # see data.factory.Data
    data_record: dict[str, Any]  # of manifest.describe_data
    mesh: Mesh

    def due(self, key: str, step: int) -> bool:
        """Tells whether config.train[key] asks for something now. At the end all is due, but
        pictures only where they were asked for.
        """
        if key == "pictures_every" and not self.config.train.get(key, 0):
            return False
        return step == self.config.train.steps or self.repeats(key, step)

    def repeats(self, key: str, step: int) -> bool:
        """Tells whether `step` is a multiple of config.train[key], 0 for never."""
        every = self.config.train.get(key, 0)
        return bool(every and step % every == 0)

    def data_setting(self, name: str, default: Any) -> Any:
        """Returns config.data[name]; data that is given in its place has no settings."""
        return self.config.get("data", {}).get(name, default)


class Compiled(NamedTuple):
    """The programs of a run, compiled when first called."""

    optimizer: Optimizer
    create: Callable[[int], TrainState]  # seed -> first state
    abstract_state: TrainState  # its shapes and shardings
    evaluate: steps.EvalStep
    draw: Callable[..., dict[str, jax.Array]]  # see steps.make_picture_step
    once: Callable[[str, Callable[[], Any]], Any]  # (name, make) -> what earlier runs share


class Origin(NamedTuple):
    """The origin of a run's first weights, for its manifest."""

    parents: list[dict[str, Any]]  # see transfer.lineage
    calibration: dict[str, int]  # see calibration.calibrate_state; {} without
    frozen_sha256: str  # of what must not change


def train_batches(run: Run, start_step: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields this process's part of the batches of all steps from `start_step` on."""
    train = run.config.train
    batches = pipeline.train_batches(
        run.data.train,
        batch_size=train.batch_size,
        seed=run.config.seed,
        start_step=start_step,
        **_reading(run),
        augment=augmentation(run.config.get("data", {})),
        bad_share=run.data_setting("bad_share", 0.0),
    )
    return iter(batches)


def eval_batches(run: Run, source: Source | None = None) -> Iterator[dict[str, np.ndarray]]:
    """Yields this process's part of the batches of the evaluation split, or of another source.

    They divide over the devices: any size gives the same numbers.
    """
    size, devices = run.config.train.eval_batch_size, run.mesh.devices.size
    batches = pipeline.eval_batches(
        run.data.eval if source is None else source,
        batch_size=-(-size // devices) * devices,
        **_reading(run),
    )
    return iter(batches)


def _reading(run: Run) -> dict[str, int]:
    """Returns which part of the batches this process reads, and with how many workers."""
    return {
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
        "workers": run.data_setting("workers", 0),
    }


def make_programs(run: Run, shared: Programs, shapes: steps.Shapes) -> Compiled:
    """Makes the programs of a run, but for the training step.

    Args:
      shared: programs of earlier runs, which this run adds its own to.
      shapes: of a batch to train on.
    """
    task, config, mesh, length = run.task, run.config, run.mesh, run.config.train.steps
    once = functools.partial(shared.once, key_of(config, task, shapes, mesh))
    optimizer = once(
        "optimizer", lambda: steps.make_optimizer_for(task, config, length, shapes)
    )._replace(schedule=make_schedule(config.optimizer, length))
    create, abstract_state = once("state", lambda: steps.make_state(task, optimizer, shapes, mesh))
    return Compiled(
        optimizer=optimizer,
        create=create,
        abstract_state=abstract_state,
        evaluate=once("evaluation", lambda: steps.make_eval_step(task, mesh)),
        draw=once("pictures", lambda: steps.make_picture_step(task, mesh)),
        once=once,
    )


def check_best_metric(run: Run, compiled: Compiled) -> None:
    """Raises ConfigError if the task has no such number: now, not after hours."""
    batch = sharding.global_shapes(next(eval_batches(run)), sharding.split(run.mesh))
    flags = steps.stop_flags(0, run.mesh)
    sums, _ = compiled.evaluate.shapes(compiled.abstract_state.variables, batch, flags)
    ones = {name: np.ones(s.shape) if s.shape else 1.0 for name, s in sums.items()}
    train = run.config.train
    metric, mode = train.get("best_metric", ""), train.get("best_mode", "min")
    better(None, 0, run.task.summarise(ones), metric, mode)


def first_state(
    run: Run, compiled: Compiled, checkpoints: Checkpoints, earlier: Earlier
) -> tuple[TrainState, Origin]:
    """Restores the state that an earlier start has saved, or makes the first one."""
    if earlier.step:
        say(f"{run.workdir}: going on from step {earlier.step}")
        state = checkpoints.restore(earlier.step, compiled.abstract_state)
        parents, calibrated = earlier.meta.get("parents", []), earlier.meta.get("calibration", {})
    else:
        say("initialising…")
        state, parents = _initial_state(run, compiled)
        state, calibrated = _calibrate(run, compiled, state)
        say(transfer.describe(state, parents, run.config, compiled.optimizer))
    frozen = earlier.meta.get("frozen_sha256")
    frozen = frozen or transfer.hash_frozen(state, run.config, compiled.optimizer)
    return state, Origin(parents, calibrated, frozen)


def _initial_state(run: Run, compiled: Compiled) -> tuple[TrainState, list[dict[str, Any]]]:
    """Returns a state of random weights and those that config.init_from names, and its parents."""
    config = run.config
    state = compiled.create(config.seed)
    if not config.get("init_from"):
        return state, []
    ancestor = transfer.read(config.init_from, config)
    taken = transfer.take(ancestor, compiled.abstract_state, config)
    parents = [transfer.lineage(ancestor, taken)]
    say(f"lineage: {transfer.write_lineage(parents)}")
    return transfer.put(state, taken), parents


def _calibrate(
    run: Run, compiled: Compiled, state: TrainState
) -> tuple[TrainState, dict[str, int]]:
    """Computes a frozen encoder's batch statistics anew, where config.transfer asks for it."""
    given = transfer.settings_of(run.config)
    if not given["statistics"] or calibration.PART not in given["frozen"]:
        return state, {}
    bad_share = run.data_setting("bad_share", 0.0)
    batches = eval_batches(run, calibration.pictures(run.data.train, bad_share))
    measure = compiled.once(
        "calibration", lambda: calibration.make_measure(run.task.network, run.mesh)
    )
    return calibration.calibrate_state(state, measure, batches, run.mesh, say)


def compile_train_step(run: Run, compiled: Compiled, shapes: steps.Shapes) -> steps.TrainStep:
    """Compiles the training step, unless an earlier run has, for this run's seed and schedule."""
    say(f"compiling the training step for {run.mesh.devices.size} device(s)…")
    start = time.monotonic()
    optimizer, thrift = compiled.optimizer, accumulation.thrift_of(run.config)
    program = compiled.once(
        "training",
        lambda: steps.compile_train_step(
            run.task, optimizer, compiled.abstract_state, shapes, run.mesh, thrift
        ),
    )
    say(f"compiled in {time.monotonic() - start:.1f} s")
    return steps.make_train_step(program, run.config.seed, optimizer.schedule, run.task, run.mesh)


def make_writer(run: Run, step: int, evaluation_due: bool, has_bar: bool) -> writers.Writer:
    """Opens the run's logs and writes config.json, on the first process.

    Args:
      step: steps done; what a killed run has logged after them is dropped.
      evaluation_due: the evaluation of `step` will be done again.
      has_bar: a bar shows the progress of training, so no lines do.
    """
    if not sharding.is_first_process():
        return writers.SilentWriter()
    run.workdir.mkdir(parents=True, exist_ok=True)
    writers.truncate_metrics(run.workdir, step, evaluation_due)
    json_files.write_json(run.workdir / "config.json", settings.plain(run.config))
    tools = trackers.open_all(trackers.names_of(run.config), run.workdir, step, say)
    writer = writers.MultiWriter(
        [
            writers.TerminalWriter(run.config.train.steps, say, has_bar),
            writers.JsonLinesWriter(run.workdir / "metrics.jsonl"),
            writers.PictureWriter(run.workdir / "pictures"),
            *tools,
        ]
    )
    if not step:
        flat = settings.flatten(run.config)
        simple = (bool, int, float, str)
        writer.write_hparams({k: v if isinstance(v, simple) else str(v) for k, v in flat.items()})
    return writer


def make_progress(
    run: Run, earlier: Earlier, writer: writers.Writer, opened: float, bar: Bar | None
) -> Progress:
    """Makes the report of a run's steps, which goes on where an earlier start has saved it.

    opened: time.monotonic() at the start of the run. bar: shows the progress, where there is one.
    """
    train = run.config.train
    return Progress(
        start=earlier.step,
        steps=train.steps,
        batch_size=train.batch_size,
        log_every=train.get("log_every", 50),
        train_size=len(run.data.train),
        bad_share=run.data_setting("bad_share", 0.0),
        writer=writer,
        say=say,
        opened=opened,
        saved=earlier.meta.get("progress"),
        bar=bar,
    )


def watch_leakage(run: Run, origin: Origin) -> leakage.Watch | None:
    """Starts to write files.json beside the training, on the first process."""
    if not sharding.is_first_process():
        return None
    sources = [parent["source"] for parent in origin.parents]
    return leakage.Watch(run.data, run.workdir, run.data_record["sha256"], sources, say)
