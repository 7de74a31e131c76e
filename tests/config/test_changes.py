"""What differs between two configs, and what of that a run may go on with."""

import pytest

from geoseg_jax.config import changes, settings
from geoseg_jax.core.setting import ConfigError
from tests import tiny


def test_what_may_change_on_resume():
    old = settings.plain(tiny.make_config())
    longer = settings.plain(tiny.make_config(train__steps=20, train__log_every=1))
    assert changes.check_resume(old, longer, "W") == [
        "config.train.log_every: 2 -> 1",
        "config.train.steps: 10 -> 20, which changes the learning rate of the steps to come",
    ]
    assert changes.check_resume(old, old, "W") == []
    other = settings.plain(tiny.make_config(optimizer__learning_rate=0.5))
    with pytest.raises(ConfigError, match=r"learning_rate: 0.01 -> 0.5.*another --workdir"):
        changes.check_resume(old, other, "W")


def test_tuples_and_lists_are_the_same_setting():
    assert changes.changed({"a": (1, (2,))}, {"a": [1, [2]]}) == {}
    assert changes.changed({"a": 1, "b": 2}, {"a": 1}) == {"b": (2, None)}
    assert changes.changed({"a": 0}, {}) == {"a": (0, None)}


def test_a_setting_that_is_off_may_be_lacking():
    """What was begun before there was such a setting goes on without it."""
    assert changes.changed({}, {"data": {"crop": ()}}) == {}
    assert changes.changed({"data": {"crop": []}}, {}) == {}
    assert changes.changed({}, {"transfer": {"statistics": ""}}) == {}
    assert changes.changed({"data": {"crop": ()}}, {"data": {"crop": (32, 32)}}) != {}
