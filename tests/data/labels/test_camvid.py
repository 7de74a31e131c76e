"""CamVid in the layout of SegNet's tutorial."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.camvid import drive
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.source import DataError
from tests.data import fabricate_labels as fabricate


def data(root, /, **changes):
    settings = {
        "name": "camvid",
        "root": str(root),
        "height": 6,
        "width": 10,
        "train_split": "train",
        "eval_split": "val",
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.fixture
def root(tmp_path):
    fabricate.camvid(tmp_path, "train", ["0001TP_006690", "0006R0_f00930"])
    return fabricate.camvid(tmp_path, "val", ["0016E5_07959"], ending="jpg")


def test_splits_and_void(root):
    train, evaluation = data(root)
    assert train.names == ["0001TP_006690", "0006R0_f00930"]
    assert [train.drive(i) for i in range(2)] == ["0001TP", "0006R0"]
    ids = fabricate.ids(range(12), 0)
    assert (ids == 11).any()
    expected = np.where(ids == 11, IGNORE, ids)
    np.testing.assert_array_equal(evaluation[0]["label"], expected)


def test_recordings_by_name():
    names = ("Seq05VD_f00000", "0001TP_006690", "0016E5_07959", "holiday")
    assert [drive(name) for name in names] == ["Seq05VD", "0001TP", "0016E5", ""]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eval_split": "valid"}, r"config.data.eval_split='valid' is none of train, val, test"),
        ({"eval_split": "test"}, r"holds no picture with a label; looked for ROOT/test/"),
    ],
)
def test_bad_values_are_named(root, changes, said):
    with pytest.raises(DataError, match=said):
        data(root, **changes)


def test_the_real_ones(shared_data):
    train, evaluation = data(shared_data / "camvid", height=36, width=48)
    assert (len(train), len(evaluation)) == (367, 101)
    assert {train.drive(i) for i in range(367)} == {"0001TP", "0006R0", "0016E5"}
    label, grey = train[100]["label"], train[100]["image"].mean(axis=-1)
    road, sky = (train.table.classes.index(name) for name in ("road", "sky"))
    rows = np.arange(36)[:, None] * np.ones_like(label)
    assert rows[label == sky].mean() < 12 < 24 < rows[label == road].mean()
    assert grey[label == sky].mean() > grey[label == road].mean()
