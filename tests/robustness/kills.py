"""Kills a tiny training and a tiny study at random moments, and flips bytes of checkpoints.

    python -m tests.robustness.kills --SIGKILL=100 --SIGTERM=100 --SIGHUP=20 --study=30 --flips

All must end as one that ran through: parameters by hash, metrics.jsonl, eval.json; a study by its
table. It takes about half an hour on two cores; what is left out is not done. Exit code 1 where an
end differs.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import jax

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training import loop
from geoseg_jax.training.checkpoints import CheckpointError
from tests import tiny
from tests.study import test_killed as study

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# What a signal may end the program with: saved, or before there was anything to save.
CODES = {
    signal.SIGKILL: (-9,),
    signal.SIGTERM: (143, -15),
    signal.SIGHUP: (129, -1),
}
PER_ROUND = 20  # signals to one workdir
SETTINGS = {"train__steps": 200, "train__checkpoint_every": 5, "train__eval_every": 20}
_TIMED = ("examples_per_second", "seconds_left", "data_wait_share")


def end_of(workdir: pathlib.Path) -> tuple:
    """What a run has come to, without what tells of time."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    numbers = [{k: v for k, v in line.items() if k not in _TIMED} for line in lines]
    manifest = json.loads((workdir / "manifest.json").read_text())
    results = json.loads((workdir / "eval.json").read_text())
    return manifest["parameters_sha256"], manifest["parts_sha256"], results, numbers


def start(workdir: pathlib.Path) -> subprocess.Popen:
    """The tiny training on one device, in a process of its own."""
    command = [sys.executable, str(ROOT / "tests/tiny.py"), f"--workdir={workdir}"]
    command += ["--slow=0.005", *(f"--set={key}={value}" for key, value in SETTINGS.items())]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def wait_for_a_moment(process: subprocess.Popen, chance: random.Random) -> None:
    """Waits until some time within the start, or, more often, after the first step."""
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0.0, 4.0))
        return
    for line in process.stdout:
        if line.startswith("step"):
            break
    time.sleep(chance.uniform(0.0, 0.5))


def kill_training(number: int, count: int, folder: pathlib.Path, chance: random.Random) -> str:
    """Sends a training `count` signals, PER_ROUND to a workdir; returns a line of the table."""
    name, straight = signal.Signals(number).name, folder / "straight"
    if not straight.exists():
        assert _finish(straight) == 0
    sent = differing = rounds = 0
    odd: list[int] = []
    while sent < count:
        workdir, due = folder / f"{name}-{rounds}", min(count, sent + PER_ROUND)
        while sent < due:
            with start(workdir) as process:
                wait_for_a_moment(process, chance)
                process.send_signal(number)
                process.stdout.read()
            if process.returncode == 0:  # it was done before
                break
            sent += 1
            odd += [process.returncode] if process.returncode not in CODES[number] else []
        ended = _finish(workdir)
        differing += ended != 0 or end_of(workdir) != end_of(straight)
        rounds += 1
        print(f"  {name}: {sent} of {count}, {differing} differ", flush=True)
        shutil.rmtree(workdir)
    exits = f", unexpected exit codes {odd}" if odd else ""
    return f"{name:<8} {sent:>4} in {rounds:>3} runs: {differing} differ{exits}"


def _finish(workdir: pathlib.Path) -> int:
    with start(workdir) as process:
        process.stdout.read()
    return process.returncode


def kill_study(count: int, folder: pathlib.Path, chance: random.Random) -> str:
    """Kills a study and all its processes `count` times; returns a line of the table."""
    whole, killed = folder / "whole", folder / "killed"
    assert study.start(whole).wait() == 0
    sent = differing = rounds = 0
    while sent < count:
        process = study.start(killed)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(1.0, 25.0))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            sent += 1
        if process.returncode != -9 or sent == count:
            ended = study.start(killed).wait()
            differing += ended != 0 or study.outcome(killed) != study.outcome(whole)
            rounds += 1
            print(f"  study: {sent} of {count}, {differing} differ", flush=True)
            for name in ("cells", "pretraining"):
                shutil.rmtree(killed / name)
    return f"study    {sent:>4} in {rounds:>3} runs: {differing} differ"


def flip_bytes(folder: pathlib.Path, chance: random.Random) -> str:
    """Flips a byte of each file of a checkpoint in turn, goes on; returns a line of the table."""
    whole, half = folder / "flips-whole", folder / "flips-half"
    run(whole, 10)
    run(half, 8)  # 4 and 8 are there
    same = told = differing = 0
    for path, content in flipped(half / "checkpoints" / "8", chance):
        workdir = folder / "flips"
        shutil.copytree(half, workdir)
        (workdir / path.relative_to(half)).write_bytes(content)
        try:
            run(workdir, 10)
        except (CheckpointError, ConfigError):
            told += 1
        else:
            equal = end_of(workdir) == end_of(whole)
            same, differing = same + equal, differing + (not equal)
        shutil.rmtree(workdir)
    return f"flips    {same} with the same end, {told} told in a line, {differing} differ"


def flipped(
    checkpoint: pathlib.Path, chance: random.Random
) -> Iterator[tuple[pathlib.Path, bytes]]:
    """Yields every file of a checkpoint, with one bit of it turned over."""
    for path in sorted(p for p in checkpoint.rglob("*") if p.is_file()):
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        yield path, bytes(content)


def run(workdir: pathlib.Path, steps: int) -> None:
    """The tiny training in this process, of which `steps` are done now."""
    # Evaluated where the first one ends too, so that both have the same lines of metrics.
    every = {"train__eval_every": 4, "train__checkpoint_every": 4}
    config = tiny.make_config(train__steps=steps, optimizer__schedule="constant", **every)
    loop.run(config, workdir, tiny.TinyTask(), tiny.make_data(), jax.devices()[:1])


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for number in CODES:
        parser.add_argument(f"--{number.name}", type=int, default=0, metavar="N")
    parser.add_argument("--study", type=int, default=0, metavar="N", help="SIGKILLs to a study")
    parser.add_argument("--flips", action="store_true", help="flip a byte of each file")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, lines = random.Random(given.seed), []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "programs"))
        for number in CODES:
            if count := getattr(given, number.name):
                lines.append(kill_training(number, count, folder, chance))
        if given.study:
            lines.append(kill_study(given.study, folder, chance))
        if given.flips:
            lines.append(flip_bytes(folder, chance))
    print("\n".join(lines))
    return int(any(" 0 differ" not in line or "unexpected" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
