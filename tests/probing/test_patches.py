"""Labels on a grid and back, and mIoU by hand."""

import numpy as np
import pytest
from scipy import ndimage

from geoseg_jax.data.labels.class_list import table_of_rows
from geoseg_jax.probing import patches
from geoseg_jax.scoring.scores import scores

TABLE = table_of_rows("x", [(0, "a", (1, 0, 0)), (1, "b", (2, 0, 0))])


def test_shares_by_hand():
    label = np.array([[0, 0, 1, 255], [0, 1, 255, 255]], np.uint8)
    found = patches.shares(label, 2, (1, 2))
    np.testing.assert_allclose(found, [[[0.75, 0.25], [0, 0.25]]])
    # A grid that divides no pixel whole keeps the total.
    label = np.random.default_rng(0).integers(0, 2, (5, 7)).astype(np.uint8)
    found = patches.shares(label, 2, (2, 3))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    assert found[..., 1].mean() == pytest.approx((label == 1).mean(), abs=1e-6)


def test_class_map_is_that_of_bilinear_scores():
    grid = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    rows, columns = (np.arange(n * 4) / 4 + 0.5 / 4 - 0.5 for n in grid.shape[:2])
    places = np.meshgrid(rows, columns, indexing="ij")
    planes = [
        ndimage.map_coordinates(grid[..., c], places, order=1, mode="nearest") for c in range(5)
    ]
    expected = np.argmax(planes, axis=0)
    assert (patches.class_map(grid, (12, 16)) == expected).mean() > 0.99  # but for rounding


def test_miou_by_hand():
    label = np.array([[0, 0, 0, 1], [1, 1, 255, 255]], np.uint8)
    predicted = np.array([[0, 0, 1, 1], [1, 0, 0, 1]], np.uint8)
    matrix = patches.confusion(label, predicted, 2)
    np.testing.assert_array_equal(matrix, [[2, 1], [1, 2]])
    assert scores(matrix, TABLE)["miou"] == pytest.approx(0.5)  # both 2 / (2 + 1 + 1)
    truth = np.array([[0.5, 0.25], [0, 1]])
    found = patches.soft_confusion(truth, np.array([1, 1]))
    np.testing.assert_allclose(found, [[0, 0.5], [0, 1.25]])
