"""model.compute_dtype=auto: which device gets which type, and a run keeps what it began with."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from geoseg_jax.tasks import make_task, precision
from geoseg_jax.training import loop
from tests import tiny
from tests.test_configs import data_for, get_config


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({"platform": "cpu"}, "float32"),
        ({"platform": "tpu"}, "bfloat16"),
        ({"platform": "gpu", "compute_capability": "7.5"}, "float32"),  # T4
        ({"platform": "gpu", "compute_capability": "8.0"}, "bfloat16"),  # A100
        ({"platform": "gpu", "compute_capability": "12.0"}, "bfloat16"),
        ({"platform": "gpu", "compute_capability": "gfx90a"}, "bfloat16"),  # MI250
    ],
)
def test_devices_with_units_for_bfloat16_get_it(device, expected):
    assert precision.best_on(SimpleNamespace(**device)) == expected


def test_a_type_that_is_named_stays():
    config = get_config("classify_synthetic", "tiny")
    config.model.compute_dtype = "bfloat16"
    assert precision.resolved(config) is config
    assert make_task(config, data_for(config)).net.dtype == jnp.bfloat16


def test_a_task_takes_the_type_of_this_machine():
    config = get_config("classify_synthetic", "tiny")
    config.model.compute_dtype = "auto"
    assert make_task(config, data_for(config)).net.dtype == jnp.float32
    assert config.model.compute_dtype == "auto"  # not changed under its owner's hands


def run(workdir, compute_dtype, steps):
    config = tiny.make_config(train__steps=steps)
    config.model = {"compute_dtype": compute_dtype}
    config.train.update({"checkpoint_every": 1, "eval_every": 0})
    loop.run(config, workdir, tiny.TinyTask(), tiny.make_data())
    return json.loads((workdir / "config.json").read_text())["model"]["compute_dtype"]


def test_a_runs_record_names_the_type(tmp_path):
    assert run(tmp_path / "new", "auto", 1) == "float32"


def test_a_run_goes_on_in_the_type_that_it_began_with(tmp_path):
    """As one that was begun on another device."""
    assert run(tmp_path, "bfloat16", 1) == "bfloat16"
    assert run(tmp_path, "auto", 2) == "bfloat16"
