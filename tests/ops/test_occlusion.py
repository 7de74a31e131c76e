import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import occlusion
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 6, 8
RANGE_MAP = jax.jit(occlusion.range_map)


def ranges_by_loops(flow):
    height, width, _ = flow.shape
    total = np.zeros((height, width))
    for py in range(height):
        for px in range(width):
            u, v = flow[py, px]
            for y in range(height):
                for x in range(width):
                    total[y, x] += max(0, 1 - abs(x - px - u)) * max(0, 1 - abs(y - py - v))
    return total


def test_range_map_against_loops():
    flow = RANDOM.uniform(-4, 4, (HEIGHT, WIDTH, 2))
    np.testing.assert_allclose(RANGE_MAP(jnp.float32(flow)), ranges_by_loops(flow), atol=1e-5)


def test_range_map_of_whole_shifts_and_of_nonsense():
    np.testing.assert_array_equal(RANGE_MAP(jnp.zeros((HEIGHT, WIDTH, 2))), 1)
    shifted = RANGE_MAP(jnp.zeros((HEIGHT, WIDTH, 2)).at[...].set(jnp.array([2.0, -1.0])))
    wanted = np.ones((HEIGHT, WIDTH))
    wanted[:, :2] = 0
    wanted[-1] = 0
    np.testing.assert_array_equal(shifted, wanted)
    for value in (np.nan, np.inf, -1e30, 1e9):
        np.testing.assert_array_equal(RANGE_MAP(jnp.full((HEIGHT, WIDTH, 2), value)), 0)


def test_gradient_of_the_range_map():
    with jax.enable_x64(True):
        flow = RANDOM.uniform(-1.5, 1.5, (4, 5, 2))
        weights = RANDOM.standard_normal((4, 5))
        total = jax.jit(lambda f: jnp.sum(weights * occlusion.range_map(f)))
        wanted = transforms.numeric_gradient(total, flow.copy())
        np.testing.assert_allclose(grad(total)(jnp.asarray(flow)), wanted, rtol=1e-6, atol=1e-8)
        broken = jnp.asarray(flow).at[0, 0].set(jnp.nan).at[1, 1].set(1e12)
        assert np.isfinite(grad(total)(broken)).all()


def moving_square():
    """A square of 3x3 at (2, 1) moves right by 2 before a background at rest: both flows."""
    flow, backward = np.zeros((2, HEIGHT, WIDTH, 2), np.float32)
    flow[1:4, 2:5, 0] = 2
    backward[1:4, 4:7, 0] = -2
    return flow, backward


@pytest.mark.parametrize("method", ["forward_backward", "range_map"])
def test_what_a_moving_square_covers_is_not_seen(method):
    flow, backward = moving_square()
    seen = np.asarray(occlusion.visible(flow, backward, method))
    wanted = np.ones((HEIGHT, WIDTH))
    wanted[1:4, 5:7] = 0  # background that the square covers in the source
    np.testing.assert_array_equal(seen, wanted)
    # The other way round, what it uncovers.
    back = np.asarray(occlusion.visible(backward, flow, method))
    wanted = np.ones((HEIGHT, WIDTH))
    wanted[1:4, 2:4] = 0
    np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("method", ["forward_backward", "range_map"])
def test_what_leaves_the_picture_is_not_seen(method):
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 0] = -3
    seen = np.asarray(occlusion.visible(flow, -flow, method))
    assert not seen[:, :3].any()
    assert seen[:, 3:].all()


def test_the_check_forgives_by_its_formula():
    flow = np.zeros((1, 4, 6, 2), np.float32)
    for gap, seen in ((0.7, True), (0.72, False)):  # 0.5 = 0.707 ** 2, lengths are next to nothing
        backward = flow + np.float32([0, gap])
        got = occlusion.forward_backward_check(flow, backward, relative=0.0)
        assert bool(got.all()) == seen
        assert bool(got.any()) == seen
    long = flow + np.float32([0, 2])
    # |f + b'| = 0.9, 0.81 against 0.01 * (4 + 1.21) + 0.5, or against 0.1 * 5.21 + 0.5
    back = flow - np.float32([0, 1.1])
    assert not occlusion.forward_backward_check(long, back)[0, :2].any()
    assert occlusion.forward_backward_check(long, back, relative=0.1)[0, :2].all()


def test_none_sees_everything_and_other_words_are_refused():
    flow, backward = moving_square()
    assert (occlusion.visible(flow + 100, backward, "none") == 1).all()
    with pytest.raises(ValueError, match="'wang'"):
        occlusion.visible(flow, backward, "wang")


def test_same_under_transformations():
    flow, backward = RANDOM.uniform(-2, 2, (2, 8, 4, 5, 2)).astype(np.float32)
    transforms.check_transforms(
        lambda f, b: (occlusion.range_map(f), occlusion.visible(f, b, "forward_backward")),
        flow,
        backward,
    )
