import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import disparity
from tests.ops import transforms
from tests.ops.transforms import grad


def test_values_by_hand():
    depth = disparity.disparity_to_depth(jnp.array([0.0, 1.0, 0.5]), 0.1, 100.0)
    np.testing.assert_allclose(depth, [100, 0.1, 1 / 5.005], rtol=1e-5)


def test_inverse_and_order():
    values = np.linspace(0, 1, 11, dtype=np.float32)
    depth = disparity.disparity_to_depth(values, 0.5, 20.0)
    assert (np.diff(depth) < 0).all()
    np.testing.assert_allclose(disparity.depth_to_disparity(depth, 0.5, 20.0), values, atol=1e-6)


def test_gradient_is_finite_at_the_ends():
    gradient = grad(lambda d: disparity.disparity_to_depth(d, 0.1, 100.0).sum())(
        jnp.array([0.0, 1.0])
    )
    np.testing.assert_allclose(gradient, [-9.99e4, -9.99e-2], rtol=1e-4)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (2, 1), (1, 1)])
def test_bad_ranges_are_refused(low, high):
    with pytest.raises(ValueError, match=f"max_depth {high}"):
        disparity.disparity_to_depth(jnp.zeros(1), low, high)
    with pytest.raises(ValueError, match=f"max_depth {high}"):
        disparity.depth_to_disparity(jnp.ones(1), low, high)


# What monodepth2's batch_post_process_disparity gave for the first of six rows of 41: the columns
# 0 to 5 and 36 to 40. And the sum of all. (Revision b676244, numpy 2.4.6.)
BLENDED = (
    [3.0, 2.997551, 2.990216, 2.80740324, 2.67523689, 2.70939913],
    [1.37226376, 1.38970015, 1.38814211, 1.31223384, 1.2431975],
    486.87931695775524,
)


def test_mirrored_predictions_are_blended_as_the_public_code_does():
    place = np.arange(2 * 3 * 41).reshape(2, 3, 41)
    plain, mirrored = np.sin(place * 0.1) + 2, np.cos(place * 0.07) + 2
    found = disparity.blend_mirrored(jnp.float32(plain), jnp.float32(mirrored))
    np.testing.assert_allclose(found[0, 0, :6], BLENDED[0], rtol=1e-5)
    np.testing.assert_allclose(found[0, 0, 36:], BLENDED[1], rtol=1e-5)
    assert float(found.sum()) == pytest.approx(BLENDED[2], rel=1e-6)


def test_same_under_transformations():
    values = np.random.default_rng(0).uniform(0.01, 1, (8, 3, 4)).astype(np.float32)
    transforms.check_transforms(lambda d: disparity.disparity_to_depth(d, 0.1, 100.0), values)
    transforms.check_transforms(lambda d: disparity.depth_to_disparity(d, 0.1, 100.0), values)
