"""What sources are able to do, alone and wrapped in others."""

import pickle

import pytest

from geoseg_jax.data import source
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.source import HasDepth, HasFlow, HasLabels, HasVideos, Wrapper, can
from tests.data.fabricate import NumberedSource

ABILITIES = [
    ability
    for name, ability in vars(source).items()
    if name.startswith("Has") and isinstance(ability, type)
]


class Deep(NumberedSource):
    """With what a labelled source has but `check`, and depth at a glance."""

    table, names = "table", ("a", "b", "c")

    def depth(self, index):
        return self[index]["depth"]

    def has_depth(self, index):
        return index < 2

    def label(self, index):
        return f"label {index}"

    def original(self, index):
        return 4, 6


class Doubled(Wrapper):
    def __getitem__(self, index):
        return {"depth": 2 * self.source[index]["depth"]}


@pytest.mark.parametrize("make", [lambda s: s, Wrapper, Doubled, lambda s: Subset(s, (2, 0))])
def test_abilities_are_those_of_what_is_wrapped(make):
    plain, deep = make(NumberedSource(3)), make(Deep(3))
    assert not any(can(plain, ability) for ability in ABILITIES)
    assert can(deep, HasDepth)
    assert not can(deep, HasFlow)
    assert not can(deep, HasVideos)
    assert not can(deep, HasLabels)  # all of it, or not at all: `check` is missing
    deep.check = lambda index: None
    assert can(deep, HasLabels)
    assert not can(None, HasDepth)


def test_a_wrapper_changes_what_it_says_and_no_more():
    deep = Deep(3)
    doubled = pickle.loads(pickle.dumps(Doubled(deep)))
    assert doubled[1]["depth"][0, 0] == 4
    assert doubled.depth(1)[0, 0] == 2
    assert (len(doubled), doubled.describe(2), doubled.left_out) == (3, "number 2", {})
    assert doubled.fingerprint() == deep.fingerprint()
    few = pickle.loads(pickle.dumps(Subset(deep, (2, 0))))
    assert (few.has_depth(0), few.has_depth(1)) == (False, True)
    assert (list(few.names), few.label(0), few.table) == (["c", "a"], "label 2", "table")
