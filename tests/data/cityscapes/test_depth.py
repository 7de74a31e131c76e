import json
import logging
import pickle

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.cityscapes import depth as cityscapes_depth
from geoseg_jax.data.cityscapes import semantics as cityscapes
from geoseg_jax.data.cityscapes.tree import read_camera
from geoseg_jax.data.source import BadRecord, DataError, Source
from geoseg_jax.data.transforms import flip
from tests.data import fabricate_cityscapes
from tests.data.fabricate_cityscapes import BASELINE, FX, FY, HEIGHT, U0, V0, WIDTH

SUPERVISED = {"frames": (), "stereo": False, "truth_in_training": True}


@pytest.fixture
def root(tmp_path):
    return fabricate_cityscapes.write(tmp_path)


def config(folder, **changes):
    data = {"root": str(folder), "height": 16, "width": 32, "keep_rows": (0.0, 0.8)}
    data |= {"frames": (), "stereo": True, "train_split": "train", "eval_split": "val"}
    return ConfigDict(data | changes)


def expected_depth(seed):
    """Metres by a loop over the pixels of what a disparity file holds, the lowest fifth cut off."""
    encoded = fabricate_cityscapes.disparity(seed)[: HEIGHT * 4 // 5]
    depth = np.zeros(encoded.shape, np.float32)
    for place, p in np.ndenumerate(encoded.astype(int)):
        if p > 1:
            depth[place] = BASELINE * FX / ((p - 1) / 256)
    return depth


def test_stereo_pairs_and_the_truth_they_are_judged_by(root):
    train, evaluation = cityscapes_depth.make(config(root))
    assert isinstance(train, Source)
    names = [train.describe(i) for i in range(len(train))]
    assert names == ["aachen/aachen_000000_000019", "aachen/aachen_000001_000019"]
    record, judged = train[1], evaluation[0]
    for one in (record, judged):
        check_record(one, "record")
    assert record["sources"].shape == (1, 16, 32, 3)
    assert "depth" not in record
    right = cv2.imread(
        str(root / "rightImg8bit/train/aachen/aachen_000001_000019_rightImg8bit.png")
    )
    kept = cv2.resize(right[:32], (32, 16), interpolation=cv2.INTER_AREA)[..., ::-1]
    np.testing.assert_array_equal(record["sources"][0], kept)
    assert record["stereo_pose"][0, 3] == pytest.approx(-BASELINE)
    np.testing.assert_allclose(judged["depth"], expected_depth(5), rtol=1e-5)
    assert judged["depth_size"].tolist() == [32, 64]
    again = pickle.loads(pickle.dumps(train))
    np.testing.assert_array_equal(again[0]["image"], train[0]["image"])
    assert again.fingerprint() == train.fingerprint() != evaluation.fingerprint()


def test_a_point_projects_to_the_same_place_in_the_resized_picture(root):
    """The camera follows the cut and the resizing."""
    matrix = cityscapes_depth.make(config(root, keep_rows=(0.1, 0.9)))[0][0]["intrinsics"]
    point = np.array([0.7, -0.4, 3.0])
    original = np.array([[FX, 0, U0], [0, FY, V0], [0, 0, 1]]) @ point
    x, y = original[:2] / original[2]
    # From the border of the first pixel on: 4 of 40 rows cut, 32 rows to 16, 64 columns to 32.
    expected = ((x + 0.5) / 2 - 0.5, (y + 0.5 - 4) / 2 - 0.5)
    new = matrix @ point
    np.testing.assert_allclose(new[:2] / new[2], expected, rtol=1e-5)


def test_true_depth_to_train_on(root):
    (root / "disparity/train/aachen/aachen_000000_000019_disparity.png").unlink()
    train, evaluation = cityscapes_depth.make(config(root, **SUPERVISED))
    assert train.left_out == {"no disparity": 1}
    record = train[0]
    check_record(record, "record")
    # Both sides by two: the pixel to the lower right of the middle of four.
    np.testing.assert_allclose(record["depth"], expected_depth(1)[1::2, 1::2], rtol=1e-5)
    assert record["depth_size"].tolist() == [16, 32]
    np.testing.assert_array_equal(train.depth(0), record["depth"])
    np.testing.assert_array_equal(evaluation.depth(0), evaluation[0]["depth"])
    assert record["sources"].shape == (0, 16, 32, 3)
    np.testing.assert_array_equal(record["stereo_pose"], np.eye(4))
    np.testing.assert_array_equal(flip(record)["depth"], record["depth"][:, ::-1])
    assert evaluation[0]["depth"].shape == (32, 64)


def test_neighbours_come_from_the_sequences(root):
    train, evaluation = cityscapes_depth.make(config(root, frames=(-2, 2), stereo=False))
    # Of 17 to 21 only the middle one has both; the other sequence has none.
    assert [train.describe(i) for i in range(len(train))] == ["aachen/aachen_000000_000019"]
    assert train.left_out == {"no frame at offset -2": 3, "no frame at offset +2": 2}
    record = train[0]
    for source, number in zip(record["sources"], (17, 21), strict=True):
        name = f"leftImg8bit_sequence/train/aachen/aachen_000000_{number:06d}_leftImg8bit.png"
        picture = cv2.imread(str(root / name))[:32]
        shown = cv2.resize(picture, (32, 16), interpolation=cv2.INTER_AREA)[..., ::-1]
        np.testing.assert_array_equal(source, shown)
    assert not np.array_equal(*record["sources"])
    # Judged without neighbours of its own: the frame stands in.
    np.testing.assert_array_equal(evaluation[0]["sources"][0], evaluation[0]["image"])
    every, _ = cityscapes_depth.make(config(root, frames=(1,), stereo=False))
    assert [t.number for t in every.targets] == [17, 18, 19, 20]


def test_the_camera_is_that_of_the_nearest_annotated_frame(root):
    fabricate_cityscapes.write_frame(
        root, "train", "aachen_000000_000049", 0, kinds="c", focal=140.0
    )
    for number in (40, 41, 42):
        name = f"aachen_000000_{number:06d}"
        fabricate_cityscapes.write_frame(root, "train", name, 1, kinds="l", sequence=True)
    train, _ = cityscapes_depth.make(config(root, frames=(-1, 1), stereo=False))
    focal = {t.number: train[i]["intrinsics"][0, 0] for i, t in enumerate(train.targets)}
    assert focal == {18: FX / 2, 19: FX / 2, 20: FX / 2, 41: 70.0}


def test_several_splits_and_shared_names(root):
    train, _ = cityscapes_depth.make(config(root, train_split="train+train_extra"))
    assert [train.drive(i) for i in range(3)] == ["aachen_000000", "aachen_000001", "bonn_000000"]
    # The same names as the labelled pictures have, for the check of leakage.
    for index in (0, 1):
        name, path = train.files(index)[0]
        assert cityscapes._drive(name) == train.drive(index)
        assert name == path.relative_to(root / "leftImg8bit/train").as_posix().removesuffix(
            "_leftImg8bit.png"
        )


def test_what_is_wrong_is_named(root, caplog):
    for changes, message in (
        ({"train_split": "trian"}, r"train_split='trian'.*holds no split 'trian'"),
        ({"frames": (-9,)}, r"no frame to train on.*no frame at offset -9"),
    ):
        with pytest.raises(DataError, match=message):
            cityscapes_depth.make(config(root, **changes))
    (root / "disparity/val/ulm/ulm_000000_000019_disparity.png").unlink()
    with pytest.raises(DataError, match=r"eval_split='val': no frame with true depth.*1 x no disp"):
        cityscapes_depth.make(config(root))
    with caplog.at_level(logging.WARNING):
        train, _ = cityscapes_depth.make(config(root, eval_split="train", **SUPERVISED))
    assert "EVALUATING ON THE TRAINING FRAMES" in caplog.text
    path = root / "disparity/train/aachen/aachen_000000_000019_disparity.png"
    assert cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(BadRecord, match=r"000019_disparity.png: .* one 16-bit channel"):
        train[0]
    assert cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH + 1), np.uint16))
    with pytest.raises(BadRecord, match=r"65x40, the left picture of the frame 64x40"):
        train[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["intrinsic"].pop("fx"), "no number intrinsic.fx"),
        (lambda c: c["extrinsic"].update(baseline=0), "baseline=0.0 must be positive"),
        (lambda c: c["intrinsic"].update(u0="left"), "no number intrinsic.u0"),
        (lambda c: c["intrinsic"].update(u0=float("nan")), "u0=nan is not finite"),
        (lambda c: c.clear(), "no number intrinsic.fx"),
    ],
)
def test_cameras_that_can_not_be_used(tmp_path, change, message):
    content = fabricate_cityscapes.camera()
    change(content)
    path = tmp_path / "a_camera.json"
    path.write_text(json.dumps(content))
    with pytest.raises(BadRecord, match=message):
        read_camera(path)
    path.write_text("{")
    with pytest.raises(BadRecord, match="can't be read"):
        read_camera(path)


def test_the_calibration_of_other_pictures_is_named(root):
    path = root / "camera/train/aachen/aachen_000000_000019_camera.json"
    content = json.loads(path.read_text())
    content["intrinsic"]["u0"] *= 8
    path.write_text(json.dumps(content))
    train, _ = cityscapes_depth.make(config(root))
    with pytest.raises(BadRecord, match=r"000019_camera.json: the camera's axis lies at"):
        train[0]


def test_real_sequence(shared_data, tmp_path):
    """The sequence at hand has no camera file, so that it gets the data set's usual one."""
    real = shared_data / "cityscapes"
    for folder in ("leftImg8bit", "leftImg8bit_sequence"):
        (tmp_path / folder).symlink_to(real / folder)
    place = tmp_path / "camera/train/aachen"
    place.mkdir(parents=True)
    content = fabricate_cityscapes.camera(2262.52)
    content["intrinsic"] |= {"u0": 1096.98, "v0": 513.137}  # of 2048x1024
    (place / "aachen_000000_000019_camera.json").write_text(json.dumps(content))
    data = config(tmp_path, frames=(-2, 2), stereo=False, eval_split="train", truth="none")
    train, _ = cityscapes_depth.make(data)
    assert [t.number for t in train.targets] == [2, 3]
    record = train[0]
    assert record["intrinsics"][0, 0] == pytest.approx(2262.52 * 32 / 2048)
    # The world moves a little between the frames of a sequence.
    difference = np.abs(record["sources"].astype(int) - record["image"]).mean(axis=(1, 2, 3))
    assert (difference > 0.5).all()
    assert (difference < 40).all()
