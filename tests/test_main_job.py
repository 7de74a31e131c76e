"""The main job itself, small: the real task, networks, loss and world through the loop."""

import functools
import json
import os

import jax
import numpy as np
import pytest

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.factory import make_data
from geoseg_jax.training import loop
from geoseg_jax.training.programs import Programs
from tests.test_configs import get_config

STEPS = 4
SLOW = "GEOSEG_JAX_SLOW_TESTS"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    config = get_config("quickstart")
    config.model.encoder = "tiny"
    config.data.frames = (-1, 1)
    config.task.scales = 1  # the others are compiled like it, for as long
    config.model.decoder_channels = (4, 4, 8, 8, 8)
    config.data.update({"height": 64, "width": 64, "train_size": 8, "eval_size": 3})
    config.data.cache_dir = str(tmp_path_factory.mktemp("cache"))
    config.train.update({"steps": STEPS, "batch_size": 8, "eval_batch_size": 8, "log_every": 1})
    config.train.update({"eval_every": 0, "checkpoint_every": 2, "pictures_every": 0})
    # Nothing but the gradient's size: Adam's first steps magnify rounding to whole steps.
    config.optimizer.update({"name": "sgd", "learning_rate": 1e-2, "warmup_steps": 0})
    config.optimizer.schedule = "constant"  # so that fewer steps are the beginning of more
    return config


@pytest.fixture(scope="module")
def data(config):
    return make_data(config)


@pytest.fixture(scope="module")
def run(config, data):
    """(workdir, devices, steps) -> result, losses, manifest; compiled once for each devices."""
    programs = Programs()
    return functools.partial(_run, config, data, programs)


def _run(config, data, programs, workdir, devices=1, steps=STEPS):
    config = config.copy_and_resolve_references()
    config.train.steps = steps
    devices = jax.devices()[:devices]
    result = loop.run(config, workdir, data=data, devices=devices, programs=programs)
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "learning_rate" in line]
    return result, losses, json.loads((workdir / "manifest.json").read_text())


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    return run(tmp_path_factory.mktemp("straight"))


def test_it_judges_itself_against_the_constant_map(straight):
    result, losses, _ = straight
    assert len(losses) == STEPS
    assert {"abs_rel", "abs_rel_constant", "bad_frames", "scale_ratio"} <= set(result.evaluation)
    assert result.evaluation["eval_images"] == 3


def test_going_on_is_bitwise_the_same(run, straight, tmp_path):
    first = run(tmp_path, steps=STEPS // 2)
    second = run(tmp_path)
    assert second[1] == straight[1]
    assert second[2]["parameters_sha256"] == straight[2]["parameters_sha256"]
    assert first[2]["parameters_sha256"] != straight[2]["parameters_sha256"]


# tests/tasks/test_selfsup_depth.py has its loss on eight devices, and the loop's other tests have
# segmentation on as many.
@pytest.mark.skipif(os.environ.get(SLOW) != "1", reason=f"takes half a minute: {SLOW}=1")
def test_eight_devices_are_as_one(run, straight, tmp_path):
    result, losses, _ = run(tmp_path, devices=8)
    np.testing.assert_allclose(losses, straight[1], rtol=1e-5)
    for name, value in straight[0].evaluation.items():
        assert result.evaluation[name] == pytest.approx(value, rel=1e-3), name


def test_a_misspelt_best_metric_is_named_at_start(config, data, tmp_path):
    wrong = config.copy_and_resolve_references()
    wrong.train.best_metric = "abs_rell"
    with pytest.raises(ConfigError, match="did you mean 'abs_rel'"):
        loop.run(wrong, tmp_path, data=data, devices=jax.devices()[:1])
