import os
import pickle

import cv2
import numpy as np
import pytest

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.depth_maps import nearest_to_camera
from geoseg_jax.data.kitti.raw import KittiSource
from geoseg_jax.data.kitti.splits import split_frames
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from geoseg_jax.data.pictures import read_picture, resize, to_rgb
from geoseg_jax.data.source import BadRecord, DataError, Source
from tests.data import fabricate

SIZE = {"height": 12, "width": 40}
ONE = fabricate.drive_name(1)


def source(root, split="all", **settings):
    tree = KittiTree(root)
    return KittiSource(tree, split_frames(tree, split, "key"), **{**SIZE, **settings})


def test_is_a_source_with_fixed_keys(tmp_path):
    fabricate.write_drive(tmp_path, scans=(1, 2))
    train, evaluation = source(tmp_path), source(tmp_path, with_depth=True)
    assert isinstance(train, Source)
    for one in (train, evaluation):
        keys = {tuple(one[i]) for i in range(len(one))}
        assert len(keys) == 1
        for i in range(len(one)):
            check_record(one[i], one.describe(i))
    assert "depth" not in train[0]
    assert train.describe(0) == f"{ONE} 0000000001 l"


def test_frames_without_neighbours_are_left_out_and_counted(tmp_path):
    folder = fabricate.write_drive(tmp_path, frames=range(6))
    (folder / "image_03/data/0000000002.png").unlink()
    some = source(tmp_path)
    # Left 2 has no partner; right 1 and 3 have no neighbour 2. The first and last of each too.
    assert [some.describe(i).split(" ", 1)[1] for i in range(len(some))] == [
        "0000000001 l",
        "0000000003 l",
        "0000000004 l",
        "0000000004 r",
    ]
    assert some.left_out == {
        "no frame at offset -1": 3,
        "no frame at offset +1": 3,
        "no stereo partner": 1,
    }
    assert len(source(tmp_path, frames=(), stereo=False)) == 11


def test_views_come_in_config_order_then_the_partner(tmp_path):
    fabricate.write_drive(tmp_path)
    tree = KittiTree(tmp_path)
    frames = [Frame(ONE, 1, "l"), Frame(ONE, 2, "r")]
    some = KittiSource(tree, frames, **SIZE, frames=(1, -1))

    def shown(number, side):
        return to_rgb(resize(read_picture(tree.path(Frame(ONE, number, side))), 12, 40))

    for index, (number, side, partner) in enumerate([(1, "l", "r"), (2, "r", "l")]):
        record = some[index]
        np.testing.assert_array_equal(record["image"], shown(number, side))
        views = [shown(number + 1, side), shown(number - 1, side), shown(number, partner)]
        np.testing.assert_array_equal(record["sources"], views)
        sign = -1 if side == "l" else 1
        assert record["stereo_pose"][0, 3] == pytest.approx(0.53 * sign)
    assert (KittiSource(tree, frames, **SIZE, stereo=False)[0]["stereo_pose"] == np.eye(4)).all()


def test_intrinsics_follow_the_size(tmp_path):
    fabricate.write_drive(tmp_path)
    expected = [[35, 0, (39.5 / 2) - 0.5], [0, 35, (11.5 / 2) - 0.5], [0, 0, 1]]
    np.testing.assert_allclose(source(tmp_path)[0]["intrinsics"], expected, atol=1e-5)


def test_evaluation_keeps_frames_at_the_ends(tmp_path):
    fabricate.write_drive(tmp_path, scans=(0, 2), sides="l")
    some = source(tmp_path, with_depth=True, needs_neighbours=False)
    assert some.left_out == {"no velodyne scan": 2}
    record = some[0]
    # Nothing comes before frame 0 and there is no right camera: the frame stands in.
    np.testing.assert_array_equal(record["sources"][0], record["image"])
    np.testing.assert_array_equal(record["sources"][2], record["image"])
    assert not np.array_equal(record["sources"][1], record["image"])


def test_depth_is_padded_to_a_common_size(tmp_path):
    fabricate.write_drive(tmp_path, scans=(1,), sides="l")
    other = fabricate.write_drive(tmp_path, 3, (1,), scans=(1,), sides="l", date="2011_09_28")
    for path in (other / "image_02/data").iterdir():
        assert cv2.imwrite(str(path), fabricate.picture(9, 30, 70))
    (other.parent / "calib_cam_to_cam.txt").write_text(fabricate.cam_to_cam(30, 70))
    some = source(tmp_path, with_depth=True, needs_neighbours=False)
    assert [some[i]["depth"].shape for i in (0, 1)] == [(30, 80)] * 2
    assert [some[i]["depth_size"].tolist() for i in (0, 1)] == [[24, 80], [30, 70]]
    for i, (height, width) in enumerate([(24, 80), (30, 70)]):
        depth = some[i]["depth"]
        assert np.count_nonzero(depth) == np.count_nonzero(depth[:height, :width]) > 100
        np.testing.assert_array_equal(some.depth(i), depth[:height, :width])


@pytest.mark.parametrize(
    "place",
    ["{drive}", "train/{name}", "val/{name}", "{name}", "data_depth_annotated/train/{name}"],
)
def test_improved_ground_truth_where_present(tmp_path, place):
    fabricate.write_drive(tmp_path, scans=(1, 2))
    folder = tmp_path / place.format(drive=ONE, name=ONE.split("/")[1])
    folder = folder / "proj_depth/groundtruth/image_02"
    folder.mkdir(parents=True)
    truth = np.zeros((fabricate.HEIGHT, fabricate.WIDTH), np.uint16)
    truth[3, 5] = 12.5 * 256
    assert cv2.imwrite(str(folder / "0000000002.png"), truth)
    some = source(tmp_path, with_depth=True, needs_neighbours=False)
    assert len(some) == 1
    assert some.left_out == {"no improved ground truth": 7}
    assert some[0]["depth"][3, 5] == 12.5
    assert np.count_nonzero(some[0]["depth"]) == 1
    scans = source(tmp_path, with_depth=True, ground_truth="velodyne")
    assert [scans.describe(i)[-1] for i in range(len(scans))] == ["l", "r"] * 2
    published = source(tmp_path, with_depth=True, ground_truth="eigen")
    assert [published.describe(i) for i in range(4)] == [scans.describe(i) for i in range(4)]
    assert published.fingerprint() != scans.fingerprint()
    points = fabricate.scan(400, 1)
    assert np.isin(published[0]["depth"], np.append(points[:, 0], 0)).all()
    with pytest.raises(DataError, match=r"config.data.ground_truth='velodine' is none of"):
        source(tmp_path, ground_truth="velodine")


def test_odd_sized_picture_names_both_sizes(tmp_path):
    folder = fabricate.write_drive(tmp_path)
    assert cv2.imwrite(str(folder / "image_02/data/0000000002.png"), fabricate.picture(0, 20, 70))
    some = source(tmp_path)
    with pytest.raises(BadRecord, match=r"0000000002.png: the picture is 70x20, .* says 80x24"):
        some[0]


def test_jpeg_is_read_and_png_preferred(tmp_path):
    folder = fabricate.write_drive(tmp_path, ending="jpg")
    before = source(tmp_path)[0]["image"].astype(int)
    exact = to_rgb(resize(fabricate.picture(2), 12, 40))
    assert 0 < abs(before - exact).max() < 20
    assert cv2.imwrite(str(folder / "image_02/data/0000000001.png"), fabricate.picture(2))
    np.testing.assert_array_equal(source(tmp_path)[0]["image"], exact)


def test_fingerprint_tells_contents_not_places(tmp_path):
    for name in ("a", "b", "c"):
        fabricate.write_drive(tmp_path / name)
    (tmp_path / "c" / ONE / "image_02/data/0000000003.png").unlink()
    prints = [source(tmp_path / name).fingerprint() for name in ("a", "b", "c")]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 64
    others = [{"width": 48}, {"frames": (1, -1)}, {"stereo": False}]
    assert len({prints[0], *(source(tmp_path / "a", **s).fingerprint() for s in others)}) == 4
    calibration = tmp_path / "b" / fabricate.DATE / "calib_cam_to_cam.txt"
    calibration.write_text(calibration.read_text().replace("7.000000e+01", "7.100000e+01"))
    assert source(tmp_path / "b").fingerprint() != prints[0]


def test_travels_to_a_worker(tmp_path):
    fabricate.write_drive(tmp_path)
    some = source(tmp_path)
    copy = pickle.loads(pickle.dumps(some))
    np.testing.assert_array_equal(copy[1]["sources"], some[1]["sources"])


def test_missing_root_says_what_was_looked_for(tmp_path):
    for root, state in ((tmp_path / "gone", "is not there"), (tmp_path, "holds no drive")):
        with pytest.raises(DataError, match=state) as caught:
            KittiTree(root)
        text = str(caught.value)
        assert "image_02/data/0000000000.png" in text
        assert "cvlibs.net" in text
        assert os.fspath(root) in text


def test_missing_calibration_stops_at_the_start(tmp_path):
    folder = fabricate.write_drive(tmp_path, scans=(1,))
    (folder.parent / "calib_velo_to_cam.txt").unlink()
    with pytest.raises(DataError, match=r"calib_velo_to_cam.txt: it can't be read"):
        source(tmp_path, with_depth=True)
    (folder.parent / "calib_cam_to_cam.txt").unlink()
    with pytest.raises(DataError, match=r"calib_cam_to_cam.txt: it can't be read"):
        source(tmp_path)


@pytest.mark.parametrize("number", [1, 5])
@pytest.mark.parametrize("side", ["l", "r"])
def test_stereo_direction_on_real_frames(shared_data, number, side):
    """The partner warped by the scan's depth and the pose looks like the target; only so."""
    tree = KittiTree(shared_data / "kitti_raw")
    frames = [Frame("2011_09_26/2011_09_26_drive_0001_sync", number, side)]
    some = KittiSource(tree, frames, height=375, width=1242, frames=(), with_depth=True)
    record = some[0]
    y, x = np.nonzero((record["depth"] > 0) & (record["depth"] < 30))
    z = record["depth"][y, x]
    points = np.linalg.solve(record["intrinsics"].astype(float), np.stack((x * z, y * z, z)))
    target = cv2.GaussianBlur(record["image"], (0, 0), 1)[y, x].astype(float)
    partner = cv2.GaussianBlur(record["sources"][-1], (0, 0), 1)

    def error(pose):
        u, v, w = record["intrinsics"] @ (pose[:3, :3] @ points + pose[:3, 3:])
        u, v = (u / w).astype(np.float32), (v / w).astype(np.float32)
        inside = (u >= 0) & (u < 1241) & (v >= 0) & (v < 374)
        warped = cv2.remap(partner, u[None], v[None], cv2.INTER_LINEAR)[0]
        return np.abs(warped - target)[inside].mean()

    right_way = error(record["stereo_pose"])
    assert right_way < 0.35 * error(np.eye(4))
    assert right_way < 0.35 * error(np.linalg.inv(record["stereo_pose"]))


def test_real_frames_of_both_drives(shared_data):
    some = source(shared_data / "kitti_raw", "eigen_train", stereo=False)
    # Two cameras with 6 of 8 frames, and 28 of 30 left JPEGs.
    assert len(some) == 12 + 28
    assert some.left_out == {"no frame at offset -1": 3, "no frame at offset +1": 3}
    check_record(some[len(some) - 1], "a JPEG record")


def test_depth_to_train_on_has_the_pictures_size_and_every_measurement(tmp_path):
    fabricate.write_drive(tmp_path, scans=(1, 3))
    settings = {"frames": (), "stereo": False, "with_depth": True}
    taught, judged = source(tmp_path, full_depth=False, **settings), source(tmp_path, **settings)
    assert taught.left_out == {"no velodyne scan": 4}
    record = taught[0]
    check_record(record, "record")
    assert record["depth"].shape == (SIZE["height"], SIZE["width"])
    assert record["depth_size"].tolist() == [SIZE["height"], SIZE["width"]]
    full = judged[0]["depth"]
    np.testing.assert_array_equal(record["depth"], nearest_to_camera(full, **SIZE))
    # Each pixel of the small map is the nearest of the four that it covers.
    four = full.reshape(12, 2, 40, 2)
    nearest = np.where(four > 0, four, np.inf).min(axis=(1, 3))
    np.testing.assert_array_equal(record["depth"], np.where(np.isinf(nearest), 0, nearest))
    assert taught.fingerprint() != judged.fingerprint()
