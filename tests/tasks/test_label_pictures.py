"""Panels of labels: palette, errors, and a legend that fits."""

import jax.numpy as jnp
import numpy as np

from geoseg_jax.data.labels import label_table
from geoseg_jax.tasks import label_pictures

TABLE = label_table("camvid11")


def test_right_wrong_and_ignored_pixels():
    label = np.array([[[0, 1, 255, 3], [0, 1, 255, 3]]], np.uint8)
    predicted = jnp.asarray([[[0, 2, 5, 3], [0, 2, 5, 3]]])
    batch = {
        "image": np.zeros((1, 2, 4, 3), np.uint8),
        "label": label,
        "label_size": np.array([[2, 4]], np.int32),
    }
    panels = label_pictures.panels(batch, predicted, TABLE)
    assert list(panels) == ["input", "label", "prediction", "errors", "legend"]
    right, wrong = label_pictures.RIGHT, label_pictures.WRONG
    np.testing.assert_array_equal(panels["errors"][0, 0], [right, wrong, (0, 0, 0), right])
    colours = TABLE.palette
    row = [colours[0], colours[1], (0, 0, 0), colours[3]]
    np.testing.assert_array_equal(panels["label"][0, 1], row)
    np.testing.assert_array_equal(panels["prediction"][0, 0, 2], colours[5])


def test_padding_beyond_the_labels_size_is_not_shown():
    label = np.full((1, 6, 8), 255, np.uint8)
    label[0, :4, :4] = 1
    batch = {
        "image": np.zeros((1, 2, 2, 3), np.uint8),
        "label": label,
        "label_size": np.array([[4, 4]], np.int32),
    }
    panels = label_pictures.panels(batch, jnp.ones((1, 6, 8), jnp.int32), TABLE)
    assert (np.asarray(panels["errors"]) == label_pictures.RIGHT).all()


def test_every_class_has_its_colour_in_the_legend():
    for table in (TABLE, label_table("nyu40")):
        page = label_pictures.legend(table, 64)
        assert page.shape[0] == 64
        seen = {tuple(c) for c in page.reshape(-1, 3).tolist()}
        assert {tuple(c) for c in table.palette} <= seen
