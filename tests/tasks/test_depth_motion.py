"""Whether motion can be learned: where the loss has its minimum, and where a pose network ends."""

import functools
import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.synthetic.source import SyntheticSource
from geoseg_jax.models.pose import PoseNet
from geoseg_jax.ops import camera, disparity, reprojection
from geoseg_jax.tasks import motion_scores, selfsup_depth
from geoseg_jax.tasks.examples import to_unit_range
from tests.models.weights import randomise
from tests.test_configs import get_config

RANGE = {"min_depth": 0.1, "max_depth": 100.0}
STREETS = 8
SLOW = "GEOSEG_JAX_SLOW_TESTS"


@functools.cache
def streets():
    """Targets, sources, cameras, true disparity and the way forward in metres of a few streets."""
    size = {"height": 32, "width": 96, "frames": (-1, 1), "stereo": False}
    source = SyntheticSource("street", STREETS, seed=3, **size)
    records = [source[i] for i in range(STREETS)]
    image, sources, intrinsics, depth = (
        np.stack([record[key] for record in records])
        for key in ("image", "sources", "intrinsics", "depth")
    )
    depth = np.where(depth > 0, depth, 80.0).astype(np.float32)  # the sky has none
    forward = np.array([-source.poses(i)[1, 2, 3] for i in range(STREETS)])
    level = disparity.depth_to_disparity(jnp.asarray(depth), **RANGE)
    return (
        to_unit_range(jnp.asarray(image)),
        to_unit_range(jnp.asarray(sources)),
        intrinsics,
        level,
        forward,
    )


@jax.jit
def _loss(level, poses, *views, counts):
    options = RANGE | {"smoothness": 0.0, "mask_counts": counts}
    return reprojection.reprojection_loss([level], poses, *views, **options)[0]


def loss_of(poses, counts):
    image, sources, intrinsics, level, _ = streets()
    return _loss(level, poses, image, sources, intrinsics, counts=counts)


def sideways(metres, forward):
    """Poses of sources before and after, of a camera that moves sideways and forward."""
    after = np.tile(np.eye(4, dtype=np.float32), (STREETS, 1, 1))
    after[:, 0, 3], after[:, 2, 3] = metres, -forward
    return jnp.stack((camera.inverse(jnp.asarray(after)), jnp.asarray(after)), axis=1)


STEPS = (-100.0, -5.0, -1.0, -0.5, -0.25, -0.1, -0.05, 0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 100.0)


@pytest.mark.parametrize("moving", [False, True])
def test_with_the_mask_held_back_no_sideways_motion_pays(moving):
    forward = streets()[-1] if moving else 0.0
    losses = [float(loss_of(sideways(x, forward), False)) for x in STEPS]
    assert abs(STEPS[int(np.argmin(losses))]) <= 0.05
    assert min(losses[:5] + losses[-5:]) > 1.1 * losses[STEPS.index(0.0)]


def test_with_the_mask_a_sideways_motion_pays():
    # Why there is a start phase; were this no longer so, there would be no need of one.
    assert loss_of(sideways(0.5, 0.0), True) < 0.9 * loss_of(sideways(0.0, 0.0), True)


@functools.cache
def sideways_learned(held: bool, steps: int = 100) -> float:
    """|sideways| in metres of a small pose network after training alone on true depth."""
    image, sources, intrinsics, level, _ = streets()
    net = PoseNet("tiny")
    pairs = selfsup_depth.temporal_pairs(image, sources, (-1, 1))
    variables = jax.jit(net.init, static_argnums=2)(jax.random.key(0), pairs, False)
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, state, pairs, level, counts, *views):
        def loss(params):
            # By the batch's statistics: the running ones, which evaluation uses, lag behind.
            own = variables | {"params": params}
            twists, _ = net.apply(own, pairs, True, mutable=["batch_stats"])
            poses = selfsup_depth.source_poses(twists, None, (-1, 1), 50.0)
            return _loss(level, poses, *views, counts=counts), poses

        gradient, poses = jax.grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, poses

    params, state = variables["params"], optimizer.init(variables["params"])
    views = image, sources, intrinsics
    for _ in range(steps):
        params, state, poses = step(params, state, pairs, level, not held, *views)
    return float(np.abs(poses[:, :, 0, 3]).mean())


@pytest.mark.skipif(os.environ.get(SLOW) != "1", reason=f"trains a network: set {SLOW}=1")
def test_a_pose_network_learns_not_to_move_sideways_while_the_mask_is_held_back():
    assert sideways_learned(held=True) < 0.05


def test_step_sizes_of_known_poses():
    twist = jnp.asarray([[[3.0, 0.0, 4.0, 0.0, 0.3, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, -1e-3]]])
    translation, rotation = motion_scores.step_sizes(camera.pose_from_twist(twist))
    turned = jnp.linalg.norm(camera.pose_from_twist(twist)[..., :3, 3], axis=-1)
    np.testing.assert_allclose(translation, turned, rtol=1e-6)
    np.testing.assert_allclose(rotation, [[0.3, 1e-3]], rtol=1e-4)


def test_motion_of_pictures_that_count():
    poses = np.tile(np.eye(4, dtype=np.float32), (3, 2, 1, 1))
    poses[0, :, 2, 3], poses[1, :, 2, 3], poses[2, :, 2, 3] = (1.0, -1.0), 3.0, 100.0
    sums = motion_scores.judge(jnp.asarray(poses), jnp.asarray([True, True, False]))
    found = motion_scores.summarise({name: np.asarray(v) for name, v in sums.items()})
    assert found["translation"] == pytest.approx(2.0)
    assert found["translation_spread"] == pytest.approx(1.0)
    assert found["rotation"] == 0
    assert motion_scores.summarise({"images": 3.0}) == {}


def small_task(**task):
    config = ConfigDict(get_config("depth_synthetic", "mono,tiny,smoke"))
    config.task.update({"scales": 1, "automask_start": 0.5} | task)
    config.model.update({"pose_encoder": "tiny", "decoder_channels": (4, 4, 4, 4, 4)})
    config.train.steps = 4
    return selfsup_depth.make(config)


@pytest.fixture(scope="module")
def batch():
    image, sources, intrinsics, _, _ = streets()
    pictures = {"image": image[:2], "sources": sources[:2]}
    return {name: (255 * v).astype(jnp.uint8) for name, v in pictures.items()} | {
        "intrinsics": intrinsics[:2],
        "stereo_pose": jnp.zeros((2, 4, 4)),
        "id": jnp.arange(2),
    }


def test_the_mask_counts_after_its_share_of_the_steps(batch):
    task = small_task()
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    loss = jax.jit(task.loss)
    values = []
    for step in range(4):
        value, aux = loss(variables, jax.random.key(1), batch, jnp.float32(step / 4))
        values.append(float(value))
    # Hardly any motion yet, and so little to mask.
    assert values[0] == values[1] > values[2] == values[3]
    assert 0 < aux.terms["reprojected"] < 1
    assert aux.terms["translation"] > 0
    assert math.isfinite(aux.terms["rotation"])


def test_every_weight_changes_the_loss(batch):
    variables = randomise(jax.eval_shape(small_task().init, jax.random.key(0), batch))
    usual = {"smoothness": 1e-3, "ssim_weight": 0.85}
    changes = ({}, {"smoothness": 1.0}, {"ssim_weight": 0.5})
    tasks = [small_task(**usual | change) for change in changes]
    # As one program, in which the compiler finds what they share.
    losses = jax.jit(lambda v: [t.loss(v, jax.random.key(1), batch, 0.0)[0] for t in tasks])
    values = [float(value) for value in losses(variables)]
    assert abs(values[1] - values[0]) > 1e-4
    assert abs(values[2] - values[0]) > 1e-3
