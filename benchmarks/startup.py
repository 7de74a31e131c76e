"""Time from a command to its first step and its end, cold and warm, and what a study's cell costs.

    python benchmarks/startup.py                         # segment_synthetic.py at 96x32
    python benchmarks/startup.py --config=configs/quickstart.py --cells=0 --json figures.json

Cold: no compiled programs are kept, though the data is rendered; warm: those of the start before,
which had one step more. A cell's overhead is the processor time of a run in a process that has run
others, without its steps: that of two lengths, carried on to no steps at all.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEGMENTATION = "configs/segment_synthetic.py:resolution=96x32,labels=16,subset=0"
# Runs of a study keep no checkpoints and are evaluated at the end.
CELL = {"eval_every": 0, "checkpoint_every": 0, "pictures_every": 0}
SHORT, LONG = 2, 12  # steps


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default=SEGMENTATION, help="of the runs, FILE.py[:OPTIONS]")
    parser.add_argument("--cells", type=int, default=3, help="of each length; 0: none")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    return parser.parse_args()


def start(config: str, folder: pathlib.Path, name: str, steps: int) -> dict[str, float]:
    """Runs the command in a process of its own.

    Returns:
      first_step_s, until the first step is told of, and whole_s.
    """
    command = [sys.executable, "-u", "-m", "geoseg_jax.main", f"--config={config}"]
    command += [f"--workdir={folder / name}", f"--config.train.steps={steps}"]
    command += ["--config.train.log_every=1", "--config.optimizer.warmup_steps=1"]
    settings = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    settings["PYTHONPATH"] = str(ROOT)
    begin, first = time.monotonic(), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        for line in process.stdout:
            if not first and line.startswith("step "):
                first = time.monotonic() - begin
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return {"first_step_s": first, "whole_s": time.monotonic() - begin}


def cell_overhead(config: str, folder: pathlib.Path, count: int) -> dict[str, float]:
    """Runs cells of two lengths in turns, in this process, after one that compiles."""
    sys.path.insert(0, str(ROOT))
    from geoseg_jax.training import loop
    from geoseg_jax.training.programs import Programs

    programs = Programs()
    spent: dict[int, list[float]] = {SHORT: [], LONG: []}
    for number in range(-1, count):
        for steps in spent:
            made = load(config)
            made.seed = number + 1
            made.optimizer.warmup_steps = 1
            made.train.update({**CELL, "steps": steps})
            begin = time.process_time()
            name = f"cell_{number}_{steps}"
            loop.run(made, folder / name, programs=programs, keep_checkpoints=False)
            if number >= 0:
                spent[steps].append(time.process_time() - begin)
    short, long = (statistics.median(spent[steps]) for steps in (SHORT, LONG))
    step = (long - short) / (LONG - SHORT)
    return {"per_cell_overhead_s": short - SHORT * step, "cell_step_s": step}


def load(config: str):
    """Reads a config file with its options."""
    path, _, options = config.partition(":")
    spec = importlib.util.spec_from_file_location("config", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(options)


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ.setdefault("XDG_CACHE_HOME", str(folder / "rendered"))
        start(options.config, folder / "first", "run", SHORT)  # renders
        cold = start(options.config, folder / "measured", "cold", SHORT + 1)
        warm = start(options.config, folder / "measured", "warm", SHORT)
        figures = {
            "cold_s": cold["whole_s"],
            "warm_s": warm["whole_s"],
            "cold_first_step_s": cold["first_step_s"],
            "first_step_s": warm["first_step_s"],
        }
        if options.cells:
            figures |= cell_overhead(options.config, folder, options.cells)
    figures = {key: round(value, 2) for key, value in figures.items()}
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps({"config": options.config, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
