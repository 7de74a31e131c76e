import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.ops import flow_metrics
from tests.ops import transforms


def test_by_hand():
    truth = np.zeros((2, 2, 4, 2), np.float32)
    truth[0, 0, :, 0] = (0, 100, 30, 100)
    predicted = truth.copy()
    predicted[0, 0, 0] += (3, 4)  # 5 px off at rest: an outlier
    predicted[0, 0, 1] += (0, 4)  # 4 px of 100: not above 5 %
    predicted[0, 0, 2] += (2.9, 0)  # 9.7 %, but not above 3 px
    predicted[0, 0, 3] += (0, 5.2)  # above 3 px and above 5 %: an outlier
    valid = np.zeros((2, 2, 4), bool)
    valid[0, 0] = True
    predicted[1] = np.nan  # nothing is known there: it must not count
    sums = flow_metrics.flow_error_sums(predicted, truth, valid)
    np.testing.assert_allclose(sums["epe"], [(5 + 4 + 2.9 + 5.2) / 4, 0], rtol=1e-6)
    np.testing.assert_array_equal(sums["images"], [1, 0])
    np.testing.assert_array_equal(sums["outliers"], [2, 0])
    np.testing.assert_array_equal(sums["pixels"], [4, 0])
    assert sums["outliers"].dtype == jnp.int32


def test_the_slope_is_finite_where_nothing_is_wrong():
    flow = jnp.ones((2, 2, 2))
    slope = jax.grad(lambda f: flow_metrics.end_point_error(f, jnp.ones_like(f)).sum())(flow)
    np.testing.assert_array_equal(slope, 0)


def test_a_flow_that_is_no_number_is_wrong():
    truth = jnp.zeros((1, 2, 2))
    predicted = jnp.asarray([[[3.0, 4.0], [jnp.nan, 0.0]]])
    np.testing.assert_array_equal(flow_metrics.end_point_error(predicted, truth), [[5, np.nan]])
    sums = flow_metrics.flow_error_sums(predicted, truth, jnp.ones((1, 2), bool))
    assert np.isnan(sums["epe"])
    assert sums["outliers"] == 2
    known = flow_metrics.flow_error_sums(predicted, truth, jnp.asarray([[True, False]]))
    assert known["epe"] == 5


def test_same_under_transformations():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-9, 9, (2, 8, 3, 4, 2)).astype(np.float32)
    valid = rng.random((8, 3, 4)) < 0.7
    transforms.check_transforms(flow_metrics.flow_error_sums, a, b, valid)
