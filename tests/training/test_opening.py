"""What a run says first, its bar on a terminal, and the warnings of jax, each met by a process."""

import json
import os
import pathlib
import pty
import re
import subprocess
import sys

import jax
import pytest
from ml_collections import ConfigDict

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.settings import with_absolute_roots
from geoseg_jax.training import bar, loop
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# The tiny training as the main command runs it, on a machine that seems to have a GPU.
PROGRAM = """
import runpy, sys
from jax._src import hardware_utils
hardware_utils.has_visible_nvidia_gpu = lambda: True
from geoseg_jax.config.command_line import quieten
quieten()
sys.argv = ["tests/tiny.py", *sys.argv[1:]]
runpy.run_path("tests/tiny.py", run_name="__main__")
"""


def command(workdir, *changes):
    settings = [f"--set={change}" for change in changes]
    return [sys.executable, "-c", PROGRAM, f"--workdir={workdir}", *settings]


def environment(**more):
    ours = ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "FORCE_COLOR", "NO_COLOR", "TERM")
    kept = {k: v for k, v in os.environ.items() if k not in ours}
    return kept | {"PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "2"} | more


def test_the_first_lines_where_there_is_no_terminal(tmp_path):
    workdir = tmp_path / "a run"
    done = subprocess.run(
        command(workdir, "train__steps=4"),
        cwd=ROOT,
        # Colours are asked for, and it is no terminal all the same.
        env=environment(FORCE_COLOR="1", TERM="xterm"),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "devices: 2 cpu",
        f"workdir: {workdir}",
        "reading the first batch…",
        # By hand: 3x3x3x4 and 2x4 of the norm, 3x3x4 + 1, then 1 + 1.
        "TinyTask: 155 parameters (parameters.txt), pictures 8x6, 8 examples a step, 4 a device",
    ]
    assert any(line.startswith(f"tensorboard: tensorboard --logdir '{workdir}'") for line in lines)
    assert any(re.fullmatch(r"compiled in \d+\.\d s", line) for line in lines)
    # A line of one kind for each log step.
    steps = [line.split()[1] for line in lines if line.startswith("step") and "loss" in line]
    assert steps == ["2/4", "4/4"]
    assert "\x1b" not in done.stdout
    assert "An NVIDIA GPU may be present on this machine" in done.stderr
    assert "Falling back to cpu" in done.stderr
    table = (workdir / "parameters.txt").read_text()
    assert "encoder/conv/kernel" in table
    assert "Total: 155 -- 620 bytes" in table


def test_a_terminal_shows_one_bar(tmp_path):
    leader, follower = pty.openpty()
    slow = "--slow=0.05"  # long enough to be drawn
    with subprocess.Popen(
        [*command(tmp_path / "w", "train__steps=8", "train__pictures_every=0"), slow],
        cwd=ROOT,
        env=environment(TERM="xterm", COLUMNS="150"),
        stdout=follower,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(follower)
        said = b""
        try:
            while part := os.read(leader, 4096):
                said += part
        except OSError:  # the other end was closed
            pass
    os.close(leader)
    assert process.returncode == 0
    text = said.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert re.search(r"━ 8/8 loss \d\.\d{5} ", plain), text  # the bar
    lines = plain.splitlines()
    assert not any(line.startswith("step") and "examples/s" in line for line in lines)
    assert any(re.match(r"step 5/8 +evaluation: square", line) for line in lines), lines
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is there again


class Numbered:
    """A stream as studies have it in their processes: it writes, and knows no more."""

    def write(self, text):
        return len(text)

    def flush(self):
        return


@pytest.mark.parametrize("stream", [Numbered(), None])
def test_what_is_no_terminal_has_no_bar(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    with bar.on_terminal(3, wanted=True) as shown:
        assert shown is None


def test_the_manifest_is_there_from_the_first_step_on(tmp_path, monkeypatch):
    seen = {}

    def advance(given):
        seen.update(json.loads((tmp_path / "manifest.json").read_text()))
        raise InterruptedError

    monkeypatch.setattr(loop.Loop, "_advance", advance)
    with pytest.raises(InterruptedError):
        loop.run(
            tiny.make_config(train__steps=2),
            tmp_path,
            tiny.TinyTask(holds=()),
            tiny.make_data(),
            jax.devices()[:1],
        )
    assert seen["finished"] is None
    assert seen["step"] == 0
    assert seen["data"]["train"]["size"] == 20
    assert seen["config"]["train"]["steps"] == 2
    assert {"versions", "git_revision", "device", "parents", "started"} <= set(seen)


def test_roots_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    given = {"root": "data/x", "eval_root": "~/y", "cache_dir": "", "name": "folder"}
    config = ConfigDict({"data": given})
    made = with_absolute_roots(config).data
    assert made.to_dict() == {
        "root": str(tmp_path / "data/x"),
        "eval_root": "/home/somebody/y",
        "cache_dir": "",
        "name": "folder",
    }
    assert config.data.root == "data/x"  # the caller's is left as it is
    with pytest.raises(ConfigError, match=r"config.data.root=gs://b/kitti is an address.*mount"):
        with_absolute_roots(ConfigDict({"data": {"root": "gs://b/kitti"}}))
