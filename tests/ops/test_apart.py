"""What is computed apart has the same values and gradients, and is computed once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops.apart import apart, gradient_apart

VALUES = np.array([[np.nan, 1.0], [-np.inf, 3.0]], np.float32)


@pytest.mark.parametrize("function", [apart, gradient_apart])
def test_values_and_gradients_are_those_of_nothing(function):
    np.testing.assert_array_equal(jax.jit(function)(VALUES), VALUES)
    value, pull = jax.vjp(lambda x: function(x), jnp.ones_like(VALUES))
    np.testing.assert_array_equal(value, np.ones_like(VALUES))
    np.testing.assert_array_equal(jax.jit(pull)(VALUES)[0], VALUES)
    mapped = jax.vmap(jax.grad(lambda x: 3 * function(x).sum()))(jnp.ones_like(VALUES))
    np.testing.assert_array_equal(mapped, np.full_like(VALUES, 3))
