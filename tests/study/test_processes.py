"""Several processes at once: their codes, their lines, their cores, and how they are stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from geoseg_jax.study import gpus, processes


def code_and_lines(code: int) -> int:
    print("first\nsecond")
    print("cores", sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [])
    return code


def test_every_process_ends_with_its_code_and_its_lines_are_numbered(capfd):
    assert processes.run(2, code_and_lines, 7) == ([7, 7], 0)
    lines = capfd.readouterr().out.splitlines()
    assert sorted(line for line in lines if "cores" not in line) == [
        "0 | first",
        "0 | second",
        "1 | first",
        "1 | second",
    ]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_cores_are_divided(capfd):
    cores = sorted(os.sched_getaffinity(0))
    processes.run(2, code_and_lines, 0)
    said = {line for line in capfd.readouterr().out.splitlines() if "cores" in line}
    assert said == {f"{i} | cores {cores[i::2] or cores}" for i in range(2)}


def say_its_gpu() -> int:
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("JAX_PLATFORMS"))
    return 0


def test_each_has_a_gpu_of_its_own(tmp_path, monkeypatch, capfd):
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\nfor i in 0 1 2; do echo "GPU $i: H100 (UUID: GPU-$i)"; done\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert gpus.share(2) == []  # they share the cores where that is asked for
    monkeypatch.delenv("JAX_PLATFORMS")
    assert gpus.share(1) == []
    environments = gpus.share(2)
    assert os.environ["JAX_PLATFORMS"] == "cpu"  # this process leaves the GPUs alone
    assert gpus.describe(environments) == "a GPU for each of 2 processes: 0, 1"
    assert processes.run(2, say_its_gpu, environments=environments) == ([0, 0], 0)
    assert sorted(capfd.readouterr().out.splitlines()) == ["0 | 0 None", "1 | 1 None"]
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [e["CUDA_VISIBLE_DEVICES"] for e in gpus.share(2)] == ["5", "7"]
    monkeypatch.delenv("JAX_PLATFORMS")
    shared = gpus.share(3)
    assert [e["CUDA_VISIBLE_DEVICES"] for e in shared] == ["5", "7", "5"]
    fraction = "XLA_PYTHON_CLIENT_MEM_FRACTION"
    assert [e.get(fraction) for e in shared] == ["0.450", None, "0.450"]
    assert gpus.describe(shared).startswith("3 processes on 2 GPUs: 2 on 5, 1 on 7; their kernels")
    monkeypatch.setenv(fraction, "0.2")  # who sets it knows better
    monkeypatch.delenv("JAX_PLATFORMS")
    assert not any(fraction in e for e in gpus.share(4))
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert gpus.share(2) == []


def wait_for_the_signal(folder: str) -> int:
    received = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: received.append(n))
    with open(os.path.join(folder, str(os.getpid())), "w"):
        pass
    while not received:
        time.sleep(0.01)
    with open(os.path.join(folder, f"{os.getpid()}.ended"), "w"):
        pass
    return 128 + received[0]


def start(folder) -> tuple[subprocess.Popen, list[int]]:
    """A parent of two that wait, and their process numbers."""
    program = f"""
        from geoseg_jax.study import processes
        from tests.study.test_processes import wait_for_the_signal
        if __name__ == "__main__":
            print(processes.run(2, wait_for_the_signal, {str(folder)!r}), flush=True)
    """
    file = folder / "program.py"
    file.write_text(textwrap.dedent(program))
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    environment = os.environ | {"PYTHONPATH": root}
    parent = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, env=environment)
    while len(found := [p for p in folder.iterdir() if p.name.isdecimal()]) < 2:
        assert parent.poll() is None
        time.sleep(0.01)
    return parent, [int(p.name) for p in found]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_every_process_once(tmp_path, number):
    parent, _ = start(tmp_path)
    parent.send_signal(number)
    out, _ = parent.communicate(timeout=60)
    assert out.decode().strip() == f"Ended(codes={[128 + number] * 2}, signal={int(number)})"


def test_they_end_when_their_parent_is_killed(tmp_path):
    parent, children = start(tmp_path)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for child in children:
        deadline = time.monotonic() + 60
        while not (tmp_path / f"{child}.ended").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
