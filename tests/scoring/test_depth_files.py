"""Colours of depth: those of matplotlib's palette."""

import matplotlib
import numpy as np

from geoseg_jax.scoring import depth_files


def test_colours_are_matplotlibs():
    inverse = np.linspace(0, 3, 5000, dtype=np.float32).reshape(50, 100)
    inverse[0, :3] = 0, 2, 2.0000002  # both ends, and beyond
    shares = np.clip(inverse / 2, 0, 1)
    expected = (matplotlib.colormaps["magma"](shares)[..., :3] * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(depth_files.colour(inverse, 2.0), expected)
    assert len(np.unique(expected.reshape(-1, 3), axis=0)) == 256
