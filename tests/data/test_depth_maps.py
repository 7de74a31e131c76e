import numpy as np
import pytest

from geoseg_jax.data import depth_maps, pictures

RNG = np.random.default_rng(0)
SPARSE = np.where(RNG.random((37, 53)) < 0.1, RNG.uniform(1, 80, (37, 53)), 0).astype(np.float32)


@pytest.mark.parametrize("size", [(12, 20), (37, 53), (80, 90), (20, 90)])
def test_a_measurement_is_never_mixed(size):
    for resize in (depth_maps.nearest_depth, depth_maps.nearest_to_camera):
        resized = resize(SPARSE, *size)
        assert resized.shape == size
        assert resized.dtype == np.float32
        assert set(np.unique(resized)) <= {0, *np.unique(SPARSE)}
    for resize in (depth_maps.nearest_depth, depth_maps.nearest_to_camera):
        np.testing.assert_array_equal(resize(SPARSE, 37, 53), SPARSE)


@pytest.mark.parametrize("size", [(12, 20), (80, 90)])
def test_sparse_against_a_loop(size):
    expected = np.full(size, np.inf, np.float32)
    for y, x in zip(*np.nonzero(SPARSE), strict=True):
        row = int((y + 0.5) / 37 * size[0])
        column = int((x + 0.5) / 53 * size[1])
        expected[row, column] = min(expected[row, column], SPARSE[y, x])
    expected[np.isinf(expected)] = 0
    np.testing.assert_array_equal(depth_maps.nearest_to_camera(SPARSE, *size), expected)


def test_dense_is_seen_in_the_middle_of_a_pixel():
    dense = np.arange(36, dtype=np.float32).reshape(6, 6) + 1
    np.testing.assert_array_equal(depth_maps.nearest_depth(dense, 2, 2), dense[1::3, 1::3])
    # A surface keeps its place: a picture of the same values, resized, agrees where it is flat.
    wide = np.kron(dense, np.ones((9, 9), np.float32))
    small = pictures.resize(np.repeat(wide[..., None], 3, axis=-1), 18, 18)[..., 0]
    np.testing.assert_allclose(depth_maps.nearest_depth(wide, 18, 18), small)
