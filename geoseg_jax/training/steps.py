"""The compiled pieces of training: the first state, one training step, one evaluation step."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from ml_collections import ConfigDict

from geoseg_jax.tasks.base import Task
from geoseg_jax.training import accumulation, sharding, transfer
from geoseg_jax.training.optimizers import (
    Numbers,
    Optimizer,
    Schedule,
    make_optimizer,
    share_done,
)
from geoseg_jax.training.state import TrainState

Shapes = dict[str, jax.ShapeDtypeStruct]

# Beside the task's terms a step reports these. A run stops where one of CHECKED isn't finite.
CHECKED = ("loss", "gradient_norm", "update_norm", "batch_stats_norm")
REPLACED, STOP = "replaced", "stop"
CONSTANTS = "constants"  # among a task's variables, see tasks.base.Task
LEARNING_RATE = "learning_rate"  # of this step, before the multipliers


class Program(NamedTuple):
    """A compiled step of training, for any seed and any numbers of the schedule."""

    names: tuple[str, ...]  # of what it reports
    run: Callable[
        ..., tuple[TrainState, jax.Array]
    ]  # (state, batch, stop, base key, numbers) -> state, float32 [names]


class TrainStep(NamedTuple):
    """The step of one run and the names of what it reports."""

    names: tuple[str, ...]
    run: Callable[
        ..., tuple[TrainState, jax.Array]
    ]  # (state, batch, stop) -> state, float32 [names]


class EvalStep(NamedTuple):
    """(variables, batch, stop) -> (sums, stop), compiled at the first call.

    shapes: the same for arrays or their shapes, giving shapes; run is then not traced again.
    """

    run: Callable[..., tuple[dict[str, jax.Array], jax.Array]]
    shapes: Callable[..., tuple[dict[str, jax.ShapeDtypeStruct], jax.ShapeDtypeStruct]]


def init_function(task: Task, shapes: Shapes) -> Callable[[jax.Array], dict[str, Any]]:
    """Makes key -> variables; of the batch, only the shapes matter."""
    return lambda key: task.init(key, {k: jnp.zeros(s.shape, s.dtype) for k, s in shapes.items()})


def make_optimizer_for(task: Task, config: ConfigDict, steps: int, shapes: Shapes) -> Optimizer:
    """Returns the optimiser for a task's parameters, from their shapes alone."""
    variables = jax.eval_shape(init_function(task, shapes), jax.random.key(0))
    params = variables["params"]
    rules = transfer.optimizer_settings(config, tuple(params))
    return make_optimizer(rules, steps, params, variables.get("batch_stats", {}))


def make_state(
    task: Task, optimizer: Optimizer, shapes: Shapes, mesh: Mesh
) -> tuple[Callable[[int], TrainState], TrainState]:
    """Returns seed -> first state, and that state's shapes and shardings."""

    # The key is an argument: runs that differ in the seed alone share a compiled program.
    def create(key: jax.Array) -> TrainState:
        variables = init_function(task, shapes)(key)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=variables["params"],
            batch_stats=variables.get("batch_stats", {}),
            opt_state=optimizer.transform.init(variables["params"]),
        )

    everywhere = sharding.replicated(mesh)
    # It runs once. On a CPU, full optimisation takes minutes; with none at all, drawing a ResNet-18
    # takes 1.9 s, with a little of it 0.35 s.
    cpu = mesh.devices.flat[0].platform == "cpu"
    options = {"xla_backend_optimization_level": 1} if cpu else None
    jitted = jax.jit(create, out_shardings=everywhere, compiler_options=options)
    abstract = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=everywhere),
        jitted.eval_shape(_first_key(0)),
    )
    return lambda seed: jitted(_first_key(seed)), abstract


def _first_key(seed: int) -> jax.Array:
    """Returns the key that the first state is drawn with."""
    return jax.random.fold_in(jax.random.key(seed), 0)


def _keep(frozen: Any, old: Any, new: Any) -> Any:
    """Takes old where frozen, else new: at trace time, so that frozen leaves stay bitwise."""
    return jax.tree.map(lambda stays, a, b: a if stays else b, frozen, old, new)


def _step_function(
    task: Task, optimizer: Optimizer, mesh: Mesh | None, thrift: accumulation.Thrift
) -> Callable[..., Any]:
    """Makes (state, batch, stop, base_key, numbers) -> (state, report), not compiled.

    mesh: that the batch is divided over; None where one device has all of it.
    """
    keep_stats = functools.partial(_keep, optimizer.frozen_stats)
    gradients = accumulation.make_gradients(task.loss, keep_stats, mesh, thrift)

    def step(
        state: TrainState, batch: Any, stop: jax.Array, base_key: jax.Array, numbers: Numbers
    ) -> tuple[TrainState, dict]:
        key = jax.random.fold_in(base_key, state.step)
        rate = optimizer.schedule.form(numbers, state.step)
        progress = share_done(numbers, state.step)

        variables = state.variables | {k: numbers[k] for k in (CONSTANTS,) if k in numbers}
        loss, terms, batch_stats, grads = gradients(variables, key, batch, progress)
        # A constant in place of an unused gradient lets the compiler drop its computation.
        grads = _keep(optimizer.frozen_params, jax.tree.map(jnp.zeros_like, grads), grads)
        updates, opt_state = optimizer.transform.update(
            grads, state.opt_state, state.params, rate=rate
        )
        # Not x + 0, which turns -0.0 into 0.0.
        params = _keep(
            optimizer.frozen_params, state.params, optax.apply_updates(state.params, updates)
        )
        report = dict(terms) | {
            "loss": loss,
            "gradient_norm": optax.tree.norm(grads),
            "update_norm": optax.tree.norm(updates),
            # Statistics can overflow while the loss is finite: x / inf is 0.
            "batch_stats_norm": optax.tree.norm(batch_stats) if batch_stats else jnp.zeros(()),
            # Here and not on the host, where asking for it would wait for the steps under way.
            LEARNING_RATE: rate,
            REPLACED: jnp.sum(batch[REPLACED]) if REPLACED in batch else jnp.zeros(()),
            STOP: jnp.max(stop),
        }
        return TrainState(state.step + 1, params, batch_stats, opt_state), report

    return step


def trace_train_step(
    task: Task,
    optimizer: Optimizer,
    state: TrainState,
    shapes: Shapes,
    mesh: Mesh,
    thrift: accumulation.Thrift = accumulation.NO_THRIFT,
) -> tuple[tuple[str, ...], jax.stages.Traced]:
    """Traces a training step; returns the names of what it reports, and the step, not compiled.

    Beside what TrainStep.run takes, the step takes the key that its randomness comes from and the
    numbers of the schedule: runs that differ in seed, length or rate alone share a program.

    Args:
      state: shapes and shardings of the state, whose memory a call reuses (donated).
      shapes: of the global batch.
      thrift: how it needs less memory.
    """
    stop = jax.ShapeDtypeStruct((mesh.devices.size,), jnp.int32)
    key = jax.eval_shape(lambda: _base_key(0))
    names: list[str] = []  # told at trace time: to trace twice would take seconds
    everywhere, divided = sharding.replicated(mesh), sharding.split(mesh)
    jitted = jax.jit(
        _packed(_step_function(task, optimizer, mesh, thrift), names),
        in_shardings=(everywhere, divided, divided, everywhere, everywhere),
        out_shardings=everywhere,
        donate_argnums=0,
    )
    numbers = jax.tree.map(_struct, _numbers(optimizer.schedule, task))
    traced = jitted.trace(state, shapes, stop, key, numbers)
    return tuple(names), traced


def _packed(step: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """Makes of a step's report one small array: one copy to the host carries all its scalars.

    names: is filled when it is traced.
    """

    def packed(state: TrainState, *rest: Any) -> tuple[TrainState, jax.Array]:
        state, report = step(state, *rest)
        names[:] = sorted(report)
        return state, jnp.stack([jnp.asarray(report[name], jnp.float32) for name in names])

    return packed


def _base_key(seed: int) -> jax.Array:
    """Returns the key that those of a run's steps are derived from; 0 is for the first state."""
    return jax.random.fold_in(jax.random.key(seed), 1)


def _numbers(schedule: Schedule, task: Task) -> Numbers:
    """Collects what a step takes as arguments, so that its program doesn't depend on it."""
    return {**schedule.numbers, **({CONSTANTS: task.constants} if task.constants else {})}


def _struct(number: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(number.shape, number.dtype)


def compile_train_step(
    task: Task,
    optimizer: Optimizer,
    state: TrainState,
    shapes: Shapes,
    mesh: Mesh,
    thrift: accumulation.Thrift = accumulation.NO_THRIFT,
) -> Program:
    """Compiles one step of training; arguments are those of `trace_train_step`."""
    names, traced = trace_train_step(task, optimizer, state, shapes, mesh, thrift)
    return Program(names, traced.lower().compile())


def make_train_step(
    program: Program, seed: int, schedule: Schedule, task: Task, mesh: Mesh
) -> TrainStep:
    """Returns the step of one run.

    The key of a step is a function of (seed, step) alone. `stop` is int32 [devices], nonzero where
    a process was asked to stop; its maximum travels with the step's report, so that all processes
    learn of it after the same step without an exchange of its own.

    Args:
      schedule: of the form that the program was compiled for; task: with the constants that it has.
    """
    place = jax.jit(_unchanged, out_shardings=sharding.replicated(mesh))
    key, numbers = place((_base_key(seed), _numbers(schedule, task)))
    return TrainStep(
        program.names, lambda state, batch, stop: program.run(state, batch, stop, key, numbers)
    )


def trace_stacked_step(
    task: Task,
    optimizer: Optimizer,
    state: TrainState,
    shapes: Shapes,
    mesh: Mesh,
    runs: int,
    thrift: accumulation.Thrift = accumulation.NO_THRIFT,
) -> tuple[tuple[str, ...], jax.stages.Traced]:
    """Traces one step of several runs that share a program: each takes the step it takes alone.

    What it takes has a leading axis of runs: (states, batches, base keys, numbers) -> states,
    float32 [runs, names]. The devices divide this axis; where one has several runs, their
    convolutions become grouped ones.

    Args:
      state, shapes: of one run.
      mesh: of the devices, whose number divides that of the runs.
      thrift: how it needs less memory.
    """
    names: list[str] = []
    step = _packed(_step_function(task, optimizer, None, thrift), names)
    nobody = np.zeros(1, np.int32)  # one process needs no step to learn of a request to stop

    def run(state: TrainState, batch: Any, key: jax.Array, numbers: Numbers) -> Any:
        return step(state, batch, nobody, key, numbers)

    def of_device(*stacked: Any) -> Any:
        if runs > mesh.devices.size:
            return jax.vmap(run)(*stacked)
        only = run(*jax.tree.map(lambda x: x[0], stacked))
        return jax.tree.map(lambda x: x[None], only)

    divided, along = sharding.split(mesh), PartitionSpec(*mesh.axis_names)
    # The check asks the carries of loops what they vary over, which no task need know.
    mapped = jax.shard_map(of_device, mesh=mesh, in_specs=along, out_specs=along, check_vma=False)

    def stacked(x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((runs, *x.shape), x.dtype, sharding=divided)

    key = jax.eval_shape(lambda: _base_key(0))
    numbers = jax.tree.map(_struct, _numbers(optimizer.schedule, task))
    arguments = jax.tree.map(stacked, (state, shapes, key, numbers))
    traced = jax.jit(mapped, donate_argnums=0).trace(*arguments)
    return tuple(names), traced


def compile_stacked_step(*arguments: Any) -> Program:
    """Compiles one step of several runs; arguments are those of `trace_stacked_step`."""
    names, traced = trace_stacked_step(*arguments)
    return Program(names, traced.lower().compile())


def make_stacked_step(
    program: Program, runs: Sequence[tuple[int, Schedule, Task]], mesh: Mesh
) -> Callable[[TrainState, Any], tuple[TrainState, jax.Array]]:
    """Returns (states, batches) -> states, reports of runs by their seeds, schedules, tasks."""
    keys = jnp.stack([_base_key(seed) for seed, *_ in runs])
    given = [_numbers(schedule, task) for _, schedule, task in runs]
    numbers = jax.tree.map(lambda *x: np.stack(x), *given)
    keys, numbers = jax.device_put((keys, numbers), sharding.split(mesh))
    return lambda states, batches: program.run(states, batches, keys, numbers)


def _unchanged(values: Any) -> Any:
    return values


def make_eval_step(task: Task, mesh: Mesh) -> EvalStep:
    """Makes the evaluation of a batch: the task's sums over the global batch, on all devices."""
    everywhere, divided = sharding.replicated(mesh), sharding.split(mesh)
    jitted = jax.jit(
        lambda variables, batch, stop: (task.evaluate(variables, batch), jnp.max(stop)),
        in_shardings=(everywhere, divided, divided),
        out_shardings=everywhere,
    )
    return EvalStep(jitted, jitted.eval_shape)


def make_picture_step(task: Task, mesh: Mesh) -> Callable[..., dict[str, jax.Array]]:
    """Makes (variables, batch) -> the task's pictures in its order, whole on every process."""
    everywhere, divided = sharding.replicated(mesh), sharding.split(mesh)
    names: list[str] = []  # jit sorts the keys of a dict; the task's order is told at trace time

    def pictures(variables: Any, batch: Any) -> tuple[jax.Array, ...]:
        shown = task.visualise(variables, batch)
        names[:] = shown
        return tuple(shown.values())

    compiled = jax.jit(pictures, in_shardings=(everywhere, divided), out_shardings=everywhere)
    return lambda variables, batch: dict(zip(names, compiled(variables, batch), strict=True))


def stop_flags(signal_number: int, mesh: Mesh) -> jax.Array:
    """Makes int32 [devices]: this process's devices carry the number of the signal it got, or 0."""
    local = sum(d.process_index == jax.process_index() for d in mesh.devices.flat)
    return jax.make_array_from_process_local_data(
        sharding.split(mesh), np.full((local,), signal_number, np.int32)
    )
