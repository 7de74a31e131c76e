import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import smoothness
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
DISPARITY, IMAGE = RANDOM.random((6, 7), np.float32), RANDOM.random((6, 7, 3), np.float32)


def test_first_order_against_loops():
    along_x, along_y = smoothness.edge_aware_smoothness(DISPARITY, IMAGE)
    assert along_x.shape == (6, 6)
    assert along_y.shape == (5, 7)
    for y, x in np.ndindex(6, 6):
        edge = np.abs(IMAGE[y, x + 1] - IMAGE[y, x]).mean()
        wanted = abs(DISPARITY[y, x + 1] - DISPARITY[y, x]) * np.exp(-edge)
        np.testing.assert_allclose(along_x[y, x], wanted, rtol=1e-5)
    edge = np.abs(IMAGE[1, 0] - IMAGE[0, 0]).mean()
    wanted = abs(DISPARITY[1, 0] - DISPARITY[0, 0]) * np.exp(-edge)
    np.testing.assert_allclose(along_y[0, 0], wanted, rtol=1e-5)


def test_second_order_by_hand_and_zero_on_planes():
    along_x, along_y = smoothness.edge_aware_smoothness(DISPARITY, IMAGE, order=2)
    assert along_x.shape == (6, 5)
    assert along_y.shape == (4, 7)
    bend = abs(DISPARITY[2, 5] - 2 * DISPARITY[2, 4] + DISPARITY[2, 3])
    wanted = bend * np.exp(-np.abs(IMAGE[2, 5] - IMAGE[2, 3]).mean())
    np.testing.assert_allclose(along_x[2, 3], wanted, rtol=1e-4)
    y, x = np.mgrid[:6, :7].astype(np.float32)
    plane = 0.5 * x - 0.25 * y
    for maps in smoothness.edge_aware_smoothness(plane, IMAGE, order=2):
        np.testing.assert_allclose(maps, 0, atol=1e-6)
    assert smoothness.edge_aware_smoothness(plane, IMAGE, order=1)[0].min() > 0.1


def test_mean_normalised_ignores_the_scale():
    got = smoothness.mean_normalised(DISPARITY)
    np.testing.assert_allclose(got.mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(smoothness.mean_normalised(7 * DISPARITY), got, rtol=1e-5)
    assert np.isfinite(smoothness.mean_normalised(jnp.zeros((2, 2)))).all()


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_matches_finite_differences(order):
    def total(disparity):
        maps = smoothness.edge_aware_smoothness(
            smoothness.mean_normalised(disparity), IMAGE.astype(np.float64), order
        )
        return sum(m.sum() for m in maps)

    with jax.enable_x64(True):
        disparity = RANDOM.uniform(0.5, 1, (6, 7))
        wanted = transforms.numeric_gradient(jax.jit(total), disparity)
        np.testing.assert_allclose(grad(total)(jnp.asarray(disparity)), wanted, atol=1e-7)
    even = grad(lambda d: smoothness.edge_aware_smoothness(d, IMAGE, order)[0].sum())
    assert np.isfinite(even(jnp.ones((6, 7)))).all()


def test_unknown_order_is_refused():
    with pytest.raises(ValueError, match="order is 3"):
        smoothness.edge_aware_smoothness(DISPARITY, IMAGE, order=3)


def test_same_under_transformations():
    disparity, image = RANDOM.random((8, 6, 7), np.float32), RANDOM.random((8, 6, 7, 3), np.float32)
    for order in (1, 2):
        transforms.check_transforms(
            lambda d, i, order=order: smoothness.edge_aware_smoothness(
                smoothness.mean_normalised(d), i, order
            ),
            disparity, image,
        )  # fmt: skip
