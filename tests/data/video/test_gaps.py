"""Frames on both sides of a gap are no neighbours, in folders as in films."""

import numpy as np
import pytest

from geoseg_jax.data.video import gaps
from geoseg_jax.data.video.clips import find_clips
from geoseg_jax.data.video.decoder import Decoder
from geoseg_jax.data.video.gaps import Film
from tests.data import fabricate_video


def test_times_stand_in_names_that_differ_in_them_alone():
    assert gaps.times_in_names(["a2_001.png", "a2_002.png", "a2_010.png"]) == (1, 2, 10)
    assert gaps.times_in_names(["1305031102.175304.png", "1305031102.2.png"]) == (
        *(1305031102.175304, 1305031102.2),
    )
    assert gaps.times_in_names(["a1.png", "b2.png"]) == ()
    assert gaps.times_in_names(["left.png", "right.png"]) == ()


def test_a_step_too_long_or_back_begins_a_new_piece():
    steps = np.array([10.0] * 12 + [20.0] + [10.4] * 12)
    assert gaps.shots(np.cumsum(steps)) == (0,) * 12 + (1,) * 13
    assert gaps.shots([3.0]) == (0,)
    assert gaps.shots([1, 5, 6, 20, 22, 50]) is None  # of keyframes nothing can be said
    assert gaps.shots([1, 1, 1]) is None


def test_times_of_decoding_are_put_in_order_and_joined_files_are_not_mixed():
    assert gaps.in_order([1, 4, 3, 5, 2, 8, 7, 9, 6]) == (*range(1, 10),)
    joined = [*range(40), *range(40)]
    assert gaps.in_order(joined) == tuple(joined)
    assert gaps.in_order([]) == ()
    assert gaps.in_order([2.5]) == (2.5,)


def test_a_folder_with_a_frame_missing(tmp_path):
    fabricate_video.write_folder(tmp_path / "v", [float(i) for i in range(20)])
    (tmp_path / "v/10.png").unlink()
    (tmp_path / "v/._3.png").write_bytes(b"attributes of a Mac")
    (clip,) = find_clips(tmp_path, stride=1, size=(24, 48))
    assert clip.shots == (0,) * 9 + (1,) * 10
    assert clip.passed_over == {"hidden file": 1}
    (clip,) = find_clips(tmp_path, stride=2, size=(24, 48))
    assert (clip.frames[4], clip.frames[5]) == ("9.png", "12.png")
    assert clip.shots == (0,) * 5 + (1,) * 5


def test_a_film_tells_its_times_and_its_pixels_shape(tmp_path):
    fabricate_video.write_file(tmp_path / "w.mp4", 5)
    with Decoder() as decoder:
        film, frames = decoder.decode(tmp_path / "w.mp4")
        assert [frame.time for frame in frames] == pytest.approx((0, 0.1, 0.2, 0.3, 0.4))
    assert film == Film(5, 10.0, (48, 96), 1.0)
    wide = Film(5, None, (48, 96), 4 / 3)
    assert wide.square((48, 96)) == (48, 128)
    assert wide.square((96, 48)) == (96, 36)  # turned by a quarter, and so are its pixels
