"""What tasks take from a batch, by hand."""

import jax
import numpy as np

from geoseg_jax.tasks.examples import keys_of, to_unit_range


def test_bytes_become_floats():
    found = to_unit_range(np.array([0, 51, 255], np.uint8))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0, 0.2, 1], rtol=1e-6)


def test_an_examples_key_follows_it_and_is_its_own():
    ids = np.array([7, 2, 300], np.int32)
    found = jax.random.key_data(keys_of(jax.random.key(1), ids))
    again = jax.random.key_data(keys_of(jax.random.key(1), ids[::-1]))
    np.testing.assert_array_equal(found, again[::-1])
    assert len(np.unique(found, axis=0)) == 3
    other = jax.random.key_data(keys_of(jax.random.key(2), ids))
    assert (found != other).any(axis=1).all()
