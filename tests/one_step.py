"""The loss of a task, or a whole step, on one device and on eight: the numbers must be the same."""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.tasks.base import Task
from geoseg_jax.training import sharding, steps
from geoseg_jax.training.state import TrainState
from tests.models.weights import randomise

# Constant learning rate of plain SGD, so that updates are proportional to gradients: Adam's first
# step divides each gradient by itself and would turn rounding noise into updates of full size.
OPTIMIZER = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}


def run(
    task: Task, variables: Any, batch: dict[str, np.ndarray], devices: int, progress: float = 0.0
) -> tuple[TrainState, np.ndarray]:
    """The state after one step over `devices` devices, and the step's report.

    progress: the share of the training that was done before, in tenths.
    """
    mesh = sharding.make_mesh(jax.devices()[:devices])
    shapes = sharding.global_shapes(batch, sharding.split(mesh))
    config = ConfigDict({"optimizer": OPTIMIZER})
    optimizer = steps.make_optimizer_for(task, config, 10, shapes)
    # From given weights: to compile their drawing would take as long as the step.
    state = TrainState(
        step=np.int32(round(10 * progress)),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.transform.init(variables["params"]),
    )
    state = jax.device_put(state, sharding.replicated(mesh))
    abstract_state = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )
    program = steps.compile_train_step(task, optimizer, abstract_state, shapes, mesh)
    step = steps.make_train_step(program, 0, optimizer.schedule, task, mesh)
    arrays = sharding.to_devices(batch, mesh)
    state, report = step.run(state, arrays, steps.stop_flags(0, mesh))
    return jax.device_get(state), np.asarray(report)


def run_loss(
    task: Task, variables: Any, batch: dict[str, np.ndarray], devices: int, progress: float = 0.0
) -> tuple[Any, np.ndarray]:
    """The new statistics, and the loss with its terms, the batch divided over `devices` devices."""
    mesh = sharding.make_mesh(jax.devices()[:devices])
    everywhere, divided = sharding.replicated(mesh), sharding.split(mesh)
    places = (everywhere, everywhere, divided, everywhere)
    loss = jax.jit(task.loss, in_shardings=places, out_shardings=everywhere)
    arrays = sharding.to_devices(batch, mesh)
    value, aux = loss(variables, jax.random.key(1), arrays, np.float32(progress))
    return jax.device_get(aux.batch_stats), np.asarray([value, *aux.terms.values()])


def assert_equal_on_eight_devices(
    task: Task,
    batch: dict[str, np.ndarray],
    tolerance: float = 2e-4,
    progress: float = 0.0,
    *,
    whole: bool = False,
) -> None:
    """Fails where an array differs by more than its share of the array's largest value, before a
    step or after it.

    batch: of numpy arrays, eight examples or a multiple. progress: see `run`.
    whole: compares the state after a step, which takes several times as long to compile. Without,
      the loss must do: its derivative is that of a function that is the same on any devices.
    """
    variables = randomise(jax.eval_shape(task.init, jax.random.key(0), batch))
    compute = run if whole else run_loss
    (one, first), (eight, second) = (compute(task, variables, batch, n, progress) for n in (1, 8))
    np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance)
    assert np.isfinite(first).all()
    if whole:
        one, eight = ((state.params, state.batch_stats) for state in (one, eight))
    # A step may take an array nearly to zero, and then rounding is a large share of what is left.
    start = (variables["params"], variables.get("batch_stats", {})) if whole else one
    same = jax.tree.map(
        lambda a, b, before: float(
            np.max(np.abs(a - b), initial=0) / (np.max(np.abs([a, before]), initial=0) + 1e-6)
        ),
        one,
        eight,
        start,
    )
    wrong = {
        jax.tree_util.keystr(path): value
        for path, value in jax.tree_util.tree_leaves_with_path(same)
        if value > tolerance
    }
    assert not wrong, f"differ by more than {tolerance} of their largest value: {wrong}"
