"""A real study, its process killed at random, ends with the table of one that ran through."""

import csv
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SLOW = "GEOSEG_JAX_SLOW_TESTS"
pytestmark = pytest.mark.skipif(
    os.environ.get(SLOW) != "1", reason=f"minutes of training; set {SLOW}=1 to run it"
)
SETTINGS = (
    "--config=configs/study_quick.py:smoke",
    "--config.factors.training=('fine_tuned','frozen')",
    "--config.factors.replicate=(0,)",
    "--config.budget.amount=48",
    "--config.pretraining.train.checkpoint_every=2",
    "--config.target.set.train.steps=12",
    "--config.target.set.train.eval_every=4",
    "--config.target.set.train.checkpoint_every=4",
)


def start(workdir: pathlib.Path) -> subprocess.Popen:
    """The study in a session of its own, so that nothing of it outlives being killed."""
    command = [sys.executable, "-m", "geoseg_jax.study", *SETTINGS, f"--workdir={workdir}"]
    # With its own cache of programs: the parent's would make unlike starts. One for all starts, so
    # that they die while training rather than while compiling.
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "programs")}
    with open(workdir.with_suffix(".log"), "a") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def outcome(workdir: pathlib.Path) -> tuple:
    with open(workdir / "results.csv", newline="") as file:
        rows = [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(file)]
    return rows, *((workdir / name).read_text() for name in ("table.md", "table.tex"))


def lines(workdir: pathlib.Path) -> int:
    """How far it is: what all of its runs have reported."""
    return sum(len(file.read_text().splitlines()) for file in workdir.glob("*/*/metrics.jsonl"))


def kill_later(process: subprocess.Popen, workdir: pathlib.Path, chance: random.Random) -> None:
    """Somewhere within the next few reports."""
    wanted = lines(workdir) + chance.randint(1, 3)
    while lines(workdir) < wanted and process.poll() is None:
        time.sleep(0.05)
    time.sleep(chance.uniform(0.0, 1.0))
    assert process.poll() is None, "it was done before it was killed: nothing was shown"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_study_killed_three_times_gives_the_same_table(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait() == 0
    chance = random.Random(1)
    for _ in range(3):
        kill_later(start(killed), killed, chance)
    assert start(killed).wait() == 0
    assert outcome(killed) == outcome(whole)
    assert len(outcome(whole)[0]) == 4
