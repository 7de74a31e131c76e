"""Sets that tensorflow-datasets prepared, read without TensorFlow; rendered objects likewise."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.source import DataError
from tests.data import fabricate_classes


def config(root, /, **changes):
    data = {
        "name": "tfds",
        "root": str(root),
        "dataset": "pets",
        "truth": "none",
        "height": 8,
        "width": 12,
        "crop_area": (0.3, 1.0),
        "train_split": "train",
        "eval_split": "validation",
    }
    return ConfigDict({"data": {**data, **changes}})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    fabricate_classes.write_tfds(root, version="1.0.0")
    fabricate_classes.write_tfds(root, version="10.2.0")
    return root


def test_records_are_the_files_that_were_put_in(root):
    train, judged = make_data(config(root))
    assert train.categories == ("cat", "dog") == judged.categories
    assert (len(train), len(judged)) == (6, 2)
    assert train.describe(3) == "pets/10.2.0:train 3"  # the newest, and not the last by name
    for source in (train, pickle.loads(pickle.dumps(train))):
        for i in range(6):
            record = source[i]
            check_record(record, source.describe(i))
            np.testing.assert_array_equal(
                record["image"], fabricate_classes.as_rgb(fabricate_classes.jpeg(i))
            )
            assert record["category"] == i % 2
    assert judged[0]["image"].shape == (8, 12, 3)
    part, _ = make_data(config(root, train_split="train[50%:]", dataset="pets:1.0.0"))
    assert len(part) == 3
    np.testing.assert_array_equal(part[0]["image"], train[3]["image"])
    prints = {train.fingerprint(), judged.fingerprint(), part.fingerprint()}
    assert len(prints) == 3
    assert train.fingerprint() == make_data(config(root)).train.fingerprint()


def test_no_tensorflow_is_needed(root):
    code = (
        "import sys\n"
        "from tests.data.classes.test_tfds import config\n"
        "from geoseg_jax.data.factory import make_data\n"
        f"print(make_data(config({str(root)!r})).train[0]['image'].shape)\n"
        "print([name for name in sys.modules if name.startswith('tensorflow.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "(20, 30, 3)\n[]\n", done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "pest"}, r"dataset='pest' is not in .*; did you mean 'pets'.*tfds build"),
        ({"dataset": "pets:2.0.0"}, r"dataset='pets:2.0.0' is not in config.data.root"),
        ({"dataset": ""}, r"dataset='' is not in"),
        ({"root": "/nowhere"}, r"is not in config.data.root='/nowhere'; prepare it once"),
        ({"eval_split": "valid"}, r"eval_split='valid' is none of train, validation of .*did you"),
        ({"eval_split": "train[a:]"}, r"10.2.0: config.data.eval_split='train\[a:\]'"),
    ],
)
def test_what_is_wrong_is_named(root, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        make_data(config(root, **changes))
    assert "\n" not in str(caught.value)


def test_synthetic_objects_have_worlds_of_their_own_to_be_judged_on(tmp_path):
    settings = {"name": "synthetic_objects", "train_size": 3, "eval_size": 2, "seed": 0}
    data = make_data(config("", cache_dir=str(tmp_path), **settings))
    assert len(data.train.categories) == 10
    check_record(data.train[0], "object")
    assert data.train[0]["image"].shape == (8, 12, 3)
    assert not np.array_equal(data.train[0]["image"], data.eval[0]["image"])
