"""The depth task against values by hand, and different ways to batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.ops import camera
from geoseg_jax.tasks import pictures, selfsup_depth

SETTINGS = ConfigDict(
    {"min_depth": 1e-3, "max_depth": 80.0, "crop": "none", "median_scaling": False}
)


def judge(predicted, truth, size=None, mask=None, **settings):
    truth = np.asarray(truth, np.float32)
    batch = {
        "depth": truth,
        "depth_size": np.asarray(
            [truth.shape[1:]] * len(truth) if size is None else size, np.int32
        ),
        "mask": np.ones(len(truth), bool) if mask is None else mask,
    }
    settings = ConfigDict({**SETTINGS.to_dict(), **settings})
    sums = selfsup_depth._judge(1 / jnp.asarray(predicted, jnp.float32), batch, settings, "")
    return {name: float(value) for name, value in sums.items()}


def test_errors_by_hand():
    sums = judge(np.full((1, 2, 2), 5.0), [[[4.0, 10.0], [0.0, 100.0]]])
    # 0 is not measured, 100 m is beyond the cap: |5-4|/4 and |5-10|/10 remain.
    assert sums["images"] == 1
    assert sums["abs_rel"] == pytest.approx((0.25 + 0.5) / 2)
    assert sums["rmse"] == pytest.approx(np.sqrt((1 + 25) / 2))


def test_median_scaling_forgives_scale_alone():
    truth = np.random.default_rng(0).uniform(2, 50, (3, 6, 8))
    sums = judge(truth * 0.1, truth, median_scaling=True)
    assert sums["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert judge(truth * 0.1, truth)["abs_rel"] == pytest.approx(0.9 * 3, rel=1e-4)
    # The logarithm of truth / prediction is log 10 for each image.
    assert sums["log_scale"] == pytest.approx(3 * np.log(10), rel=1e-4)


def test_padding_of_the_batch_and_of_the_map_do_not_count():
    rng = np.random.default_rng(1)
    truth, predicted = rng.uniform(2, 50, (1, 6, 8)), rng.uniform(2, 50, (1, 6, 8))
    alone = judge(predicted, truth)
    padded = np.zeros((2, 9, 11))
    padded[0, :6, :8] = truth
    padded[1] = 7
    both = judge(
        np.concatenate((predicted, predicted)),
        padded,
        size=[[6, 8], [9, 11]],
        mask=np.array([True, False]),
    )
    assert both == pytest.approx(alone, rel=1e-5)


def test_an_image_without_truth_is_not_counted():
    truth = np.zeros((2, 4, 4))
    truth[0] = 3
    sums = judge(np.full((2, 4, 4), 3.0), truth, median_scaling=True)
    assert sums["images"] == 1
    assert all(np.isfinite(value) for value in sums.values())


def test_pairs_are_in_temporal_order():
    target = jnp.full((2, 2, 2, 3), 0.5)
    sources = jnp.stack((jnp.zeros_like(target), jnp.ones_like(target)), axis=1)
    pairs = selfsup_depth.temporal_pairs(target, sources, (-1, 1))
    np.testing.assert_array_equal(pairs[:2, 0, 0], [[0, 0, 0, 0.5, 0.5, 0.5], [0.5] * 3 + [1] * 3])


def test_constant_motion_gives_inverse_poses_to_either_side():
    twist = jnp.asarray([0.3, -0.1, 1.0, 0.02, 0.05, -0.01])
    twists = jnp.broadcast_to(twist, (4, 6))
    stereo = jnp.broadcast_to(jnp.eye(4), (2, 4, 4)).at[:, 0, 3].set(-0.5)
    poses = selfsup_depth.source_poses(twists, stereo, (-1, 1), 2.0)
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
    a, seen = selfsup_depth._jitter(key, jnp.asarray([5, 9]), target, sources, settings)
    b, _ = selfsup_depth._jitter(key, jnp.asarray([9, 5]), target, sources, settings)
    np.testing.assert_allclose(a, b[::-1], atol=1e-6)
    np.testing.assert_allclose(seen[:, 0], a, atol=1e-6)  # one draw for all views
    assert np.abs(a[0] - a[1]).max() > 1e-3


def test_summarise_divides_by_images_and_refuses_none():
    sums = {"images": 4.0, "abs_rel": 1.0, "abs_rel_constant": 2.0}
    sums |= {"log_scale": 4 * np.log(2.0), "log_scale_squared": 4 * np.log(2.0) ** 2}
    sums |= {"log_scale_constant": 0.0, "log_scale_squared_constant": 0.0}
    result = selfsup_depth.summarise(sums)
    assert result["abs_rel"] == 0.25
    assert result["abs_rel_constant"] == 0.5
    assert result["scale_ratio"] == pytest.approx(2)
    assert result["scale_ratio_spread"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="eval_split"):
        selfsup_depth.summarise({**sums, "images": 0.0})


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
