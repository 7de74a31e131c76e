import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops.cost_volume import cost_volume, normalise_pair
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
A, B = RANDOM.standard_normal((2, 5, 6, 3))
RADIUS = 2


def by_loops(first, second, radius):
    height, width, channels = first.shape
    side = 2 * radius + 1
    costs = np.zeros((height, width, side * side))
    for y in range(height):
        for x in range(width):
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        place = (dy + radius) * side + dx + radius
                        costs[y, x, place] = first[y, x] @ second[y + dy, x + dx] / channels
    return costs


def test_against_loops():
    got = jax.jit(lambda a, b: cost_volume(a, b, RADIUS))(jnp.float32(A), jnp.float32(B))
    np.testing.assert_allclose(got, by_loops(A, B, RADIUS), atol=1e-6)


def test_the_largest_entry_is_the_shift():
    first = np.sign(RANDOM.standard_normal((12, 14, 32))).astype(np.float32)
    dx, dy = 2, -1
    second = np.roll(first, (dy, dx), (0, 1))  # first(p) = second(p + d)
    best = np.argmax(cost_volume(first, second, 3), axis=-1)[3:-3, 3:-3]
    np.testing.assert_array_equal(best, (dy + 3) * 7 + dx + 3)


def test_gradients_match_finite_differences():
    with jax.enable_x64(True):
        weights = RANDOM.standard_normal((5, 6, 25))
        total = jax.jit(lambda a, b: jnp.sum(weights * cost_volume(a, b, RADIUS) ** 2))
        got = grad(total, (0, 1))(jnp.asarray(A), jnp.asarray(B))
        for place, gradient in enumerate(got):
            inputs = [A, B]

            def moved(x, place=place, inputs=inputs):
                return total(*inputs[:place], x, *inputs[place + 1 :])

            wanted = transforms.numeric_gradient(moved, inputs[place].copy())
            np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-7)


def test_same_under_transformations():
    a, b = RANDOM.standard_normal((2, 8, 4, 5, 3)).astype(np.float32)
    transforms.check_transforms(lambda a, b: cost_volume(a, b, 1), a, b)


def test_normalised_features_forget_scale_and_offset():
    a, b = normalise_pair(*(jnp.float32(x) for x in (A, B)))
    scale, offset = np.float32([7, 2, 50]), np.float32([3, 0, -9])  # each channel's own
    c, d = normalise_pair(*(jnp.float32(scale * x + offset) for x in (A, B)))
    np.testing.assert_allclose(a, c, atol=1e-4)
    np.testing.assert_allclose(b, d, atol=1e-4)
    both = np.stack((a, b))
    np.testing.assert_allclose(both.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(both.std((0, 1, 2)), 1, atol=1e-4)


def test_a_pair_of_single_places_is_normalised_too():
    a, b = normalise_pair(jnp.full((1, 1, 3), 5.0), jnp.full((1, 1, 3), 1.0))
    np.testing.assert_allclose((a.ravel(), b.ravel()), ((1, 1, 1), (-1, -1, -1)), atol=1e-4)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="radius is -1"):
        cost_volume(A, B, -1)
    with pytest.raises(ValueError, match="shapes"):
        cost_volume(A, B[1:])
