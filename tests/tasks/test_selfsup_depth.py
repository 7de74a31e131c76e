"""The parts of the self-supervised depth task against values by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.synthetic.source import SyntheticSource
from geoseg_jax.data.synthetic.views import WithPoses
from geoseg_jax.data.transforms import flip
from geoseg_jax.ops import camera, photometric
from geoseg_jax.tasks import make_task, pictures, selfsup_depth
from tests.models.weights import randomise
from tests.one_step import assert_equal_on_eight_devices
from tests.test_configs import get_config


def test_pairs_are_in_temporal_order():
    target = jnp.full((2, 2, 2, 3), 0.5)
    sources = jnp.stack((jnp.zeros_like(target), jnp.ones_like(target)), axis=1)
    pairs = selfsup_depth.temporal_pairs(target, sources, (-1, 1))
    np.testing.assert_array_equal(pairs[:2, 0, 0], [[0, 0, 0, 0.5, 0.5, 0.5], [0.5] * 3 + [1] * 3])


def test_constant_motion_gives_inverse_poses_to_either_side():
    twist = jnp.asarray([0.3, -0.1, 1.0, 0.02, 0.05, -0.01])
    twists = jnp.broadcast_to(twist, (4, 6))
    stereo = jnp.broadcast_to(jnp.eye(4), (2, 4, 4)).at[:, 0, 3].set(-0.5)
    poses = jax.jit(lambda *given: selfsup_depth.source_poses(*given, (-1, 1), 2.0))(twists, stereo)
    assert poses.shape == (2, 3, 4, 4)
    # The pair is (earlier, later); the target is the later one for offset -1.
    np.testing.assert_allclose(
        poses[:, 0] @ poses[:, 1], jnp.broadcast_to(jnp.eye(4), (2, 4, 4)), atol=1e-5
    )
    np.testing.assert_allclose(
        poses[:, 1],
        camera.pose_from_twist(twists[:2] * jnp.asarray([2.0] * 3 + [1.0] * 3)),
        atol=1e-6,
    )
    np.testing.assert_array_equal(poses[:, 2], stereo)


def test_jitter_follows_the_id_and_not_the_place():
    settings = {
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
        "hue": 0.1,
        "probability": 1.0,
    }
    image = jnp.asarray(np.random.default_rng(3).uniform(0, 1, (1, 4, 4, 3)), jnp.float32)
    target, sources = jnp.repeat(image, 2, 0), jnp.repeat(image, 2, 0)[:, None]
    key = jax.random.key(0)
    jitter = jax.jit(lambda ids: selfsup_depth._jitter(key, ids, target, sources, settings))
    a, seen = jitter(jnp.asarray([5, 9]))
    b, _ = jitter(jnp.asarray([9, 5]))
    np.testing.assert_allclose(a, b[::-1], atol=1e-6)
    np.testing.assert_allclose(seen[:, 0], a, atol=1e-6)  # one draw for all views
    assert np.abs(a[0] - a[1]).max() > 1e-3


@pytest.fixture(scope="module")
def street():
    return WithPoses(SyntheticSource("street", 2, 5, 64, 192, (-1, 1), False))


@pytest.mark.parametrize("mirrored", [False, True])
def test_given_poses_and_true_depth_explain_the_target(street, mirrored):
    record = flip(street[1]) if mirrored else street[1]
    target, sources = record["image"] / 255.0, record["sources"] / 255.0
    depth = np.where(record["depth"] > 0, record["depth"], 1e3)  # the sky

    def error(poses):
        cameras = record["intrinsics"], record["intrinsics"]
        warped, seen = jax.jit(camera.warp_with_depth)(sources, depth[None], *cameras, poses)
        return np.median(np.abs(warped - target).mean(-1)[np.asarray(seen)])

    right = error(record["source_poses"])
    assert right < 0.015
    for wrong in (np.linalg.inv(record["source_poses"]), np.eye(4)[None].repeat(2, 0)):
        assert right < 0.4 * error(wrong)


def test_given_poses_take_the_pose_networks_place(street):
    config = get_config("depth_synthetic", "mono,poses=given,tiny,smoke")
    config.task.update({"automask": False, "scales": 1})
    task = make_task(config)
    batch = {key: jnp.asarray(value)[None] for key, value in street[0].items()}
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    assert "pose" not in variables["params"]
    still = jnp.broadcast_to(jnp.eye(4), batch["source_poses"].shape)
    loss = jax.jit(task.loss)
    true, stood = (
        loss(variables, jax.random.key(1), batch | {"source_poses": poses}, 0.0)[1].terms[
            "photometric"
        ]
        for poses in (batch["source_poses"], still)
    )
    # What stands still sees the sources as they are, whatever the depth.
    target, sources = batch["image"] / 255, batch["sources"] / 255
    unmoved = photometric.photometric_error(sources, target[:, None], config.task.ssim_weight)
    np.testing.assert_allclose(stood, unmoved.min(axis=1).mean(), rtol=1e-4)
    assert abs(true - stood) > 0.1 * stood


@pytest.mark.parametrize("arm", ["stereo", "supervised"])
def test_flip_in_evaluation_makes_a_picture_and_its_mirror_image_mirror_images(street, arm):
    config = get_config("depth_synthetic", f"{arm},tiny,smoke")
    batch = {key: jnp.asarray(value)[None] for key, value in street[0].items()}
    mirrored = {key: jnp.asarray(value)[None] for key, value in flip(street[0]).items()}
    batch |= {"sources": batch["sources"][:, :1]}
    variables = randomise(jax.eval_shape(make_task(config).init, jax.random.key(0), batch))

    def difference():
        predict = jax.jit(make_task(config).predict)
        one, other = (predict(variables, b)["inverse_depth"] for b in (batch, mirrored))
        # Border columns apart, where each takes the other's one.
        return np.abs(one / other[:, :, ::-1] - 1)[:, :, 20:-20].max()

    assert difference() > 1e-3
    config.task.eval.flip = True
    assert difference() < 1e-4


def test_eight_devices_equal_one(street):
    config = get_config("depth_synthetic", "mono,tiny,smoke")
    config.task.scales = 1  # the others are compiled like it, for as long
    record = {key: np.asarray(value) for key, value in street[0].items()}
    batch = {key: np.stack([value] * 8) for key, value in record.items()}
    batch["id"] = np.arange(8, dtype=record["id"].dtype)
    for key in ("image", "sources"):  # different pictures
        batch[key] = np.stack([np.roll(record[key], 3 * n, axis=-2) for n in range(8)])
    assert_equal_on_eight_devices(make_task(config), batch)


def test_near_is_bright_and_unknown_is_black():
    inverse = jnp.asarray([[[0.01, 0.5], [0.2, 0.0]]])
    picture = pictures.colour(inverse, inverse > 0).astype(int).sum(-1)[0]
    assert picture[0, 1] > picture[1, 0] > picture[0, 0]
    assert picture[1, 1] == 0


def test_sparse_depth_draws_the_nearest():
    depth = np.zeros((1, 4, 4), np.float32)
    depth[0, 0, 0], depth[0, 1, 1], depth[0, 3, 3] = 4.0, 2.0, 4.0
    drawn = pictures.colour_sparse_depth(depth, np.array([[4, 4]]), 2, 2)[0].astype(int).sum(-1)
    assert drawn[0, 0] > drawn[1, 1] > 0
    assert drawn[0, 1] == drawn[1, 0] == 0
