"""Whether the loss of the synthetic defaults leads from no motion towards the true one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.synthetic.source import SyntheticSource
from geoseg_jax.ops.sampling import reduce_mean, resize_bilinear
from geoseg_jax.tasks.flow_photometric import photometric_loss
from tests.test_configs import get_config


def pairs(world: str, height: int, width: int, count: int):
    """Frames [count, 2, H, W, 3] in [0, 1] and true flow there [count, H, W, 2]."""
    source = SyntheticSource(
        world, size=count, seed=0, height=height, width=width, frames=(1,), stereo=False
    )
    records = [source[i] for i in range(count)]
    frames = np.stack([np.stack((r["image"], r["sources"][0])) for r in records])
    return jnp.asarray(frames, jnp.float32) / 255, np.stack([r["flow"] for r in records])


def cosine(config, frames, truth) -> float:
    """Between minus the gradient at no motion and the true flow, weighted by the latter's length.

    The flow is one map of stride 4, which all of the network's flows follow: finer ones start from
    coarser ones.
    """
    height, width = frames.shape[2:4]
    strides = (4, 8, 16, 32) if config.model.flow == "pyramid" else (1, 2, 4, 8)
    directions = 1 + config.task.bidirectional

    def loss(there, pair):
        both = jnp.stack((there, jnp.zeros_like(there)))[None, :directions]
        flows = [_at(both, height // s, width // s) for s in strides]
        return photometric_loss(flows, pair[None], config.task, judge_occlusion=False)[0]

    still = jnp.zeros((height // 4, width // 4, 2))
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(still, frames))
    small = np.asarray(reduce_mean(jnp.asarray(truth), height // 4, width // 4))
    of_slopes, of_truth = (np.sqrt((x**2).sum(axis=(1, 2, 3))) for x in (slopes, small))
    return float(-((slopes * small).sum(axis=(1, 2, 3)) / of_slopes).sum() / of_truth.sum())


def _at(flow, height, width):
    resize = reduce_mean if height < flow.shape[2] else resize_bilinear
    return resize(flow, height, width)


@pytest.fixture(scope="module")
def worlds():
    return {"street": pairs("street", 32, 96, 8), "room": pairs("room", 64, 192, 2)}


@pytest.mark.parametrize(
    ("method", "world"), [("strong", "street"), ("strong", "room"), ("paper", "street")]
)
def test_the_gradient_at_no_motion_leads_to_the_true_flow(method, world, worlds):
    config = get_config("flow_synthetic", f"{method},{world}")
    assert cosine(config, *worlds[world]) > 0.1


def test_a_census_of_quarter_pictures_leads_nowhere(worlds):
    """What the street was once trained with: the test above would have told."""
    config = get_config("flow_synthetic", "strong,street")
    config.task.update({"data_term": "census", "scale_weights": (0.0,), "coarse_zoom": 1})
    config.task.coarse_weights = (1.0,)
    assert cosine(config, *worlds["street"]) < 0.05
