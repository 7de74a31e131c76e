"""Depth scores against values by hand, and different ways to batch."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.tasks import depth_scores

SETTINGS = ConfigDict(
    {"min_depth": 1e-3, "max_depth": 80.0, "crop": "none", "median_scaling": False}
)


def compiled(inverse, batch, settings):
    """depth_scores.judge; operation by operation takes ten times as long."""
    return jax.jit(lambda *arrays: depth_scores.judge(*arrays, settings))(inverse, batch)


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
    inverse = 1 / np.asarray(predicted, np.float32)
    sums = jax.jit(lambda level, b: depth_scores._judge(level, level, b, settings, ""))(
        inverse, batch
    )
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
    metric = judge(truth * 0.1, truth)
    assert metric["abs_rel"] == pytest.approx(0.9 * 3, rel=1e-4)
    assert metric["abs_rel_scaled"] == pytest.approx(0, abs=1e-5)  # told beside it
    assert "abs_rel_scaled" not in sums
    # The logarithm of truth / prediction is log 10 for each image.
    assert sums["log_scale"] == pytest.approx(3 * np.log(10), rel=1e-4)


def test_the_constant_answer_is_another_one_where_it_is_scaled():
    truth = np.random.default_rng(0).uniform(2, 50, (3, 6, 8)).astype(np.float32)
    batch = {"depth": truth, "depth_size": np.array([[6, 8]] * 3), "mask": np.ones(3, bool)}
    batch |= {"constant_depth": np.full_like(truth, 5), "constant_shape": truth / 7}
    flat = np.mean(np.abs(5 - truth) / truth)
    for scaling, metres, scaled in ((False, flat, 0), (True, 0, None)):
        settings = ConfigDict({**SETTINGS.to_dict(), "median_scaling": scaling})
        sums = compiled(2 / truth, batch, settings)
        found = depth_scores.summarise({k: float(v) for k, v in sums.items()})
        assert found["abs_rel_constant"] == pytest.approx(metres, abs=1e-5)
        if not scaling:
            assert found["abs_rel_scaled_constant"] == pytest.approx(scaled, abs=1e-5)
    del batch["constant_shape"]  # as in packs of old
    sums = compiled(2 / truth, batch, SETTINGS)
    assert sums["abs_rel_scaled_constant"] > 0.3


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


def test_summarise_divides_by_images_and_refuses_none():
    sums = {"images": 4.0, "abs_rel": 1.0, "abs_rel_constant": 2.0}
    sums |= {"abs_rel_scaled": 0.5, "abs_rel_scaled_constant": 1.0}
    sums |= {"log_scale": 4 * np.log(2.0), "log_scale_squared": 4 * np.log(2.0) ** 2}
    sums |= {"log_scale_constant": 0.0, "log_scale_squared_constant": 0.0}
    result = depth_scores.summarise(sums)
    assert result["abs_rel"] == 0.25
    assert result["abs_rel_constant"] == 0.5
    assert (result["abs_rel_scaled"], result["abs_rel_scaled_constant"]) == (0.125, 0.25)
    assert result["scale_ratio"] == pytest.approx(2)
    assert result["scale_ratio_spread"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="eval_split"):
        depth_scores.summarise({**sums, "images": 0.0})
