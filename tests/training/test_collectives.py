"""What devices send each other in a step: gradients and batch statistics, and nothing twice."""

import jax
import pytest

from benchmarks import hlo, kernels
from geoseg_jax.tasks import make_task
from geoseg_jax.training import sharding, steps
from tests.test_configs import abstract_batch, data_for, get_config

DEVICES = 8


@pytest.fixture(scope="module")
def step():
    """The state's shapes, and the collectives of a compiled step on eight devices."""
    config = get_config("classify_synthetic", "tiny,resolution=32x32")
    mesh = sharding.make_mesh(jax.devices()[:DEVICES])
    shapes = {
        name: jax.ShapeDtypeStruct(
            (DEVICES, *field.shape[1:]), field.dtype, sharding=sharding.split(mesh)
        )
        for name, field in abstract_batch(config).items()
    }
    task = make_task(config, data_for(config))
    optimizer = steps.make_optimizer_for(task, config, 10, shapes)
    _, state = steps.make_state(task, optimizer, shapes, mesh)
    program = steps.compile_train_step(task, optimizer, state, shapes, mesh)
    found = kernels.kernels(hlo.parse(program.run.as_text()))
    return state, [kernel for kernel in found if kernel.kind == kernels.COLLECTIVE]


def test_devices_only_add_up(step):
    _, collectives = step
    assert all("all-reduce" in kernel.name for kernel in collectives)


def test_sent_are_gradients_statistics_and_scalars(step):
    state, collectives = step
    gradients = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    # Each normalisation keeps a mean and a variance, as many numbers each as it has channels. It
    # sends a mean of a sample, a mean and a mean square forward; backward, its parameters'
    # gradients are all that it needs.
    channels = sum(leaf.size for leaf in jax.tree.leaves(state.batch_stats)) / 2
    sent = sum(kernel.times * kernel.payload for kernel in collectives) / 4
    scalars = sent - gradients - 3 * channels
    assert 0 < scalars <= 8


def test_gradients_are_sent_together(step):
    state, collectives = step
    norms = len(jax.tree.leaves(state.batch_stats)) / 2
    # A sum for a sample and one for the moments of each normalisation, one backward; the rest
    # waits for nothing and goes together.
    assert len(collectives) <= 3 * norms + 6
