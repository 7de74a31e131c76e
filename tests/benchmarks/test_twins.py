"""Steps in PyTorch that are timed beside ours compute the same: loss and update."""

import argparse
import os

import jax
import numpy as np
import pytest

from geoseg_jax.training import steps
from tests.models.weights import randomise

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
from benchmarks import cases, ours, torch_twin, twins  # noqa: E402


def options_of(task):
    """A tiny network on tiny pictures; a U-Net pads those whose height does not halve."""
    return argparse.Namespace(
        task=task,
        encoder=cases.CASES[task].tiny,
        height=30 if task == "segmentation" else 32,
        width=96,
        batch=3,
        padding="zero",  # PyTorch mirrors no map of a single row
        threads=len(os.sched_getaffinity(0)),
        device="cpu",
    )


@pytest.mark.parametrize("task", cases.CASES)
def test_same_loss_of_the_same_weights(task, tmp_path):
    options = options_of(task)
    config, our_task, batch = ours.make(options)
    key = jax.random.fold_in(steps._base_key(0), 0)
    variables = randomise(jax.eval_shape(our_task.init, key, batch))
    if task == "flow":  # some pixels are seen, and some are not
        for part in ("decoder", "context"):
            head = variables["params"]["flow"][part]["flow"]
            head.update({name: np.float32(0.05) * leaf for name, leaf in head.items()})
    ours.hand_over(tmp_path, config, variables, batch)
    expected, aux = jax.jit(lambda v: our_task.loss(v, key, batch, 0.0))(variables)
    assert 0.2 < aux.terms.get("visible", 0.5) < 0.8
    # Eager: in channels_last PyTorch 2.13 now and then crashes on maps of so few rows.
    twin = twins.Twin(options, tmp_path, "eager")
    twin.build()
    assert twin.step()["loss"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("task", ["depth", "segmentation", "mae"])
def test_same_update_of_the_same_gradients(task, tmp_path):
    """Adam, AdamW with clipping, AdamW with another beta: three steps of a layer and a token."""
    config, _, _ = ours.make(options_of(task))
    generator = np.random.default_rng(0)
    shapes = {"dense": {"kernel": (4, 3), "bias": (3,)}, "mask_token": (3,)}
    draw = lambda s: generator.normal(size=s).astype(np.float32)  # noqa: E731
    params, *gradients = (
        jax.tree.map(draw, shapes, is_leaf=lambda s: isinstance(s, tuple)) for _ in range(4)
    )
    net = torch.nn.Module()
    net.dense, net.mask_token = torch.nn.Linear(4, 3), torch.nn.Parameter(torch.zeros(3))
    torch_twin.load_flax(net, {"params": params})
    settings = dict(config.optimizer.to_dict(), rules=())
    theirs = twins.make_optimizer(net, settings)
    optimizer = steps.make_optimizer(settings, 10, params, {})
    state = optimizer.transform.init(params)
    for gradient in gradients:
        for name, value in torch_twin.flax_to_torch(gradient).items():
            net.get_parameter(name).grad = value
        twins.clip(net, settings)
        theirs.step()
        rate = optimizer.schedule(0)
        updates, state = optimizer.transform.update(gradient, state, params, rate=rate)
        params = jax.tree.map(np.add, params, updates)
    for name, value in torch_twin.flax_to_torch(jax.device_get(params)).items():
        np.testing.assert_allclose(value, net.get_parameter(name).detach(), rtol=1e-5, atol=1e-6)


def test_a_twin_without_its_threads_is_refused(tmp_path):
    options = options_of("vit")
    options.threads += 1
    with pytest.raises(RuntimeError, match=r"threads on \d+ processors instead of"):
        twins.Twin(options, tmp_path, "eager")
    torch.set_num_threads(options.threads - 1)
