import numpy as np
import pytest

from geoseg_jax.data.kitti.calibration import read_cameras, read_velodyne
from geoseg_jax.data.pictures import scale_intrinsics
from geoseg_jax.data.source import DataError
from tests.data import fabricate

# Date -> S_rect (height, width), focal length, principal point, baseline as the difference of
# the P_rect_0i[0, 3] over the focal length; read off the files.
DATES = {
    "2011_09_26": ((375, 1242), 721.5377, (609.5593, 172.8540), 0.5327),
    "2011_09_28": ((370, 1224), 707.0493, (604.0814, 180.5066), 0.5373),
    "2011_09_29": ((374, 1238), 718.3351, (600.3891, 181.5122), 0.5301),
    "2011_09_30": ((370, 1226), 707.0912, (601.8873, 183.1104), 0.5379),
    "2011_10_03": ((376, 1241), 718.8560, (607.1928, 185.2157), 0.5323),
}


@pytest.mark.parametrize("date", DATES)
def test_real_dates(shared_data, date):
    size, focal, center, baseline = DATES[date]
    cameras = read_cameras(shared_data / "kitti_raw" / date)
    assert cameras.size == size
    expected = [[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]]
    np.testing.assert_allclose(cameras.intrinsics, expected, atol=1e-4)
    # A point lies further left in the right camera's frame. P_rect_0i[2, 3], which the quotient
    # leaves out, is worth up to 2.5 mm.
    np.testing.assert_allclose(cameras.pose("l")[0, 3], -baseline, atol=2.6e-3)
    assert abs(cameras.pose("l")[1:3, 3]).max() < 0.01
    np.testing.assert_allclose(cameras.pose("l") @ cameras.pose("r"), np.eye(4), atol=1e-12)


def test_pose_agrees_with_the_projections(shared_data):
    """What P_rect_03 says of a point is what K and the pose say of it as the left camera has it."""
    folder = shared_data / "kitti_raw" / "2011_09_28"
    cameras = read_cameras(folder)
    lines = dict(
        line.split(": ", 1) for line in (folder / "calib_cam_to_cam.txt").read_text().splitlines()
    )
    left, right = (np.array(lines[f"P_rect_0{i}"].split(), float).reshape(3, 4) for i in (2, 3))
    point = np.array([1.5, -0.7, 8.0, 1.0])
    seen = np.append(np.linalg.solve(cameras.intrinsics, left @ point), 1.0)
    expected = right @ point
    ours = cameras.intrinsics @ (cameras.pose("l") @ seen)[:3]
    np.testing.assert_allclose(ours / ours[2], expected / expected[2], atol=1e-9)


def test_pose_follows_from_the_projections(tmp_path):
    fabricate.write_calibration(tmp_path)
    cameras = read_cameras(tmp_path / fabricate.DATE)
    # By hand: (-32.9 - 4.2) / 70 metres along x.
    expected = np.eye(4)
    expected[0, 3] = -0.53
    np.testing.assert_allclose(cameras.pose("l"), expected, atol=1e-9)
    expected[0, 3] = 0.53
    np.testing.assert_allclose(cameras.pose("r"), expected, atol=1e-9)


def test_velodyne_chain_by_hand(tmp_path):
    fabricate.write_calibration(tmp_path)
    folder = tmp_path / fabricate.DATE
    projections = read_velodyne(folder, read_cameras(folder))
    # 10 m ahead, 2 m to the left, 1 m up of the scanner, which sits at the reference camera.
    point = np.array([10.0, 2.0, 1.0, 1.0])
    # Left camera: x = -2 + 4.2 / 70 = -1.94 m, so u = 39 - 1.94 * 7, v = 11 - 7.
    np.testing.assert_allclose(projections["l"] @ point / 10, [25.42, 4.0, 1.0], atol=1e-6)
    # Right camera: x = -2 - 32.9 / 70 = -2.47 m.
    np.testing.assert_allclose(projections["r"] @ point / 10, [21.71, 4.0, 1.0], atol=1e-6)


def test_scaled_intrinsics_by_hand():
    intrinsics = np.array([[721.5377, 0, 609.5593], [0, 721.5377, 172.854], [0, 0, 1]])
    scaled = scale_intrinsics(intrinsics, (375, 1242), (192, 640))
    # 721.5377 * 640 / 1242; (609.5593 + 0.5) * 640 / 1242 - 0.5; and by 192 / 375.
    expected = [[371.8069, 0, 313.8631], [0, 369.4273, 88.2572], [0, 0, 1]]
    np.testing.assert_allclose(scaled, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "P_rect_02: 7.000000e+01 ",
            "P_rect_02: ",
            r"txt:10: P_rect_02 has 11 numbers, expected 12",
        ),
        ("S_rect_03: ", "S_rect_09: ", r"no line `S_rect_03:`"),
        ("P_rect_03: 7.000000e+01", "P_rect_03: seventy", r"txt:14: P_rect_03: .*'seventy'"),
        ("P_rect_03: 7.000000e+01", "P_rect_03: nan", r"expected 12 finite"),
        ("P_rect_03: 7.000000e+01", "P_rect_03: 7.100000e+01", r"P_rect_02 and P_rect_03 differ"),
        ("P_rect_02: 7.000000e+01", "P_rect_02: 0.000000e+00", r"no positive focal length"),
    ],
)
def test_malformed_lines_are_named(tmp_path, old, new, message):
    fabricate.write_calibration(tmp_path)
    path = tmp_path / fabricate.DATE / "calib_cam_to_cam.txt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        read_cameras(path.parent)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rotation", ["0 0 0 0 0 0 0 0 0", "1 0 0 0 1 0 0 0 -1", "1e200 0 0 0 1 0 0 0 1"]
)
def test_what_is_no_rotation_is_refused(tmp_path, rotation):
    """A matrix without an inverse, a mirror, numbers that overflow."""
    fabricate.write_calibration(tmp_path)
    path = tmp_path / fabricate.DATE / "calib_velo_to_cam.txt"
    lines = path.read_text().splitlines()
    changed = [f"R: {rotation}" if line.startswith("R:") else line for line in lines]
    assert changed != lines
    path.write_text("\n".join(changed))
    with pytest.raises(DataError, match=r"velo_to_cam.txt: R is no rotation"):
        read_velodyne(path.parent, read_cameras(path.parent))


def test_missing_file_is_named(tmp_path):
    fabricate.write_calibration(tmp_path)
    folder = tmp_path / fabricate.DATE
    cameras = read_cameras(folder)
    (folder / "calib_velo_to_cam.txt").unlink()
    with pytest.raises(DataError, match=r"calib_velo_to_cam.txt: it can't be read"):
        read_velodyne(folder, cameras)
    (folder / "calib_cam_to_cam.txt").unlink()
    with pytest.raises(DataError, match=r"calib_cam_to_cam.txt: it can't be read"):
        read_cameras(folder)
