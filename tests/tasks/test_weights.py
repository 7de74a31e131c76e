"""Every weight that is not zero changes the loss: none is accepted and then left aside."""

import jax
import numpy as np
import pytest

from geoseg_jax.tasks.flow_photometric import photometric_loss
from tests.models.weights import randomise
from tests.tasks import test_classification as classification
from tests.tasks import test_depth_supervised as depth
from tests.tasks import test_flow as flow
from tests.tasks import test_reconstruction as reconstruction
from tests.tasks import test_segmentation as segmentation
from tests.tasks.pictures_of_waves import make_batch as waves


def losses(make, batch, changes):
    """The loss as it is, and with each of the changes, of the same random weights."""
    tasks = [make(**change) for change in ({}, *changes)]
    variables = randomise(jax.eval_shape(tasks[0].init, jax.random.key(0), batch))
    key = jax.random.key(1)
    # As one program, in which the compiler finds what they share.
    every = jax.jit(lambda v, batch: [task.loss(v, key, batch, 0.0)[0] for task in tasks])
    return [float(value) for value in every(variables, batch)]


def assert_all_differ(values):
    assert np.isfinite(values).all()
    first, *others = values
    assert (np.abs(np.asarray(others) - first) > 1e-6 * abs(first)).all(), values


def halved(weights):
    """Changes of scale_weights: one after the other halved."""
    return [
        {"scale_weights": (*weights[:k], 0.5 * weights[k], *weights[k + 1 :])}
        for k in range(len(weights))
    ]


@pytest.mark.parametrize("scales", [{"scale_weights": (1.0,)}, {"coarse_weights": (1.0, 0.5)}])
def test_flow_from_pictures(scales):
    """The loss alone: flows that are not those of a network do as well, and compile sooner."""
    weights = {"scale_weights": (0.0,), "coarse_weights": (), "smoothness": 0.5} | scales
    weights |= {"data_term": "ssim_l1", "ssim_weight": 0.85, "edge_constant": 10.0}
    frames = np.random.default_rng(0).random((1, 2, *flow.SIZE, 3)).astype(np.float32)
    rng = np.random.default_rng(1)
    flows = [rng.normal(0, 2, (1, 2, 8 // s, 16 // s, 2)).astype(np.float32) for s in (1, 2)]

    def loss(change, *flows):
        settings = {f"task__{k}": v for k, v in (weights | change).items()}
        return photometric_loss(flows, frames, flow.make_config("strong", **settings).task)[0]

    changes = [{"smoothness": 0.0}, {"smoothness": 0.25}, {"ssim_weight": 0.5}]
    changes += [{"edge_constant": 1.0}, {"occlusion": "none"}, {"scale_weights": (0.7,)}]
    changes += [{"coarse_weights": (0.7,)}, {"coarse_weights": (1.0, 0.7)}]
    every = jax.jit(lambda *flows: [loss(change, *flows) for change in ({}, *changes)])
    assert_all_differ([float(value) for value in every(*flows)])


def test_flow_from_truth():
    rng = np.random.default_rng(1)
    flows = [rng.normal(0, 2, (2, 1, 8 // s, 16 // s, 2)).astype(np.float32) for s in (1, 2, 4, 8)]

    def loss(change, flows, batch):
        settings = {f"task__{k}": v for k, v in change.items()}
        config = flow.make_config("supervised", **settings)
        return flow.task_flow._against_truth(flows, batch, config.task)

    changes = halved(flow.make_config("supervised").task.scale_weights)
    changes += [{"robust_epsilon": 0.1}, {"robust_power": 0.5}]
    every = jax.jit(lambda *given: [loss(change, *given) for change in ({}, *changes)])
    assert_all_differ([float(value) for value in every(flows, flow.make_batch(2))])


def test_supervised_depth():
    def make(**change):
        config = depth.make_config(**{f"task__{k}": v for k, v in change.items()})
        return depth.depth_supervised.make(config)

    changes = [{"gradient_weight": 0.5}, {"variance_focus": 0.5}]
    assert_all_differ(losses(make, depth.batch(2), changes))


def test_inpainting():
    coarsest, *_, finest = halved((1 / 64, 1 / 16, 1 / 4, 1.0))
    assert_all_differ(losses(reconstruction.make_task, waves(2), (coarsest, finest)))


def test_classification():
    changes = [{"task__label_smoothing": 0.3}]
    assert_all_differ(losses(classification.make, classification.batch(4), changes))


def test_segmentation():
    weights = tuple(np.linspace(0.5, 2, segmentation.CLASSES).tolist())
    changes = [{"task__label_smoothing": 0.3}, {"task__class_weights": weights}]
    assert_all_differ(losses(segmentation.make, segmentation.batch(full=False), changes))
