import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.kitti.calibration import read_cameras, read_velodyne
from geoseg_jax.data.kitti.depth import project_scan, project_scan_as_published, read_scan
from geoseg_jax.data.pictures import read_depth_picture
from geoseg_jax.data.source import BadRecord
from geoseg_jax.tasks import depth_scores
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


# What monodepth2's own functions gave on the shared frames (generate_depth_map with the scanner's
# coordinate, compute_errors): number and sum of the depths without the two border columns, whose
# points it mixes up; those within Garg's crop; five of these as row, column, metres; and, of the
# made-up prediction inverse depth = (row + 1) / 4000, the median ratio and errors within the crop
# and cap, and of every measured pixel. (Revision b676244, numpy 2.4.6.)
PUBLISHED = {
    (1, "l"): {
        "inner": (19314, 361450.5800962448),
        "garg": (17577, 329597.03608083725),
        "points": [
            (153, 102, 26.16699981689453),
            (212, 384, 24.899999618530273),
            (253, 245, 18.41900062561035),
            (302, 425, 9.534000396728516),
            (370, 1143, 5.999000072479248),
        ],
        "eigen": (0.9413874878883361, 0.3048176037355414, 2.797070184020556, 10.419245409556925,
                  0.3928498090710518, 0.3815781987824999, 0.778915628377994, 0.9174489389543153),
        "benchmark": (0.9452660081386566, 0.3087722954591887, 2.769357851297929,
                      10.236173712229132, 0.38978518219626485, 0.3861509024150592,
                      0.7725086621502818, 0.9217045043181465),
    },
    (5, "r"): {
        "inner": (19209, 352971.8880119324),
        "garg": (17456, 320659.17899799347),
        "points": [
            (153, 98, 25.77899932861328),
            (212, 858, 24.913999557495117),
            (253, 820, 13.404000282287598),
            (302, 686, 9.456999778747559),
            (370, 1135, 5.992000102996826),
        ],
        "eigen": (0.9161780285835266, 0.29261942794606705, 2.7726611110660198, 10.3274940756421,
                  0.39205279484688943, 0.40885655362053164, 0.7980637030247479,
                  0.9133822181484876),
        "benchmark": (0.9131849927902221, 0.3003021199284793, 2.864502192989633,
                      10.271662744480597, 0.3944479088440353, 0.4098309492847854,
                      0.7873602080624187, 0.9096488946684005),
    },
}  # fmt: skip


def as_published(shared_data, number, side):
    folder = shared_data / "kitti_raw" / "2011_09_26"
    cameras = read_cameras(folder)
    name = f"2011_09_26_drive_0001_sync/velodyne_points/data/{number:010d}.bin"
    projection = read_velodyne(folder, cameras)[side]
    return project_scan_as_published(read_scan(folder / name), projection, cameras.size)


@pytest.mark.parametrize(("number", "side"), list(PUBLISHED))
def test_truth_as_published_is_that_of_the_public_code(shared_data, number, side):
    found, expected = as_published(shared_data, number, side), PUBLISHED[number, side]
    cropped = found[153:371, 44:1197]  # Garg's of 375x1242, as the public code truncates it
    for part, what in ((found[:, 1:-1], "inner"), (cropped, "garg")):
        assert np.count_nonzero(part) == expected[what][0]
        assert part.sum(dtype=float) == pytest.approx(expected[what][1], rel=1e-7)
    for row, column, metres in expected["points"]:
        assert found[row, column] == pytest.approx(metres, rel=1e-6)


@pytest.mark.parametrize(("number", "side"), list(PUBLISHED))
@pytest.mark.parametrize("rule", ["eigen", "benchmark"])
def test_scores_are_those_of_the_public_code(shared_data, number, side, rule):
    """benchmark: its rule for improved truth, every measured pixel and no crop."""
    truth, expected = as_published(shared_data, number, side), PUBLISHED[number, side][rule]
    whole = rule == "benchmark"
    settings = {"min_depth": 1e-3, "max_depth": 80.0, "median_scaling": True}
    settings |= {"crop": "none" if whole else "garg", "cap_truth": not whole}
    inverse = jnp.broadcast_to(jnp.arange(1, 376.0)[:, None] / 4000, truth.shape)[None]
    batch = {"depth": truth[None], "depth_size": np.array([truth.shape], np.int32)}
    batch |= {"mask": np.ones(1, bool), "constant_depth": 1 / inverse}
    sums = depth_scores.judge(inverse, batch, ConfigDict(settings))
    assert sums["images"] == 1
    # A handful of other points in the border columns, where everything counts.
    near = 2e-4 if whole else 1e-5
    assert np.exp(sums["log_scale"]) == pytest.approx(expected[0], rel=near)
    names = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3")
    found = [float(sums[name]) for name in names]
    np.testing.assert_allclose(found, expected[1:], rtol=near)


def test_a_point_as_published_by_hand():
    """Its forward coordinate, one pixel up and left of the nearest centre; the nearest wins."""
    projection = np.array([[5.0, -10, 0, 0], [3.0, 0, -10, 0], [1, 0, 0, -0.5]])
    points = np.array([[4.5, 0, 0], [9.0, 0, 0], [-3, 0, 0]])
    # (5 x / (x - .5), 3 x / (x - .5)) is (5.6, 3.4) and (5.3, 3.2).
    depth = project_scan_as_published(points, projection, (8, 12))
    assert list(zip(*np.nonzero(depth), strict=True)) == [(2, 4), (2, 5)]
    assert (depth[2, 4], depth[2, 5]) == (9, 4.5)
    both = project_scan_as_published(np.array([[4.5, 0, 0], [4.6, 0, 0]]), projection, (8, 12))
    assert both[2, 5] == np.float32(4.5)
    assert np.count_nonzero(both) == 1


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
