"""Poses of KITTI's GPS/IMU: places by closed forms, turns by hand, and the real drive."""

import cv2
import numpy as np
import pytest

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.kitti.poses import DrivePoses, Fix, read_fix, unit_motion
from geoseg_jax.data.kitti.raw import KittiSource
from geoseg_jax.data.kitti.splits import split_frames
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate

ONE = fabricate.drive_name(1)
REAL = "2011_09_26/2011_09_26_drive_0001_sync"
# A degree of a great circle of the earth's radius at the equator, in metres.
DEGREE = 2 * np.pi * 6378137 / 360
SIZE = {"height": 12, "width": 40}


def source(root, split="all", **settings):
    tree = KittiTree(root)
    frames = split_frames(tree, split, "key")
    return KittiSource(tree, frames, **{**SIZE, "poses": True, "stereo": False, **settings})


@pytest.mark.parametrize("latitude", [0.0, 49.0, -60.0])
def test_metres_are_metres_at_any_latitude(latitude):
    """Mercator: a degree of longitude is cos(latitude) of one of the equator, one of latitude is
    whole; east is x and north is y.
    """
    here = Fix(latitude, 8.4, 100, 0, 0, 0)
    east = here._replace(longitude=8.4 + 1e-5)
    north = here._replace(latitude=latitude + 1e-5)
    moved = [unit_motion(here, there)[:3, 3] for there in (east, north)]
    shrunk = np.cos(np.radians(latitude))
    np.testing.assert_allclose(moved[0], [-1e-5 * DEGREE * shrunk, 0, 0], atol=1e-6)
    np.testing.assert_allclose(moved[1], [0, -1e-5 * DEGREE, 0], atol=1e-6)


def test_a_car_that_heads_north_has_the_north_ahead_and_the_east_to_its_right():
    here = Fix(0, 0, 0, 0, 0, np.pi / 2)
    north, east = here._replace(latitude=1e-5), here._replace(longitude=1e-5)
    # Where the old place is now, in the unit's axes: forward, left, up.
    np.testing.assert_allclose(unit_motion(here, north)[:3, 3], [-1e-5 * DEGREE, 0, 0], atol=1e-6)
    np.testing.assert_allclose(unit_motion(here, east)[:3, 3], [0, 1e-5 * DEGREE, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("turn", "point", "seen"),
    [
        ("yaw", (1, 0, 0), (0, -1, 0)),  # having turned left, what was ahead is at the right
        ("pitch", (1, 0, 0), (0, 0, 1)),  # front down: what was ahead is above
        ("roll", (0, 1, 0), (0, 0, -1)),  # left side up: what was at the left is below
    ],
)
def test_a_quarter_turn(turn, point, seen):
    level = Fix(49, 8, 100, 0, 0, 0)
    motion = unit_motion(level, level._replace(**{turn: np.pi / 2}))
    np.testing.assert_allclose(motion[:3, :3] @ point, seen, atol=1e-9)


def test_cameras_see_the_units_motion_in_their_own_axes(tmp_path):
    """10 m forward is 10 m along z; at a turn on the spot the camera, a metre ahead of the unit,
    moves along a circle.
    """
    fabricate.write_drive(tmp_path, frames=range(3))
    fixes = {0: {}, 1: {"longitude": 10 / DEGREE}, 2: {"longitude": 10 / DEGREE, "yaw": np.pi / 2}}
    fabricate.write_fixes(tmp_path, {n: fabricate.fix(**values) for n, values in fixes.items()})
    poses = DrivePoses(KittiTree(tmp_path))
    left = [Frame(ONE, n, "l") for n in range(3)]
    expected = np.eye(4)
    expected[2, 3] = -10
    np.testing.assert_allclose(poses.between(left[0], left[1]), expected, atol=1e-6)
    back = poses.between(left[1], left[0])
    np.testing.assert_allclose(back, np.linalg.inv(expected), atol=1e-6)
    # The reference camera: now 1 m north of the unit, before 1 m east of it, hence 1 m to the
    # right and 1 m behind. The left camera sits 6 cm from it, see fabricate.LEFT.
    turned = poses.between(left[1], left[2])
    reference = np.array([[0, 0, 1, 1], [0, 1, 0, 0], [-1, 0, 0, -1], [0, 0, 0, 1.0]])
    side = np.eye(4)
    side[0, 3] = 4.2 / fabricate.FOCAL
    np.testing.assert_allclose(turned, side @ reference @ np.linalg.inv(side), atol=1e-6)


def test_frames_without_a_record_are_left_out_and_stand_still_in_evaluation(tmp_path):
    fabricate.write_drive(tmp_path, frames=range(5), scans=(3,), sides="l")
    fixes = {n: fabricate.fix(longitude=n / DEGREE) for n in (0, 1, 2, 3)}
    fabricate.write_fixes(tmp_path, fixes)
    train = source(tmp_path)
    assert [frame.number for frame in train.targets] == [1, 2]
    assert train.left_out["no GPS/IMU record"] == 2  # frame 4 has none, and is 3's neighbour
    record = train[0]
    check_record(record, "record")
    np.testing.assert_allclose(record["source_poses"][:, 2, 3], [1, -1], atol=1e-5)
    judged = source(tmp_path, with_depth=True, needs_neighbours=False)[0]
    np.testing.assert_array_equal(judged["sources"][1], judged["image"])
    np.testing.assert_array_equal(judged["source_poses"][1], np.eye(4))
    assert judged["source_poses"][0, 2, 3] == pytest.approx(1, abs=1e-5)
    assert train.fingerprint() != source(tmp_path, poses=False).fingerprint()


def test_the_stereo_partner_comes_last_with_its_own_pose(tmp_path):
    fabricate.write_drive(tmp_path, frames=range(3))
    fabricate.write_fixes(tmp_path, {n: fabricate.fix(longitude=n / DEGREE) for n in range(3)})
    record = source(tmp_path, stereo=True)[0]
    assert record["source_poses"].shape == (3, 4, 4)
    np.testing.assert_array_equal(record["source_poses"][2], record["stereo_pose"])


def test_missing_and_malformed_files_are_named(tmp_path):
    fabricate.write_drive(tmp_path, frames=range(3))
    fabricate.write_fixes(tmp_path, {n: fabricate.fix() for n in range(3)})
    path = tmp_path / ONE / "oxts/data/0000000001.txt"
    some = source(tmp_path)
    path.write_text("1 2 3")
    with pytest.raises(BadRecord, match=r"0000000001.txt: .* 30 finite numbers, this one 3"):
        some[0]
    path.write_text("north")
    with pytest.raises(BadRecord, match=r"0000000001.txt: no GPS/IMU record \(could not"):
        read_fix(path)
    (tmp_path / fabricate.DATE / "calib_imu_to_velo.txt").unlink()
    with pytest.raises(DataError, match=r"calib_imu_to_velo.txt: it can't be read"):
        source(tmp_path)


def test_distance_is_speed_times_time_on_the_real_drive(shared_data):
    folder = shared_data / "kitti_raw" / REAL / "oxts"
    clock = [
        line.rpartition(":")[2] for line in (folder / "timestamps.txt").read_text().split("\n")
    ]
    seconds = np.array([float(text) for text in clock if text])
    poses = DrivePoses(KittiTree(shared_data / "kitti_raw"))
    for n in range(7):
        speed = float((folder / f"data/{n:010d}.txt").read_text().split()[8])  # vf, m/s
        motion = poses.between(Frame(REAL, n, "l"), Frame(REAL, n + 1, "l"))
        moved = np.linalg.norm(motion[:3, 3])
        assert moved == pytest.approx(speed * (seconds[n + 1] - seconds[n]), rel=0.015), n
        assert motion[2, 3] < -0.99 * moved  # forward


@pytest.mark.parametrize("offset", [-1, 1])
def test_real_frames_look_alike_by_the_scan_and_the_pose(shared_data, offset):
    tree = KittiTree(shared_data / "kitti_raw")
    settings = {"frames": (offset,), "stereo": False, "poses": True, "with_depth": True}
    some = KittiSource(tree, [Frame(REAL, 5, "l")], height=375, width=1242, **settings)
    record = some[0]
    y, x = np.nonzero((record["depth"] > 0) & (record["depth"] < 15))
    z = record["depth"][y, x]
    points = np.linalg.solve(record["intrinsics"].astype(float), np.stack((x * z, y * z, z)))
    target, there = (
        cv2.GaussianBlur(p, (0, 0), 1).astype(float)
        for p in (record["image"], record["sources"][0])
    )

    def error(pose):
        u, v, w = record["intrinsics"] @ (pose[:3, :3] @ points + pose[:3, 3:])
        u, v = np.rint(u / w).astype(int), np.rint(v / w).astype(int)
        inside = (u >= 0) & (u < 1242) & (v >= 0) & (v < 375)
        return np.abs(there[v[inside], u[inside]] - target[y, x][inside]).mean()

    pose = record["source_poses"][0]
    assert error(pose) < 0.6 * error(np.eye(4))
    assert error(pose) < 0.6 * error(np.linalg.inv(pose))


def test_a_real_drive_without_records_is_left_out(shared_data):
    some = source(shared_data / "kitti_raw", "eigen_train")
    assert len(some) == 12
    assert some.left_out["no GPS/IMU record"] == 29
