"""THE training loop, for every task: init, step, evaluate, log, save.

A run is a folder, the workdir. Started again with the same workdir it goes on from the newest
checkpoint with the same data and the same numbers; a finished one is left as it is.
"""

import functools
import pathlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from geoseg_jax import tasks as all_tasks
from geoseg_jax.config import settings
from geoseg_jax.core import json_files
from geoseg_jax.core.tell import tell
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.provenance import leakage
from geoseg_jax.data.source import Source
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import (
    calibration,
    judged,
    manifest,
    resume,
    sharding,
    steps,
    transfer,
    writers,
)
from geoseg_jax.training.checkpoints import Checkpoints
from geoseg_jax.training.evaluation import better, evaluate
from geoseg_jax.training.interrupts import Interrupts
from geoseg_jax.training.monitor import Monitor, Report, TrainingError, offending
from geoseg_jax.training.optimizers import make_schedule
from geoseg_jax.training.programs import Programs, key_of
from geoseg_jax.training.progress import Progress
from geoseg_jax.training.state import TrainState, select, sha256_of

SHOWN = 4  # examples in a picture


class Result(NamedTuple):
    """How a run ended."""

    step: int
    evaluation: dict[str, float]  # what eval.json holds; empty where the run was stopped
    signal: int  # of SIGTERM or SIGINT where it was stopped and saved, else 0


def run(
    config: ConfigDict,
    workdir: str | pathlib.Path,
    task: Task | None = None,
    data: Any = None,
    devices: Sequence[jax.Device] | None = None,
    *,
    programs: Programs | None = None,
    keep_checkpoints: bool = True,
) -> Result:
    """Trains, or goes on with training, until config.train.steps; evaluates; writes it all down.

    Args:
      config: see settings.py for its keys.
      workdir: the run's folder, on a file system that all processes see.
      task, data: in place of what config.task and config.data ask for.
      devices: in place of all devices.
      programs: those of earlier runs in this process, which this one adds its own to.
      keep_checkpoints: else none is written but those that config.train.checkpoint_every asks for
        and that of a run that is stopped: the finished run has its results alone.

    Raises:
      ConfigError, DataError, CheckpointError, TrainingError: one line that names the cause and
        the remedy.
    """
    settings.check(config, skip=(("task", "model") if task else ()) + (("data",) if data else ()))
    mesh = sharding.make_mesh(devices)
    for key in ("batch_size", "eval_batch_size"):
        sharding.check_batch_size(f"train.{key}", config.train[key], mesh)
    with Interrupts() as interrupts:
        data = data or make_data(config)
        task = task or all_tasks.make_task(config, data)
        workdir = pathlib.Path(workdir).absolute()
        papers = manifest.describe_data(data)
        checkpoints = Checkpoints(workdir / "checkpoints")
        found = resume.look(workdir, config, papers, checkpoints)
        if found.finished:
            say(f"{workdir}: this run is finished; its results, from eval.json:")
            say(writers.describe(found.step, config.train.steps, found.finished))
            return Result(found.step, found.finished, 0)
        for line in found.notes:
            say(line)
        loop = _Loop(
            config,
            workdir,
            task,
            data,
            mesh,
            checkpoints,
            interrupts,
            programs or Programs(),
            keep_checkpoints,
        )
        try:
            return loop.run(found, papers)
        finally:
            checkpoints.close()  # an error must not lose what is being written


def say(text: str) -> None:
    """Prints on the first process."""
    if sharding.is_first_process():
        tell(text)


class _Loop:
    """One run: its state and everything around it."""

    def __init__(
        self,
        config: ConfigDict,
        workdir: pathlib.Path,
        task: Task,
        data: Any,
        mesh: Mesh,
        checkpoints: Checkpoints,
        interrupts: Interrupts,
        programs: Programs,
        keep_checkpoints: bool,
    ) -> None:
        self.config, self.workdir, self.task, self.data = config, workdir, task, data
        self.mesh, self.checkpoints, self.interrupts = mesh, checkpoints, interrupts
        self.programs, self.keep_checkpoints = programs, keep_checkpoints
        self.train = config.train
        self.best_metric = config.train.get("best_metric", "")
        self.signal = 0  # set after the same step on all processes
        self.evaluation: dict[str, float] | None = None  # of the present step
        self.started, self.opened = json_files.now(), time.monotonic()

    def run(self, found: resume.Found, papers: dict[str, Any]) -> Result:
        """The whole run, from what was found in the workdir."""
        self.papers = papers
        self._prepare(found)
        self.interrupts.arm()
        if self._due("eval_every") and self.step and self.evaluation is None:
            self._evaluate()  # the last start was stopped before or within it
        while self.step < self.train.steps and not self.signal:
            self._advance()
            self._attend()
        self.monitor.drain()
        self._check_frozen()
        self.writer.close()
        if self.keep_checkpoints or self.signal:
            self._save()
            say("saving…")
        self.checkpoints.close()
        return self._stopped() if self.signal else self._finish()

    # Start.

    def _prepare(self, found: resume.Found) -> None:
        """Data, state, compiled step, writers."""
        self.step, meta = found.step, found.meta
        say("reading the first batch…")
        self.batches = self._train_batches()
        self.first_batch: dict[str, np.ndarray] | None = next(self.batches)
        divided = sharding.split(self.mesh)
        shapes = sharding.global_shapes(self.first_batch, divided)
        create, like = self._make_programs(shapes)
        self._check_best_metric(like)
        self.parents, self.calibration = meta.get("parents", []), meta.get("calibration", {})
        self.state = self._first_state(create, like)
        self._compile(like, shapes)
        self.no_stop = steps.stop_flags(0, self.mesh)
        self.evaluation = meta.get("evaluation")
        self.best = meta.get("best")
        self.frozen_sha256 = meta.get("frozen_sha256") or self._frozen_sha256()
        self.writer = self._make_writer()
        self.leakage = self._watch_leakage()
        self.progress = Progress(
            start=self.step,
            steps=self.train.steps,
            batch_size=self.train.batch_size,
            log_every=self.train.get("log_every", 50),
            train_size=len(self.data.train),
            bad_share=self._data_setting("bad_share", 0.0),
            writer=self.writer,
            say=say,
            opened=self.opened,
            saved=meta.get("progress"),
        )
        self.monitor = Monitor(
            self.train_step.names, on_step=self.progress.passed, on_failure=self._failed
        )

    def _make_programs(
        self, shapes: steps.Shapes
    ) -> tuple[Callable[[int], TrainState], TrainState]:
        """Makes all programs but the training step; returns what steps.make_state does."""
        task, config, mesh = self.task, self.config, self.mesh
        key = key_of(config, task, shapes, mesh)
        self.once = functools.partial(self.programs.once, key)
        optimizer = self.once(
            "optimizer", lambda: steps.make_optimizer_for(task, config, self.train.steps, shapes)
        )
        schedule = make_schedule(config.optimizer, self.train.steps)
        self.optimizer = optimizer._replace(schedule=schedule)
        self.eval_step = self.once("evaluation", lambda: steps.make_eval_step(task, mesh))
        self.picture_step = self.once("pictures", lambda: steps.make_picture_step(task, mesh))
        return self.once("state", lambda: steps.make_state(task, self.optimizer, shapes, mesh))

    def _check_best_metric(self, like: TrainState) -> None:
        """Raises ConfigError where the task has no such number: now, not after hours."""
        batch = sharding.global_shapes(next(self._eval_batches()), sharding.split(self.mesh))
        sums, _ = self.eval_step.shapes(like.variables, batch, steps.stop_flags(0, self.mesh))
        ones = {name: np.ones(s.shape) if s.shape else 1.0 for name, s in sums.items()}
        names = self.task.summarise(ones)
        better(None, 0, names, self.best_metric, self.train.get("best_mode", "min"))

    def _data_setting(self, name: str, default: Any) -> Any:
        return self.config.get("data", {}).get(name, default)

    def _reading(self) -> dict[str, int]:
        """Which part of the batches this process reads, and with how many workers."""
        return {
            "process_index": jax.process_index(),
            "process_count": jax.process_count(),
            "workers": self._data_setting("workers", 0),
        }

    def _train_batches(self) -> Iterator[dict[str, np.ndarray]]:
        return iter(
            pipeline.train_batches(
                self.data.train,
                batch_size=self.train.batch_size,
                seed=self.config.seed,
                start_step=self.step,
                **self._reading(),
                augment=augmentation(self.config.get("data", {})),
                bad_share=self._data_setting("bad_share", 0.0),
            )
        )

    def _eval_batches(self, source: Source | None = None) -> Iterator[dict[str, np.ndarray]]:
        return iter(
            pipeline.eval_batches(
                self.data.eval if source is None else source,
                batch_size=self.train.eval_batch_size,
                **self._reading(),
            )
        )

    def _first_state(self, create: Callable[[int], TrainState], like: TrainState) -> TrainState:
        if self.step:
            say(f"{self.workdir}: going on from step {self.step}")
            return self.checkpoints.restore(self.step, like)
        say("initialising…")
        state = create(self.config.seed)
        if self.config.get("init_from"):
            ancestor = transfer.read(self.config.init_from, self.config)
            taken = transfer.take(ancestor, like, self.config)
            state = transfer.put(state, taken)
            self.parents = [transfer.lineage(ancestor, taken)]
            say(f"lineage: {transfer.write_lineage(self.parents)}")
        state = self._calibrated(state)
        say(transfer.describe(state, self.parents, self.config, self.optimizer))
        return state

    def _calibrated(self, state: TrainState) -> TrainState:
        """With a frozen encoder's batch statistics of the training pictures, where asked for."""
        given = transfer.settings_of(self.config)
        if not given["statistics"] or calibration.PART not in given["frozen"]:
            return state
        bad_share = self._data_setting("bad_share", 0.0)
        batches = self._eval_batches(calibration.pictures(self.data.train, bad_share))
        measure = self.once(
            "calibration", lambda: calibration.make_measure(self.task.network, self.mesh)
        )
        state, self.calibration = calibration.calibrate_state(
            state, measure, batches, self.mesh, say
        )
        return state

    def _compile(self, like: TrainState, shapes: steps.Shapes) -> None:
        say(f"compiling the training step for {self.mesh.devices.size} device(s)…")
        start = time.monotonic()
        program = self.once(
            "training",
            lambda: steps.compile_train_step(self.task, self.optimizer, like, shapes, self.mesh),
        )
        self.train_step = steps.make_train_step(
            program, self.config.seed, self.optimizer.schedule, self.mesh
        )
        say(f"compiled in {time.monotonic() - start:.1f} s")

    def _make_writer(self) -> writers.Writer:
        if not sharding.is_first_process():
            return writers.SilentWriter()
        self.workdir.mkdir(parents=True, exist_ok=True)
        evaluation_due = self._due("eval_every") and self.evaluation is None
        writers.truncate_metrics(self.workdir / "metrics.jsonl", self.step, evaluation_due)
        json_files.write_json(self.workdir / "config.json", settings.plain(self.config))
        return writers.MultiWriter(
            [
                writers.TerminalWriter(self.train.steps, say),
                writers.JsonLinesWriter(self.workdir / "metrics.jsonl"),
                writers.TensorBoardWriter(self.workdir, self.step + 1 if self.step else None),
                writers.PictureWriter(self.workdir / "pictures"),
            ]
        )

    def _watch_leakage(self) -> leakage.Watch | None:
        """Writes files.json beside the training, on the first process."""
        if not sharding.is_first_process():
            return None
        sources = [parent["source"] for parent in self.parents]
        return leakage.Watch(self.data, self.workdir, self.papers["sha256"], sources, say)

    # One step.

    def _advance(self) -> None:
        """Starts the next step; looks at those before it."""
        if self.first_batch is not None:
            batch, self.first_batch = self.first_batch, None
        else:
            with self.progress.waiting(self.monitor.device_is_idle):
                batch = next(self.batches)
        arrays = sharding.to_devices(batch, self.mesh)
        self.state, values = self.train_step.run(self.state, arrays, self._stop_flags())
        self.step += 1
        self.evaluation = None
        self.monitor.push(Report(self.step, values, batch.get("id")))
        self._listen()

    def _stop_flags(self) -> jax.Array:
        received = self.interrupts.received
        return steps.stop_flags(received, self.mesh) if received else self.no_stop

    def _listen(self) -> None:
        """Learns of a request to stop: at once if alone, else when a step has carried it to all."""
        alone = jax.process_count() == 1
        self.signal = self.interrupts.received if alone else self.monitor.stop

    def _failed(self, report: Report, values: dict[str, float]) -> TrainingError:
        """The message for a step with a number that is not finite."""
        ids = sharding.gather_rows(report.ids) if report.ids is not None else np.zeros(0, int)
        names = "; ".join(f"{i} = {self.data.train.describe(int(i))}" for i in ids[:8])
        names += f"; and {ids[8:].tolist()}" if len(ids) > 8 else ""
        last = self.checkpoints.latest()
        kept = f"checkpoint {last} is good" if last else "no checkpoint was written before"
        return TrainingError(
            f"step {report.step}: {offending(values)}; batch ids: {names}; {kept}. Look at these "
            "examples, lower config.optimizer.learning_rate or set "
            "config.optimizer.clip_norm"
        )

    # Between steps.

    def _due(self, key: str) -> bool:
        every = self.train.get(key, 0)
        return self.step == self.train.steps or bool(every and self.step % every == 0)

    def _attend(self) -> None:
        """What is due after this step: profile, pictures, evaluation, checkpoint."""
        self._profile()
        if not any(map(self._due, ("pictures_every", "eval_every", "checkpoint_every"))):
            return
        # Numbers are looked at before anything is made of them, a checkpoint above all.
        self.monitor.drain()
        self._listen()
        if self.signal:
            return
        with self.progress.paused():
            if self._due("pictures_every"):
                self._pictures()
            if self._due("eval_every"):
                self._evaluate()
            if self._checkpoint_due():
                self._save()

    def _checkpoint_due(self) -> bool:
        if not self.keep_checkpoints:
            every = self.train.get("checkpoint_every", 0)
            return bool(every and self.step % every == 0)
        is_best = self.best is not None and self.best["step"] == self.step
        return self._due("checkpoint_every") or is_best

    def _evaluate(self) -> None:
        """Evaluates the whole split; `evaluation` stays None where a process was asked to stop."""
        say(f"evaluating {len(self.data.eval)} examples…")
        variables, batches = self.state.variables, self._eval_batches()
        totals = evaluate(self.eval_step, variables, batches, self.mesh, self._stop_flags, say)
        if totals is None:
            self.signal = self.interrupts.received or signal.SIGTERM
            return
        self.evaluation = self.task.summarise(totals)
        if self.step == self.train.steps and sharding.is_first_process():
            judged.keep(self.workdir, totals, self.data.eval)
        mode = self.train.get("best_mode", "min")
        self.best = better(self.best, self.step, self.evaluation, self.best_metric, mode)
        self.writer.write_scalars(self.step, self.evaluation)
        self.writer.flush()

    def _pictures(self) -> None:
        """The same few evaluation examples every time, from all over the split."""
        count = min(SHOWN, len(self.data.eval))
        spread = [i * len(self.data.eval) // count for i in range(count)]
        batches = self._eval_batches(Subset(self.data.eval, spread))
        batch = sharding.to_devices(next(batches), self.mesh)
        shown = self.picture_step(self.state.variables, batch)
        self.writer.write_images(self.step, {k: np.asarray(v)[:count] for k, v in shown.items()})

    def _profile(self) -> None:
        """A trace of three steps from config.train.profile_at on, in WORKDIR/profile."""
        at = self.train.get("profile_at", 0)
        if not at or self.step not in (at, at + 3):
            return
        self.monitor.drain()
        if self.step == at:
            jax.profiler.start_trace(str(self.workdir / "profile"))
        else:
            jax.profiler.stop_trace()
            say(f"a profile of three steps is in {self.workdir / 'profile'}")

    def _save(self) -> None:
        """Starts to write a checkpoint of the present step, all of whose numbers were looked at."""
        meta = {
            "config": settings.plain(self.config),
            "data": self.papers["sha256"],
            "progress": self.progress.as_json(),
            "evaluation": self.evaluation and writers.finite(self.evaluation),
            "best": self.best,
            "frozen_sha256": self.frozen_sha256,
            "parents": self.parents,
            "calibration": self.calibration,
        }
        self.checkpoints.save(self.step, self.state, meta, self.best and self.best["step"])

    # End.

    def _frozen_sha256(self) -> str:
        """Over the parameters and statistics that must not change."""
        chosen = transfer.frozen_leaves(self.config, self.optimizer)
        params, stats = (
            select(getattr(self.state, name), chosen[name]) for name in transfer.COLLECTIONS
        )
        return sha256_of({"params": params, "batch_stats": stats})

    def _check_frozen(self) -> None:
        """Looks whether what was to be frozen is bitwise what it was."""
        self.frozen_unchanged = self._frozen_sha256() == self.frozen_sha256
        if not self.frozen_unchanged and transfer.settings_of(self.config)["freeze"] == "all":
            raise TrainingError(
                f"step {self.step}: frozen parameters or statistics have changed, which is a fault "
                "of the program; nothing was saved after the last checkpoint"
            )

    def _stopped(self) -> Result:
        if self.leakage:
            self.leakage.stop()
        name = signal.Signals(self.signal).name
        say(
            f"{name}: stopped at step {self.step} of {self.train.steps} and saved; the same "
            f"command goes on from there (--workdir={self.workdir})"
        )
        return Result(self.step, {}, self.signal)

    def _finish(self) -> Result:
        """Writes eval.json, then manifest.json: who has the manifest has it all."""
        results = dict(self.evaluation) | {
            "bad_frames": self.progress.bad_frames,
            "frozen_unchanged": self.frozen_unchanged,
            "frozen_parameters": transfer.count_frozen(self.state, self.config, self.optimizer),
        }
        if self.best:
            results |= {
                "best_step": self.best["step"],
                f"best_{self.best_metric}": self.best["value"],
            }
        shared, files = self.leakage.finish() if self.leakage else ({}, {})
        results |= shared
        papers = {
            "config": settings.plain(self.config),
            "data": self.papers | files,
            "step": self.step,
            "parameters_sha256": sha256_of(self.state.params),
            "parts_sha256": transfer.parts_sha256(self.state.params, self.state.batch_stats),
            "frozen_sha256": self.frozen_sha256,
            "parents": self.parents,
            "calibration": self.calibration,
            "started": self.started,
            "finished": json_files.now(),
            "seconds": round(self.progress.seconds(), 1),
        }
        if sharding.is_first_process():
            json_files.write_json(self.workdir / "eval.json", writers.finite(results))
            json_files.write_json(
                self.workdir / "manifest.json", papers | manifest.describe_machine()
            )
        say(f"finished in {writers.duration(papers['seconds'])}; results: {self.workdir}/eval.json")
        return Result(self.step, results, 0)
