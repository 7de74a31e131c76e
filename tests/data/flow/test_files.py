import cv2
import numpy as np
import pytest

from geoseg_jax.data.flow import files as flow_files
from geoseg_jax.data.source import BadRecord
from tests.data import fabricate_flow as fabricate


def test_flo_by_hand_and_by_opencv(tmp_path):
    path, flow = tmp_path / "a.flo", fabricate.vectors(0)
    fabricate.flo(path, flow)
    got, known = flow_files.read_flo(path)
    np.testing.assert_array_equal(got, flow)
    assert got.dtype == np.float32
    assert known.all()
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(path)), flow)


def test_unknown_vectors_of_flo(tmp_path):
    flow = fabricate.vectors(0)
    flow[0, 0, 0], flow[1, 1, 1], flow[2, 2] = 1.6e9, -1e10, np.nan
    fabricate.flo(tmp_path / "a.flo", flow)
    got, known = flow_files.read_flo(tmp_path / "a.flo")
    assert np.argwhere(~known).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert (got[~known] == 0).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begins with PIEH"),
        (b"PIEH\0\0", "begins with PIEH"),
        (b"GIEH" + bytes(16), "begins with PIEH"),
        (b"PIEH\1\0\0\0\1\0\0\0" + bytes(7), "19 bytes do not hold the 1x1"),
        (b"PIEH\xff\xff\xff\xff\1\0\0\0" + bytes(8), "-1x1"),
        (b"PIEH\0\0\0\0\1\0\0\0", "0x1"),
        (b"PIEH\0\0\0\x7f\0\0\0\x7f" + bytes(8), "do not hold"),
    ],
)
def test_broken_flo(tmp_path, content, reason):
    path = tmp_path / "broken.flo"
    path.write_bytes(content)
    with pytest.raises(BadRecord, match=reason) as error:
        flow_files.read_flo(path)
    assert str(path) in str(error.value)
    with pytest.raises(BadRecord, match=r"none.flo: .*get the file again"):
        flow_files.read_flo(tmp_path / "none.flo")


def test_kitti_png(tmp_path):
    flow = fabricate.vectors(1)
    known = np.random.default_rng(0).random(flow.shape[:2]) < 0.5
    fabricate.kitti_png(tmp_path / "a.png", flow, known)
    got, valid = flow_files.read_kitti_flow(tmp_path / "a.png")
    np.testing.assert_array_equal(valid, known)
    np.testing.assert_array_equal(got, np.where(known[..., None], flow, 0))


def test_another_picture_is_no_flow(tmp_path):
    fabricate.png(tmp_path / "a.png", fabricate.picture(0))
    with pytest.raises(BadRecord, match="three 16-bit channels, this one is uint8"):
        flow_files.read_kitti_flow(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-20])
    with pytest.raises(BadRecord, match="cut short"):
        flow_files.read_kitti_flow(tmp_path / "b.png")


def test_ppm(tmp_path):
    path, picture = tmp_path / "a.ppm", fabricate.picture(0)
    assert cv2.imwrite(str(path), picture)
    np.testing.assert_array_equal(flow_files.read_ppm(path), picture)
    rest = path.read_bytes()[path.read_bytes().index(b"255") + 4 :]
    path.write_bytes(b"P6 # a comment\n20 12\n255\n" + rest)
    np.testing.assert_array_equal(flow_files.read_ppm(path), picture)
    path.write_bytes(b"P6\n20 12\n255\n" + rest[:-1])
    with pytest.raises(BadRecord, match="cut short"):
        flow_files.read_ppm(path)
    path.write_bytes(b"P5\n20 12\n255\n" + rest)
    with pytest.raises(BadRecord, match="P6"):
        flow_files.read_ppm(path)


def test_the_real_files(shared_data):
    flow, known = flow_files.read_flo(shared_data / "middlebury/flow/flow_gt.flo")
    assert flow.shape == (388, 584, 2)
    assert 0.9 < known.mean() < 1
    assert 2 < np.hypot(*flow[known].T).max() < 6
    flow, known = flow_files.read_kitti_flow(
        shared_data / "kitti_flow/training/flow_occ/example_10.png"
    )
    assert (
        flow.shape[:2]
        == cv2.imread(str(shared_data / "kitti_flow/training/image_2/example_10.png")).shape[:2]
    )
    assert 0.05 < known.mean() < 0.5
    assert np.abs(flow).max() < 512


def test_what_is_written_comes_back(tmp_path):
    flow = np.random.default_rng(0).uniform(-300, 300, (5, 7, 2)).astype(np.float32)
    flow_files.write_flo(tmp_path / "a.flo", flow)
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(tmp_path / "a.flo")), flow)
    flow[1, 2] = (1.25, -0.5)
    flow[0, 0], flow[4, 6] = (512.5, 0), (0, -513)
    flow_files.write_kitti_flow(tmp_path / "a.png", flow)
    stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert stored[1, 2].tolist() == [1, 2**15 - 32, 2**15 + 80]  # blue first
    got, known = flow_files.read_kitti_flow(tmp_path / "a.png")
    assert np.argwhere(~known).tolist() == [[0, 0], [4, 6]]  # where the format ends
    np.testing.assert_allclose(got[known], flow[known], atol=1 / 128)
