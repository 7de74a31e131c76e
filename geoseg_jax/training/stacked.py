"""Trains several runs at once: one program, whose step is a step of each.

Small steps leave most of an accelerator idle. Seeds, subsets and replicates of a study share their
programs and differ in values alone. Each run has its own workdir, logs and checkpoints, and takes
the steps that it takes alone, to rounding: it can go on from them in other company, or alone.
"""

import collections
import contextlib
import dataclasses
import pathlib
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.core import disk
from geoseg_jax.core.tell import lines_begin_with
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import accumulation, begin, device_memory, loop, sharding, steps
from geoseg_jax.training.interrupts import Interrupts
from geoseg_jax.training.programs import Programs, key_of
from geoseg_jax.training.sharding import say
from geoseg_jax.training.state import TrainState


class StackError(RuntimeError):
    """Runs can't be trained at once; each may be alone, or with fewer."""


class Job(NamedTuple):
    """The arguments of one run, see loop.run."""

    config: ConfigDict
    workdir: pathlib.Path
    keep_checkpoints: bool = True
    task: Task | None = None
    data: Any = None


# What became of a run: its result, what has ended it, or None where it was not begun or stopped.
Outcome = loop.Result | Exception | None


def run(
    jobs: Sequence[Job],
    devices: Sequence[jax.Device] | None = None,
    programs: Programs | None = None,
) -> list[Outcome]:
    """Trains those runs together that most share a program with; see loop.run.

    Args:
      jobs: of one process.
      devices: that the runs are divided over. What a run does beside its steps, as evaluation, it
        does on the first; a single run has the first alone.
      programs: those of earlier runs in this process, which these add their own to.

    Returns:
      For each job its outcome. An error ends one run, and the others go on.

    Raises:
      StackError: they can't be trained at once, for want of memory or whatever else;
      DiskFullError: for all of them.
    """
    devices, shared = list(devices or jax.devices()), programs or Programs()
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        runs = [_Run(number, job, interrupts) for number, job in enumerate(jobs)]
        for run in runs:
            stack.callback(run.close)
            run.open(devices[0], shared)
        chosen = _alike([run for run in runs if run.prepared])
        for run in runs:
            if run not in chosen:
                run.close()
        if len(chosen) == 1:
            chosen[0].train_alone()
        elif chosen:
            _train(chosen, devices)
    outcomes = [run.outcome for run in runs]
    for run in runs:
        run.forget()
    return outcomes


def _alike(runs: Sequence["_Run"]) -> list["_Run"]:
    """Chooses the most of those that can take their steps together."""
    kinds = collections.Counter(run.kind for run in runs if run.kind)
    if not kinds:
        return list(runs[:1])
    return [run for run in runs if run.kind == kinds.most_common(1)[0][0]]


def _train(runs: Sequence["_Run"], devices: Sequence[jax.Device]) -> None:
    """Trains runs together.

    Raises:
      StackError: their program can't be compiled or run.
    """
    for run in runs:
        run.in_company = True
    try:
        _Stack(runs, devices).train()
    except Exception as error:
        for run in runs:
            run.end_by(error)
        if disk.is_full(error):
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StackError(f"{len(runs)} runs can't be trained at once ({first})") from None


class _Run:
    """One of the runs, and what became of it."""

    def __init__(self, number: int, job: Job, interrupts: Interrupts) -> None:
        self._number, self._job, self._interrupts = number, job, interrupts
        self._contexts = contextlib.ExitStack()
        self.outcome: Outcome = None
        self.ended = False
        self.in_company = False
        self.prepared: begin.Prepared | None = None
        self.kind: tuple[Any, ...] | None = None  # equal for runs that can be trained together
        self.loop: Any = None  # loop.Loop, once it has begun
        self.batch: Any = None  # that of the next step

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Numbers the lines that are told, and keeps what goes wrong with this run alone.

        Raises:
          OSError: the disk is full, which it is for all.
          JaxRuntimeError: the device is, by the runs together.
        """
        with lines_begin_with(f"{self._number} | "):
            try:
                yield
            except Exception as error:
                if self.in_company and device_memory.is_too_small(error):
                    raise
                self.end_by(error)

    def end_by(self, error: Exception) -> None:
        """Ends the run by an error, as the run's own contexts tell it.

        Raises:
          OSError: the disk is full.
        """
        if self.ended:
            return
        self.ended, told = True, error
        try:
            if self.loop:
                self.loop.writer.fail()
            self._contexts.pop_all().__exit__(type(error), error, error.__traceback__)
        except Exception as another:
            told = another
        if disk.is_full(told):
            raise told
        say(f"ended by {type(told).__name__}: {' '.join(str(told).split())}")
        # What goes wrong while stopping says nothing of the run.
        self.outcome = None if self._interrupts.received else told

    def open(self, device: jax.Device, programs: Programs) -> None:
        """Opens it on a device."""
        config, workdir, _, task, data = self._job
        with self.alone():
            mesh = sharding.make_mesh([device])
            placed = begin.place(config, workdir, mesh, task, data)
            opened = self._contexts.enter_context(begin.opened(placed, mesh, task, data))
            given, earlier, _ = opened
            if earlier.finished:
                self.outcome, self.ended = loop.results_of(opened), True
                return
            prepared = begin.prepare(opened, programs)
            key = key_of(given.config, given.task, prepared.shapes, mesh)
            # A profile is of one run.
            if key and not config.train.get("profile_at", 0):
                self.kind = key, config.train.steps, earlier.step
            self.prepared = prepared

    def train_alone(self) -> None:
        """Trains it as loop.run does."""
        with self.alone():
            own = loop.start(self.prepared, self._interrupts, self._job.keep_checkpoints)
            self.outcome = own.run()
            self.ended = True

    def start(self, step: steps.TrainStep) -> None:
        """Makes the first state and opens the logs of a run of several."""
        with self.alone():
            self.loop = loop.start(
                self.prepared, self._interrupts, self._job.keep_checkpoints, step
            )

    def close(self) -> None:
        """Closes what is open still."""
        with self.alone():
            self._contexts.pop_all().close()

    def forget(self) -> None:
        """Drops all that holds arrays, the frames that an error has come through too."""
        error = self.outcome
        while isinstance(error, Exception):
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__
        self.outcome = self.prepared = self.loop = self.batch = None


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
    """Runs whose states lie in one, along a first axis that the devices divide.

    Where a run has ended, and where the devices don't divide the runs, another's steps are taken in
    its place, in vain.
    """

    def __init__(self, runs: Sequence[_Run], devices: Sequence[jax.Device]) -> None:
        self._runs = list(runs)
        used = min(len(devices), len(runs))
        self._each = -(-len(runs) // used)  # places on a device
        self._mesh = sharding.make_mesh(devices[:used])
        program = self._compile()
        for run in self._runs:
            # Its program is called with all states, by this stack alone.
            run.start(steps.TrainStep(program.names, program.run))
        loops = self._filled([run.loop for run in self._live()])
        own = [
            (one.given.config.seed, one.compiled.optimizer.schedule, one.given.task)
            for one in loops
        ]
        self._step = steps.make_stacked_step(program, own, self._mesh) if own else None

    def _compile(self) -> steps.Program:
        """Compiles the step of all, unless earlier runs have."""
        opened, compiled, shapes, *_ = self._runs[0].prepared
        given = opened.given
        mesh, thrift = self._mesh, accumulation.thrift_of(given.config)
        places = self._each * mesh.devices.size

        def compile_step() -> steps.Program:
            say(f"compiling a step of {len(self._runs)} runs for {mesh.devices.size} device(s)…")
            return steps.compile_stacked_step(
                given.task,
                compiled.optimizer,
                compiled.abstract_state,
                shapes,
                mesh,
                places,
                thrift,
            )

        return compiled.once(f"training of {places} on {mesh.devices.tolist()}", compile_step)

    def train(self) -> None:
        """Trains all to their end, or until they are stopped; gives each its outcome."""
        for run in self._live():
            with run.alone():
                run.loop.begin()
        if not self._live():
            return
        states = self._stacked([run.loop.status.state for run in self._live()])
        for run in self._live():
            run.loop.status.state = None  # else the first device would hold all of them twice
            run.loop.progress.lap(run.loop.status.step)
        while self._go_on():
            for run in self._live():
                with run.alone():
                    run.batch = run.loop.next_batch()
            if not self._live():
                return
            states, values = self._step(states, self._stacked([r.batch for r in self._live()]))
            for index, run in self._places():
                with run.alone():
                    self._advanced(run, _Row(values, index), states)
        self._end(states)

    def _live(self) -> list[_Run]:
        return [run for run in self._runs if not run.ended]

    def _places(self) -> list[tuple[int, _Run]]:
        return [(index, run) for index, run in enumerate(self._runs) if not run.ended]

    def _filled(self, of_live: Sequence[Any]) -> list[Any]:
        """Lists one thing for each place: where nobody is, the first one's."""
        if not of_live:
            return []
        filled = [of_live[0]] * (self._each * self._mesh.devices.size)
        for (index, _), one in zip(self._places(), of_live, strict=True):
            filled[index] = one
        return filled

    def _stacked(self, of_live: Sequence[Any]) -> Any:
        """Puts trees of arrays side by side, on the devices."""
        trees = self._filled(of_live)
        stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *trees)
        return jax.device_put(stacked, sharding.split(self._mesh))

    def _go_on(self) -> bool:
        """Tells whether there is a step left; a request to stop reaches all after the same step."""
        live = self._live()
        received = max((run.loop.status.signal for run in live), default=0)
        for run in live:
            run.loop.status.signal = received
        return any(run.loop.goes_on() for run in live)

    def _advanced(self, run: _Run, row: _Row, states: TrainState) -> None:
        """Takes a run's report of a step, and does what is due after it; the others' time stops."""
        own = run.loop
        own.advanced(row, run.batch.get("id"))
        if not own.is_due():
            return
        with contextlib.ExitStack() as stack:
            for other in self._live():
                if other is not run:
                    stack.enter_context(other.loop.progress.paused())
            own.status.state = self._state_of(own, states, row.index)
            own.run_due()
            own.status.state = None

    def _end(self, states: TrainState) -> None:
        """Saves all, and then waits for it."""
        unchanged = {}
        for index, run in self._places():
            with run.alone():
                run.loop.status.state = self._state_of(run.loop, states, index)
                unchanged[index] = run.loop.leave()
        for index, run in self._places():
            with run.alone():
                run.outcome = run.loop.result(unchanged[index])
                run.ended = True

    def _state_of(self, own: loop.Loop, states: TrainState, index: int) -> TrainState:
        """Copies a run's state, from its device alone to where it lies when trained alone."""
        device, place = divmod(index, self._each)
        start = device * self._each

        def part(x: jax.Array) -> jax.Array:
            return next(s.data for s in x.addressable_shards if (s.index[0].start or 0) == start)

        one = _take(jax.tree.map(part, states), place)
        return jax.device_put(one, sharding.replicated(own.given.mesh))


@jax.jit
def _take(states: TrainState, place: int) -> TrainState:
    return jax.tree.map(lambda x: x[place], states)
