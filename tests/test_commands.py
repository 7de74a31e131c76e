"""One command for all, and what --help says."""

import importlib
import subprocess
import sys

import pytest

from geoseg_jax import __main__ as geoseg


def test_usage_names_every_command_and_every_config():
    assert all(name in geoseg.usage() for name in (*geoseg.COMMANDS, "configs"))
    for module, _ in geoseg.COMMANDS.values():
        assert importlib.util.find_spec(module) is not None
    lines = geoseg.configs().splitlines()
    assert any(line.startswith("  configs/quickstart.py ") for line in lines)
    assert all(len(line.split()) > 3 for line in lines), "each says what it is"


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "geoseg_jax", *words], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", ("--config:", "--workdir:", "--coordinator:", "configs/quickstart.py")),
        ("study", ("--config:", "--workdir:", "--processes:", "configs/study_quick.py")),
        ("predict", ("--workdir", "--images")),
        ("probe", ("--data", "--encoders", "--out", "--reference")),
    ],
)
def test_help_names_every_flag(command, flags):
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(flag in done.stdout for flag in flags)
    assert "configs/study_" not in done.stdout or "configs/quickstart" not in done.stdout


def test_an_unknown_command_is_told():
    done = run("pedict")
    assert done.returncode == 1
    assert done.stderr.startswith("error: 'pedict' is none of train, study, ")
    assert "did you mean 'predict'?" in done.stderr
