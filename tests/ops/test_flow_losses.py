import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import census, flow_losses
from geoseg_jax.ops.photometric import photometric_error
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random((9, 10, 3), np.float32)
FLOW = RANDOM.uniform(-3, 3, (9, 10, 2)).astype(np.float32)


@pytest.mark.parametrize("order", [1, 2])
def test_smoothness_against_loops(order):
    constant, rounding = 20.0, 0.01
    got = flow_losses.flow_smoothness(
        FLOW, IMAGE, order=order, edge_constant=constant, rounding=rounding
    )
    total = 0.0
    for axis in (0, 1):
        terms = []
        for index in np.ndindex(9 - order * (axis == 0), 10 - order * (axis == 1)):
            p = [tuple(np.add(index, k * np.eye(2, dtype=int)[axis])) for k in range(order + 1)]
            edge = np.abs(IMAGE[p[-1]].astype(float) - IMAGE[p[0]]).mean()
            change = FLOW[p[1]] - FLOW[p[0]]
            if order == 2:
                change = FLOW[p[2]] - FLOW[p[1]] - change
            terms.append(np.exp(-constant * edge) * np.sqrt(change**2 + rounding**2).sum())
        total += np.mean(terms)
    assert float(got) == pytest.approx(total, rel=1e-4)


def test_second_order_lets_planes_be_slanted():
    y, x = np.mgrid[:9, :10].astype(np.float32)
    slanted = np.stack((2 * x + y, -x), axis=-1)
    smooth = [flow_losses.flow_smoothness(slanted, 0 * IMAGE, order=k) for k in (1, 2)]
    assert float(smooth[0]) == pytest.approx(2 + 1 + 1 + 0)
    assert float(smooth[1]) == pytest.approx(0, abs=1e-5)


def test_a_side_too_short_to_be_uneven_is_smooth():
    flat = flow_losses.flow_smoothness(FLOW[:2], 0 * IMAGE[:2], order=2)
    along_x = np.abs(np.diff(FLOW[:2], n=2, axis=1)).sum(-1).mean()
    assert float(flat) == pytest.approx(along_x, rel=1e-4)


def test_census_counts_pixels_and_ssim_is_the_depth_arms():
    other = IMAGE[::-1]
    got = flow_losses.data_term(IMAGE, other, "census")
    np.testing.assert_allclose(
        got, (48 * census.census_distance(IMAGE, other) + 0.01) ** 0.4, rtol=1e-6
    )
    assert float(flow_losses.data_term(IMAGE, IMAGE, "census").max()) == pytest.approx(0.01**0.4)
    np.testing.assert_array_equal(
        flow_losses.data_term(IMAGE, other, "ssim_l1", ssim_weight=0.5),
        photometric_error(IMAGE, other, 0.5),
    )
    with pytest.raises(ValueError, match="'l2'"):
        flow_losses.data_term(IMAGE, other, "l2")


def test_patches_that_reach_over_the_border_do_not_count():
    inner = np.zeros((9, 10))
    inner[3:-3, 3:-3] = 1
    np.testing.assert_array_equal(flow_losses.whole_patches(9, 10, "census"), inner)
    np.testing.assert_array_equal(flow_losses.whole_patches(9, 10, "ssim_l1"), 1)
    np.testing.assert_array_equal(flow_losses.whole_patches(4, 10, "census"), 0)


def test_hiding_a_pixel_brings_no_gain():
    values, weights = jnp.asarray([1.0, 5.0]), jnp.asarray([1.0, 1.0])
    assert float(flow_losses.masked_mean(values, jnp.asarray([1.0, 0.0]))) == pytest.approx(1)
    assert float(flow_losses.masked_mean(values, 0 * weights)) == 0
    np.testing.assert_array_equal(grad(flow_losses.masked_mean, 1)(values, weights), 0)
    np.testing.assert_allclose(grad(flow_losses.masked_mean, 0)(values, weights), 0.5, rtol=1e-5)


def test_multi_scale_error_by_hand():
    truth = np.zeros((1, 2, 2, 2), np.float32)
    valid = np.ones((1, 2, 2), bool)
    valid[0, 0, 0] = False
    truth[0, 0, 0] = np.nan  # unknown
    fine, coarse = truth * 0 + np.float32([1, -2]), truth * 0 + np.float32([0, 1])
    fine[0, 0, 0] = coarse[0, 0, 0] = 50
    got = flow_losses.multi_scale_error((fine, coarse), truth, valid, (1.0, 0.5))
    assert float(got) == pytest.approx(3.01**0.4 + 0.5 * 1.01**0.4, rel=1e-5)
    slope = jax.grad(lambda f: flow_losses.multi_scale_error((f,), truth, valid, (1.0,)).sum())(
        jnp.asarray(truth * 0).at[0, 0, 0].set(3.0)
    )
    assert np.isfinite(slope).all()


def test_same_under_transformations():
    flows = RANDOM.uniform(-2, 2, (8, 8, 9, 2)).astype(np.float32)
    a, b = RANDOM.random((2, 8, 8, 9, 3), np.float32)

    def losses(flow, a, b):
        smooth = flow_losses.flow_smoothness(flow, a, order=2, edge_constant=9.0)
        return smooth, flow_losses.data_term(a, b, "census")

    transforms.check_transforms(losses, flows, a, b, tolerance=1e-4)
