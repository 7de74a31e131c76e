"""The synthetic world as a labelled set."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.provenance.leakage import METRICS, between
from geoseg_jax.data.provenance.reads import reads_of
from geoseg_jax.data.source import DataError
from geoseg_jax.data.synthetic.segmentation import SyntheticLabels
from geoseg_jax.data.synthetic.source import SyntheticSource

SIZE = {"height": 16, "width": 32}


def data(folder, /, **changes):
    settings = {
        "name": "synthetic_segmentation",
        "world": "street",
        "train_size": 4,
        "eval_size": 2,
        "seed": 3,
        "cache_dir": str(folder),
        **SIZE,
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


def test_pictures_and_labels_alone(tmp_path):
    train, evaluation = data(tmp_path, labels=2)
    assert train.table.name == "synthetic_street"
    assert train.names == ["street-3/000000", "street-3/000001"]
    assert (len(train), len(evaluation)) == (2, 2)
    assert not set(train.names) & set(evaluation.names)
    world = SyntheticSource("street", size=4, seed=3, frames=(), stereo=False, **SIZE)
    for i in range(2):
        record = train[i]
        check_record(record, train.describe(i))
        assert record.keys() == {"image", "label", "label_size"}
        np.testing.assert_array_equal(record["label"], world[i]["label"])
        np.testing.assert_array_equal(record["label"], train.label(i))
        np.testing.assert_array_equal(record["label"], world.label(i))
        assert record["label_size"].tolist() == [16, 32] == list(train.original(i))
        assert train.files(i) == world.files(i)


def test_what_is_shared_of_worlds():
    world = {"world": "street", "frames": (), "stereo": False, **SIZE}
    train, others = (SyntheticLabels(SyntheticSource(size=3, seed=s, **world)) for s in (0, 1))
    numbers = dict.fromkeys(METRICS, 0.0)  # no drive is unknown: every record has its own
    assert between([("", reads_of(train))], reads_of(others)).metrics() == numbers
    same = between([("", reads_of(train))], reads_of(Subset(train, (2, 0)))).metrics()
    assert same == numbers | {"leakage_shared_files": 2.0}


def test_an_unknown_world(tmp_path):
    with pytest.raises(DataError, match=r"config.data.world='sea' is unknown"):
        data(tmp_path, world="sea")
