"""Trains several runs at once: one program, whose step is a step of each.

Small steps leave most of an accelerator idle. Seeds, subsets and replicates of a study share their
programs and differ in values alone. Each run has its own workdir, logs and checkpoints, and takes
the steps that it takes alone, to rounding: it can go on from them in other company, or alone.
"""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from geoseg_jax.config.check import check
from geoseg_jax.core import disk
from geoseg_jax.core.tell import Numbered
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import accumulation, device_memory, loop, setup, sharding, steps
from geoseg_jax.training.interrupts import Interrupts
from geoseg_jax.training.monitor import TrainingError
from geoseg_jax.training.programs import Programs, key_of
from geoseg_jax.training.state import TrainState


class Job(NamedTuple):
    """The arguments of one run, see loop.run."""

    config: ConfigDict
    workdir: pathlib.Path
    keep_checkpoints: bool = True
    task: Task | None = None
    data: Any = None


# What became of a run: its result, what has ended it, or None where it was not begun.
Outcome = loop.Result | Exception | None


def run(
    jobs: Sequence[Job],
    devices: Sequence[jax.Device] | None = None,
    programs: Programs | None = None,
) -> list[Outcome]:
    """Trains those runs together that share their programs with the first one; see loop.run.

    Args:
      jobs: of one process.
      devices: that the runs are divided over, as evenly as their number allows. What a run does
        beside its steps, as evaluation, it does on the first.
      programs: those of earlier runs in this process, which these add their own to.

    Returns:
      For each job its outcome. An error ends one run, and the others go on.

    Raises:
      TrainingError: the runs don't fit the memory of a device together;
      DiskFullError: for all of them.
    """
    devices, shared = list(devices or jax.devices()), programs or Programs()
    runs = [_Run(number, job) for number, job in enumerate(jobs)]
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        for run in runs:
            stack.callback(run.contexts.close)
            with run.alone():
                run.open(devices, shared)
        alike = _alike(runs)
        if len(alike) == 1:
            (only,) = alike
            with only.alone():
                only.start(setup.compile_train_step, interrupts)
                only.outcome = only.loop.run()
        elif alike:
            _train(alike, devices, interrupts)
    return [run.outcome for run in runs]


def _train(runs: Sequence["_Run"], devices: Sequence[jax.Device], interrupts: Interrupts) -> None:
    """Trains runs together; what goes wrong with their program is the outcome of each."""
    try:
        with device_memory.fits_together(len(runs)):
            _Stack(runs, devices, interrupts).train()
    except Exception as error:
        if isinstance(error, TrainingError) or disk.is_full(error):
            raise
        for run in runs:
            run.outcome = run.outcome or error


def _alike(runs: Sequence["_Run"]) -> list["_Run"]:
    """Chooses the first run that has steps to do, and those that can take them with it."""
    waiting = [run for run in runs if run.waits]
    alike = [run for run in waiting if run.kind() == waiting[0].kind()]
    # A profile is of one run.
    stackable = alike and alike[0].kind()[0] and not alike[0].job.config.train.get("profile_at", 0)
    return alike if stackable else alike[:1]


class _Run:
    """One of the runs, and what became of it."""

    loop: loop.Loop
    batch: dict[str, np.ndarray]

    def __init__(self, number: int, job: Job) -> None:
        self.job = job
        self.outcome: Outcome = None
        self.contexts = contextlib.ExitStack()
        self.prepared: loop.Prepared | None = None
        self._begun, self._number = False, number

    @property
    def waits(self) -> bool:
        """Tells whether it is open and has no outcome yet."""
        return self.prepared is not None and self.outcome is None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Numbers the lines that are printed, and keeps what goes wrong with this run alone.

        Raises:
          OSError: the disk is full, which it is for all.
        """
        try:
            with contextlib.redirect_stdout(Numbered(sys.stdout, f"{self._number} | ")):
                yield
        except Exception as error:
            self.outcome = self._closed_by(error)
            if disk.is_full(self.outcome):
                raise self.outcome from error

    def _closed_by(self, error: Exception) -> Exception:
        """Closes the run; returns the error as the run's own contexts tell it."""
        try:
            if self._begun:
                self.loop.writer.fail()
            self.contexts.pop_all().__exit__(type(error), error, error.__traceback__)
        except Exception as told:
            return told
        return error

    def open(self, devices: Sequence[jax.Device], programs: Programs) -> None:
        """Opens it on the first device."""
        config, workdir, _, task, data = self.job
        check(config, skip=(("task", "model") if task else ()) + (("data",) if data else ()))
        mesh, train = sharding.make_mesh(devices[:1]), config.train
        parts = train.get("micro_batches", 1)
        sharding.check_batch_size("train.batch_size", train.batch_size, mesh, parts)
        opened = loop.prepared(config, workdir, mesh, programs, task, data)
        prepared = self.contexts.enter_context(opened)
        if isinstance(prepared, loop.Result):
            self.outcome = prepared
        else:
            self.prepared = prepared

    def kind(self) -> tuple[Any, ...]:
        """Returns what runs have in common that can be trained together; first None for none."""
        given, earlier, _, _, shapes, *_ = self.prepared
        key = key_of(given.config, given.task, shapes, given.mesh)
        return key, given.config.train.steps, earlier.step

    def start(self, compile_step: Any, interrupts: Interrupts) -> None:
        """Makes the run's first state and opens its logs."""
        self.loop = loop.start(self.prepared, compile_step, interrupts, self.job.keep_checkpoints)
        self._begun = True


@dataclasses.dataclass(frozen=True)
class _Row:
    """One run's part of the reports of a step, which come to the host together."""

    values: jax.Array  # [runs, names]
    index: int

    def copy_to_host_async(self) -> None:
        self.values.copy_to_host_async()

    def is_ready(self) -> bool:
        return self.values.is_ready()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.values, dtype)[self.index]


class _Stack:
    """Runs whose states lie in one, along a first axis that the devices divide."""

    def __init__(
        self, runs: Sequence[_Run], devices: Sequence[jax.Device], interrupts: Interrupts
    ) -> None:
        self._runs = list(runs)
        count = max(n for n in range(1, len(devices) + 1) if len(runs) % n == 0)
        self._mesh: Mesh = sharding.make_mesh(devices[:count])
        self._take = jax.jit(lambda states, index: jax.tree.map(lambda x: x[index], states))
        self._program = self._compile(self._runs[0].prepared)
        for run in self._runs:
            with run.alone():
                run.start(lambda *_: steps.TrainStep(*self._program), interrupts)

    def _compile(self, first: loop.Prepared) -> steps.Program:
        """Compiles the step of all, unless earlier runs have."""
        given, compiled, shapes = first.given, first.compiled, first.shapes
        runs, mesh = len(self._runs), self._mesh
        thrift = accumulation.thrift_of(given.config)

        def compile_step() -> steps.Program:
            sharding.say(f"compiling a step of {runs} runs for {mesh.devices.size} device(s)…")
            return steps.compile_stacked_step(
                given.task, compiled.optimizer, compiled.abstract_state, shapes, mesh, runs, thrift
            )

        return compiled.once(f"training of {runs} on {mesh.devices.tolist()}", compile_step)

    def train(self) -> None:
        """Trains all to their end, or until they are stopped; gives each its outcome."""
        if not self._live():
            return
        step, states = self._first()
        for run in self._live():
            with run.alone():
                run.loop.begin()
        while self._go_on():
            batches = self._next_batches()
            if not self._live():
                return
            states, values = step(states, batches)
            for index, run in enumerate(self._runs):
                if run.outcome is None:
                    with run.alone():
                        self._advanced(run.loop, _Row(values, index), states)
        for index, run in enumerate(self._runs):
            if run.outcome is None:
                with run.alone():
                    run.loop.status.state = self._state_of(run.loop, states, index)
                    run.outcome = run.loop.end()
                    run.loop.status.state = None

    def _live(self) -> list[_Run]:
        return [run for run in self._runs if run.outcome is None]

    def _filled(self, of_live: Sequence[Any]) -> list[Any]:
        """Lists one thing for each run: where a run has ended, another's, which is in vain."""
        given = iter(of_live)
        return [next(given) if run.outcome is None else of_live[0] for run in self._runs]

    def _first(self) -> tuple[Any, TrainState]:
        """Returns the step of all, and their first states."""
        loops = self._filled([run.loop for run in self._live()])
        seeds = [(one.given.config.seed, one.compiled.optimizer.schedule) for one in loops]
        step = steps.make_stacked_step(self._program, seeds, self._mesh)
        states = self._stacked([one.status.state for one in loops])
        return step, states

    def _stacked(self, trees: Sequence[Any]) -> Any:
        """Puts trees of arrays side by side, on the devices."""
        stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *trees)
        return jax.device_put(stacked, sharding.split(self._mesh))

    def _go_on(self) -> bool:
        """Tells whether there is a step left; a request to stop reaches all after the same step."""
        live = self._live()
        received = max((run.loop.status.signal for run in live), default=0)
        for run in live:
            run.loop.status.signal = received
        return any(run.loop.goes_on() for run in live)

    def _next_batches(self) -> Any:
        for run in self._live():
            with run.alone():
                run.batch = run.loop.next_batch()
        return self._stacked(self._filled([run.batch for run in self._live()]))

    def _advanced(self, one: loop.Loop, row: _Row, states: TrainState) -> None:
        """Takes a run's report of a step, and does what is due after it."""
        batch = self._runs[row.index].batch
        one.advanced(row, batch.get("id"))
        if one.is_due():
            one.status.state = self._state_of(one, states, row.index)
            one.run_due()
            one.status.state = None

    def _state_of(self, one: loop.Loop, states: TrainState, index: int) -> TrainState:
        """Copies a run's state, to where it lies when the run is trained alone."""
        return jax.device_put(self._take(states, index), sharding.replicated(one.given.mesh))
