"""The loop on a tiny task: the same numbers on any devices, after any interruption."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import locks
from geoseg_jax.data.provenance import leakage
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.training import loop
from geoseg_jax.training.checkpoints import choose, steps_in
from geoseg_jax.training.evaluation import better
from geoseg_jax.training.monitor import TrainingError
from geoseg_jax.training.programs import Programs
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ONE = slice(0, 1)
SHARED = Programs()  # most runs differ in what no program depends on


def run(
    workdir,
    *,
    devices=ONE,
    task=None,
    data=None,
    keep_checkpoints=True,
    programs=SHARED,
    **changes,
):
    return loop.run(
        tiny.make_config(**changes),
        workdir,
        task or tiny.TinyTask(holds=()),
        data or tiny.make_data(),
        jax.devices()[devices],
        programs=programs,
        keep_checkpoints=keep_checkpoints,
    )


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def numbers(workdir):
    """The lines of metrics.jsonl without those numbers that tell of time."""
    timed = ("examples_per_second", "seconds_left", "data_wait_share")
    lines = (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run of 10 steps on one device."""
    workdir = tmp_path_factory.mktemp("straight")
    run(workdir)
    return workdir


def test_what_a_run_leaves(straight):
    names = {p.name.split(".tfevents")[0] for p in straight.iterdir()}
    assert names == {
        "checkpoints",
        "config.json",
        "eval.json",
        "events.out",
        "files.json",
        "manifest.json",
        "metrics.jsonl",
        "parameters.txt",
        "pictures",
        "run.lock",
    }
    assert [p.name for p in (straight / "pictures").iterdir()] == ["00000010.png"]
    assert [line["step"] for line in numbers(straight)] == [2, 4, 5, 6, 8, 10, 10]
    results = read(straight / "eval.json")
    own = {"square", "eval_images", "best_step", "best_square"}
    always = {"bad_frames", "frozen_parameters", "frozen_unchanged", *leakage.METRICS}
    assert set(results) == own | always
    # Held against its own training split; the drives of noise are not known.
    assert [results[name] for name in leakage.METRICS] == [0, 0, 0, 11]
    assert results["eval_images"] == 11
    assert results["square"] < numbers(straight)[0]["square"] / 2  # it has learnt something
    papers = read(straight / "manifest.json")
    assert papers["data"]["train"]["size"] == 20
    record = (straight / "files.json").read_bytes()
    assert papers["data"]["files"]["sha256"] == hashlib.sha256(record).hexdigest()
    assert papers["parents"] == []
    assert papers["config"] == read(straight / "config.json")
    assert len(papers["parameters_sha256"]) == 64


class Progressing(tiny.TinyTask):
    """Reports the progress that its loss is told, and a number drawn with its key."""

    def loss(self, variables, key, batch, progress):
        value, aux = super().loss(variables, key, batch, progress)
        told = {"progress": progress, "drawn": jax.random.uniform(key)}
        return value, aux._replace(terms=aux.terms | told)


def test_the_loss_is_told_the_progress_and_draws_anew_after_a_restart_too(tmp_path, monkeypatch):
    options = {"task": Progressing(), "train__steps": 5, "train__log_every": 1}
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        run(tmp_path, **options)
    run(tmp_path, **options)
    told = [line for line in numbers(tmp_path) if "progress" in line]
    assert [line["progress"] for line in told] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert len({line["drawn"] for line in told}) == 5


def test_one_device_and_eight_agree(straight, tmp_path):
    run(tmp_path, devices=slice(0, 8), train__log_every=1)
    run(tmp_path / "one", train__log_every=1)
    for a, b in zip(numbers(tmp_path), numbers(tmp_path / "one"), strict=True):
        assert set(a) == set(b)
        for name in a:  # batch_stats_norm is one of them
            np.testing.assert_allclose(a[name], b[name], rtol=1e-5, err_msg=f"{name} {a}")
    # Logging at another cadence does not change the training.
    one, other = (read(w / "manifest.json") for w in (tmp_path / "one", straight))
    assert one["parameters_sha256"] == other["parameters_sha256"]


def test_a_batch_in_parts_is_said_and_the_same_on_one_device_and_eight(tmp_path, capsys):
    parts = {"train__micro_batches": 2, "train__batch_size": 16, "train__steps": 3}
    losses = []
    for name, devices in (("one", ONE), ("eight", slice(None))):
        run(tmp_path / name, devices=devices, **parts)
        losses.append([line["loss"] for line in numbers(tmp_path / name) if "loss" in line])
    assert len(losses[0])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert "16 examples a step, 2 a device, in 2 parts" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="micro_batches=2 parts; use 16"):
        run(tmp_path / "odd", devices=slice(None), **{**parts, "train__batch_size": 12})


def test_one_device_and_eight_have_the_same_statistics_and_parameters(tmp_path, monkeypatch):
    monkeypatch.setattr(loop.Loop, "_finish", lambda loop, unchanged: loop.status.state)
    one = run(tmp_path / "one")
    eight = run(tmp_path / "eight", devices=slice(0, 8))
    assert len(eight.params["head"]["kernel"].sharding.device_set) == 8
    pairs = jax.tree.map(lambda *xs: xs, one.batch_stats, eight.batch_stats)
    for a, b in jax.tree.leaves(pairs, is_leaf=lambda x: isinstance(x, tuple)):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    # Adam divides by the gradient's size, which makes more of rounding where that is small.
    pairs = jax.tree.map(lambda *xs: xs, one.params, eight.params)
    for a, b in jax.tree.leaves(pairs, is_leaf=lambda x: isinstance(x, tuple)):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    # Not only equal: the running variance has left its start.
    assert np.abs(np.asarray(one.batch_stats["encoder"]["norm"]["var"]) - 1).min() > 0.1


def stop_after(monkeypatch, step):
    """Sends this process a SIGTERM when the loop has started `step`."""
    advance = loop.Loop._advance

    def advance_and_stop(loop):
        advance(loop)
        if loop.status.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            loop._poll_stop()

    monkeypatch.setattr(loop.Loop, "_advance", advance_and_stop)


def test_sigterm_saves_and_the_next_start_goes_on_exactly(straight, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        result = run(tmp_path)
    assert result == loop.Result(3, {}, signal.SIGTERM)
    assert "SIGTERM: stopped at step 3 of 10 and saved; the same command" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert not (tmp_path / "eval.json").exists()
    result = run(tmp_path)
    assert "going on from step 3" in capsys.readouterr().out
    assert result.step == 10
    assert result.signal == 0
    assert numbers(tmp_path) == numbers(straight)
    assert read(tmp_path / "eval.json") == read(straight / "eval.json")
    for key in ("parameters_sha256", "data"):
        assert read(tmp_path / "manifest.json")[key] == read(straight / "manifest.json")[key]


def test_a_run_that_keeps_no_checkpoints_has_the_same_numbers(straight, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 6)  # one evaluation, of the best so far, is behind it
        stopped = run(tmp_path, keep_checkpoints=False, train__checkpoint_every=0)
    assert (stopped.step, steps_in(tmp_path / "checkpoints")) == (6, [6])
    run(tmp_path, keep_checkpoints=False, train__checkpoint_every=0)
    assert steps_in(tmp_path / "checkpoints") == [6]
    run(tmp_path / "through", keep_checkpoints=False, train__checkpoint_every=0)
    assert steps_in(tmp_path / "through" / "checkpoints") == []
    for workdir in (tmp_path, tmp_path / "through"):
        assert numbers(workdir) == numbers(straight)
        assert read(workdir / "eval.json") == read(straight / "eval.json")
        for key in ("parameters_sha256", "parts_sha256"):
            assert read(workdir / "manifest.json")[key] == read(straight / "manifest.json")[key]


def test_a_signal_before_the_first_step_ends_at_once(tmp_path, monkeypatch, capsys):
    def compile_slowly(*_):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(loop.steps, "compile_train_step", compile_slowly)
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, programs=None)
    assert stopped.value.code == 130
    assert "SIGINT: stopped before the first step" in capsys.readouterr().out
    assert not list((tmp_path / "checkpoints").iterdir())


def test_an_evaluation_that_was_cut_short_is_done_after_the_restart(
    straight, tmp_path, monkeypatch
):
    evaluate = loop.evaluate

    def interrupted(*args):
        if not next(left):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return evaluate(*args)

    for before, step in ((0, 5), (1, 10)):  # the last one too
        left = iter(range(before, -1, -1))
        with monkeypatch.context() as patch:
            patch.setattr(loop, "evaluate", interrupted)
            assert run(tmp_path).step == step
    assert run(tmp_path).step == 10
    assert numbers(tmp_path) == numbers(straight)
    assert read(tmp_path / "eval.json") == read(straight / "eval.json")
    chosen, expected = (choose(w, "best", "w") for w in (tmp_path, straight))
    assert chosen.name == expected.name


def test_a_finished_run_is_left_as_it_is(straight, capsys):
    def times():
        files = (p for p in straight.rglob("*") if p.is_file() and p.name != "run.lock")
        return {p: p.stat().st_mtime_ns for p in files}

    before = times()
    result = run(straight)
    assert result.evaluation == read(straight / "eval.json")
    assert "this run is finished" in capsys.readouterr().out
    assert times() == before


def test_another_run_in_the_same_workdir_is_refused(straight, tmp_path):
    with pytest.raises(ConfigError, match=r"config.seed: 3 -> 4.*another --workdir"):
        run(straight, seed=4)
    with pytest.raises(ConfigError, match="the data is not what"):
        run(straight, data=tiny.make_data(seed=9))
    shutil.copytree(straight / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(ConfigError, match=r"config.train.steps=5.*checkpoint of step 10"):
        run(tmp_path, train__steps=5)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path):
    # Record 13 is in some batch; whichever it is, no checkpoint may be of that step or later.
    with pytest.raises(TrainingError) as error:
        run(tmp_path, task=tiny.TinyTask(poison=13), train__checkpoint_every=1)
    text = str(error.value)
    step = int(text.split()[1].rstrip(":"))
    assert f"step {step}: square is nan, loss is nan, gradient_norm is nan" in text
    assert "size 0." in text or "size 1." in text  # the term that is well, with its value
    assert "13 = noise 1/13" in text
    saved = [int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()]
    assert all(s < step for s in saved)
    assert "\n" not in text


def test_a_device_without_memory_is_told_with_the_settings_to_change(tmp_path):
    class Huge(tiny.TinyTask):
        def loss(self, variables, key, batch, progress):
            loss, aux = super().loss(variables, key, batch, progress)
            line = jnp.arange(2**20, dtype=jnp.float32)
            four_tib = jnp.sort(jnp.sin(jax.lax.stop_gradient(loss) + line[:, None] * line))
            return loss + four_tib.max(), aux

    said = r"out of memory \(RESOURCE_EXHAUSTED: .*raise config.train.micro_batches=1.*batch_size=8"
    with pytest.raises(TrainingError, match=said):
        run(tmp_path, task=Huge())


def test_frozen_parts_stay_bit_by_bit(tmp_path):
    changes = {"optimizer__rules": (("encoder/.*", 0.0),)}
    run(tmp_path / "a", train__steps=1, **changes)
    run(tmp_path / "b", train__steps=6, **changes)
    a, b = (read(tmp_path / w / "manifest.json") for w in "ab")
    assert a["frozen_sha256"] == b["frozen_sha256"]
    assert a["parameters_sha256"] != b["parameters_sha256"]


def test_a_change_of_frozen_parts_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(loop.steps, "_keep", lambda frozen, old, new: new)
    with pytest.raises(TrainingError, match="frozen parameters or statistics have changed"):
        run(tmp_path, programs=None, train__steps=2, optimizer__rules=(("encoder/.*", 0.0),))


@pytest.mark.parametrize(("batch_size", "devices"), [(1, 1), (3, 3), (3, 1), (8, 4)])
def test_evaluation_is_exact_for_any_batch_size_and_device_count(batch_size, devices, straight):
    from geoseg_jax.data import pipeline
    from geoseg_jax.training import sharding, steps
    from geoseg_jax.training.evaluation import evaluate

    task, data = tiny.TinyTask(), tiny.make_data(eval_size=7)
    mesh = sharding.make_mesh(jax.devices()[:devices])
    batches = list(pipeline.eval_batches(data.eval, batch_size=batch_size))
    variables = jax.jit(task.init)(jax.random.key(0), batches[0])
    no_stop = steps.stop_flags(0, mesh)
    totals = evaluate(
        steps.make_eval_step(task, mesh), variables, batches, mesh, lambda: no_stop, print
    )
    assert totals["images"] == 7
    assert isinstance(totals["images"], int)
    errors = []
    apply = jax.jit(lambda image: tiny.Model().apply(variables, image, train=False))
    for index in range(7):  # one by one, in numpy
        record = data.eval[index]
        predicted = apply(record["image"][None])[0]
        errors.append(np.mean(np.square(np.float64(predicted) - record["depth"])))
    np.testing.assert_allclose(task.summarise(totals)["square"], np.mean(errors), rtol=1e-6)


def test_unreadable_frames(tmp_path, capsys):
    data = tiny.make_data(broken=(3,))
    with pytest.raises(BadRecord, match="noise 1/3: broken"):
        run(tmp_path / "strict", data=data)
    results = run(tmp_path / "lenient", data=data, data__bad_share=0.2).evaluation
    assert 1 <= results["bad_frames"] <= 80 * 0.2
    assert read(tmp_path / "lenient/eval.json")["bad_frames"] == results["bad_frames"]
    assert "unreadable frames replaced" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"more than config.data.bad_share=0.01"):
        run(tmp_path / "some", data=data, data__bad_share=0.01)


def test_the_best_so_far():
    best = better(None, 1, {"iou": 0.5}, "iou", "max")
    assert best == {"step": 1, "value": 0.5}
    assert better(best, 2, {"iou": 0.4}, "iou", "max") == best
    assert better(best, 2, {"iou": 0.5}, "iou", "max") == best  # the earlier of equals
    assert better(best, 2, {"iou": float("nan")}, "iou", "max") == best
    assert better(best, 2, {"iou": 0.6}, "iou", "max") == {"step": 2, "value": 0.6}
    assert better(best, 2, {"iou": 0.4}, "iou", "min") == {"step": 2, "value": 0.4}
    assert better(None, 2, {"iou": 0.4}, "", "min") is None


def test_a_metric_that_does_not_exist(tmp_path):
    with pytest.raises(
        ConfigError, match=r"best_metric='sqare' is not one of .*did you mean 'square'"
    ):
        run(tmp_path, train__best_metric="sqare")


def test_a_run_of_60_steps_killed_three_times_ends_with_the_same_parameters(tmp_path):
    """SIGKILL at random moments, in the middle of steps, of saving or of a line of the log.

    As many devices in either process: they share the threads out, which changes the rounding.
    """
    settings = {"train__steps": 60, "train__checkpoint_every": 5, "train__eval_every": 20}
    run(tmp_path / "straight", **settings)
    workdir = tmp_path / "killed"
    command = [sys.executable, str(ROOT / "tests/tiny.py"), f"--workdir={workdir}"]
    command += ["--slow=0.01", "--devices=1"]
    command += [f"--set={key}={value}" for key, value in settings.items()]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "8"}
    moments = random.Random(0)
    kills = 0
    for attempt in range(4):
        with subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            if attempt < 3:
                # From the first line on the rest takes about two seconds.
                next(line for line in process.stdout if line.startswith("step"))
                time.sleep(moments.uniform(0.0, 0.4))
                process.kill()
                kills += 1
            process.stdout.read()
        # The manifest is there from the first step on.
        assert bool(read(workdir / "manifest.json")["finished"]) == (attempt == 3)
    assert kills == 3
    assert process.returncode == 0
    ours, theirs = (read(w / "manifest.json") for w in (tmp_path / "straight", workdir))
    assert ours["parameters_sha256"] == theirs["parameters_sha256"]
    assert numbers(workdir) == numbers(tmp_path / "straight")


def flip_newest(workdir):
    path = max((workdir / "checkpoints" / "10" / "state" / "d").iterdir())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_of_a_finished_run_is_made_again(straight, tmp_path, capsys):
    """Left out, an older one would stand for it, which has other numbers."""
    workdir = tmp_path / "run"
    shutil.copytree(straight, workdir)
    flip_newest(workdir)
    run(workdir)
    said = capsys.readouterr().out
    assert "checkpoints/10 is damaged: state/d/" in said
    assert "going on from step 8" in said
    assert steps_in(workdir / "checkpoints")[-1] == 10
    assert numbers(workdir) == numbers(straight)
    sha256 = "parameters_sha256"
    assert read(workdir / "manifest.json")[sha256] == read(straight / "manifest.json")[sha256]


def test_a_second_run_in_the_same_workdir_is_refused(tmp_path):
    with (
        locks.lock(tmp_path / "run.lock"),
        pytest.raises(ConfigError, match=rf"in use by process {os.getpid()} on .*another --workd"),
    ):
        run(tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_a_trace_ends_with_its_run_at_the_latest(tmp_path):
    """A process can record one only, and a run that goes on has none that it could end."""
    short = {"train__profile_at": 1, "train__eval_every": 0}
    run(tmp_path / "short", train__steps=3, **short)  # which ends before the trace would
    run(tmp_path / "short", train__steps=5, **short)
    run(tmp_path / "whole", train__steps=5, **short)
    for name in ("short", "whole"):
        assert list((tmp_path / name / "profile").rglob("*.xplane.pb"))
    with pytest.raises(TrainingError):
        run(tmp_path / "failing", task=tiny.TinyTask(poison=3), **short)
    run(tmp_path / "after", train__steps=5, **short)
