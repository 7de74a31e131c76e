"""Cameras from a field of view, from shares and from files."""

import math

import numpy as np
import pytest

from geoseg_jax.data.source import DataError
from geoseg_jax.data.video.camera import from_calibration, from_fov

SIZE = (100, 200)


def test_the_border_of_the_picture_is_at_half_the_field_of_view():
    camera = from_fov(70.0, SIZE)
    # (0, 0) is the centre of the first pixel: the picture ends half a pixel further out.
    for x in (-0.5, 199.5):
        angle = math.degrees(math.atan(abs(x - camera[0, 2]) / camera[0, 0]))
        assert angle == pytest.approx(35)
    assert camera[0, 0] == camera[1, 1]
    assert camera[1, 2] == 49.5


def test_shares_and_pixels_are_the_same_camera(tmp_path):
    (tmp_path / "camera.txt").write_text("160.0 # fx\n170\n99.5, 59.5\n")
    expected = [[160, 0, 99.5], [0, 170, 59.5], [0, 0, 1]]
    for text in ("camera.txt", "0.8, 1.7 0.5 0.6", str(tmp_path / "camera.txt")):
        np.testing.assert_allclose(from_calibration(text, tmp_path, SIZE), expected, rtol=1e-6)


def test_the_published_calibration_of_a_clip(shared_data):
    folder = shared_data / "deepv2d_clips" / "kitti_0"
    found = next((p for p in folder.glob("*intrinsics*") if p.is_file()), None)
    camera = from_calibration(found.name, folder, (192, 1088))
    assert camera[0, 0] == pytest.approx(camera[1, 1], rel=0.2)
    assert 0.4 * 1088 < camera[0, 2] < 0.6 * 1088


def test_a_calibration_of_the_originals_is_brought_to_frames_made_smaller(tmp_path):
    (tmp_path / "K.txt").write_text("721.5377 721.5377 609.5593 172.854 1242 375\n")
    camera = from_calibration("K.txt", tmp_path, (192, 640))
    assert (camera[0, 2] + 0.5) / 640 == pytest.approx((609.5593 + 0.5) / 1242)
    assert (camera[1, 2] + 0.5) / 192 == pytest.approx((172.854 + 0.5) / 375)
    assert camera[0, 0] == pytest.approx(721.5377 * 640 / 1242)
    with pytest.raises(DataError, match=r"of pictures of 1242x375, whose proportions are not"):
        from_calibration("K.txt", tmp_path, (192, 320))


def test_an_unusual_axis_is_told(tmp_path, caplog):
    (tmp_path / "K.txt").write_text("160 170 130 49.5\n")
    with caplog.at_level("WARNING"):
        assert from_calibration("K.txt", tmp_path, SIZE)[0, 2] == 130
    assert (
        "K.txt: the camera's axis lies at 0.65 of the width and 0.50 of the height" in caplog.text
    )


@pytest.mark.parametrize(
    ("text", "content", "part"),
    [
        ("", None, "neither four numbers"),
        ("none.txt", None, "neither four numbers"),
        ("bad.txt", "160 170 99", "is not four numbers"),
        ("shares.txt", "0.8 1.7 0.5 0.5", "no camera of a picture of 200 x 100"),
        ("160 170 99 49", None, "no camera of a picture of 1 x 1"),
        # Of frames twice as large.
        ("large.txt", "320 340 180 99", r"large.txt: the camera's axis lies at 0\.90 of the width"),
        ("0.8 1.7 0.9 0.5", None, r"the camera's axis lies at 0\.90 of the width"),
    ],
)
def test_errors(tmp_path, text, content, part):
    if content:
        (tmp_path / text).write_text(content)
    with pytest.raises(DataError, match=part):
        from_calibration(text, tmp_path, SIZE)
