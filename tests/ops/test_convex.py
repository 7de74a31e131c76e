import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops.convex import NEIGHBOURS, convex_upsample
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH, FACTOR = 4, 5, 3
VALUES = RANDOM.standard_normal((HEIGHT, WIDTH, 2))
LOGITS = RANDOM.standard_normal((HEIGHT, WIDTH, FACTOR * FACTOR * NEIGHBOURS))


def by_loops(values, logits, factor):
    height, width, channels = values.shape
    result = np.zeros((factor * height, factor * width, channels))
    for row in range(factor * height):
        for column in range(factor * width):
            y, x = row // factor, column // factor
            pixel = (row % factor) * factor + column % factor
            weights = np.exp(logits[y, x, pixel * NEIGHBOURS : (pixel + 1) * NEIGHBOURS])
            for n in range(NEIGHBOURS):
                near_y = min(max(y + n // 3 - 1, 0), height - 1)
                near_x = min(max(x + n % 3 - 1, 0), width - 1)
                result[row, column] += weights[n] / weights.sum() * values[near_y, near_x]
    return result


def test_against_loops():
    got = jax.jit(convex_upsample, static_argnums=2)(
        jnp.float32(VALUES), jnp.float32(LOGITS), FACTOR
    )
    np.testing.assert_allclose(got, by_loops(VALUES, LOGITS, FACTOR), atol=1e-6)


def test_all_weight_on_one_neighbour_copies_it():
    for n, (dy, dx) in {4: (0, 0), 0: (-1, -1), 5: (0, 1)}.items():
        logits = np.zeros((HEIGHT, WIDTH, FACTOR * FACTOR, NEIGHBOURS), np.float32)
        logits[..., n] = 1e3
        got = convex_upsample(jnp.float32(VALUES), logits.reshape(LOGITS.shape), FACTOR)
        y = np.clip(np.arange(HEIGHT) + dy, 0, HEIGHT - 1)
        x = np.clip(np.arange(WIDTH) + dx, 0, WIDTH - 1)
        wanted = VALUES[y[:, None], x].repeat(FACTOR, 0).repeat(FACTOR, 1)
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_a_step_stays_a_step_where_the_weights_say_so():
    values = np.zeros((3, 4, 1), np.float32)
    values[:, 2:] = 10
    # The edge lies within old pixel 1, after two of its three columns.
    logits = np.zeros((3, 4, FACTOR, FACTOR, NEIGHBOURS), np.float32)
    logits[..., 4] = 1e3
    logits[:, 1, :, 2, 4], logits[:, 1, :, 2, 5] = 0, 1e3
    got = convex_upsample(values, logits.reshape(3, 4, -1), FACTOR)
    np.testing.assert_array_equal(got[..., 0], np.where(np.arange(12) < 5, 0, 10) * np.ones((9, 1)))


def test_a_constant_stays_whatever_the_weights():
    got = convex_upsample(jnp.full((HEIGHT, WIDTH, 2), 3.0), jnp.float32(LOGITS), FACTOR)
    np.testing.assert_allclose(got, 3, rtol=1e-6)


def test_gradients_match_finite_differences():
    with jax.enable_x64(True):
        values, logits = VALUES[:2, :2], LOGITS[:2, :2]
        weights = RANDOM.standard_normal((2 * FACTOR, 2 * FACTOR, 2))
        # The weights' softmax is taken in float32.
        total = jax.jit(lambda v, a: jnp.sum(weights * convex_upsample(v, a, FACTOR)))
        by_values, by_logits = grad(total, (0, 1))(jnp.asarray(values), jnp.asarray(logits))
        wanted = transforms.numeric_gradient(lambda v: total(v, logits), values.copy())
        np.testing.assert_allclose(by_values, wanted, rtol=1e-4, atol=1e-6)
        moved = transforms.numeric_gradient(
            lambda a: np.sum(weights * by_loops(values, a, FACTOR)), logits.copy()
        )
        np.testing.assert_allclose(by_logits, moved, rtol=1e-4, atol=1e-6)


def test_same_under_transformations():
    values = RANDOM.standard_normal((8, 3, 4, 2)).astype(np.float32)
    logits = RANDOM.standard_normal((8, 3, 4, 4 * NEIGHBOURS)).astype(np.float32)
    transforms.check_transforms(lambda v, a: convex_upsample(v, a, 2), values, logits)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"logits have shape \[4, 5, 81\].*want \[4, 5, 36\]"):
        convex_upsample(VALUES, LOGITS, 2)
