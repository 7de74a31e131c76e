"""Means over areas by sparse matrices: the same bytes as OpenCV's own, and means by hand."""

import cv2
import numpy as np
import pytest

from geoseg_jax.data import areas, pictures

# KITTI, Cityscapes, CamVid at the sizes of the configs; one side alone; down to one pixel.
SIZES = [
    *(((375, 1242), (192, 640)), ((370, 1226), (192, 640)), ((256, 512), (100, 201))),
    *(((360, 480), (192, 256)), ((200, 331), (200, 330)), ((331, 200), (7, 200))),
    *(((257, 300), (1, 7)), ((270, 480), (48, 160))),
]


def noise(height, width, channels=3):
    return np.random.default_rng(height + width).integers(
        0, 256, (height, width, channels), np.uint8
    )


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_equals_opencv_to_the_last_bit(old, new):
    picture = noise(*old)
    assert areas.applies(picture, *new)
    expected = cv2.resize(picture, new[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(pictures.resize(picture, *new), expected.reshape(*new, 3))


@pytest.mark.parametrize("seed", range(20))
def test_equals_opencv_on_any_size(seed, monkeypatch):
    generator = np.random.default_rng(seed)
    old = generator.integers(2, 120, 2)
    new = tuple(int(generator.integers(1, side + 1)) for side in old)
    picture = noise(*old.tolist(), int(generator.integers(1, 5)))
    monkeypatch.setattr(areas, "_LEAST", 0)
    monkeypatch.setattr(areas, "_BAND", int(generator.integers(1, 20_000)))
    areas._bands.cache_clear()
    expected = cv2.resize(picture, new[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(pictures.resize(picture, *new).reshape(expected.shape), expected)
    areas._bands.cache_clear()


def test_by_hand():
    """Five pixels to two: each covers two and a half."""
    picture = np.array([10, 20, 30, 40, 51], np.uint8).reshape(1, 5, 1)
    means = (10 + 20 + 30 / 2) / 2.5, (30 / 2 + 40 + 51) / 2.5  # 18, 42.4
    assert areas.shrink(picture, 1, 2).ravel().tolist() == [round(m) for m in means]


def test_a_part_of_a_picture_is_shrunk_as_a_copy_of_it():
    part = noise(400, 700)[11:350, 20:600]
    assert not part.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(
        pictures.resize(part, 100, 201), pictures.resize(part.copy(), 100, 201)
    )


@pytest.mark.parametrize("picture", [noise(400, 600), noise(400, 600).astype(np.float32)])
def test_the_rest_stays_with_opencv(picture):
    whole = picture.dtype == np.uint8  # by whole factors it rounds otherwise
    size = (200, 300) if whole else (170, 301)
    assert not areas.applies(picture, *size)
    expected = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(pictures.resize(picture, *size), expected)
