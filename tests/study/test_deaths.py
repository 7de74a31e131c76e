"""Whose fault a death was: read from what a process really leaves when it crashes or is killed."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from geoseg_jax.study import deaths

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def start(tmp_path, step=0):
    with deaths.watched(tmp_path / "note.json", tmp_path / "crash.txt", step) as before:
        kept = (tmp_path / "note.json").read_text()
    return before, kept


@pytest.mark.parametrize(("number", "counts"), [(signal.SIGABRT, 1), (signal.SIGKILL, 0)])
def test_a_crash_counts_and_a_kill_does_not(number, counts, tmp_path):
    program = (
        "import os, pathlib; from geoseg_jax.study import deaths\n"
        "with deaths.watched(pathlib.Path('note.json'), pathlib.Path('crash.txt'), 0):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == -number
    assert bool((tmp_path / "crash.txt").read_text()) == counts
    assert start(tmp_path)[0] == counts
    assert start(tmp_path)[0] == 0  # the process has lived on


def test_a_crash_is_that_of_all_who_are_trained_at_once(tmp_path):
    program = (
        "import os, pathlib; from geoseg_jax.study import deaths\n"
        "files = [(pathlib.Path(f'{n}.json'), pathlib.Path(f'{n}.txt'), 0) for n in range(3)]\n"
        "with deaths.watched(*files[0]), deaths.watched(*files[1], files[0][1]):\n"
        "    with deaths.watched(*files[2], files[0][1]):\n"
        "        pass\n"
        f"    os.kill(os.getpid(), {int(signal.SIGABRT)})\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False)
    files = [(tmp_path / f"{n}.json", tmp_path / f"{n}.txt", 0) for n in range(3)]
    assert [deaths.count(*of) for of in files] == [1, 1, 0]
    with deaths.watched(*files[0]) as before:  # alone: the other keeps what it knows
        assert before == 1
        assert deaths.count(*files[1]) == 1


def test_want_of_memory_counts_where_it_was_this_machine(tmp_path, monkeypatch):
    killed = {"": 3}
    monkeypatch.setattr(deaths, "killed_for_memory", lambda: killed[""])
    note = tmp_path / "note.json"
    for expected in (0, 1, 2):
        before, kept = start(tmp_path)
        assert before == expected
        note.write_text(kept)
        killed[""] += 1
    assert json.loads(kept)["deaths"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(deaths, "machine", lambda: "another")
        assert start(tmp_path)[0] == 2
    note.write_text(kept)
    assert start(tmp_path, step=7)[0] == 0  # there is progress


def test_linux_counters(tmp_path, monkeypatch):
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 4\n")
    assert deaths.killed_for_memory(tmp_path) in (0, 4)  # a control group's own comes first
    assert deaths._counted("low 0\noom 2\noom_kill 5\noom_group_kill 1\n") == 5
    assert deaths._counted("oom_kill_disable 0\nunder_oom 0\noom_kill 6\n") == 6
    assert deaths.killed_for_memory() >= 0
