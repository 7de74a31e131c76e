"""NYUv2 as a folder of pictures."""

import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE, label_table
from geoseg_jax.data.nyu import depth as nyu_depth
from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.data.source import DataError
from tests.data import fabricate_labels as fabricate


def data(root, /, **changes):
    settings = {
        "name": "nyu",
        "root": str(root),
        "height": 6,
        "width": 10,
        "train_split": "train",
        "eval_split": "test",
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.fixture
def root(tmp_path):
    return fabricate.nyu_folder(tmp_path, (1, 2, 3, 4, 1440, 1441))


def test_the_official_split(root, shared_data):
    loadmat = pytest.importorskip("scipy.io").loadmat
    official = loadmat(shared_data / "nyuv2_meta" / "splits.mat")
    assert nyu_split.train_numbers() == sorted(official["trainNdxs"].ravel().tolist())
    assert nyu_split.test_numbers() == sorted(official["testNdxs"].ravel().tolist())


def test_by_number(root):
    train, evaluation = data(root)
    assert train.names == ["0003", "0004", "1440"]
    assert evaluation.names == ["0001", "0002", "1441"]


def test_forty_and_thirteen(root):
    forty, thirteen = data(root).eval[1], data(root, classes="nyu13").eval[1]
    ids = fabricate.ids(range(41), 2).astype(int)
    np.testing.assert_array_equal(forty["label"], np.where(ids == 0, IGNORE, ids - 1))
    table = label_table("nyu13_from40")
    np.testing.assert_array_equal(thirteen["label"], np.vectorize(table.train_ids.get)(ids))


def test_neighbours_are_held_out_together():
    names = [f"{n:04d}" for n in range(1, 1450)]
    held = nyu_split.held_out(names, 0.2)
    assert 0.15 < len(held) / len(names) < 0.25
    numbers = np.array([int(name) for name in held])
    # Blocks of twenty, begun at a multiple of twenty.
    assert all(((numbers - 1) // 20 == b).sum() == 20 for b in np.unique((numbers - 1) // 20)[:-1])
    few = [f"{n:04d}" for n in range(1, 81)]  # of which no block is held out
    assert 0 < len(nyu_split.held_out(few, 0.2)) < 40
    assert len(nyu_split.held_out(["a", "b"], 0.2)) == 1


def test_depth_holds_out_the_same_frames(tmp_path):
    root = fabricate.nyu_folder(tmp_path, (5, 15, 85, 95, 105, 195, 285))
    depths = root / "depths_u8"
    depths.mkdir()
    for picture in (root / "labels40").iterdir():
        shutil.copy(picture, depths)
    splits = {"train_split": "pool", "eval_split": "held_out", "held_out": 0.2}
    labelled = data(root, **splits)
    seen, judged = nyu_depth.make(
        ConfigDict({"root": str(root), "height": 24, "width": 32} | splits)
    )
    assert judged.names == ["0085", "0095", "0195", "0285"]
    assert labelled.eval.names == judged.names
    assert labelled.train.names == seen.names


def test_held_out_and_rest(root):
    train, evaluation = data(root, train_split="pool", eval_split="held_out", held_out=0.5)
    names = ["0001", "0002", "0003", "0004", "1440", "1441"]
    assert sorted([*train.names, *evaluation.names]) == names
    assert train.names
    assert evaluation.names
    train, evaluation = data(root, train_split="pool", eval_split="rest", labels=2)
    assert (train.names, len(evaluation)) == (["0001", "0002"], 4)


def test_neither_layout(tmp_path):
    (tmp_path / "labels40").mkdir()
    with pytest.raises(DataError, match=r"looked for ROOT/nyu_depth_v2_labeled.mat, or ROOT/im"):
        data(tmp_path)


def test_the_real_ones(shared_data):
    settings = {"train_split": "pool", "eval_split": "held_out", "height": 48, "width": 64}
    train, evaluation = data(shared_data / "nyuv2_320x240", **settings)
    assert len(train) + len(evaluation) == 795
    assert 0.15 < len(evaluation) / 795 < 0.25
    label = evaluation[0]["label"]
    assert label.shape == (240, 320)
    assert evaluation.table.classes.index("wall") in label
    assert len(data(shared_data / "nyuv2_320x240", **settings | {"train_split": "train"}).train)
