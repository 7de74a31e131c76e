"""The fast forms of convolution and pooling are exactly the plain ones, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from geoseg_jax.models import conv, fast_conv, pool
from tests.models import weights


@pytest.fixture(autouse=True)
def _nothing_is_too_small(monkeypatch):
    monkeypatch.setattr(fast_conv, "SMALL", 0)
    monkeypatch.setattr(fast_conv, "TINY", 0)


def plain(x, kernel, stride, pad):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def reflected(x, kernel):
    half = kernel.shape[0] // 2
    edges = ((0, 0), (half, half), (half, half), (0, 0))
    return plain(jnp.pad(x, edges, mode="reflect"), kernel, 1, 0)


def enlarged(x, kernel, padding):
    x = x.repeat(2, axis=1).repeat(2, axis=2)
    return plain(x, kernel, 1, 1) if padding == "zero" else reflected(x, kernel)


def assert_same(ours, theirs, *arguments):
    """Equal values, and equal gradients with respect to all arguments of a weighted sum."""
    expected = theirs(*arguments)
    weight = jnp.asarray(weights.images(expected.shape, seed=9)) - 0.3

    def value_and_gradients(function):
        def loss(*arguments):
            y = function(*arguments)
            return jnp.sum(y * weight), y

        every = tuple(range(len(arguments)))
        return jax.jit(jax.grad(loss, every, has_aux=True))(*arguments)

    for a, b in zip(
        jax.tree.leaves(value_and_gradients(ours)),
        jax.tree.leaves(value_and_gradients(theirs)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5 * np.abs(b).max())


def pair(x_shape, kernel_shape):
    return weights.images(x_shape) - 0.5, weights.images(kernel_shape, seed=1) - 0.5


@pytest.mark.parametrize(
    ("channels", "features", "size", "stride", "pad", "block"),
    [
        (3, 4, 3, 1, 1, 10**6),
        (6, 4, 3, 1, 1, 10**6),  # seen from the gradient
        (3, 4, 3, 1, 1, 4 * 2 * 10),  # in blocks of four rows
        (6, 4, 3, 1, 0, 3 * 2 * 8),  # rows without a divisor that small: in one
        (6, 4, 3, 1, 1, 4 * 2 * 10),
        (3, 4, 3, 2, 1, 10**6),
        (3, 4, 7, 2, 3, 4 * 2 * 5),
        (3, 4, 1, 2, 0, 10**6),
        (3, 4, 1, 1, 0, 10**6),
        (3, 4, 2, 1, 0, 10**6),
        (3, 4, 3, 3, 1, 10**6),
    ],
)
@pytest.mark.parametrize("size_of_picture", [(8, 10), (9, 11)])
def test_kernel_gradient(
    channels, features, size, stride, pad, block, size_of_picture, monkeypatch
):
    monkeypatch.setattr(fast_conv, "BLOCK", block)
    x, kernel = pair((2, *size_of_picture, channels), (size, size, channels, features))
    y = plain(x, kernel, stride, pad)
    gradient = jnp.asarray(weights.images(y.shape, seed=2)) - 0.5
    ours = fast_conv.kernel_gradient(jnp.asarray(x), gradient, size, stride, pad)
    expected = jax.vjp(lambda kernel: plain(x, kernel, stride, pad), kernel)[1](gradient)[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("stride", [1, 2])
def test_correlate_uses_it(stride):
    x, kernel = pair((2, 8, 10, 3), (3, 3, 3, 4))
    assert_same(
        lambda x, k: fast_conv.correlate(x, k, stride, 1), lambda x, k: plain(x, k, stride, 1),
        x, kernel,
    )  # fmt: skip


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (7, 2), (5, 3)])
@pytest.mark.parametrize("size_of_picture", [(1, 1), (2, 3), (4, 4), (5, 9)])
def test_few_places_are_one_product(size, stride, size_of_picture, monkeypatch):
    monkeypatch.setattr(fast_conv, "correlate", None)  # is not asked
    x, kernel = pair((2, *size_of_picture, 3), (size, size, 3, 4))
    assert_same(
        lambda x, k: conv.conv2d(x, k, stride=stride),
        lambda x, k: plain(x, k, stride, size // 2),
        x, kernel,
    )  # fmt: skip


def test_the_last_layers_of_small_pictures_are_products(monkeypatch):
    """A batch of 4 of 96x32, half a ResNet-18: XLA's own took two fifths of depth's step."""
    monkeypatch.undo()
    monkeypatch.setattr(fast_conv, "correlate", None)  # is not asked
    for height, width, channels in ((2, 6, 128), (1, 3, 256)):
        x = jnp.zeros((4, height, width, channels))
        assert conv.conv2d(x, jnp.zeros((3, 3, channels, channels))).shape == x.shape


def test_other_runtimes_are_given_convolutions_as_published():
    x, kernel = pair((2, 2, 3, 3), (3, 3, 3, 4))

    def primitives():
        return str(jax.make_jaxpr(lambda x, k: conv.conv2d(x, k))(x, kernel))

    assert "conv_general_dilated" not in primitives()
    with fast_conv.plain():
        assert "conv_general_dilated" in primitives()


@pytest.mark.parametrize("size", [(2, 2), (2, 5), (6, 7)])
@pytest.mark.parametrize("features", [1, 3])
def test_reflected_without_padding_the_picture(size, features):
    x, kernel = pair((2, *size, 4), (3, 3, 4, features))
    assert_same(lambda x, k: conv.conv2d(x, k, padding="reflect"), reflected, x, kernel)


@pytest.mark.parametrize("padding", conv.PADDINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 5)])
def test_enlarged_without_enlarging(size, padding):
    x, kernel = pair((2, *size, 3), (3, 3, 3, 2))
    assert_same(
        lambda x, k: conv.upsampled_conv2d(x, k, padding=padding),
        lambda x, k: enlarged(x, k, padding),
        x, kernel,
    )  # fmt: skip


@pytest.mark.parametrize("padding", conv.PADDINGS)
def test_small_ones_take_the_plain_way_to_the_same_place(padding, monkeypatch):
    monkeypatch.setattr(fast_conv, "SMALL", 10**9)
    x, kernel = pair((2, 4, 5, 3), (3, 3, 3, 2))
    assert_same(
        lambda x, k: conv.upsampled_conv2d(x, k, padding=padding),
        lambda x, k: enlarged(x, k, padding),
        x, kernel,
    )  # fmt: skip


def test_small_and_large_inputs_are_a_concatenation():
    large, small = weights.images((2, 6, 8, 3)), weights.images((2, 3, 4, 5), seed=1)
    layer = conv.Conv(4, padding="reflect")
    init = jax.jit(layer.init)
    variables = init(jax.random.key(0), large, small=small)
    assert variables["params"]["kernel"].shape == (3, 3, 8, 4)
    apply = jax.jit(layer.apply)
    both = jnp.concatenate([small.repeat(2, axis=1).repeat(2, axis=2), large], axis=-1)
    np.testing.assert_allclose(
        apply(variables, large, small=small), apply(variables, both), atol=1e-5
    )
    alone = init(jax.random.key(0), small=small)
    assert alone["params"]["kernel"].shape == (3, 3, 5, 4)


@pytest.mark.parametrize("size", [(8, 10), (7, 9), (1, 2)])
def test_max_pool(size):
    def plain_pool(x):
        return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))

    # All values differ: which of two equal ones gets the gradient is a matter of convention.
    count = 2 * size[0] * size[1] * 3
    x = np.random.default_rng(0).permutation(count).reshape(2, *size, 3).astype(np.float32)
    assert_same(pool.max_pool, plain_pool, x - count / 2)


def test_max_pool_gives_the_gradient_to_the_first_of_equals():
    gradient = jax.grad(lambda x: pool.max_pool(x).sum())(jnp.ones((1, 4, 4, 1)))
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(gradient[0, :, :, 0], expected)


def test_max_pool_passes_on_what_is_not_a_number():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 3, 3, 0].set(jnp.nan)
    assert np.isnan(pool.max_pool(x)[0, 1, 1, 0])
    assert np.isfinite(pool.max_pool(x)[0, 0, 0, 0])


def test_sharded_batch_gives_the_same_gradient():
    x, kernel = pair((8, 6, 8, 3), (3, 3, 3, 4))
    run = jax.jit(
        jax.grad(lambda kernel, x: jnp.sum(conv.conv2d(x, kernel, padding="reflect") ** 2))
    )
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data")))
    np.testing.assert_allclose(run(kernel, spread), run(kernel, x), rtol=1e-4, atol=1e-4)
