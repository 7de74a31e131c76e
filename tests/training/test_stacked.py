"""Runs that are trained at once end as each alone, whatever becomes of the others."""

import gc
import json
import os
import signal

import jax
import numpy as np
import pytest

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import locks
from geoseg_jax.data.provenance import leakage
from geoseg_jax.data.source import DataError
from geoseg_jax.tasks import make_task
from geoseg_jax.training import loop, sharding, stacked, steps, workdir
from geoseg_jax.training.monitor import TrainingError
from geoseg_jax.training.programs import Programs
from tests import tiny
from tests.test_configs import abstract_batch, data_for
from tests.training.test_programs import CONFIGS, Weighted, config_of

SHARED = Programs()
COUNT = 4


def job(workdir, number, task=None, **changes):
    """A run with seed, rate and data of its own."""
    values = {"seed": number, "optimizer__learning_rate": 0.01 * (1 + number)}
    config, data = tiny.make_config(**values | changes), tiny.make_data(seed=number)
    return stacked.Job(config, workdir, True, task or tiny.TinyTask(holds=()), data)


def alone(workdir, number, **changes):
    config, _, _, task, data = job(workdir, number, **changes)
    return loop.run(config, workdir, task, data, jax.devices()[:1], programs=SHARED)


def together(folder, devices=COUNT, programs=SHARED, **changes):
    jobs = [job(folder / str(i), i, **changes) for i in range(COUNT)]
    return stacked.run(jobs, jax.devices()[:devices], programs)


def parameters(workdir):
    return json.loads((workdir / "manifest.json").read_text())["parameters_sha256"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The runs, one after the other, and their results."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, [alone(folder / str(i), i) for i in range(COUNT)]


def assert_alike(folder, straight, rtol, which=range(COUNT)):
    for i in which:
        found, expected = tiny.losses(folder / str(i)), tiny.losses(straight[0] / str(i))
        assert found.keys() == expected.keys()
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=rtol)


SEVERAL = pytest.mark.skipif(
    jax.__version_info__ < (0, 8), reason="jax 0.7 has no vmap of a convolution within shard_map"
)


@pytest.mark.parametrize(
    ("devices", "rtol"),
    [(4, 1e-6), pytest.param(3, 1e-5, marks=SEVERAL), pytest.param(1, 1e-5, marks=SEVERAL)],
)
def test_each_takes_its_own_steps_on_any_devices(tmp_path, straight, devices, rtol):
    """Four on three are two on each, of six places two in vain."""
    results = together(tmp_path, devices)
    for result, expected in zip(results, straight[1], strict=True):
        assert result.step == expected.step == 10
        assert result.evaluation["square"] == pytest.approx(expected.evaluation["square"], rtol)
    assert_alike(tmp_path, straight, rtol)
    if devices == COUNT:  # to the bit
        for i in range(COUNT):
            assert parameters(tmp_path / str(i)) == parameters(straight[0] / str(i))
    assert len({result.evaluation["square"] for result in results}) == COUNT


def test_in_parts_each_takes_the_steps_it_takes_alone_in_parts(tmp_path):
    parts = {"train__micro_batches": 2, "train__steps": 3}
    results = together(tmp_path, **parts)
    expected = alone(tmp_path / "alone", 1, **parts)
    assert results[1].evaluation["square"] == pytest.approx(expected.evaluation["square"], 1e-5)


def test_each_has_its_own_constants(tmp_path):
    jobs = [job(tmp_path / str(w), 1, Weighted(w), train__steps=4) for w in (1.0, 3.0)]
    stacked.run(jobs, jax.devices()[:2])
    for weight, weighted in ((1.0, jobs[0]), (3.0, jobs[1])):
        config, _, _, task, data = weighted
        loop.run(config, tmp_path / f"alone{weight}", task, data, jax.devices()[:1])
        assert tiny.losses(tmp_path / f"alone{weight}") == tiny.losses(tmp_path / str(weight))


def test_all_stop_after_the_same_step_and_go_on_alone(tmp_path, straight, monkeypatch, capsys):
    advanced = loop.Loop.advanced

    def advance_and_stop(self, values, ids):
        advanced(self, values, ids)
        if self.status.step == 3 and self.given.config.seed == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "advanced", advance_and_stop)
        results = together(tmp_path)
    assert results == [loop.Result(3, {}, signal.SIGTERM)] * COUNT
    assert "3 | SIGTERM: stopped at step 3 of 10 and saved" in capsys.readouterr().out
    first = alone(tmp_path / "0", 0)
    # A finished run and one of other steps don't stop the others from going on.
    results = together(tmp_path)
    assert results[0] == first
    assert [result.step for result in results[1:]] == [10] * 3
    assert_alike(tmp_path, straight, 1e-6)
    assert parameters(tmp_path / "3") == parameters(straight[0] / "3")


def test_an_error_ends_its_run_alone(tmp_path, straight, capsys):
    jobs = [job(tmp_path / str(i), i) for i in range(COUNT)]
    broken = tiny.make_data(seed=1, broken=(4,))
    jobs[1] = jobs[1]._replace(data=broken)
    jobs[2] = jobs[2]._replace(config=tiny.make_config(seed=2, optimizer__learning_rate=1e30))
    results = stacked.run(jobs, jax.devices()[:COUNT], SHARED)
    assert isinstance(results[1], DataError)
    assert "noise 1/4" in str(results[1])
    assert isinstance(results[2], TrainingError)
    assert "is nan" in str(results[2]) or "is inf" in str(results[2])
    assert [results[0], results[3]] == [straight[1][0], straight[1][3]]
    assert_alike(tmp_path, straight, 1e-6, (0, 3))
    # Their folders are free again, and what was wrong can be put right.
    assert alone(tmp_path / "1", 1) == straight[1][1]


def test_what_can_not_be_opened_or_is_of_another_kind_is_left(tmp_path, straight):
    jobs = [job(tmp_path / str(i), i) for i in range(COUNT)]
    jobs[0] = jobs[0]._replace(workdir=tmp_path)
    jobs[2] = job(tmp_path / "2", 2, train__batch_size=4)
    with locks.lock(tmp_path / workdir.LOCK):
        results = stacked.run(jobs, jax.devices()[:COUNT], SHARED)
    assert isinstance(results[0], ConfigError)
    assert "is in use" in str(results[0])
    assert results[2] is None
    assert [results[1], results[3]] == [straight[1][1], straight[1][3]]


def test_without_a_key_they_are_trained_one_at_a_time(tmp_path):
    jobs = [job(tmp_path / str(i), i, tiny.TinyTask(), train__steps=2) for i in range(2)]
    first, second = stacked.run(jobs, jax.devices()[:2])
    assert first.step == 2
    assert second is None


def test_a_device_that_is_too_small_is_told_of_with_their_number(
    tmp_path, straight, monkeypatch, capsys
):
    def full(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory\nand more")

    monkeypatch.setattr(steps, "compile_stacked_step", full)
    said = r"4 runs can't be trained at once \(RESOURCE_EXHAUSTED: out of memory\)"
    with pytest.raises(stacked.StackError, match=said):
        together(tmp_path / "compiling", programs=Programs())
    monkeypatch.undo()
    # Not of one run, whose own remedy would not help: in an evaluation beside the others' states.
    monkeypatch.setattr(loop.Loop, "run_due", full)
    with pytest.raises(stacked.StackError, match=said):
        together(tmp_path / "evaluating")
    assert "ended by TrainingError: the device is out of memory" in capsys.readouterr().out
    monkeypatch.undo()
    assert together(tmp_path / "evaluating") == straight[1]  # nothing is locked, nothing lost


def live():
    return sum(x.size for x in jax.live_arrays())


def test_nothing_is_left_on_the_devices(tmp_path):
    gc.collect()
    gc.disable()
    try:
        before = live()
        jobs = [job(tmp_path / str(i), i) for i in range(COUNT)]
        jobs[1] = jobs[1]._replace(data=tiny.make_data(seed=1, broken=(4,)))
        results = stacked.run(jobs, jax.devices()[:COUNT], SHARED)
        assert isinstance(results[1], DataError)
        assert live() - before < 200  # constants; the states have thousands
    finally:
        gc.enable()


def test_first_states_do_not_stay_beside_the_stack(tmp_path, monkeypatch):
    held, advanced = [], loop.Loop.advanced

    def advance(self, values, ids):
        held.append(self.status.state)
        advanced(self, values, ids)

    monkeypatch.setattr(loop.Loop, "advanced", advance)
    together(tmp_path, train__steps=2)
    assert held == [None] * 2 * COUNT


def test_lines_are_those_of_their_run_in_its_threads_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(leakage, "lines_of_run", lambda found: ["said by\na thread"])
    together(tmp_path, train__steps=2)
    lines = capsys.readouterr().out.splitlines()
    for said in ("finished in", "said by", "a thread"):
        assert sorted(line[:4] for line in lines if said in line) == [
            "0 | ",
            "1 | ",
            "2 | ",
            "3 | ",
        ]


# The others where GEOSEG_JAX_SLOW_TESTS=1 is set: they take seconds each.
FIRST = ("mae_imagenet",)
SLOW = os.environ.get("GEOSEG_JAX_SLOW_TESTS") == "1"


@pytest.mark.parametrize("name", CONFIGS if SLOW else FIRST)
def test_the_step_of_every_task_can_be_taken_by_several(name):
    config = config_of(name)
    shapes, mesh = abstract_batch(config), sharding.make_mesh(jax.devices()[:1])
    task = make_task(config, data_for(config))
    optimizer = steps.make_optimizer_for(task, config, 10, shapes)
    _, state = steps.make_state(task, optimizer, shapes, mesh)
    names, traced = steps.trace_stacked_step(task, optimizer, state, shapes, mesh, 3)
    after, values = traced.out_info
    assert values.shape == (3, len(names))
    assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: (3, *x.shape), state)
