"""Runs that share programs end as each alone; programs depend on nothing that runs differ in."""

import json
import re
from types import SimpleNamespace
from typing import NamedTuple

import jax
import numpy as np
import pytest

from geoseg_jax.config.settings import flatten
from geoseg_jax.data import pipeline
from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.tasks import TASKS, make_task
from geoseg_jax.training import loop, programs, sharding, steps
from geoseg_jax.training.programs import INDEPENDENT, Programs
from tests import tiny
from tests.test_configs import abstract_batch, data_for, get_config, with_small_encoders

# A config of each task, with the parts that are timed or drawn at random.
CONFIGS = {
    "classify_synthetic": "",
    "depth_synthetic": "mono_stereo",
    "flow_synthetic": "strong",
    "mae_imagenet": "",
    "moco_imagenet": "",
    "reconstruct_kitti": "",
    "segment_synthetic": "",
    "depth_nyu": "held_out",
}
# Other values for INDEPENDENT, where a config has the setting.
OTHERS = {
    "seed": 7,
    "init_from": "elsewhere",
    "data.labels": 3,
    "data.subset": 5,
    "data.folds": 7,
    "data.fold": 2,
    "data.cache_dir": "elsewhere",
    "optimizer.learning_rate": 0.123,
    "optimizer.warmup_steps": 9,
    "optimizer.power": 0.7,
    "optimizer.decay_at": 0.3,
    "optimizer.decay_factor": 0.2,
    "train.steps": 1000,
    "train.log_every": 3,
    "train.eval_every": 4,
    "train.checkpoint_every": 5,
    "train.pictures_every": 6,
    "train.writers": (),
}


def config_of(name):
    config = get_config(name, CONFIGS[name])
    with_small_encoders(config)
    config.train.steps = 10
    return config


def key_of(config):
    mesh, shapes = sharding.make_mesh(jax.devices()[:1]), abstract_batch(config)
    return programs.key_of(config, make_task(config, data_for(config)), shapes, mesh)


def test_every_task_and_setting_is_held_to_it():
    assert {config_of(name).task.name for name in CONFIGS} == set(TASKS)
    assert set(OTHERS) == INDEPENDENT


def differing(name):
    """A config, and another with other values of all settings that programs are shared over."""
    config, other = config_of(name), config_of(name)
    present = {key: value for key, value in OTHERS.items() if key in flatten(config)}
    assert {"seed", "optimizer.learning_rate", "optimizer.warmup_steps"} <= set(present)
    other.update_from_flattened_dict(present)
    return config, other


@pytest.mark.parametrize("name", CONFIGS)
def test_settings_that_programs_are_shared_over_make_no_other_key(name):
    """That tasks read none of them is shown in tests/test_configs.py."""
    config, other = differing(name)
    assert key_of(config) == key_of(other)


class Progressing(tiny.TinyTask):
    """Its loss changes with the share of the training that is done."""

    def loss(self, variables, key, batch, progress):
        value, aux = super().loss(variables, key, batch, progress)
        return value * progress, aux


def step_as_text(**changes):
    config, task = tiny.make_config(**changes), Progressing()
    mesh = sharding.make_mesh(jax.devices()[:1])
    batch = next(iter(pipeline.eval_batches(tiny.make_data().train, batch_size=8)))
    shapes = sharding.global_shapes(batch, sharding.split(mesh))
    optimizer = steps.make_optimizer_for(task, config, config.train.steps, shapes)
    _, abstract_state = steps.make_state(task, optimizer, shapes, mesh)
    made = steps.trace_train_step(task, optimizer, abstract_state, shapes, mesh)[1].jaxpr
    text = f"{made}{[np.asarray(c).tolist() for c in made.consts]}"
    return re.sub(r"0x[0-9a-f]+", "", text)  # addresses of functions


def test_nor_do_they_make_another_step():
    """So that one compiled program on disk serves all."""
    present = OTHERS.keys() & flatten(tiny.make_config()).keys()
    assert {"seed", "optimizer.learning_rate", "optimizer.warmup_steps", "train.steps"} <= present
    changes = {key.replace(".", "__"): OTHERS[key] for key in present}
    assert step_as_text() == step_as_text(**changes)
    assert step_as_text() != step_as_text(optimizer__clip_norm=0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"transfer.frozen": ("encoder",)},
        {"task.label_smoothing": 0.1},
        {"optimizer.weight_decay": 0.3},
        {"data.height": 96},
        {"train.batch_size": 3},
    ],
)
def test_every_other_setting_makes_another_key(change):
    config = config_of("segment_synthetic")
    mesh, shapes = sharding.make_mesh(), abstract_batch(config)
    task = make_task(config, data_for(config))
    key = programs.key_of(config, task, shapes, mesh)
    config.update_from_flattened_dict(change)
    assert programs.key_of(config, task, shapes, mesh) != key


class Pictures(NamedTuple):
    """A training set of one picture, with these labels."""

    table: LabelTable
    labels: np.ndarray

    def __len__(self):
        return 1

    def label(self, index):
        return self.labels


def test_what_a_task_holds_of_its_data_is_in_the_key():
    config = config_of("segment_synthetic")
    mesh, shapes = sharding.make_mesh(), abstract_batch(config)
    config.task.class_weights = ("median_frequency",)

    def key(label):
        labels = np.full((2, 2), label, np.uint8)
        source = Pictures(data_for(config).train.table, labels)
        data = SimpleNamespace(train=source)
        return programs.key_of(config, make_task(config, data), shapes, mesh)

    assert key(0) == key(1)  # of the weights alone that there are any: they are arguments
    weighted = key(0)
    config.task.class_weights = ()
    assert key(0) != weighted


def run(workdir, shared, holds=(), poison=None, **changes):
    """A run of the tiny task; the numbers that it ends with."""
    task = tiny.TinyTask(poison, holds)
    loop.run(
        tiny.make_config(**changes),
        workdir,
        task,
        tiny.make_data(),
        jax.devices()[:1],
        programs=shared,
    )
    papers = json.loads((workdir / "manifest.json").read_text())
    return (
        papers["parameters_sha256"],
        papers["parts_sha256"],
        (workdir / "eval.json").read_text(),
        tiny.losses(workdir),
    )


@pytest.fixture
def compiled(monkeypatch):
    """How many steps of training were compiled."""
    calls, compile_train_step = [], steps.compile_train_step

    def counting(*arguments):
        calls.append(arguments)
        return compile_train_step(*arguments)

    monkeypatch.setattr(steps, "compile_train_step", counting)
    return calls


class Weighted(tiny.TinyTask):
    """Its loss is weighted by a number that it took from its data."""

    def __init__(self, weight):
        super().__init__(holds=())
        self.constants = {"weight": np.float32([weight])}

    def loss(self, variables, key, batch, progress):
        value, aux = super().loss(variables, key, batch, progress)
        return value * variables.get("constants", self.constants)["weight"][0], aux


def test_runs_with_other_constants_share_programs_and_keep_their_own(tmp_path, compiled):
    shared = Programs()

    def train(workdir, weight, programs):
        config, data = tiny.make_config(train__steps=4), tiny.make_data()
        result = loop.run(
            config, workdir, Weighted(weight), data, jax.devices()[:1], programs=programs
        )
        return result, tiny.losses(workdir)

    together = [train(tmp_path / f"{w}", w, shared) for w in (1.0, 3.0)]
    assert len(compiled) == 1
    assert together == [train(tmp_path / f"alone{w}", w, Programs()) for w in (1.0, 3.0)]
    first, second = (losses for _, losses in together)
    assert second[2] > 2 * first[2]


RUNS = (
    {},
    {"seed": 4, "optimizer__learning_rate": 3e-2, "train__eval_every": 2},
    {"seed": 5, "optimizer__rules": (("encoder/.*", 0.0),)},
    {"train__steps": 7},
)


def test_runs_that_share_programs_end_bitwise_as_each_alone(tmp_path, compiled):
    shared = Programs()
    together = [run(tmp_path / f"{i}", shared, **changes) for i, changes in enumerate(RUNS)]
    assert len(compiled) == 2  # the one with a frozen encoder has its own
    alone = [run(tmp_path / f"alone{i}", Programs(), **changes) for i, changes in enumerate(RUNS)]
    assert len(compiled) == 2 + len(RUNS)
    assert together == alone
    assert len({numbers[0] for numbers in alone}) == len(RUNS)  # unlike runs were compared


def test_without_word_of_what_a_task_holds_nothing_is_shared(tmp_path, compiled):
    shared = Programs()
    for i, holds in enumerate((None, None, "a", "b", "b")):
        run(tmp_path / f"{i}", shared, holds=holds, train__steps=1)
    assert len(compiled) == 4
