import logging
import pickle

import cv2
import h5py
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.depth_maps import nearest_depth
from geoseg_jax.data.nyu import depth as nyu_depth
from geoseg_jax.data.source import BadRecord, DataError, Source
from tests.data import fabricate_labels
from tests.data.fabricate_nyu import HEIGHT, WIDTH, frame, write_mat


def config(root, train="train", evaluation="test", **more):
    size = {"height": HEIGHT // 2, "width": WIDTH // 2}
    splits = {"train_split": train, "eval_split": evaluation}
    return ConfigDict({"root": str(root), **size, **splits, **more})


def write_folder(root, numbers):
    fabricate_labels.nyu_folder(root, numbers)
    (root / "depths_u8").mkdir()
    for n in numbers:
        depth = np.full((fabricate_labels.HEIGHT, fabricate_labels.WIDTH), n % 200 + 20, np.uint8)
        assert cv2.imwrite(str(root / f"depths_u8/{n:04d}.png"), depth)
    return root


def test_frames_of_the_mat(tmp_path):
    path = write_mat(tmp_path / "nyu_depth_v2_labeled.mat")
    train, evaluation = nyu_depth.make(config(path, evaluation="train"))
    assert isinstance(train, Source)
    assert train.names == ["0003", "0004"]
    for index, name in enumerate(train.names):
        expected = frame(int(name))
        record, judged = train[index], evaluation[index]
        for one in (record, judged):
            check_record(one, name)
        np.testing.assert_array_equal(judged["depth"], expected["depths"])
        half = nearest_depth(expected["depths"], HEIGHT // 2, WIDTH // 2)
        np.testing.assert_array_equal(record["depth"], half)
        assert record["depth_size"].tolist() == [HEIGHT // 2, WIDTH // 2]
        np.testing.assert_array_equal(train.depth(index), expected["depths"])
    assert train.drive(0).startswith("kitchen_")
    assert train.files(0) == ((f"nyuv2 {train.names[0]}", None),)
    again = pickle.loads(pickle.dumps(train))
    np.testing.assert_array_equal(again[0]["depth"], train[0]["depth"])
    assert again.fingerprint() == train.fingerprint() != evaluation.fingerprint()


def test_raw_depth_has_the_sensors_gaps(tmp_path):
    path = write_mat(tmp_path / "nyu_depth_v2_labeled.mat")
    with pytest.raises(DataError, match=r"ground_truth='raw'.*no raw depth.*'filled'"):
        nyu_depth.make(config(path, evaluation="train", ground_truth="raw"))
    with h5py.File(path, "r+") as file:
        raw = file["depths"][()]
        raw[:, :5] = 0
        file["rawDepths"] = raw
    train, evaluation = nyu_depth.make(config(path, evaluation="train", ground_truth="raw"))
    assert not train.depth(0)[:, :5].any()
    assert train.depth(0)[:, 5:].all()
    assert evaluation.depth(0).all()


def test_frames_of_a_folder(tmp_path):
    root = write_folder(tmp_path, (3, 4, 9, 45))
    (root / "depths_u8/0009.png").unlink()
    train, evaluation = nyu_depth.make(config(root, "pool", "held_out"))
    assert (train.names, evaluation.names) == (["0003", "0045"], ["0004"])
    assert train.left_out == {"picture without depth": 1}
    record = evaluation[0]
    check_record(record, "record")
    value = int(evaluation.names[0]) % 200 + 20
    np.testing.assert_allclose(record["depth"], (value + 0.5) / 25.5, rtol=1e-6)
    assert record["depth"].shape == (fabricate_labels.HEIGHT, fabricate_labels.WIDTH)
    assert record["image"].shape == (HEIGHT // 2, WIDTH // 2, 3)
    (named,) = train.files(0)
    assert named[0] == "images/0003.jpg"


def test_what_is_wrong_is_named(tmp_path, caplog):
    root = write_folder(tmp_path, (3, 4))
    with pytest.raises(DataError, match=r"ground_truth='velodyne': NYUv2 has filled and raw"):
        nyu_depth.make(config(root, evaluation="train", ground_truth="velodyne"))
    with pytest.raises(DataError, match=r"eval_split='tset' .* did you mean 'test'"):
        nyu_depth.make(config(root, evaluation="tset"))
    with caplog.at_level(logging.WARNING):
        train, _ = nyu_depth.make(config(root, "pool", "train"))
    assert "EVALUATING ON 2 OF THE 2 TRAINING FRAMES" in caplog.text
    wide = np.full((12, 20), 900, np.uint16)
    assert cv2.imwrite(str(root / "depths_u8/0003.png"), wide)
    with pytest.raises(BadRecord, match=r"0003.png: depths_u8 holds pictures of one 8-bit channel"):
        train[0]


def test_real_frames(shared_data):
    train, evaluation = nyu_depth.make(config(shared_data / "nyuv2_320x240", "pool", "held_out"))
    assert 0.15 < len(evaluation) / 795 < 0.25
    assert not set(train.names) & set(evaluation.names)
    mat, _ = nyu_depth.make(config(shared_data / "nyuv2_meta", "pool", "held_out"))
    name = mat.names[0]
    small = train if name in train.names else evaluation
    # The file at hand was made from these very depths, at twice the size.
    full = mat.depth(0)
    np.testing.assert_allclose(full[::2, ::2], small.depth(small.names.index(name)), atol=0.05)
    picture = nearest_depth(full, 12, 16)
    assert picture.min() > 0.3
    assert picture.max() < 10
