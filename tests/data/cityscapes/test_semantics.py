"""Cityscapes in its original layout."""

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.source import DataError
from tests.data import fabricate_labels as fabricate


def data(root, /, **changes):
    settings = {
        "name": "cityscapes",
        "root": str(root),
        "height": 6,
        "width": 10,
        "train_split": "train",
        "eval_split": "val",
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.fixture
def root(tmp_path):
    fabricate.cityscapes(tmp_path, "train", ["aachen_000000_000019", "aachen_000001_000019"])
    fabricate.cityscapes(tmp_path, "train", ["bochum_000000_000313"])
    return fabricate.cityscapes(tmp_path, "val", ["munster_000000_000019"])


def test_splits_names_and_drives(root):
    train, evaluation = data(root)
    assert train.names == [
        "aachen/aachen_000000_000019",
        "aachen/aachen_000001_000019",
        "bochum/bochum_000000_000313",
    ]
    assert [train.drive(i) for i in range(3)] == ["aachen_000000", "aachen_000001", "bochum_000000"]
    assert evaluation.names == ["munster/munster_000000_000019"]


def test_label_ids_become_train_ids(root):
    record = data(root).eval[0]
    ids = fabricate.ids((0, 1, 7, 11, 33), 0)
    expected = np.select([ids == 7, ids == 11, ids == 33], [0, 2, 18], IGNORE)
    np.testing.assert_array_equal(record["label"], expected)


def test_cities(root):
    assert data(root, cities=("bochum",)).train.names == ["bochum/bochum_000000_000313"]
    assert len(data(root, cities=("bochum",)).eval) == 1
    with pytest.raises(DataError, match=r"config.data.cities: no city 'acchen'.*mean 'aachen'"):
        data(root, cities=("acchen",))


def test_the_rest_of_the_training_split(root):
    train, evaluation = data(root, eval_split="rest", labels=1)
    assert (len(train), len(evaluation)) == (1, 2)
    assert not set(train.names) & set(evaluation.names)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eval_split": "vla"}, r"config.data.eval_split='vla': .* holds train, val"),
    ],
)
def test_bad_values_are_named(root, changes, said):
    with pytest.raises(DataError, match=said):
        data(root, **changes)


def test_without_fine_labels(root):
    (root / "gtFine").rename(root / "gone")
    said = r"no picture with a label \(found 3 x picture without a label\); looked for"
    with pytest.raises(DataError, match=said):
        data(root)


def test_the_real_ones(shared_data):
    root = shared_data / "cityscapes"
    train, evaluation = data(root, eval_split="rest", labels=1, height=64, width=128)
    assert train.names == ["aachen/aachen_000000_000019"]
    record = evaluation[0]
    assert record["label"].shape == (1024, 2048)
    # The train ids that lie beside them are not theirs to the pixel: labelIds count.
    path = root / "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png"
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    expected = np.vectorize(train.table.train_ids.get)(ids)
    np.testing.assert_array_equal(record["label"], expected)
