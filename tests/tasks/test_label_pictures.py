"""Panels of labels: palette, errors, and a legend that fits."""

import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.tasks import label_pictures
from geoseg_jax.training import writers

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
        seen = {tuple(c) for c in page.reshape(-1, 3).tolist()}
        assert {tuple(c) for c in table.palette} <= seen


@pytest.mark.parametrize(
    ("name", "height", "lines", "columns"),
    [
        ("camvid11", 180, 11, 1),
        ("synthetic_street", 64, 12, 1),  # 12 lines are higher than the picture, and readable
        ("cityscapes34", 192, 17, 2),
        ("cityscapes34", 512, 34, 1),
        ("nyu40", 240, 20, 2),
    ],
)
def test_a_legend_has_few_columns_of_equal_length(name, height, lines, columns):
    page = label_pictures.legend(label_table(name), height)
    assert page.shape[0] == lines * 14
    assert page.shape[1] < columns * 112


def test_a_long_name_widens_its_column_and_leaves_the_next_alone():
    def page(first):
        names = (first, *["a"] * 40)
        table = TABLE._replace(classes=names, palette=((9, 9, 9),) * len(names))
        return label_pictures.legend(table, 64)

    short, long = page("a"), page("what no other class takes, and all that is not labelled")
    column = short.shape[1] // 3
    np.testing.assert_array_equal(long[:, -2 * column :], short[:, column:])
    assert (long[:, -2 * column - 4 : -2 * column] == 255).all()


def test_there_is_one_legend_for_all_rows():
    batch = {
        "image": np.zeros((4, 16, 20, 3), np.uint8),
        "label": np.zeros((4, 16, 20), np.uint8),
        "label_size": np.full((4, 2), (16, 20), np.int32),
    }
    panels = label_pictures.panels(batch, jnp.zeros((4, 16, 20), jnp.int32), TABLE)
    assert panels["legend"].shape[:2] == (1, 11 * 14)
    # The sheet's rows stay as high as the pictures; the legend is higher than all four.
    page = writers.sheet({name: np.asarray(stack)[:4] for name, stack in panels.items()})
    assert page.shape[0] == 18 + 11 * 14 + 4
    np.testing.assert_array_equal(page[18 + 20 : 18 + 36, 24:44], panels["label"][1])
