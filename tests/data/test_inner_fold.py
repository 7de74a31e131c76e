"""Choosing settings by a fold of the labels to train on: what judges the result is not read."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data import labelled
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.source import DataError


class Pictures:
    """A labelled source of so many records, which may be forbidden to be read."""

    def __init__(self, prefix, count, closed=False):
        self.names, self.closed = [f"{prefix}{i:02d}" for i in range(count)], closed
        self.left_out = {}

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        assert not self.closed, "a picture that judges the result was read"
        return {"id": np.int32(index)}

    def check(self, index):
        assert not self.closed, "a label that judges the result was read"


def made(**settings):
    sets = Pictures("train", 20), Pictures("judged", 5, closed=True)
    reader = Reader(lambda data: sets, labelled=True)
    return labelled.make(reader, ConfigDict({"name": "folder", "root": ""} | settings))


def test_a_fold_judges_the_others_and_nothing_else_is_read():
    seen = []
    for fold in range(4):
        chosen = {"labels": 8, "subset": 100, "inner_fold": (fold, 4)}
        train, judged = made(**chosen)
        assert (len(train), len(judged)) == (6, 2)
        assert not set(train.names) & set(judged.names)
        assert all(name.startswith("train") for name in (*train.names, *judged.names))
        assert [judged[i] is not None for i in range(2)]
        assert {*train.names, *judged.names} == {*seen[:8]} or not seen
        seen += [*train.names, *judged.names] if not seen else judged.names
    # The folds together are the eight.
    assert set(seen) == set(seen[:8])


def test_fewer_labels_than_folds_are_refused():
    with pytest.raises(DataError, match=r"inner_fold=\(0, 4\) parts 3 labelled pictures"):
        made(labels=3, inner_fold=(0, 4))
