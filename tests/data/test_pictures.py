import math
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from geoseg_jax.data.pictures import (
    cells,
    flip,
    picture_size,
    read_picture,
    resize,
    scale_intrinsics,
    take_nearest,
    to_rgb,
)
from geoseg_jax.data.source import BadRecord
from tests.data import fabricate


def test_colours_are_rgb(tmp_path):
    path = str(tmp_path / "red.png")
    assert cv2.imwrite(path, np.full((2, 3, 3), (0, 0, 255), np.uint8))
    assert to_rgb(read_picture(path))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(10))
def test_pictures_stand_upright_and_their_headers_say_so(tmp_path, orientation, ending):
    """Red on the left, blue at the top: where they are after turning as EXIF says."""
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[:, :8, 0] = stored[:8, :, 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation  # 0 and 9 mean nothing
    path = tmp_path / f"a.{ending}"
    Image.fromarray(stored).save(path, exif=exif, **{"quality": 95} if ending == "jpg" else {})
    read = to_rgb(read_picture(path))
    assert read.shape[:2] == picture_size(path)
    expected = {
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: np.transpose(stored, (1, 0, 2)),
        6: np.rot90(stored, -1),
        7: np.transpose(stored[::-1, ::-1], (1, 0, 2)),
        8: np.rot90(stored),
    }.get(orientation, stored)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_malformed_orientation_changes_nothing(tmp_path):
    path = tmp_path / "a.jpg"
    picture = Image.fromarray(fabricate.picture(0))
    for content in (b"Exif\0\0MM", b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"x"):
        picture.save(path, exif=content)
        assert picture_size(path) == read_picture(path).shape[:2] == picture.size[::-1]


def test_shrinking_takes_means_over_areas():
    """Of all pixels: interpolating between the nearest four would alias."""
    picture = np.random.default_rng(0).integers(0, 256, (8, 16, 3), np.uint8)
    expected = picture.reshape(2, 4, 4, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(picture, 2, 4), expected, atol=0.51)


@pytest.mark.parametrize("size", [(24, 60), (50, 133), (96, 240)])
def test_a_mark_lies_where_the_scaled_intrinsics_say(size):
    """A blob's centre before and after: the same ray through K and the scaled K."""
    old, center = (48, 120), np.array([70.25, 18.5])
    x, y = np.meshgrid(np.arange(old[1]), np.arange(old[0]))
    blob = 250 * np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * 5.0**2))
    small = resize(np.repeat(blob[..., None], 3, axis=2).astype(np.float32), *size)[..., 0]
    x, y = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    found = np.array([(small * x).sum(), (small * y).sum()]) / small.sum()
    intrinsics = np.array([[60.0, 0, 59.0], [0, 60.0, 25.0], [0, 0, 1]])
    ray = np.linalg.solve(intrinsics, np.append(center, 1))
    expected = scale_intrinsics(intrinsics, old, size) @ ray
    np.testing.assert_allclose(found, expected[:2], atol=0.02)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_cut_short(tmp_path, ending, share):
    path = tmp_path / f"0000000000.{ending}"
    assert cv2.imwrite(str(path), fabricate.picture(0))
    read_picture(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadRecord, match=r"0000000000.* cut short .*get the file again"):
        read_picture(path)


def test_damaged_in_the_middle_and_missing(tmp_path):
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), fabricate.picture(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(BadRecord, match="can't be decoded"):
        read_picture(path)
    with pytest.raises(BadRecord, match="No such file"):
        read_picture(tmp_path / "b.png")


@pytest.mark.parametrize(("side", "new_side"), [(1242, 640), (640, 1242), (3, 2), (2, 3), (7, 7)])
def test_centres_fall_where_the_scaled_intrinsics_say(side, new_side):
    """By fractions, so that a centre on the border of two pixels is seen to go to the right."""
    scale = Fraction(new_side, side)
    exact = [(x + Fraction(1, 2)) * scale - Fraction(1, 2) for x in range(side)]
    expected = [math.floor(x + Fraction(1, 2)) for x in exact]
    assert cells(np.arange(side), side, new_side).tolist() == expected
    row = scale_intrinsics(np.eye(3), (1, side), (1, new_side))[0]
    np.testing.assert_allclose([row[0] * x + row[2] for x in range(side)], np.array(exact, float))
    taken = take_nearest(np.arange(new_side)[None], 1, side)
    assert taken[0].tolist() == expected


@pytest.mark.parametrize("kind", [np.uint8, np.float32, bool])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (5, 7, 3), (0, 7, 3)])
@pytest.mark.parametrize("axis", [0, 1])
def test_flips_as_numpy_does(axis, shape, kind):
    values = (np.random.default_rng(0).random((9, 11, *shape[2:])) * 3).astype(kind)
    values = values[: shape[0], : shape[1]]  # rows lie apart, as in a padded map
    values.flags.writeable = False  # as of a pack
    flipped = flip(values, axis)
    assert flipped.dtype == values.dtype
    assert flipped.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(flipped, np.flip(values, axis))


def test_a_view_of_another_size_is_refused():
    """OpenCV would leave it as it is, with whatever was in memory."""
    with pytest.raises(ValueError, match="4, 6, 3"):
        to_rgb(np.zeros((4, 6, 3), np.uint8), np.empty((4, 5, 3), np.uint8))
