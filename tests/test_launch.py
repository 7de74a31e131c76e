"""Several processes on one machine are one run; the scripts end what they started."""

import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import tomllib

import jax
import numpy as np
import pytest
import yaml

from geoseg_jax.training import loop
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCAL = str(ROOT / "launch/local.sh")


def environment(program, **more):
    # No device count from this process's own settings.
    kept = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    settings = {"PROGRAM": f"{sys.executable} {program}", "PYTHON": sys.executable}
    return kept | settings | {"PYTHONPATH": str(ROOT)} | more


def test_two_processes_of_four_devices(tmp_path):
    """Stopped in one process at an odd moment, continued by both, then by this one alone."""
    workdir = tmp_path / "two"
    command = [LOCAL, "2", f"--workdir={workdir}", "--set=train__steps=12"]
    settings = environment(ROOT / "tests/tiny.py", DEVICES="4")
    with subprocess.Popen(
        [*command, "--slow=0.02"],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as first:
        said = []
        for line in first.stdout:
            said.append(line)
            if line.startswith("step") and "evaluation" not in line and first.poll() is None:
                children = subprocess.run(
                    ["pgrep", "-P", str(first.pid), "-f", "process_id=1"],
                    capture_output=True,
                    text=True,
                    check=False,
                ).stdout.split()
                if children and not any("SIGTERM" in line for line in said):
                    os.kill(int(children[0]), signal.SIGTERM)
                    said.append("SIGTERM was sent")
    text = "".join(said)
    assert "SIGTERM: stopped at step" in text, text
    assert first.returncode == 143, text
    assert json.loads((workdir / "manifest.json").read_text())["finished"] is None
    subprocess.run(command, env=settings, check=True, stdout=subprocess.DEVNULL)

    def go_on(folder, **changes):
        data = tiny.make_data()
        return loop.run(tiny.make_config(**changes), folder, tiny.TinyTask(), data)

    go_on(tmp_path / "one", train__steps=12)
    theirs, ours = tiny.losses(workdir), tiny.losses(tmp_path / "one")
    assert theirs.keys() == ours.keys()
    assert min(theirs) == 2
    assert max(theirs) == 12
    np.testing.assert_allclose([*theirs.values()], [*ours.values()], rtol=1e-5)
    # One process goes on from the checkpoint that two have written.
    changes = {"train__steps": 14, "optimizer__schedule": "cosine"}
    assert go_on(workdir, **changes).step == 14
    assert len(jax.devices()) == 8


def test_a_failure_ends_the_others(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "if sys.argv[-1] == '--process_id=1': sys.exit(7)\n"
        f"open({str(tmp_path / 'started')!r}, 'w').close(); time.sleep(60)\n"
    )
    start = time.monotonic()
    result = subprocess.run(
        [LOCAL, "3"], env=environment(program), capture_output=True, text=True, check=False
    )
    assert result.returncode == 7
    assert "exit code 7" in result.stderr
    assert time.monotonic() - start < 30


def test_those_who_wait_for_a_stopped_process_in_vain_are_ended(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\nif sys.argv[-1] == '--process_id=1': sys.exit(143)\ntime.sleep(60)\n"
    )
    start = time.monotonic()
    result = subprocess.run([LOCAL, "2"], env=environment(program, GRACE="0"), check=False)
    assert result.returncode == 143
    assert time.monotonic() - start < 30


def test_flags_that_processes_get(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, os\n"
        f"open({str(tmp_path)!r} + '/' + sys.argv[-1], 'w').write(\n"
        "    ' '.join(sys.argv[1:]) + ' ' + os.environ['JAX_NUM_CPU_DEVICES'])\n"
    )
    subprocess.run(
        [LOCAL, "2", "--a=b c"], env=environment(program, DEVICES="3", PORT="4567"), check=True
    )
    for i in (0, 1):
        flags = f"--coordinator=127.0.0.1:4567 --num_processes=2 --process_id={i}"
        assert (tmp_path / f"--process_id={i}").read_text() == f"--a=b c {flags} 3"


def test_a_program_that_is_no_interpreter(tmp_path):
    program = tmp_path / "geoseg"
    program.write_text(f'#!/usr/bin/env bash\necho "$@" >{tmp_path}/said\n')
    program.chmod(0o755)
    subprocess.run([LOCAL, "1"], env=environment("", PROGRAM=f"{program} train"), check=True)
    assert re.match(r"train --coordinator=127\.0\.0\.1:\d+ ", (tmp_path / "said").read_text())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_every_process_once(sent, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys, time\n"
        "count = 0\n"
        "def note(*_):\n"
        "    global count\n"
        "    count += 1\n"
        "signal.signal(signal.SIGTERM, note)\n"
        "signal.signal(signal.SIGINT, note)\n"
        "os.write(1, b'ready\\n')\n"  # at once: lines of two processes
        "while not count: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "os.write(1, b'signals %d\\n' % count)\n"
        "sys.exit(143)\n"
    )
    with subprocess.Popen(
        # In the background of a shell SIGINT is ignored, and bash can't change that.
        ["env", "--default-signal=INT", LOCAL, "2"],
        env=environment(program),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines == ["ready\n"] * 2
        process.send_signal(sent)
        rest = process.stdout.read()
    assert rest == "signals 1\n" * 2
    assert process.returncode == 143


def test_usage():
    result = subprocess.run([LOCAL], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "launch/local.sh N --config=" in result.stderr


GCLOUD = """#!/usr/bin/env bash
# Stands in for gcloud: ready, preempted in the first run, then made anew and ready. The first
# FAILS runs end early.
echo "$@" >>"$STAND_IN/calls"
case "$3 $4" in
  "tpu-vm describe") cat "$STAND_IN/state" ;;
  "queued-resources describe")  # the next state each time; READY once it is ACTIVE
    [[ -s $STAND_IN/queue ]] || exit 1
    head -n 1 "$STAND_IN/queue"
    if [[ $(head -n 1 "$STAND_IN/queue") == PROVISIONING ]]; then echo READY >"$STAND_IN/state"; fi
    if [[ $(head -n 1 "$STAND_IN/queue") != SUSPENDED ]]; then sed -i 1d "$STAND_IN/queue"; fi ;;
  "queued-resources delete") echo MISSING >"$STAND_IN/state"; rm "$STAND_IN/queue" ;;
  "queued-resources create") printf 'WAITING_FOR_RESOURCES\nPROVISIONING\n' >"$STAND_IN/queue" ;;
  "tpu-vm ssh")
    if [[ "$*" == *geoseg_jax.main* ]]; then
      echo run >>"$STAND_IN/runs"
      if (($(wc -l <"$STAND_IN/runs") <= FAILS)); then
        echo "$FIRST_STATE" >"$STAND_IN/state"
        if [[ $FIRST_STATE == PREEMPTED ]]; then echo SUSPENDED >"$STAND_IN/queue"; fi
        echo "$FIRST_SAYS"
        exit 255
      fi
    fi ;;
esac
"""


def run_tpu_vm(tmp_path, state, says="", fails=1):
    """Runs the script by the stand-in; returns what it says, and how often the training ran."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(GCLOUD)
    gcloud.chmod(gcloud.stat().st_mode | stat.S_IEXEC)
    (tmp_path / "state").write_text("READY\n")
    result = subprocess.run(
        [str(ROOT / "launch/tpu_vm.sh"), "--config=c.py:a b", "--workdir=/w"],
        env=os.environ
        | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "STAND_IN": str(tmp_path),
            "FIRST_STATE": state,
            "FIRST_SAYS": says,
            "FAILS": str(fails),
            "TPU": "t",
            "ZONE": "z",
            "TYPE": "v4-32",
            "WAIT": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return result, (tmp_path / "runs").read_text().count("run")


@pytest.mark.parametrize(("state", "runs"), [("READY", 4), ("PREEMPTED", 6)])
def test_tpu_vm_stops_where_a_ready_slice_fails_again_and_again(state, runs, tmp_path):
    result, ran = run_tpu_vm(tmp_path, state, fails=5)
    assert ran == runs
    assert result.returncode == (1 if state == "READY" else 0)
    assert ("ended early 4 times in a row" in result.stderr) == (state == "READY")


@pytest.mark.parametrize(
    ("state", "says", "code", "runs"),
    [("PREEMPTED", "", 0, 2), ("READY", "", 0, 2), ("READY", "GEOSEG_JAX_FAILED", 1, 1)],
)
def test_tpu_vm_starts_again_after_a_preemption(state, says, code, runs, tmp_path):
    result, ran = run_tpu_vm(tmp_path, state, says)
    assert result.returncode == code, result.stderr
    assert ran == runs
    calls = (tmp_path / "calls").read_text()
    made = "queued-resources create t --zone=z --node-id=t --accelerator-type=v4-32"
    assert calls.count(f"{made} --runtime-version=tpu-ubuntu2204-base") == (state == "PREEMPTED")
    # What was preempted is given back first, and while it waits nothing else is asked for.
    assert calls.count("queued-resources delete t --zone=z --force") == (state == "PREEMPTED")
    if state == "PREEMPTED":
        assert "is queued for: WAITING_FOR_RESOURCES" in result.stderr
        assert "is queued for: PROVISIONING" in result.stderr
    assert "uv venv --python 3.12 env" in calls
    # New workers need everything installed again, the same ones don't.
    assert calls.count(" scp ") == (2 if state == "PREEMPTED" else 1)
    assert r"--config=c.py:a\ b --workdir=/w" in calls


SRUN = """#!/usr/bin/env bash
echo "srun $@" >>"$STAND_IN/calls"
echo "$SRUN_CPUS_PER_TASK" >"$STAND_IN/cores"
exit "$CODE"
"""
SCONTROL = """#!/usr/bin/env bash
echo "scontrol $@" >>"$STAND_IN/calls"
"""


def run_on_slurm(tmp_path, script, code=0, **more):
    """Runs a script by stand-ins, as the fourth task of an array; returns what it called."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k != "SLURM_CPUS_PER_TASK"}
    result = subprocess.run(
        ["bash", str(ROOT / "launch" / script), "--config=c.py", "--workdir=/w"],
        env=kept
        | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STAND_IN": str(tmp_path), "PYTHON": "py"}
        | {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "8"}
        | {"SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_JOB_ID": "77", "SLURM_JOB_ID": "78"}
        | {"CODE": str(code), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, result.stderr
    return (tmp_path / "calls").read_text().splitlines()


@pytest.mark.parametrize(("code", "queued"), [(0, False), (143, True), (2, False)])
def test_a_studys_array_gives_each_task_its_part(code, queued, tmp_path):
    calls = run_on_slurm(tmp_path, "slurm_study.sbatch", code)
    assert calls[0] == "srun py -m geoseg_jax.study --cells=3/8 --config=c.py --workdir=/w"
    assert calls[1:] == (["scontrol requeue 77_4"] if queued else [])


@pytest.mark.parametrize(("code", "queued"), [(0, False), (143, True), (2, False)])
def test_a_training_on_slurm_is_queued_again(code, queued, tmp_path):
    called, *more = run_on_slurm(tmp_path, "slurm.sbatch", code)
    assert called.endswith("py -m geoseg_jax.main --config=c.py --workdir=/w")
    assert more == (["scontrol requeue 78"] if queued else [])


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm_study.sbatch"])
def test_tasks_on_slurm_get_the_cores_asked_for(script, tmp_path):
    asked = re.search(r"#SBATCH --cpus-per-task=(\d+)", (ROOT / "launch" / script).read_text())[1]
    for more, cores in (({}, asked), ({"SLURM_CPUS_PER_TASK": "3"}, "3")):
        run_on_slurm(tmp_path, script, **more)
        assert (tmp_path / "cores").read_text() == f"{cores}\n"


@pytest.mark.parametrize("nodes", [1, 2])
def test_skypilot_joins_the_nodes(nodes, tmp_path):
    job = yaml.safe_load((ROOT / "launch/skypilot.yaml").read_text())
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    result = subprocess.run(
        ["bash", "-c", job["run"]],
        env=os.environ
        | {"HOME": str(tmp_path), "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}
        | {"SKYPILOT_NUM_NODES": str(nodes), "SKYPILOT_NODE_RANK": "1", **job["envs"]},
        capture_output=True,
        text=True,
        check=True,
    )
    several = ["--coordinator=10.0.0.1:8476", "--num_processes=2", "--process_id=1"]
    assert result.stdout.splitlines() == [
        *("-m", "geoseg_jax.main", *job["envs"]["ARGUMENTS"].split()),
        *(several if nodes > 1 else []),
    ]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {*job["envs"]["EXTRA"].split(","), "cuda12", "cuda13", "tpu"} <= set(extras)
    # `name` is for buckets that SkyPilot made itself, and its mounts can't append to a file.
    assert all(mount["source"].startswith("gs://") for mount in job["file_mounts"].values())
    assert not any("name" in mount for mount in job["file_mounts"].values())
    assert "--workdir=gs://" in job["envs"]["ARGUMENTS"]
    assert "gcs" in job["envs"]["EXTRA"]


def test_scripts_pass_shellcheck():
    shellcheck = shutil.which("shellcheck") or shutil.which(
        "shellcheck", path=os.path.dirname(sys.executable)
    )
    if not shellcheck:
        pytest.skip("shellcheck is not installed")
    scripts = [str(p) for p in (ROOT / "launch").iterdir() if p.suffix in (".sh", ".sbatch")]
    assert len(scripts) == 4
    result = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
