"""Videos are found in every layout, and files give the frames that they hold."""

import json

import cv2
import numpy as np
import pytest

from geoseg_jax.data.source import DataError
from geoseg_jax.data.video.clips import BESIDE_FRAMES, NO_FRAMES, find_clips
from geoseg_jax.data.video.decoder import Decoder, upright
from tests.data.fabricate_video import HEIGHT, WIDTH, cut, write_file, write_folder

COUNT = 6


def find(root, stride=1, size=(24, 32), **more):
    return find_clips(root, stride=stride, size=size, **more)


def test_a_folder_of_frames_sorts_numbers_as_numbers(tmp_path):
    write_folder(tmp_path / "walk", range(11))
    (tmp_path / "walk" / ".hidden.png").write_text("")
    (clip,) = find(tmp_path / "walk", stride=3)
    assert clip.frames == ("1.png", "4.png", "7.png", "10.png")
    assert (clip.name, clip.size, clip.place) == ("walk", (HEIGHT, WIDTH), tmp_path / "walk")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A root with a file and a folder, and where frames of files are kept."""
    root = tmp_path_factory.mktemp("root")
    write_file(root / "b.mp4", COUNT)
    write_folder(root / "a", range(3))
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("")
    cache = root.parent / "cache"
    return root, cache, find(root, stride=2, cache_dir=str(cache))


def test_files_and_folders_side_by_side(videos):
    _, _, (folder, file) = videos
    assert (folder.name, folder.frames) == ("a", ("1.png", "3.png"))
    assert (file.name, file.frames) == ("b", ("000000.jpg", "000002.jpg", "000004.jpg"))
    assert folder.passed_over == {NO_FRAMES: 1}
    assert file.size == (HEIGHT, WIDTH)  # the file's own, which its camera is calibrated for


def test_frames_of_a_file_are_its_own_at_the_size_asked_for(videos):
    _, _, (_, file) = videos
    for place, number in enumerate((0, 2, 4)):
        picture = cv2.imread(str(file.path(place)))
        assert picture.shape == (24, 32, 3)
        assert np.abs(picture.astype(int) - 20 * number).max() <= 4


def test_frames_are_written_once_and_settings_keep_them_apart(videos):
    root, cache, clips = videos
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.jpg")}
    assert find(root, stride=2, cache_dir=str(cache)) == clips
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.jpg")} == before
    (clip,) = find(root / "b.mp4", stride=1, size=None, cache_dir=str(cache))
    assert len(clip.frames) == COUNT
    assert cv2.imread(str(clip.path(0))).shape == (HEIGHT, WIDTH, 3)
    (clip.folder / "video.json").write_text(json.dumps({"size": 3}))
    with pytest.raises(DataError, match=r"damaged.*delete it"):
        find(root / "b.mp4", stride=1, size=None, cache_dir=str(cache))


def test_decoding_counts_and_orders(videos):
    root, _, _ = videos
    with Decoder() as decoder:
        for _ in range(2):
            _, frames = decoder.decode(root / "b.mp4")
            next(frames)  # one that nobody reads on is no obstacle to the next
        film, frames = decoder.decode(root / "b.mp4")
        frames = list(frames)
    assert film.count == len(frames) == COUNT
    assert [round(f.picture.mean() / 20) for f in frames] == list(range(COUNT))


def test_telephones_turn_by_quarters():
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    np.testing.assert_array_equal(upright(picture, 0.0), picture)
    assert upright(picture, 90)[..., 0].tolist() == [[2, 5], [1, 4], [0, 3]]  # anticlockwise
    np.testing.assert_array_equal(upright(upright(picture, -90), 90), picture)


def test_the_longest_video_of_a_file_is_read(tmp_path, caplog):
    write_file(tmp_path / "two.mp4", COUNT, before=1)  # as a picture of the film before it
    (clip,) = find(tmp_path, size=None, cache_dir=str(tmp_path / "cache"))
    assert len(clip.frames) == COUNT
    assert cv2.imread(str(clip.path(0))).max() <= 4  # the dark one
    assert clip.rate == pytest.approx(10)
    assert "has 2 videos in it" in caplog.text


def test_a_file_that_was_cut_short_is_told_each_time(tmp_path, caplog):
    write_file(tmp_path / "whole.avi", 10, codec="mjpeg")
    whole = (tmp_path / "whole.avi").read_bytes()
    sixth = whole.split(b"00dc")[:7]  # AVI's mark of a frame, after the header
    (tmp_path / "cut.avi").write_bytes(b"00dc".join(sixth))
    for place, told in (("whole.avi", False), ("cut.avi", True), ("cut.avi", True)):
        caplog.clear()
        (clip,) = find(tmp_path / place, cache_dir=str(tmp_path / "cache"))
        assert len(clip.frames) == 10 or told
        assert ("says that it has 10 frames, and" in caplog.text) == told


@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_a_file_cut_at_no_key_frame_keeps_its_rate_and_its_gaps(tmp_path, ending):
    write_file(tmp_path / "whole.mp4", 80, codec="libx264", rate=60, key_every=10)
    cut(tmp_path / "whole.mp4", tmp_path / f"cut.{ending}", range(4))
    (clip,) = find(tmp_path / f"cut.{ending}", cache_dir=str(tmp_path / "cache"))
    assert len(clip.frames) < 76  # those before the first key frame can't be decoded
    assert clip.rate == pytest.approx(60, rel=1e-3)
    cut(tmp_path / "whole.mp4", tmp_path / f"holed.{ending}", {*range(4), *range(40, 50)})
    (clip,) = find(tmp_path / f"holed.{ending}", cache_dir=str(tmp_path / "cache"))
    assert clip.shots[0] == 0 < clip.shots[-1]


def test_a_file_with_times_of_decoding(tmp_path):
    write_file(tmp_path / "a.avi", 60, codec="libx264", rate=30)
    (clip,) = find(tmp_path, cache_dir=str(tmp_path / "cache"))
    assert clip.rate == pytest.approx(30, rel=1e-3)
    assert set(clip.shots) == {0}


def test_joined_files_keep_their_rate(tmp_path):
    write_file(tmp_path / "one.ts", 60, codec="libx264", rate=30)
    (tmp_path / "all.ts").write_bytes((tmp_path / "one.ts").read_bytes() * 3)
    (clip,) = find(tmp_path / "all.ts", cache_dir=str(tmp_path / "cache"))
    assert clip.rate == pytest.approx(30, rel=1e-3)
    assert len(clip.frames) > 170


def test_files_of_cameras_with_any_ending_and_name(tmp_path, monkeypatch):
    write_file(tmp_path / "http:127.0.0.1:9?a.mp4", 2)  # no address
    write_file(tmp_path / "back.TS", 12)
    (tmp_path / "old.wmv").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    clips = find(".", cache_dir=str(tmp_path / "cache"))
    assert [clip.name for clip in clips] == ["back", "http:127.0.0.1:9?a"]
    assert clips[0].passed_over == {".wmv file, a kind that is not read": 1}


def test_folders_beside_frames_are_counted(tmp_path):
    write_folder(tmp_path / "walk", range(3))
    write_folder(tmp_path / "walk" / "masks", range(3))
    assert find(tmp_path / "walk")[0].passed_over == {BESIDE_FRAMES: 1}


def nothing(root):
    return root, "holds no video"


def not_there(root):
    return root / "none", "is not there"


def no_video(root):
    (root / "a.mp4").write_bytes(b"nothing of the kind")
    return root, r"a\.mp4: not a video"


def of_one_name(root):
    write_folder(root / "a", range(2))
    write_file(root / "a.mp4", 2)
    return root, "two videos of the name 'a'"


def beside_pictures(root):
    for number in (1, 2):
        cv2.imwrite(str(root / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    write_file(root / "drive.mp4", 2)
    return root, r"pictures \(1\.png, \.\.\.\) beside videos \(drive\.mp4, \.\.\.\); name the video"


@pytest.mark.parametrize("make", [beside_pictures, nothing, not_there, no_video, of_one_name])
def test_errors_name_the_place(tmp_path, make):
    (tmp_path / "root").mkdir()
    root, part = make(tmp_path / "root")
    with pytest.raises(DataError, match=part) as error:
        find(root, cache_dir=str(tmp_path / "cache"))
    assert "\n" not in str(error.value)
