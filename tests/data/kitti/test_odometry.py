"""The odometry benchmark: a small tree in its format, a pose by hand, and its real frames."""

import logging
import pickle

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.kitti.odometry import DRIVES, OdometryPoses, OdometryTree, read_poses
from geoseg_jax.data.kitti.splits import eigen_test_drives
from geoseg_jax.data.kitti.tree import Frame
from geoseg_jax.data.provenance.leakage import between
from geoseg_jax.data.provenance.reads import reads_of
from geoseg_jax.data.source import DataError
from geoseg_jax.data.transforms import flip
from tests.data import fabricate

# f t_x of cameras 0 to 3 relative to camera 0; the focal length is fabricate's, 70 pixels.
SHIFTS = {"0": 0.0, "1": -37.6, "2": 4.2, "3": -32.9}
ALL = ["image_0", "image_1", "image_2", "image_3"]


def line(pose) -> str:
    return fabricate.numbers(np.asarray(pose)[:3])


def ahead(metres: float) -> np.ndarray:
    """Camera 0 of the first frame <- camera 0 so far along its axis."""
    pose = np.eye(4)
    pose[2, 3] = metres
    return pose


# A quarter turn to the right about y: what camera 0 then has ahead (z) lies along the world's x.
TURN = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1.0]])


def write(root, sequence="00", poses=None, folders=ALL, count=4):
    """A sequence in the benchmark's layout; poses: of its frames, by default 2 m forward each."""
    folder = root / "sequences" / sequence
    for number, name in enumerate(folders):
        (folder / name).mkdir(parents=True)
        for frame in range(count):
            content = fabricate.picture(100 * int(sequence) + 10 * frame + number)
            assert cv2.imwrite(str(folder / name / f"{frame:06d}.png"), content)
    intrinsics = f"{fabricate.FOCAL} 0 {fabricate.CX}", f"0 {fabricate.FOCAL} {fabricate.CY} 0"
    lines = [f"P{n}: {intrinsics[0]} {t} {intrinsics[1]} 0 0 1 0" for n, t in SHIFTS.items()]
    lines.append(f"Tr: {fabricate.numbers(np.eye(4)[:3])}")
    (folder / "calib.txt").write_text("\n".join(lines) + "\n")
    (root / "poses").mkdir(exist_ok=True)
    moved = [ahead(2 * n) for n in range(count)] if poses is None else poses
    (root / "poses" / f"{sequence}.txt").write_text("".join(f"{line(p)}\n" for p in moved))
    return folder


def settings(root, /, **changes) -> ConfigDict:
    data = {"name": "kitti_odometry", "root": str(root), "truth": "none", "poses": True}
    data |= {"height": 12, "width": 40, "frames": (-1, 1), "stereo": False}
    return ConfigDict({"data": data | {"train_split": "00", "eval_split": "09"} | changes})


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "00")
    write(tmp_path, "09")
    return tmp_path


def test_records_of_the_true_layout(root):
    data = make_data(settings(root, stereo=True))
    # Frames 1 and 2 have both neighbours; the right camera's are trained on alone.
    assert [data.train.describe(i) for i in range(len(data.train))] == [
        f"00 {n:010d} {side}" for n in (1, 2) for side in "lr"
    ]
    assert [data.eval.describe(i) for i in range(len(data.eval))] == [
        "09 0000000001 l",
        "09 0000000002 l",
    ]
    for source in data:
        for i in range(len(source)):
            check_record(source[i], source.describe(i))
    record = data.train[0]
    assert set(record) == {"image", "sources", "intrinsics", "stereo_pose", "source_poses"}
    # Cameras 2 and 3: halved pictures, 70 / 2; (39 + 0.5) / 2 - 0.5.
    np.testing.assert_allclose(record["intrinsics"][0], [35, 0, 19.25])
    assert record["stereo_pose"][0, 3] == pytest.approx((-32.9 - 4.2) / 70)
    assert data.train[1]["stereo_pose"][0, 3] == pytest.approx((4.2 + 32.9) / 70)
    # The last frame was 2 m behind, so what is ahead was 2 m farther; the partner comes last.
    np.testing.assert_allclose(record["source_poses"][:2, 2, 3], [2, -2], atol=1e-6)
    np.testing.assert_array_equal(record["source_poses"][2], record["stereo_pose"])
    assert [name for name, _ in data.train.files(1)] == [
        f"sequences/00/image_{camera}/{n:06d}.png"
        for camera, n in (("3", 1), ("3", 0), ("3", 2), ("2", 1))
    ]
    copy = pickle.loads(pickle.dumps(data.train))
    np.testing.assert_array_equal(copy[0]["source_poses"], record["source_poses"])


def test_a_turn_of_camera_0_by_hand_as_the_pictures_camera_sees_it(root):
    """Camera 2 is 6 cm to the left of camera 0: x_2 = x_0 + 0.06. At a turn on the spot to the
    right, a point (0, 0, 5) of camera 2 is at (-0.06, 0, 5) of camera 0, which then has it at its
    left: at x = -5, z = -0.06; of camera 2 at (-4.94, 0, -0.06).
    """
    write(root, "01", [np.eye(4), TURN, TURN, TURN])
    poses = OdometryPoses(OdometryTree(root))
    turned = poses.between(Frame("01", 0, "l"), Frame("01", 1, "l"))
    np.testing.assert_allclose(turned @ [0, 0, 5, 1], [-4.94, 0, -0.06, 1], atol=1e-6)
    back = poses.between(Frame("01", 1, "l"), Frame("01", 0, "l"))
    np.testing.assert_allclose(back @ turned, np.eye(4), atol=1e-6)
    # Camera 3, 47 cm to the right: (0.47, 0, 5) of camera 0, then (-5, 0, 0.47).
    turned = poses.between(Frame("01", 0, "r"), Frame("01", 1, "r"))
    np.testing.assert_allclose(turned @ [0, 0, 5, 1], [-5.47, 0, 0.47, 1], atol=1e-6)


def test_a_mirrored_record_moves_as_its_pictures_do(root):
    write(root, "01", [ahead(0), ahead(2) @ TURN, TURN, TURN])
    record = make_data(settings(root, train_split="1")).train[0]
    turned, mirror = flip(record), np.diag([-1, 1, 1, 1])
    np.testing.assert_allclose(
        turned["source_poses"] @ mirror @ [1, 2, 3, 1],
        record["source_poses"] @ [1, 2, 3, 1] @ mirror,
        atol=1e-6,
    )


def test_grey_pictures_serve_where_there_are_no_others(tmp_path):
    for sequence in ("00", "09"):
        write(tmp_path, sequence, folders=ALL[:2])
    record = make_data(settings(tmp_path, stereo=True)).train[0]
    assert record["stereo_pose"][0, 3] == pytest.approx(-37.6 / 70)
    write(tmp_path, "08", folders=ALL)
    with pytest.raises(DataError, match=r"no picture in .*sequences/00/image_2; sequences there:"):
        make_data(settings(tmp_path))


def test_learned_motion_and_stereo_need_no_poses(root):
    (root / "poses/00.txt").unlink()
    for changes in ({}, {"frames": (), "stereo": True}):
        data = make_data(settings(root, poses=False, **changes))
        assert "source_poses" not in data.train[0]
    assert len(data.train) == 8
    assert (
        data.eval.fingerprint()
        != make_data(settings(root, train_split="09")).eval.fingerprint()
        != make_data(settings(root, train_split="09", frames=(1, -1))).eval.fingerprint()
    )


def test_a_changed_pose_is_other_data(root):
    before = make_data(settings(root, train_split="09")).train.fingerprint()
    moved = [ahead(2.5 * n) for n in range(4)]
    (root / "poses/09.txt").write_text("\n".join(map(line, moved)))
    assert make_data(settings(root, train_split="09")).train.fingerprint() != before


def test_drives_of_kitti_raw_are_known_to_the_check_of_leakage(root):
    data = make_data(settings(root))
    assert (data.train.drive(0), data.eval.drive(0)) == (DRIVES["00"], DRIVES["09"])
    assert not between([("train", reads_of(data.train))], reads_of(data.eval))
    eigen = {drive.split("/")[1].removesuffix("_sync") for drive in eigen_test_drives()}
    assert [s for s, drive in DRIVES.items() if drive in eigen] == ["00", "04", "05", "07"]
    write(root, "11")
    assert make_data(settings(root, eval_split="11")).eval.drive(0) == ""


def test_sequences_are_named_by_ranges(root, caplog):
    write(root, "01")
    with caplog.at_level(logging.WARNING):
        data = make_data(settings(root, train_split="0-1, 09"))
    assert {target.drive for target in data.train.targets} == {"00", "01", "09"}
    assert "train: 12 records; left out: 6 x no frame at offset -1" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth": "depth"}, r"config.data.truth='depth': .* set it to 'none'"),
        ({"train_split": "train"}, r"train_split='train': 'train' names no sequences; .* 00-08 or"),
        ({"train_split": "08-00"}, r"train_split='08-00': '08-00' names no sequences"),
        ({"eval_split": "09,10"}, r"eval_split='09,10': .*10/image_2; sequences there: 00, 09; na"),
        ({"frames": (-9,)}, r"train_split='00': no frame .* 8 x no frame at offset -9; get more"),
    ],
)
def test_bad_settings_are_named(root, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        make_data(settings(root, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"00.txt: it can't be read \(No such file.*poses.zip again, which .* poses=learned"),
        (f"{line(np.eye(4))}\n1 0 0", r"00.txt:2: a pose has 12 finite numbers, this one 3; unp"),
        ("east", r"00.txt:1: could not convert string to float: 'east'; unpack data_odometry_po"),
        (line(np.diag([1, 1, 1.1, 1])), r"00.txt:1: its first three columns are no rotation; unp"),
        (line(np.diag([-1, 1, 1, 1])), r"00.txt:1: its first three columns are no rotation"),
        (f"{line(np.eye(4))}\n" * 3, r"00.txt: it has 3 poses, .* up to 000003; unpack"),
    ],
)
def test_bad_poses_are_named(root, text, message):
    path = root / "poses/00.txt"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        make_data(settings(root))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (None, None, r"calib.txt: it can't be read \(.*; unpack data_odometry_calib.zip"),
        ("P2:", "P9:", r"calib.txt: no line `P2:`; unpack data_odometry_calib.zip"),
        ("P3: 70.0", "P3:", r"calib.txt:4: P3 has 11 numbers, expected 12 finite ones; unpack"),
        ("P3: 70.0", "P3: 71.0", r"P2 and P3 differ, so the pair isn't rectified; unpack"),
    ],
)
def test_bad_calibration_is_named(root, old, new, message):
    path = root / "sequences/00/calib.txt"
    path.unlink() if old is None else path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        make_data(settings(root))
    assert str(path) in str(caught.value)


def real(shared_data, **changes):
    root = shared_data / "kitti_odometry"
    if not root.is_dir():
        pytest.skip(f"the sample is not there: {root}")
    return make_data(settings(root, train_split="06", eval_split="06", **changes)).train


def test_the_real_car_drives_straight_on_at_constant_speed(shared_data):
    train = real(shared_data, stereo=True)
    assert len(train) == 2 * 18
    last = np.array([train[i]["source_poses"][0] for i in range(0, len(train), 2)])
    steps = np.linalg.norm(last[:, :3, 3], axis=1)
    assert 1.1 < steps.min() <= steps.max() < 1.3  # 12 m/s at 10 frames a second
    assert abs(np.diff(steps)).max() < 0.03
    assert (last[:, 2, 3] > 0.99 * steps).all()  # what is ahead was farther away
    assert train[0]["stereo_pose"][0, 3] == pytest.approx(-0.5371, abs=1e-3)
    assert train.drive(0) == "2011_09_30_drive_0020"
    poses = read_poses(shared_data / "kitti_odometry/poses/06.txt")
    path = sum(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1))
    assert path == pytest.approx(np.linalg.norm(poses[-1, :3, 3]), rel=1e-2)


@pytest.mark.parametrize("offset", [0, 1])
def test_real_frames_look_alike_by_matched_depth_and_the_pose(shared_data, offset):
    """Depth by semi-global matching of the pair; a neighbour is seen through it by the pose."""
    train = real(shared_data, stereo=True, height=370, width=1226)
    record = train[16]
    target, partner, there = (
        cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)
        for p in (record["image"], record["sources"][2], record["sources"][offset])
    )
    matcher = cv2.StereoSGBM.create(0, 96, 5, P1=200, P2=800, uniquenessRatio=15)
    disparity = matcher.compute(target, partner).astype(float) / 16
    y, x = np.nonzero(disparity > 8)
    matrix = record["intrinsics"].astype(float)
    z = -record["stereo_pose"][0, 3] * matrix[0, 0] / disparity[y, x]
    points = np.linalg.solve(matrix, np.stack((x * z, y * z, z)))

    def error(pose):
        u, v, w = matrix @ (pose[:3, :3] @ points + pose[:3, 3:])
        u, v = np.rint(u / w).astype(int), np.rint(v / w).astype(int)
        inside = (w > 0) & (u >= 0) & (u < 1226) & (v >= 0) & (v < 370)
        seen, wanted = there[v[inside], u[inside]], target[y, x][inside]
        return np.abs(seen.astype(float) - wanted).mean()

    pose = record["source_poses"][offset]
    assert error(pose) < 0.6 * error(np.eye(4))
    assert error(pose) < 0.6 * error(np.linalg.inv(pose))
