"""Counted operations against numbers by hand, and XLA's own count where no loop misleads it."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from geoseg_jax.models.fast_conv import correlate
from geoseg_jax.ops.census import census_distance
from geoseg_jax.study import operations


def count(function, *shapes):
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return operations.count(jax.jit(function).trace(*arrays).jaxpr.jaxpr)


def test_products_sums_and_pointwise():
    assert count(lambda a, b: a @ b, (8, 100), (100, 50)) == 2 * 8 * 100 * 50
    assert count(lambda a: a + 1, (8, 100)) == 800
    assert count(lambda a: a.sum(), (8, 100)) == 800
    assert count(lambda a: a.reshape(100, 8).T[::2], (8, 100)) == 0


@pytest.mark.parametrize(("stride", "outputs"), [(1, 64 * 96), (2, 32 * 48)])
def test_a_convolution_and_its_two_gradients_cost_the_same(stride, outputs):
    """The gradient by the picture is a transposed convolution: its zeros are not counted."""

    def loss(x, kernel):
        return correlate(x, kernel, stride, 1).sum()

    forward = 2 * 4 * outputs * 3 * 3 * 16 * 32
    shapes = (4, 64, 96, 16), (3, 3, 16, 32)
    assert count(loss, *shapes) == pytest.approx(forward, rel=0.01)
    # A sum's derivative needs no forward pass.
    both = count(jax.grad(loss, (0, 1)), *shapes)
    assert both == pytest.approx(2 * forward, rel=0.01)


@pytest.mark.parametrize("batch", [2, 12])
def test_a_picture_costs_the_same_in_any_batch(batch):
    """On a CPU a large kernel gradient is a loop over rows."""
    shapes = (3, 3, 16, 16)
    by_kernel = jax.grad(lambda k, x: jnp.square(correlate(x, k, 1, 1)).sum())
    one = count(by_kernel, shapes, (1, 192, 640, 16))
    assert count(by_kernel, shapes, (batch, 192, 640, 16)) == pytest.approx(batch * one, rel=0.01)


def test_what_gathers_and_scatters_is_counted_by_its_numbers():
    """The gradient of a look-up adds into the picture, by a program for two numbers."""
    places = jnp.array([0, 3, 3])
    assert count(lambda x, y: x.at[places].add(y), (1000,), (3,)) >= 1000
    assert count(lambda x: lax.optimization_barrier(x), (1000,)) == 0
    largest = lambda x: lax.reduce(x, -jnp.inf, lambda a, b: jnp.maximum(a, b * 1.0), (0,))  # noqa: E731
    assert count(largest, (1000,)) == 1000


def test_loops_count_as_often_as_they_run():
    def ten_times(x, w):
        return lax.scan(lambda carry, _: (carry @ w, None), x, None, length=10)[0]

    assert count(ten_times, (4, 8), (8, 8)) == 10 * 2 * 4 * 8 * 8
    mapped = count(lambda x, w: lax.map(lambda row: row @ w, x), (6, 4, 8), (8, 8))
    assert mapped == 6 * 2 * 4 * 8 * 8


def test_of_branches_the_dearest_counts_and_by_platform_the_default():
    def either(x, w):
        return lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x)

    def by_platform(x, w):
        return lax.platform_dependent(x, w, cpu=lambda x, w: x @ w @ w, default=lambda x, w: x @ w)

    # The comparison makes no float.
    assert count(either, (4, 8), (8, 8)) == 2 * 4 * 8 * 8
    assert count(by_platform, (4, 8), (8, 8)) == 2 * 4 * 8 * 8


def test_what_nobody_uses_costs_nothing():
    def unused(x, w):
        _ = x @ w
        return x + 1

    assert count(unused, (4, 8), (8, 8)) == 32


def test_xla_counts_the_same_where_there_is_no_loop():
    def loss(x, kernel):
        return jnp.square(jax.nn.relu(correlate(x, kernel, 1, 1))).mean()

    shapes = (2, 32, 48, 8), (3, 3, 8, 8)
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    traced = jax.jit(jax.value_and_grad(loss, (0, 1))).trace(*arrays)
    by_xla = traced.lower().cost_analysis()["flops"]
    # XLA leaves products with padding out: a ring of one pixel around 32x48.
    assert operations.count(traced.jaxpr.jaxpr) == pytest.approx(by_xla, rel=0.08)


def test_the_loop_of_census_is_counted():
    """Its loop over rows of the patch runs seven times, a cost that XLA's own count divides."""
    shape = (1, 32, 48, 3)
    seven = count(lambda a, b: census_distance(a, b, patch=7).sum(), shape, shape)
    three = count(lambda a, b: census_distance(a, b, patch=3).sum(), shape, shape)
    assert 4 < seven / three < 49 / 9
