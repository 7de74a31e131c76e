"""What bfloat16 leaves of gradients that are summed over many places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from geoseg_jax.models import shared
from geoseg_jax.models.conv import Conv
from geoseg_jax.models.vit import LayerScale

PLACES = 4096  # bfloat16 counts to 256


def gradient(loss, parameters):
    return jax.tree.map(np.asarray, jax.jit(jax.grad(loss))(parameters))


@pytest.mark.parametrize("combine", [shared.plus, shared.times])
def test_a_parameters_gradient_is_the_sum_over_all_places(combine):
    x = jnp.ones((PLACES, 3), jnp.bfloat16)
    result = combine(x, jnp.zeros(3))
    assert result.dtype == jnp.bfloat16
    summed = gradient(lambda p: combine(x, p).astype(jnp.float32).sum(), jnp.zeros(3))
    np.testing.assert_array_equal(summed, PLACES)


def test_a_repeated_parameters_gradient_is_that_sum():
    def loss(p):
        return shared.repeated(p, (PLACES, 3), jnp.bfloat16).astype(jnp.float32).sum()

    np.testing.assert_array_equal(gradient(loss, jnp.zeros(3)), PLACES)


@pytest.mark.parametrize(
    ("layer", "name", "shape"),
    [
        (shared.Dense(4, jnp.bfloat16), "bias", (PLACES, 3)),
        (Conv(4, 3, dtype=jnp.bfloat16), "bias", (1, 64, 64, 3)),
        (Conv(4, 3, padding="reflect", dtype=jnp.bfloat16), "bias", (1, 64, 64, 3)),
        (LayerScale(0.1, jnp.bfloat16), "gamma", (PLACES, 3)),
    ],
)
def test_layers_sum_in_float32(layer, name, shape):
    x = jnp.ones(shape, jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    summed = gradient(lambda v: layer.apply(v, x).astype(jnp.float32).sum(), variables)
    np.testing.assert_array_equal(summed["params"][name], PLACES)


def test_dense_is_flaxs_in_float32():
    x = jax.random.normal(jax.random.key(1), (5, 3))
    ours, theirs = shared.Dense(4), nn.Dense(4, kernel_init=nn.initializers.xavier_uniform())
    variables = ours.init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, variables, theirs.init(jax.random.key(0), x))
    np.testing.assert_array_equal(ours.apply(variables, x), theirs.apply(variables, x))
