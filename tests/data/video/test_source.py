"""Records of videos: neighbours, shots, what is held out, cameras."""

import pickle

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.video import source as video
from tests.data.fabricate_video import HEIGHT, WIDTH, frame, write_folder

SETTINGS = {
    "name": "video", "height": 24, "width": 32, "frames": (-1, 1), "stereo": False, "truth": "none",
    "frame_stride": 1, "min_motion": 0.0, "held_out": 0.25, "gap": 2, "intrinsics": "fov",
    "fov": 60.0, "calibration": "",
}  # fmt: skip


def make(root, /, **changes):
    settings = SETTINGS | {"root": str(root), "cache_dir": str(root.parent / "cache")} | changes
    return video.make(ConfigDict(settings))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two videos: twenty frames of one shot, and shots of six and eight of another size."""
    root = tmp_path_factory.mktemp("videos") / "root"
    write_folder(root / "a", range(0, 40, 2))
    write_folder(root / "b", range(0, 12, 2), height=40, width=90)
    for number in range(7, 15):
        picture = frame(2 * number, seed=1, height=40, width=90)
        cv2.imwrite(str(root / "b" / f"{number}.png"), picture)
    return root


def numbers(source, name):
    """The numbers in the names of a video's targets."""
    names = [source.describe(i).split("/") for i in range(len(source))]
    return [int(file.split(".")[0]) for clip, file in names if clip == name]


def test_the_end_of_each_video_is_held_out_behind_a_gap(root):
    train, evaluation = make(root)
    # 20 frames: 13 train, 2 lie between, 5 are held out; the first and last have no neighbour.
    assert numbers(train, "a") == list(range(2, 13))
    assert numbers(evaluation, "a") == list(range(17, 20))
    assert numbers(train, "b") == list(range(2, 8))  # 14 frames: 8, 2 and 4
    assert numbers(evaluation, "b") == [12, 13]
    seen = [{name for i in range(len(s)) for name, _ in s.files(i)} for s in (train, evaluation)]
    assert not seen[0] & seen[1]
    between = "between training and evaluation (config.data.gap)"
    assert train.left_out == {between: 4, "no neighbour in the same shot": 4}


def test_a_record_is_a_frame_with_its_neighbours(root):
    train, _ = make(root)
    record = pickle.loads(pickle.dumps(train))[0]
    check_record(record, "video")
    for view, number in ((record["image"], 2), *zip(record["sources"], (1, 3), strict=True)):
        picture = cv2.imread(str(root / "a" / f"{number}.png"))[..., ::-1]
        expected = cv2.resize(picture, (32, 24), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(view, expected)
    assert record["video"] == 0
    assert train[len(train) - 1]["video"] == 1
    assert train.videos == ("a", "b")
    assert train.names[0] == "a/2"
    assert train.original(0) == (HEIGHT, WIDTH)


def test_without_neighbours_every_frame_is_a_record(root):
    train, evaluation = make(root, frames=())
    assert numbers(train, "a") == list(range(1, 14))
    assert numbers(evaluation, "b") == [11, 12, 13, 14]
    assert train[0]["sources"].shape == (0, 24, 32, 3)
    check_record(train[0], "video")
    assert [name for name, _ in train.files(0)] == ["a/1.png"]


def test_each_video_has_a_camera_of_its_own(root):
    train, _ = make(root)
    wide, high = train[0]["intrinsics"], train[len(train) - 1]["intrinsics"]
    # Of the same field of view, but squeezed differently from 96 x 48 and 90 x 40 to 32 x 24.
    focal = 16 / np.tan(np.pi / 6)
    np.testing.assert_allclose([wide[0, 0], high[0, 0]], focal, rtol=1e-6)
    np.testing.assert_allclose(wide[1, 1] / focal, (24 / 48) / (32 / 96), rtol=1e-6)
    np.testing.assert_allclose(high[1, 1] / focal, (24 / 40) / (32 / 90), rtol=1e-6)
    np.testing.assert_allclose(wide[:2, 2], [15.5, 11.5])
    (root / "a" / "camera.txt").write_text("48 48 47.5 23.5")
    (root / "b" / "camera.txt").write_text("90 90 44.5 19.5")
    train, _ = make(root, intrinsics="given", calibration="camera.txt")
    np.testing.assert_allclose(train[0]["intrinsics"][0, 0], 16)
    np.testing.assert_allclose(train[len(train) - 1]["intrinsics"][0, 0], 32)


def test_still_frames_and_cuts_part_no_neighbours(root):
    train, evaluation = make(root, min_motion=3 / 96, held_out=0.2, gap=0)
    # Two pixels a frame of 96: every second one is kept, and the neighbours are among these.
    assert numbers(train, "a") == [3, 5, 7, 9, 11]
    assert [name for name, _ in train.files(1)] == ["a/5.png", "a/3.png", "a/7.png"]
    # In b the cut lies between 6 and 7: of 1, 3, 5, 7 to train on, 3 alone has both neighbours.
    assert (numbers(train, "b"), numbers(evaluation, "b")) == ([3], [11])
    still = {why: n for why, n in train.left_out.items() if "config.data.min_motion=0.03125" in why}
    assert sum(still.values()) > 10
    again, _ = make(root, min_motion=3 / 96, held_out=0.2, gap=0)  # from the list that was kept
    assert again.fingerprint() == train.fingerprint()


def test_the_fingerprint_tells_what_records_depend_on(root):
    prints = [make(root, **change)[0].fingerprint() for change in (
        {}, {"frames": (-2, 1)}, {"height": 32}, {"fov": 61.0}, {"frame_stride": 2}, {"gap": 1},
    )]  # fmt: skip
    assert len(set(prints)) == len(prints)
    assert make(root)[0].fingerprint() == prints[0]


def test_a_frame_of_another_size_is_named(tmp_path):
    write_folder(tmp_path / "a", range(12))
    cv2.imwrite(str(tmp_path / "a" / "3.png"), frame(0, height=30))
    said = r"3\.png: the frame is 96x30, the video's first 96x48"
    train, _ = make(tmp_path / "a")
    with pytest.raises(BadRecord, match=said):
        train[0]
    # Before, where it is looked at for motion; at the size that pictures are brought to as well.
    with pytest.raises(BadRecord, match=said):
        make(tmp_path / "a", min_motion=0.003)
    with pytest.raises(BadRecord, match=said):
        make(tmp_path / "a", min_motion=0.003, height=30, width=96)


def test_a_frame_that_was_mended_is_read_anew(tmp_path):
    """Nothing is kept of what was refused, though the good file be as large as the bad one."""
    write_folder(tmp_path / "a", range(0, 40, 2))
    path = tmp_path / "a" / "6.png"
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)))
    with pytest.raises(BadRecord, match=r"a/6\.png"):
        make(tmp_path / "a", min_motion=1 / 96)
    path.write_bytes(good)
    make(tmp_path / "a", min_motion=1 / 96)


def test_frames_that_cannot_be_read_are_left_out_up_to_a_share(tmp_path):
    write_folder(tmp_path / "a", range(0, 40, 2))
    for number in (6, 12):
        path = tmp_path / "a" / f"{number}.png"
        path.write_bytes(path.read_bytes()[:200])
    for share in (0.0, 0.05):
        with pytest.raises(BadRecord, match=r"a/6\.png: .* \(and 1 more\)"):
            make(tmp_path / "a", min_motion=1 / 96, bad_share=share)
    train, _ = make(tmp_path / "a", min_motion=1 / 96, bad_share=0.1, held_out=0.1, gap=0)
    # Neither is a neighbour, nor are those on both sides of one.
    assert numbers(train, "a") == [2, 3, 4, 8, 9, 10, 14, 15, 16]
    assert train.left_out["can't be read (config.data.bad_share)"] == 2


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"truth": "depth"}, "config.data.truth='depth'"),
        ({"frames": (-30, 1)}, "none to train on has its neighbours"),
        ({"gap": 30}, "none to evaluate on has its neighbours"),
    ],
)
def test_errors(root, changes, part):
    with pytest.raises(DataError, match=part) as error:
        make(root, **changes)
    assert "\n" not in str(error.value)


def test_a_drive_on_a_snowy_lane(shared_data, tmp_path):
    root, cache = shared_data / "videos" / "calgary_lane", str(tmp_path)
    data = ConfigDict({"data": SETTINGS | {"root": str(root), "cache_dir": cache, "gap": 5}})
    train, evaluation = make_data(data)
    assert (len(train), len(evaluation)) == (368, 123)
    assert train[0]["sources"].std() > 10
