"""The pixels around positions, read in two ways; what is made of them is test_reprojection.py's."""

import jax.numpy as jnp
import numpy as np

from geoseg_jax.ops import taps


def test_taps_are_read_alike_from_a_table_and_as_slices():
    """To the last row and column from which a cell begins."""
    random, (height, width) = np.random.default_rng(3), (5, 7)
    sources = jnp.asarray(random.random((2, 3, height * width * 3)), jnp.float32)
    rows, columns = np.mgrid[: height - 1, : width - 1]
    start = jnp.asarray(np.broadcast_to((rows * width + columns) * 3, (2, 3, 4, 6)), jnp.int32)
    size = {"width": width, "channels": 3}
    slices = taps._read_slices(sources, start, **size)
    table = taps._read_table(sources, start, **size)
    for a, b in zip(slices, table, strict=True):
        np.testing.assert_array_equal(a, b)
