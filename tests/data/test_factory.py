import logging

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.pipeline import eval_batches, train_batches
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.transforms import augmentation
from tests.data import fabricate, fabricate_cityscapes
from tests.data.fabricate_nyu import write_mat


def config(folder, **changes):
    data = {
        "name": "kitti",
        "root": str(folder),
        "height": 12,
        "width": 40,
        "frames": (-1, 1),
        "stereo": True,
        "train_split": "eigen_train",
        "eval_split": "eigen_test",
        "constant_frames": 10,
    }
    return ConfigDict({"data": {**data, **changes}})


@pytest.fixture
def root(tmp_path):
    fabricate.write_drive(tmp_path, 1, frames=range(6), scans=range(6))
    fabricate.write_drive(tmp_path, 2, frames=range(3), scans=(0, 2))
    return tmp_path


def test_trains_on_some_drives_and_evaluates_on_others(root):
    data = make_data(config(root))
    assert len(data.train) == 8
    assert [data.eval.describe(i) for i in range(len(data.eval))] == [
        f"{fabricate.drive_name(2)} {n:010d} l" for n in (0, 2)
    ]
    for source in data:
        for i in range(len(source)):
            check_record(source[i], source.describe(i))
    assert "depth" not in data.train[0]
    assert {"depth", "depth_size", "constant_depth"} <= data.eval[0].keys()
    # Both evaluated frames are new to the median, so they share it.
    np.testing.assert_array_equal(data.eval[0]["constant_depth"], data.eval[1]["constant_depth"])


def test_evaluates_on_training_frames_when_told_and_says_so(root, caplog):
    with caplog.at_level(logging.WARNING):
        data = make_data(config(root, eval_split="train"))
    assert "EVALUATING ON THE TRAINING FRAMES" in caplog.text
    assert len(data.eval) == 8
    maps = [data.eval[i]["constant_depth"] for i in range(8)]
    # Left and right of a moment share a map, two moments don't: each lacks its own scan.
    assert sum(np.array_equal(a, b) for a in maps for b in maps) == 16


def test_no_ground_truth_names_the_remedy(root):
    (root / fabricate.drive_name(2) / "velodyne_points").rename(root / "away")
    with pytest.raises(DataError) as caught:
        make_data(config(root))
    text = str(caught.value)
    assert "config.data.eval_split='eigen_test': no frame with ground truth" in text
    assert "3 x no velodyne scan" in text
    assert "--config.data.eval_split=train" in text


def test_what_is_left_out_is_seen_without_asking(root, caplog):
    with caplog.at_level(logging.WARNING):
        make_data(config(root))
    said = [text for text in caplog.messages if "records; left out" in text]
    assert said == [
        "train: 8 records; left out: 2 x no frame at offset -1, 2 x no frame at offset +1",
        "eval: 2 records; left out: 1 x no velodyne scan",
    ]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        same = f"drive:{fabricate.drive_name(1).split('/')[1]}"
        make_data(config(root, train_split=same, eval_split=same, frames=()))
    assert "left out" not in caplog.text


def test_nothing_to_train_on(root):
    with pytest.raises(DataError, match=r"train_split='eigen_train': no frame to train on .* 12 x"):
        make_data(config(root, frames=(-9,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "kiti"}, r"config.data.name='kiti' .* did you mean 'kitti'"),
        ({"eval_split": "eigen_tets"}, r"config.data.eval_split='eigen_tets' .* did you mean"),
        ({"train_split": "drive:x"}, r"config.data.train_split: no drive 'x'"),
        ({"ground_truth": "lidar"}, r"config.data.ground_truth='lidar'"),
    ],
)
def test_bad_values_are_named(root, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        make_data(config(root, **changes))
    assert "\n" not in str(caught.value)


def test_synthetic_world_from_nothing_to_batches(tmp_path):
    sizes = {"train_size": 4, "eval_size": 2, "height": 16, "width": 32}
    settings = {"name": "synthetic", "world": "street", "seed": 0, "cache_dir": str(tmp_path)}
    data = make_data(config("", **{**settings, **sizes}))
    assert (len(data.train), len(data.eval)) == (4, 2)
    assert not set(map(data.train.describe, range(2))) & set(map(data.eval.describe, range(2)))
    (batch,) = eval_batches(data.eval, batch_size=2)
    assert batch["constant_depth"].shape == (2, 16, 32)
    # No evaluated world is among those of the map, which is best for the training set.
    maps = np.ma.masked_equal([data.train[i]["depth"] for i in range(4)], 0).astype(float)
    error = lambda answer: (abs(answer - maps) / maps).sum(axis=0)  # noqa: E731
    best = np.ma.min([error(answer) for answer in maps], axis=0)
    seen = (maps > 0).any(axis=0).filled(False)
    np.testing.assert_allclose(error(batch["constant_depth"][0])[seen], best[seen], atol=1e-5)
    assert next(train_batches(data.train, batch_size=2, seed=0))["sources"].shape[1] == 3


def test_from_files_to_batches(root):
    data = make_data(config(root))
    batch = next(train_batches(data.train, batch_size=4, seed=0))
    assert batch["sources"].shape == (4, 3, 12, 40, 3)
    (batch,) = eval_batches(data.eval, batch_size=4)
    assert batch["mask"].tolist() == [True, True, False, False]
    assert batch["depth"].shape == (4, fabricate.HEIGHT, fabricate.WIDTH)


def test_a_truncated_picture_stops_training_or_is_replaced(root):
    path = root / fabricate.drive_name(1) / "image_02/data/0000000002.png"
    path.write_bytes(path.read_bytes()[:100])
    train = make_data(config(root)).train
    with pytest.raises(BadRecord, match=r"0000000002.png: the picture is cut short"):
        next(train_batches(train, batch_size=8, seed=0))
    batch = next(train_batches(train, batch_size=8, seed=0, bad_share=0.9))
    # Left 1, 2, 3 and right 2 need it, of 1 to 4 of both.
    assert batch["replaced"].sum() == 4


def test_true_depth_goes_into_training_batches_and_turns_with_the_pictures(root):
    data = make_data(config(root, frames=(), stereo=False, truth_in_training=True))
    # Six moments of both cameras, all of which have scans.
    assert len(data.train) == 12
    batch = next(
        train_batches(data.train, batch_size=12, seed=0, augment=augmentation({"flip": 1}))
    )
    assert batch["depth"].shape == (12, 12, 40)
    places = []
    for i, depth in zip(batch["id"], batch["depth"], strict=True):
        plain = data.train[int(i)]["depth"]
        assert plain.any()
        places.append(np.array_equal(depth, plain[:, ::-1]))
        assert places[-1] or np.array_equal(depth, plain)
    assert any(places)
    assert not all(places)


def test_trained_on_one_set_and_judged_on_another(root, tmp_path):
    sizes = {"train_size": 2, "eval_size": 1, "height": 16, "width": 32, "frames": ()}
    world = {"name": "synthetic", "world": "street", "seed": 0, "cache_dir": str(tmp_path / "c")}
    other = {"eval_name": "kitti", "eval_root": str(root), "stereo": False}
    data = make_data(config("", **world, **sizes, **other, truth_in_training=True))
    assert data.train.describe(0).startswith("synthetic")
    assert data.eval.describe(0) == f"{fabricate.drive_name(2)} 0000000000 l"
    assert data.eval[0]["depth"].shape == (fabricate.HEIGHT, fabricate.WIDTH)
    # The constant answer is that of the set that was trained on.
    assert data.eval[0]["constant_depth"].shape == (16, 32)


def test_depth_of_cityscapes_and_nyu_by_their_names(tmp_path):
    cityscapes = fabricate_cityscapes.write(tmp_path / "cityscapes")
    nyu = tmp_path / "nyu_depth_v2_labeled.mat"
    write_mat(nyu)
    for name, folder, splits in (
        ("cityscapes_depth", cityscapes, ("train", "val")),
        ("nyu_depth", nyu, ("train", "train")),
    ):
        split = dict(zip(("train_split", "eval_split"), splits, strict=True))
        changes = {"name": name, "frames": (), "stereo": False, "truth_in_training": True}
        data = make_data(config(folder, **changes, **split))
        batch = next(train_batches(data.train, batch_size=2, seed=0))
        assert batch["depth"].shape == batch["image"].shape[:3] == (2, 12, 40)
        (batch,) = eval_batches(data.eval, batch_size=len(data.eval))
        assert batch["constant_depth"].min() > 0
        assert batch["depth"].shape[1:] > (12, 40)
