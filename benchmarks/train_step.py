"""Time of training steps: geoseg_jax against the same in PyTorch, as an expert would write it.

    python benchmarks/train_step.py                     # depth: 640x192, batch 2, mono, ResNet-18
    python benchmarks/train_step.py --task all --profile --rounds 10 --json figures.json
    python benchmarks/train_step.py --device gpu --batch 12 --twins compiled_bfloat16

Tasks: self-supervised depth; segmentation fine-tuning by a U-Net on a ResNet-18; DeepLabV3 on a
ResNet-50; classification by a ViT-S/16; a masked autoencoder on it; flow from pictures (`strong`,
before self-distillation). Ours is the step that a training runs, of the task's own config, on one
made-up batch; what is drawn at random (jitter, masks, dropped levels) is switched off or the same
for both. Twins: eager; eager in channels_last; torch.compile of that; the same in bfloat16
(autocast), beside which ours runs in bfloat16 too.

Each side has a process of its own (benchmarks/sides.py) and starts from our weights. No clock
counts before all give the same loss and the same norm of its gradient. They are timed in turns
(A B C A B C), so that a machine that slows down does so for all; what is reported are medians, by
the clock and by processor time. Of depth the loss kernels are timed alone as well. The seconds to
the first step count from the first import, with nothing compiled before; they are those of a warm
start where JAX_COMPILATION_CACHE_DIR or TORCHINDUCTOR_CACHE_DIR is set.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from benchmarks import cases, sides, tables
from benchmarks.sides import Side, SideError

OURS, OURS_HALF = "ours", "ours_bfloat16"
TWINS = {"eager": False, "channels_last": False, "compiled": False, "compiled_bfloat16": True}
# What must agree before anything is timed, relative: the loss, then the norm of its gradient.
# bfloat16 rounds at different places, and so does TF32, which a GPU has for float32.
TOLERANCES = {"float32": (1e-3, 2e-2), "tf32": (5e-3, 5e-2), "bfloat16": (2e-2, 2e-1)}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--task", nargs="+", choices=[*cases.CASES, "all"], default=["depth"], help="which steps"
    )
    parser.add_argument(
        "--twins", nargs="*", choices=TWINS, default=list(TWINS), help="which; none: ours alone"
    )
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--encoder", help="of both networks; as a rule the task's own")
    parser.add_argument("--height", type=int, help="likewise")
    parser.add_argument("--width", type=int, help="likewise")
    parser.add_argument("--batch", type=int, help="likewise")
    parser.add_argument("--padding", choices=["reflect", "zero"], help="of the U-Net, likewise")
    parser.add_argument("--rounds", type=int, default=8, help="timed turns of each side")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side, CPU")
    parser.add_argument("--only", choices=["losses", "step"], help="measure this alone")
    parser.add_argument("--profile", action="store_true", help="where the time of our step goes")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    options = parser.parse_args(words)
    if options.only == "losses" and options.task != ["depth"]:
        parser.error("--only losses: only --task depth has loss kernels to measure alone")
    if options.profile and options.device == "gpu":
        parser.error("--profile: it reads what a CPU traces; benchmarks/step.py says more of a GPU")
    if "all" in options.task:
        options.task = list(cases.CASES)
    return options


def of_task(options: argparse.Namespace, task: str) -> argparse.Namespace:
    """Fills in what the task says where the command line doesn't."""
    case, filled = cases.CASES[task], argparse.Namespace(**vars(options) | {"task": task})
    for name in ("encoder", "height", "width", "batch"):
        if getattr(filled, name) is None:
            setattr(filled, name, getattr(case, name))
    return filled


def prepare(options: argparse.Namespace, cache: str) -> None:
    """Gives all sides the same processors and empty caches; must run before any of them starts."""
    options.threads = sides.restrict(options.threads)
    os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[options.device]
    # All sides need room on the same GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", cache)


@contextlib.contextmanager
def started(options: argparse.Namespace, folder: pathlib.Path) -> Iterator[list[Side]]:
    """Starts the sides, ours first; ours in bfloat16 only where it has an opponent."""
    names = [n for n in options.twins if options.only != "losses" or not is_half(n)]
    made = []
    try:
        made.append(Side(OURS, "benchmarks.ours:Ours", options, folder))
        if any(map(is_half, names)):
            made.append(Side(OURS_HALF, "benchmarks.ours:Ours", options, folder, "bfloat16"))
        for name in names:
            made.append(Side(name, "benchmarks.twins:Twin", options, folder, name))
        yield made
    finally:
        for side in made:
            side.close()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs everything that was asked for of one task; the figures by name, seconds and ratios."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, started(options, pathlib.Path(folder)) as all_:
        figures |= {f"{side.name}_about": side.ask("about").value for side in all_}
        if options.only != "losses":
            running = first_steps(all_, options.device, figures)
            answers = sides.in_turns(running, "step", options.rounds, "steps")
            figures |= sides.summary("step", answers)
            tell_idle_threads(figures, options)
            figures |= ratios("step", figures)
            figures["step_gflop"] = all_[0].ask("gflop").value
            for side in running:
                seconds = figures[f"step_{side.name}_seconds"]
                figures[f"step_{side.name}_gflop_per_second"] = figures["step_gflop"] / seconds
                figures[f"step_{side.name}_examples_per_second"] = options.batch / seconds
            if options.profile:
                figures["profile"] = all_[0].ask("profile").value
        if options.task == "depth" and options.only != "step":
            whole = [s for s in all_ if not is_half(s.name) and f"{s.name}_error" not in figures]
            require_equal_losses(whole, options.device)
            answers = sides.in_turns(whole, "losses", options.rounds, "losses")
            figures |= sides.summary("loss_kernels", answers)
            figures |= ratios("loss_kernels", figures)
    return figures


def tell_idle_threads(figures: dict[str, Any], options: argparse.Namespace) -> None:
    """Tells which sides did not get, or did not use, the processors that all were given."""
    for name in (OURS, OURS_HALF, *TWINS):
        cores = figures.get(f"step_{name}_cores", options.threads)
        if options.device == "cpu" and cores < 0.75 * options.threads:
            print(
                f"{name} kept {cores:.2f} of {options.threads} processors busy: other programs "
                "want them, or the side is held to fewer threads; these times are no good",
                flush=True,
            )


def is_half(name: str) -> bool:
    return name.endswith("_bfloat16")


def first_steps(all_: list[Side], device: str, figures: dict[str, Any]) -> list[Side]:
    """Builds every side and runs its first step, which must agree with ours in float32.

    Returns the sides that run. One that fails or computes something else is left out: that is told,
    and `SIDE_error` of the figures says why. Raises SideError where ours in float32 fails.
    """
    running: list[Side] = []
    expected: dict[str, float] = {}
    for side in all_:
        try:
            seconds, found = first_step(side)
            expected = expected or found
            if side.name != OURS:
                tolerances = TOLERANCES[precision(side.name, device)]
                for what, tolerance in zip(found, tolerances, strict=True):
                    label = f"{side.name}: first {what}"
                    require_equal(label, expected[what], found[what], tolerance)
        except SideError as error:
            if side.name == OURS:
                raise
            print(f"{error}: left out", flush=True)
            figures[f"{side.name}_error"] = str(error)
            continue
        running.append(side)
        figures[f"step_{side.name}_first_s"] = seconds
        figures |= {f"step_{side.name}_{what.replace(' ', '_')}": v for what, v in found.items()}
    return running


def first_step(side: Side) -> tuple[float, dict[str, float]]:
    """Builds a side and runs a step; returns the seconds since its first import, and its result."""
    built = side.ask("build")
    if side.name == OURS:
        side.ask("save")  # the weights that others start from; takes no part in the times
    step = side.ask("step")
    found = {"loss": step.value["loss"], "gradient norm": side.ask("gradient_norm").value}
    return side.start.seconds + built.seconds + step.seconds, found


def precision(name: str, device: str) -> str:
    return "bfloat16" if is_half(name) else {"cpu": "float32", "gpu": "tf32"}[device]


def require_equal(what: str, ours: float, theirs: float, tolerance: float) -> None:
    """Raises SideError where they differ by more, relative to theirs."""
    difference = abs(ours - theirs) / max(abs(theirs), 1e-12)
    print(f"{what} {theirs:.7g}, ours {ours:.7g}, difference {difference:.1e}", flush=True)
    if not difference <= tolerance:
        raise SideError(
            f"{what} differs by {difference:.2g} (allowed: {tolerance}): these are two different "
            "computations, their times say nothing; fix the twin or the loss"
        )


def require_equal_losses(all_: list[Side], device: str) -> None:
    """Compares the value and the length of the gradient of every disparity and the poses."""
    names = [*(f"gradient of scale {s}" for s in range(4)), "gradient of poses"]
    expected, norms = None, []
    for side in all_:
        value, found = side.ask("losses").value["loss"], side.ask("loss_gradient_norms").value
        if expected is None:
            expected, norms = value, found
            continue
        require_equal(f"{side.name}: loss kernels", expected, value, TOLERANCES["float32"][0])
        for name, ours, theirs in zip(names, norms, found, strict=True):
            # A pixel at a tie of two errors may choose either side: hence not the loss's tolerance.
            tolerance = TOLERANCES[precision(side.name, device)][1]
            require_equal(f"{side.name}: {name}", ours, theirs, tolerance)


def ratios(what: str, figures: dict[str, Any]) -> dict[str, float]:
    """Divides times of twins by ours: each, the best float32 one, and the best of bfloat16.

    A ratio above 1 means that ours is faster. Those of bfloat16 are by our fastest.
    """
    found = {}
    for clock, suffix in (("seconds", "ratio"), ("cpu_seconds", "cpu_ratio")):
        times = {
            name: figures[key]
            for name in (OURS, OURS_HALF, *TWINS)
            if (key := f"{what}_{name}_{clock}") in figures
        }
        twins = {name: time for name, time in times.items() if name in TWINS}
        for name, time in twins.items():
            found[f"{what}_{name}_{suffix}"] = time / times[OURS]
        for half, end in ((False, ""), (True, "_bfloat16")):
            best = min((time for name, time in twins.items() if TWINS[name] == half), default=None)
            if best:
                fastest = min(times[OURS], times.get(OURS_HALF, times[OURS]))
                found[f"{what}_{suffix}{end}"] = best / (fastest if half else times[OURS])
    return found


def context(options: argparse.Namespace) -> dict[str, Any]:
    """Describes machine and versions."""
    name, cpuinfo = platform.processor(), pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    return {
        "cpu": f"{options.threads} cores of {name}",
        "threads": options.threads,
        "device": options.device,
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {p: importlib.metadata.version(p) for p in ("jax", "flax", "optax", "torch")},
        "rounds": options.rounds,
        "omp_wait_policy": os.environ["OMP_WAIT_POLICY"],
    }


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as cache:
        prepare(options, cache)
        document = context(options)
        found: dict[str, dict[str, Any]] = {}
        for task in options.task:
            filled = of_task(options, task)
            setting = (
                f"{task}, {filled.encoder}, {filled.width}x{filled.height}, batch {filled.batch}"
            )
            print(f"== {setting}", flush=True)
            try:
                found[task] = {"setting": setting} | measure(filled)
            except SideError as error:
                raise SystemExit(f"{task}: {error}") from None
            tables.show(found[task], document["cpu"])
            if options.json:  # after each task: what was measured stays, whatever comes after
                options.json.write_text(json.dumps(document | joined(found), indent=2) + "\n")
    if options.json:
        print(f"figures: {options.json}")
    errors = [
        f"{task}: {v}" for task, f in found.items() for k, v in f.items() if k[-6:] == "_error"
    ]
    if errors:
        raise SystemExit("left out: " + "; ".join(errors))


def joined(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of a single task as they are; those of several under `tasks`."""
    if len(found) == 1:
        return next(iter(found.values()))
    keys = ("step_ratio", "step_ratio_bfloat16", "loss_kernels_ratio")
    return {k: v for k, v in found.get("depth", {}).items() if k in keys} | {"tasks": found}


if __name__ == "__main__":
    main()
