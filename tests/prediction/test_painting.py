"""Colours of a video have one scale, those of single pictures each its own."""

import av
import cv2
import matplotlib
import numpy as np
import pytest

from geoseg_jax.data.own_pictures import Row
from geoseg_jax.prediction.files import DepthFiles, FlowFiles
from geoseg_jax.prediction.painting import Drawn, Painter

SIZE = (40, 60)
# 1 / depth rises from left to right, up to 1 in the first frame and up to 4 in the second.
RAMPS = [gain * np.linspace(0.02, 1, 60, dtype=np.float32)[None].repeat(40, 0) for gain in (1, 4)]


def paint(out, rows, **options):
    with Painter(
        out, DepthFiles(metric=True), **{"overlays": False, "video": False} | options
    ) as p:
        for i, (ramp, row) in enumerate(zip(RAMPS, rows, strict=True)):
            picture = np.full((*SIZE, 3), 50 * i, np.uint8)
            p.add(Drawn(f"{i}", ramp, SIZE, lambda picture=picture: picture), row)
    return p.scales


def colours(out, name):
    return cv2.imread(str(out / "colour" / f"{name}.png"))[..., ::-1]


def magma(shares):
    return np.round(255 * matplotlib.colormaps["magma"](np.clip(shares, 0, 1))[..., :3])


def test_frames_of_a_video_share_a_scale(tmp_path):
    row = Row("walk", (), (), rate=4.0)
    scales = paint(tmp_path, [row, row], video=True, overlays=True)
    brightest = np.percentile(np.concatenate(RAMPS), 95)
    assert scales == {"walk": pytest.approx(brightest, rel=0.1)}
    for name, ramp in enumerate(RAMPS):
        np.testing.assert_array_equal(colours(tmp_path, name), magma(ramp / scales["walk"]))
    overlay = cv2.imread(str(tmp_path / "overlay" / "1.png"))[..., ::-1]
    np.testing.assert_array_equal(overlay[:40], np.full((*SIZE, 3), 50))
    np.testing.assert_array_equal(overlay[40:], colours(tmp_path, "1"))
    with av.open(str(tmp_path / "video" / "walk.mp4")) as container:
        assert len(list(container.decode(video=0))) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"colour", "overlay", "video"}


def test_pictures_have_each_its_own(tmp_path):
    assert paint(tmp_path, [None, Row("folder", (), ())]) == {}
    np.testing.assert_array_equal(colours(tmp_path, "0"), colours(tmp_path, "1"))
    expected = magma(RAMPS[0] / np.percentile(RAMPS[0], 95))
    np.testing.assert_array_equal(colours(tmp_path, "0"), expected)


def test_two_videos_have_each_its_own(tmp_path):
    rows = [Row(name, (), (), rate=4.0) for name in ("a", "b")]
    scales = paint(tmp_path, rows, video=True)
    assert scales["b"] == pytest.approx(4 * scales["a"])
    assert {path.name for path in (tmp_path / "video").iterdir()} == {"a.mp4", "b.mp4"}


def test_flow_is_scaled_by_what_is_drawn(tmp_path):
    """The network's map is a quarter as wide as the picture: its lengths are not the picture's."""
    row, files = Row("walk", (), (), rate=4.0), FlowFiles()
    flows = [np.full((20, 30, 2), (0.0, length), np.float32) for length in (1, 3)]
    with Painter(tmp_path, files, overlays=False, video=False) as painter:
        for i, flow in enumerate(flows):
            painter.add(Drawn(f"{i}", flow, (80, 120), lambda: None), row)
    assert painter.scales == {"walk": pytest.approx(12.0, abs=0.01)}
    strong = colours(tmp_path, "1")[0, 0]
    assert strong.min() == 0  # of full strength
    # A third as long: a third of the way from white.
    np.testing.assert_allclose(colours(tmp_path, "0")[0, 0], 255 - (255 - strong) / 3.0, atol=2)


def test_flow_is_brought_to_the_pictures_size_and_pixels():
    flow = np.full((4, 8, 2), (3.0, -1.0), np.float32)
    own = FlowFiles().own(flow, (40, 40))
    np.testing.assert_allclose(own, np.full((40, 40, 2), (15.0, -10.0)), rtol=1e-6)
    still, moved = (FlowFiles().colours(f, 10.0) for f in (np.zeros_like(flow), flow))
    assert (still == 255).all()  # rest is white
    assert moved[0, 0, 2] < moved[0, 0, 0]  # to the right and up: red to magenta
