"""Every task of the registry refuses the others' settings and misses none of its own."""

import functools

import jax
import pytest

from geoseg_jax.config import table
from geoseg_jax.config.check import check
from geoseg_jax.config.settings import flatten
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.tasks import TASKS, make_task
from tests.test_configs import NAMES, abstract_batch, data_for, get_config, with_small_encoders


@functools.cache
def configs():
    """A config of each task."""
    made = [get_config(name) for name in NAMES]
    return {config.task.name: config for config in made}


def changed(task, key, value=None):
    """The config of a task with another value of a key, or without it, as nested dicts."""
    config = configs()[task].to_dict()
    *sections, name = key.split(".")
    section = functools.reduce(lambda part, name: part.setdefault(name, {}), sections, config)
    section.update({name: value})
    if value is None:
        del section[name]
    return config


def test_every_task_has_a_config():
    assert set(configs()) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_refuses_the_settings_of_the_others(task):
    check(configs()[task])
    others = set(table.everything()) - set(table.shared()) - set(TASKS[task].settings)
    assert others
    for key in others:
        with pytest.raises(ConfigError, match=rf"config\.{key} is a setting of .*, not of {task}"):
            check(changed(task, key, 1))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_misses_none_of_its_settings(task):
    for key, setting in TASKS[task].settings.items():
        if not setting.optional:
            with pytest.raises(ConfigError, match=rf"config\.{key} is missing"):
                check(changed(task, key))


@pytest.mark.parametrize("task", TASKS)
def test_what_is_optional_may_be_lacking(task):
    """Else the trace fails, long after the start. A pose encoder is, where poses are given."""
    config = configs()[task].copy_and_resolve_references()
    lacking = {key for key, setting in TASKS[task].settings.items() if setting.optional}
    for key in lacking & set(flatten(config)) - {"model.pose_encoder"}:
        *sections, name = key.split(".")
        del functools.reduce(getattr, sections, config)[name]
    with_small_encoders(config)
    check(config)
    made, batch = make_task(config, data_for(config)), abstract_batch(config)
    key = jax.random.key(0)
    variables = jax.eval_shape(made.init, key, batch)
    jax.eval_shape(made.loss, variables, key, batch, 0.0)
    jax.eval_shape(made.evaluate, variables, batch)
