import cv2
import numpy as np
import pytest

from geoseg_jax.data.kitti_calibration import read_cameras, read_velodyne
from geoseg_jax.data.kitti_depth import project_scan, read_scan
from geoseg_jax.data.pictures import read_depth_picture
from geoseg_jax.data.source import BadRecord
from tests.data import fabricate


def test_a_point_belongs_to_the_nearest_pixel_centre():
    projection = np.array([[10.0, 0, 5, 0], [0, 10, 3, 0], [0, 0, 1, 0]])
    # Columns 5.4 and 5.6 at 2 m; (0, 0) is the centre of the top-left pixel.
    points = np.array([[0.4 / 10 * 2, 0, 2], [0.6 / 10 * 2, 0, 2]])
    depth = project_scan(points, projection, (8, 12))
    assert list(zip(*np.nonzero(depth), strict=True)) == [(3, 5), (3, 6)]


def test_the_nearest_wins_whatever_the_order():
    projection = np.array([[10.0, 0, 5, 0], [0, 10, 3, 0], [0, 0, 1, 0]])
    points = np.array([[0, 0, z] for z in (7.0, 4.0, 9.0)])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        depth = project_scan(points[order], projection, (8, 12))
        assert depth[3, 5] == 4
        assert np.count_nonzero(depth) == 1


def test_points_behind_outside_or_not_finite_are_dropped():
    projection = np.array([[10.0, 0, 5, 0], [0, 10, 3, 0], [0, 0, 1, 0]])
    points = [[0, 0, -4], [0, 0, 0], [10, 0, 2], [-1.2, 0, 2], [0, 9, 2], [np.nan, 0, 2]]
    assert not project_scan(np.array(points), projection, (8, 12)).any()


@pytest.mark.parametrize("side", ["l", "r"])
def test_real_scan_against_opencv(shared_data, side):
    """Independent of our chain: OpenCV projects, and a loop keeps the nearest."""
    folder = shared_data / "kitti_raw" / "2011_09_26"
    cameras = read_cameras(folder)
    points = read_scan(
        folder / "2011_09_26_drive_0001_sync" / "velodyne_points" / "data" / "0000000001.bin"
    )
    ours = project_scan(points, read_velodyne(folder, cameras)[side], cameras.size)

    lines = {}
    for name in ("calib_cam_to_cam.txt", "calib_velo_to_cam.txt"):
        for line in (folder / name).read_text().splitlines():
            key, _, value = line.partition(": ")
            lines[key] = value
    values = {k: np.array(lines[k].split(), float) for k in ("R", "T", "R_rect_00")}
    projection = np.array(lines["P_rect_02" if side == "l" else "P_rect_03"].split(), float)
    matrix = projection.reshape(3, 4)
    rectified = (points @ values["R"].reshape(3, 3).T + values["T"]) @ values["R_rect_00"].reshape(
        3, 3
    ).T
    seen = rectified + np.linalg.inv(matrix[:, :3]) @ matrix[:, 3]
    seen = seen[seen[:, 2] > 0]
    pixels, _ = cv2.projectPoints(seen, np.zeros(3), np.zeros(3), matrix[:, :3], None)
    expected = np.zeros(cameras.size)
    for (u, v), z in zip(pixels[:, 0], seen[:, 2], strict=True):
        x, y = round(u), round(v)
        inside = 0 <= x < cameras.size[1] and 0 <= y < cameras.size[0]
        if inside and (expected[y, x] == 0 or z < expected[y, x]):
            expected[y, x] = z
    assert np.count_nonzero(expected) > 15_000
    # A point right between two pixels may go either way.
    assert np.mean((ours > 0) != (expected > 0)) < 1e-5
    both = (ours > 0) & (expected > 0)
    assert np.mean(np.abs(ours - expected)[both] > 1e-3) < 1e-4


def test_scan_of_wrong_length(tmp_path):
    path = tmp_path / "0000000000.bin"
    path.write_bytes(fabricate.scan(10).tobytes()[:-6])
    with pytest.raises(BadRecord, match=r"0000000000.bin: 154 bytes are no whole number"):
        read_scan(path)
    path.write_bytes(b"")
    with pytest.raises(BadRecord, match="0 bytes"):
        read_scan(path)
    with pytest.raises(BadRecord, match="No such file"):
        read_scan(tmp_path / "gone.bin")


def test_improved_ground_truth_is_metres_times_256(tmp_path):
    path = str(tmp_path / "d.png")
    assert cv2.imwrite(path, np.array([[0, 256, 640]], np.uint16))
    np.testing.assert_array_equal(read_depth_picture(path), [[0, 1, 2.5]])
    assert cv2.imwrite(path, np.zeros((2, 2), np.uint8))
    with pytest.raises(BadRecord, match="one 16-bit channel, this one is uint8"):
        read_depth_picture(path)
