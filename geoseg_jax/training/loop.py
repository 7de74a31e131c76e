"""THE training loop, for every task: init, step, evaluate, log, save.

A run is a folder, the workdir. Started again with the same workdir it goes on from the newest
checkpoint with the same data and the same numbers; a finished one is left as it is.
"""

import contextlib
import dataclasses
import functools
import pathlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from clu import profiler
from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.provenance import leakage
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import (
    bar,
    begin,
    finish,
    judged,
    peers,
    setup,
    sharding,
    steps,
    writers,
)
from geoseg_jax.training.checkpoints import Checkpoints
from geoseg_jax.training.evaluation import better, evaluate
from geoseg_jax.training.interrupts import Interrupts
from geoseg_jax.training.monitor import Monitor, Report, failure
from geoseg_jax.training.programs import Programs
from geoseg_jax.training.progress import Progress
from geoseg_jax.training.sharding import say
from geoseg_jax.training.state import Status

SHOWN = 4  # examples in a picture


class Result(NamedTuple):
    """The end of a run."""

    step: int
    evaluation: dict[str, float]  # what eval.json holds; empty where the run was stopped
    signal: int  # of SIGTERM, SIGINT or SIGHUP where it was stopped and saved, else 0


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
      config: see config/table.py for its keys.
      workdir: the run's folder, on a file system that all processes see; or of one process a
        bucket's address, see buckets.py.
      task, data: in place of what config.task and config.data ask for.
      devices: in place of all devices.
      programs: those of earlier runs in this process, which this one adds its own to.
      keep_checkpoints: else none is written but those that config.train.checkpoint_every asks for
        and that of a run that is stopped: the finished run has its results alone.

    Raises:
      ConfigError, DataError, CheckpointError, TrainingError, BucketError: one line that names the
        cause and the remedy.
    """
    mesh = sharding.make_mesh(devices)
    placed = begin.place(config, workdir, mesh, task, data)
    with Interrupts() as interrupts, peers.watched(), contextlib.ExitStack() as stack:
        shown = bar.on_terminal(config.train.steps, sharding.is_first_process())
        on_terminal = stack.enter_context(shown)
        opened = stack.enter_context(begin.opened(placed, mesh, task, data))
        if opened.earlier.finished:
            return results_of(opened)
        prepared = begin.prepare(opened, programs or Programs())
        return start(prepared, interrupts, keep_checkpoints, on_terminal=on_terminal).run()


def results_of(opened: begin.Opened) -> Result:
    """Tells what a finished run has given."""
    given, earlier, _ = opened
    say(f"{given.workdir}: this run is finished; its results, from eval.json:")
    say(writers.describe(earlier.step, given.config.train.steps, earlier.finished))
    return Result(earlier.step, earlier.finished, 0)


def start(
    prepared: begin.Prepared,
    interrupts: Interrupts,
    keep_checkpoints: bool,
    train_step: steps.TrainStep | None = None,
    on_terminal: bar.Bar | None = None,
) -> "Loop":
    """Makes the loop, which goes on from what an earlier start has left; see `run`.

    train_step: None for one that is compiled here.
    """
    opened, compiled, shapes, batches, started, began = prepared
    given, earlier, checkpoints = opened
    state, origin = setup.first_state(given, compiled, checkpoints, earlier)
    status = Status(state, earlier.step, earlier.meta.get("evaluation"), earlier.meta.get("best"))
    evaluation_due = given.due("eval_every", earlier.step) and status.evaluation is None
    writer = setup.make_writer(given, earlier.step, evaluation_due, on_terminal is not None)
    finish.write_begun(given, origin, status, started)
    train_step = train_step or setup.compile_train_step(given, compiled, shapes)
    progress = setup.make_progress(given, earlier, writer, began, on_terminal)
    return Loop(
        given=given,
        compiled=compiled,
        train_step=train_step,
        origin=origin,
        status=status,
        batches=batches,
        checkpoints=checkpoints,
        interrupts=interrupts,
        writer=writer,
        progress=progress,
        monitor=Monitor(
            train_step.names,
            on_step=progress.passed,
            on_failure=functools.partial(failure, given.data.train, checkpoints.latest),
        ),
        watch=setup.watch_leakage(given, origin),
        started=started,
        keep_checkpoints=keep_checkpoints,
        no_stop=steps.stop_flags(0, given.mesh),
    )


@dataclasses.dataclass(frozen=True)
class Loop:
    """The steps of a run and what is due between them; what changes on the way is `status`."""

    given: setup.Run
    compiled: setup.Compiled
    train_step: steps.TrainStep
    origin: setup.Origin
    status: Status
    batches: Iterator[dict[str, np.ndarray]]
    checkpoints: Checkpoints
    interrupts: Interrupts
    writer: writers.Writer
    progress: Progress
    monitor: Monitor
    watch: leakage.Watch | None
    started: str
    keep_checkpoints: bool
    no_stop: jax.Array

    def run(self) -> Result:
        """Trains to the end, or until it is stopped."""
        try:
            return self._train()
        except Exception:
            self._end_profile()
            self.writer.fail()
            raise

    def _train(self) -> Result:
        self.begin()
        while self.goes_on():
            self._advance()
            self.run_due()
        return self.end()

    def begin(self) -> None:
        """Notes signals from now on; evaluates where the last start was stopped before or in it."""
        self.interrupts.arm()
        status = self.status
        if status.step and self.given.due("eval_every", status.step) and status.evaluation is None:
            self._evaluate()

    def goes_on(self) -> bool:
        """Tells whether there is a step left, and nobody has asked to stop."""
        return self.status.step < self.given.config.train.steps and not self.status.signal

    def _advance(self) -> None:
        """Starts the next step; looks at those before it."""
        batch = self.next_batch()
        status, arrays = self.status, sharding.to_devices(batch, self.given.mesh)
        status.state, values = self.train_step.run(status.state, arrays, self._stop_flags())
        self.advanced(values, batch.get("id"))

    def next_batch(self) -> dict[str, np.ndarray]:
        """Waits for the batch of the next step."""
        with self.progress.waiting(self.monitor.device_is_idle):
            return next(self.batches)

    def advanced(self, values: jax.Array, ids: np.ndarray | None) -> None:
        """Takes the report of a step that was just started."""
        self.status.step += 1
        self.status.evaluation = None
        self.monitor.push(Report(self.status.step, values, ids))
        self._poll_stop()

    def end(self) -> Result:
        """Looks at all steps under way; saves, and where the run is done writes its results."""
        unchanged = self.leave()
        return self.result(unchanged)

    def leave(self) -> bool:
        """Looks at all steps under way; starts to save; tells if what is frozen is unchanged."""
        self.monitor.drain()
        self._end_profile()
        status, optimizer = self.status, self.compiled.optimizer
        unchanged = finish.check_frozen(self.given, self.origin, optimizer, status)
        self.writer.close()
        if self.keep_checkpoints or status.signal:
            self._save()
            say("saving…")
        return unchanged

    def result(self, unchanged: bool) -> Result:
        """Waits for what is saved; where the run is done writes its results."""
        self.checkpoints.close()
        return self._stopped() if self.status.signal else self._finish(unchanged)

    def _stop_flags(self) -> jax.Array:
        received = self.interrupts.received
        return steps.stop_flags(received, self.given.mesh) if received else self.no_stop

    def _poll_stop(self) -> None:
        """Learns of a request to stop: at once if alone, else when a step has carried it to all."""
        alone = jax.process_count() == 1
        self.status.signal = self.interrupts.received if alone else self.monitor.stop

    def is_due(self) -> bool:
        """Tells whether the state after this step is looked at or written."""
        every = ("pictures_every", "eval_every", "checkpoint_every")
        return any(self.given.due(key, self.status.step) for key in every)

    def run_due(self) -> None:
        """Runs what is due after this step: profile, pictures, evaluation, checkpoint."""
        self._profile()
        if not self.is_due():
            return
        due = functools.partial(self.given.due, step=self.status.step)
        # Numbers are looked at before anything is made of them, a checkpoint above all.
        self.monitor.drain()
        self._poll_stop()
        if self.status.signal:
            return
        with self.progress.paused():
            if due("pictures_every"):
                self._draw()
            if due("eval_every"):
                self._evaluate()
            if self._checkpoint_due():
                self._save()

    def _checkpoint_due(self) -> bool:
        step, best = self.status.step, self.status.best
        if not self.keep_checkpoints:
            return self.given.repeats("checkpoint_every", step)
        is_best = best is not None and best["step"] == step
        return self.given.due("checkpoint_every", step) or is_best

    def _evaluate(self) -> None:
        """Evaluates the whole split; without a result where a process was asked to stop."""
        given, status, train = self.given, self.status, self.given.config.train
        say(f"evaluating {len(given.data.eval)} examples…")
        totals = evaluate(
            self.compiled.evaluate,
            status.state.variables,
            setup.eval_batches(given),
            given.mesh,
            self._stop_flags,
            say,
        )
        if totals is None:
            status.signal = self.interrupts.received or signal.SIGTERM
            return
        status.evaluation = given.task.summarise(totals)
        if status.step == train.steps and sharding.is_first_process():
            judged.keep(given.workdir, totals, given.data.eval)
        metric, mode = train.get("best_metric", ""), train.get("best_mode", "min")
        status.best = better(status.best, status.step, status.evaluation, metric, mode)
        self.writer.write_scalars(status.step, status.evaluation)
        self.writer.flush()

    def _draw(self) -> None:
        """Draws the same few evaluation examples every time, from all over the split."""
        source = self.given.data.eval
        count = min(SHOWN, len(source))
        spread = [i * len(source) // count for i in range(count)]
        batch = next(setup.eval_batches(self.given, Subset(source, spread)))
        arrays = sharding.to_devices(batch, self.given.mesh)
        shown = self.compiled.draw(self.status.state.variables, arrays)
        images = {name: np.asarray(stack)[:count] for name, stack in shown.items()}
        self.writer.write_images(self.status.step, images)

    def _profile(self) -> None:
        """Traces three steps from config.train.profile_at on, into WORKDIR/profile."""
        at, step = self.given.config.train.get("profile_at", 0), self.status.step
        folder = self.given.workdir / "profile"
        if at and step == at:
            self.monitor.drain()
            profiler.start(str(folder))
            self.status.profiling = True
        elif self.status.profiling and step == at + 3:
            self.monitor.drain()
            self._end_profile()
            say(f"a profile of three steps is in {folder}")

    def _end_profile(self) -> None:
        """Ends the trace that is being recorded, if any: a process can have one only."""
        if self.status.profiling:
            self.status.profiling = False
            profiler.stop()

    def _save(self) -> None:
        """Starts to write a checkpoint of the present step, all of whose numbers were looked at."""
        status = self.status
        meta = {
            "config": settings.plain(self.given.config),
            "data": self.given.data_record["sha256"],
            "progress": self.progress.as_json(),
            "evaluation": status.evaluation and writers.finite(status.evaluation),
            "best": status.best,
            **self.origin._asdict(),
        }
        self.checkpoints.save(status.step, status.state, meta, status.best and status.best["step"])

    def _stopped(self) -> Result:
        if self.watch:
            self.watch.stop()
        status, workdir = self.status, self.given.workdir
        say(
            f"{signal.Signals(status.signal).name}: stopped at step {status.step} of "
            f"{self.given.config.train.steps} and saved; the same command goes on from there "
            f"(--workdir={workdir})"
        )
        return Result(status.step, {}, status.signal)

    def _finish(self, frozen_unchanged: bool) -> Result:
        results = finish.write_results(
            self.given,
            self.origin,
            self.compiled.optimizer,
            self.status,
            self.progress,
            self.watch,
            self.started,
            frozen_unchanged,
        )
        return Result(self.status.step, results, 0)
