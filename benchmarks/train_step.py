"""Time of a training step and of the loss alone: geoseg_jax against the same in PyTorch.

    python benchmarks/train_step.py                     # 640x192, batch 2, mono, ResNet-18
    python benchmarks/train_step.py --device gpu --batch 12 --json figures.json

Both sides have the same weights and must give the same loss before any clock runs. They are timed
in turns (A B A B), so that a machine that slows down does so for both; what is reported are
medians, by the clock and by processor time (which, with --threads 1, holds on a busy machine too).
On a GPU both compute in bfloat16, PyTorch with torch.compile and channels_last.
"""

import argparse
import datetime
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OFFSETS = (-1, 1)
LEARNING_RATE = 1e-4
# What both must agree to before they are timed; bfloat16 rounds at different places.
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--encoder", default="resnet18", help="of both networks")
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--padding", choices=["reflect", "zero"], default="reflect")
    parser.add_argument("--rounds", type=int, default=8, help="timed turns of each side")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side, CPU")
    parser.add_argument("--only", choices=["losses", "step"], help="measure this alone")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    return parser.parse_args()


def restrict(options: argparse.Namespace) -> None:
    """Gives both sides the same processors; must run before jax or torch is imported."""
    cores = sorted(os.sched_getaffinity(0))
    options.threads = min(options.threads, len(cores))
    os.sched_setaffinity(0, set(cores[: options.threads]))
    os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[options.device]
    # PyTorch needs room on the same GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    sys.path.insert(0, str(ROOT))


def pictures(options: argparse.Namespace) -> dict:
    """Draws a textured wall as seen by a camera that moves past: numpy, NHWC in [0, 1]."""
    import cv2
    import numpy as np

    generator = np.random.default_rng(0)
    b, h, w = options.batch, options.height, options.width
    target, sources = [], []
    for _ in range(b):
        wall = sum(
            cv2.resize(generator.uniform(size=(n, 3 * n, 3)), (w + 64, h + 64)) for n in (8, 32)
        )
        wall = (wall / 2).astype(np.float32)
        target.append(wall[32:-32, 32:-32])
        sources.append([wall[31 : h + 31, 26 : w + 26], wall[33 : h + 33, 38 : w + 38]])
    camera = np.array([[0.58 * w, 0, w / 2], [0, 1.92 * h, h / 2], [0, 0, 1]], np.float32)
    return {
        "target": np.stack(target),
        "sources": np.stack([np.stack(s) for s in sources]),
        "intrinsics": np.tile(camera, (b, 1, 1)),
    }


class Ours:
    """geoseg_jax: network, loss, Adam."""

    def __init__(self, options, data):
        import jax
        import jax.numpy as jnp
        import optax

        from geoseg_jax.models import SelfSupDepthNet
        from geoseg_jax.ops.reprojection import reprojection_loss
        from geoseg_jax.tasks import selfsup_depth

        self.jax = jax
        self.data = jax.device_put(data)
        net = SelfSupDepthNet(
            encoder_name=options.encoder,
            pose_encoder=options.encoder,
            decoder_padding=options.padding,
            dtype=jnp.bfloat16 if options.device == "gpu" else jnp.float32,
        )

        def loss(disparities, poses, data):
            return reprojection_loss(
                disparities, poses, data["target"], data["sources"], data["intrinsics"]
            )[0]

        def whole(params, batch_stats, data):
            pairs = selfsup_depth.temporal_pairs(data["target"], data["sources"], OFFSETS)
            (disparities, twists), updated = net.apply(
                {"params": params, "batch_stats": batch_stats},
                data["target"],
                pairs,
                True,
                mutable=["batch_stats"],
            )
            poses = selfsup_depth.source_poses(twists, None, OFFSETS, 1.0)
            return loss(disparities, poses, data), updated["batch_stats"]

        optimizer = optax.adam(LEARNING_RATE)

        @functools.partial(jax.jit, donate_argnums=(0,))
        def step(state, data):
            params, batch_stats, moments = state
            (value, batch_stats), gradient = jax.value_and_grad(whole, has_aux=True)(
                params, batch_stats, data
            )
            updates, moments = optimizer.update(gradient, moments)
            return (optax.apply_updates(params, updates), batch_stats, moments), value

        @jax.jit
        def init(key, data):
            pairs = selfsup_depth.temporal_pairs(data["target"], data["sources"], OFFSETS)
            variables = net.init(key, data["target"], pairs, False)
            return variables["params"], variables["batch_stats"]

        params, batch_stats = init(jax.random.key(0), self.data)
        self.state = params, batch_stats, jax.jit(optimizer.init)(params)
        self._step = step
        self._losses = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

    def variables(self) -> dict:
        params, batch_stats, _ = self.jax.device_get(self.state)
        return {"params": params, "batch_stats": batch_stats}

    def step(self) -> float:
        self.state, value = self._step(self.state, self.data)
        return float(self.jax.block_until_ready((value, self.state))[0])

    def losses(self, disparities, poses):
        """Returns a function that runs the loss kernels: (value, gradients)."""
        disparities, poses = self.jax.device_put((tuple(disparities), poses))
        return lambda: self.jax.block_until_ready(self._losses(disparities, poses, self.data))


class Twin:
    """The same in PyTorch."""

    def __init__(self, options, data, variables):
        import torch

        from benchmarks import torch_losses, torch_twin

        torch.set_num_threads(options.threads)
        self.torch, gpu = torch, options.device == "gpu"
        self.device = torch.device("cuda" if gpu else "cpu")
        self.data = {
            "target": self._put(data["target"]).permute(0, 3, 1, 2).contiguous(),
            "sources": self._put(data["sources"]).permute(0, 1, 4, 2, 3).contiguous(),
            "intrinsics": self._put(data["intrinsics"]),
        }
        self.net = torch_twin.DepthNet(options.encoder, options.encoder, options.padding)
        torch_twin.load_flax(self.net, variables)
        layout = torch.channels_last if gpu else torch.contiguous_format
        self.net = self.net.to(self.device, memory_format=layout)
        self.optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE)

        def whole(target, sources, intrinsics):
            with torch.autocast("cuda", torch.bfloat16, enabled=gpu):
                before, after = sources[:, 0], sources[:, 1]
                pairs = torch.stack(
                    [torch.cat([before, target], 1), torch.cat([target, after], 1)], 1
                ).flatten(0, 1)
                disparities, twists = self.net(
                    target.contiguous(memory_format=layout),
                    pairs.contiguous(memory_format=layout),
                )
            moved = torch_losses.poses_from_twists(twists).unflatten(0, (-1, 2))
            poses = torch.stack([torch.linalg.inv(moved[:, 0]), moved[:, 1]], 1)
            return torch_losses.reprojection_loss(disparities, poses, target, sources, intrinsics)

        compiled = torch.compile if gpu else (lambda function: function)
        self._whole = compiled(whole)
        self._loss = compiled(torch_losses.reprojection_loss)

    def _put(self, array):
        return self.torch.tensor(array, device=self.device)

    def _wait(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()

    def step(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        value = self._whole(**self.data)
        value.backward()
        self.optimizer.step()
        self._wait()
        return value.item()

    def losses(self, disparities, poses):
        """Returns a function that runs the loss kernels: (value, gradients)."""
        inputs = [self._put(d).requires_grad_() for d in (*disparities, poses)]

        def run():
            value = self._loss(inputs[:-1], inputs[-1], **self.data)
            gradients = self.torch.autograd.grad(value, inputs)
            self._wait()
            return value, (gradients[:-1], gradients[-1])

        return run

    def count_flops(self) -> float:
        """Counts multiplications and additions of the convolutions of a step, both passes."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            self.step()
        return float(counter.get_total_flops())


def geometry(options):
    """Makes disparities at four scales and poses, numpy, as a trained network might give them."""
    import numpy as np

    generator = np.random.default_rng(1)
    b, h, w = options.batch, options.height, options.width
    disparities = [
        generator.uniform(0.02, 0.06, (b, h >> s, w >> s)).astype(np.float32) for s in range(4)
    ]
    poses = np.tile(np.eye(4, dtype=np.float32), (b, 2, 1, 1))
    poses[..., :3, 3] = np.array([[0.03, 0.01, 0.1], [-0.03, -0.01, -0.1]])
    return disparities, poses


def require_equal(what: str, ours: float, theirs: float, tolerance: float) -> None:
    difference = abs(ours - theirs) / max(abs(theirs), 1e-12)
    print(f"{what}: ours {ours:.7g}, twin {theirs:.7g}, relative difference {difference:.1e}")
    if not difference <= tolerance:
        raise SystemExit(
            f"{what} differs by {difference:.2g} (allowed: {tolerance}): these are two different "
            "computations, their times say nothing. Fix the twin or the loss first."
        )


def require_equal_losses(ours, theirs, tolerance: float) -> None:
    """Compares the value and the length of the gradient of every disparity and the poses."""
    import numpy as np

    (value, gradients), (their_value, their_gradients) = ours(), theirs()
    require_equal("loss kernels", float(value), their_value.item(), tolerance)
    names = [*(f"its gradient, scale {s}" for s in range(4)), "its gradient, poses"]
    pairs = zip(
        names, [*gradients[0], gradients[1]], [*their_gradients[0], their_gradients[1]], strict=True
    )
    for name, a, b in pairs:
        # A pixel at a tie of two errors may choose either side: hence not the loss's tolerance.
        a, b = np.asarray(a)[..., :3, :], b.cpu().numpy()[..., :3, :]
        require_equal(name, float(np.linalg.norm(a)), float(np.linalg.norm(b)), 2e-2)


def in_turns(ours, theirs, rounds: int, label: str) -> tuple[list[tuple], list[tuple]]:
    """Times each call by the clock and by the processors, A B A B, after a warm-up call."""
    import rich.progress

    times = [], []
    for run in (ours, theirs):
        run()
    for _ in rich.progress.track(range(rounds), description=label, transient=True):
        for run, list_ in zip((ours, theirs), times, strict=True):
            start = time.perf_counter(), time.process_time()
            run()
            list_.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return times


def hardware(options) -> dict:
    name = platform.processor()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    found = {"cpu": f"{options.threads} cores of {name}", "threads": options.threads}
    if options.device == "gpu":
        import torch

        found["gpu"] = torch.cuda.get_device_name()
    return found


def measure(options) -> dict:
    """Runs everything that was asked for; the figures by name, seconds and ratios."""
    data = pictures(options)
    ours = Ours(options, data)
    twin = Twin(options, data, ours.variables())
    dtype = "bfloat16" if options.device == "gpu" else "float32"
    figures = {}
    if options.only != "step":
        run, run_twin = (side.losses(*geometry(options)) for side in (ours, twin))
        require_equal_losses(run, run_twin, TOLERANCE["float32"])
        figures |= summary("loss_kernels", *in_turns(run, run_twin, options.rounds, "losses"))
    if options.only != "losses":
        require_equal("first step's loss", ours.step(), twin.step(), TOLERANCE[dtype])
        figures |= summary("step", *in_turns(ours.step, twin.step, options.rounds, "steps"))
        figures["step_gflop"] = twin.count_flops() / 1e9
        for side in ("ours", "twin"):
            seconds = figures[f"step_{side}_seconds"]
            figures[f"step_{side}_gflop_per_second"] = figures["step_gflop"] / seconds
            figures[f"step_{side}_examples_per_second"] = options.batch / seconds
    return figures


def summary(name: str, ours: list[tuple], theirs: list[tuple]) -> dict:
    """Summarises both clocks by median, fastest and slowest call, and the twin's ratio to ours."""
    figures = {}
    for side, times in (("ours", ours), ("twin", theirs)):
        wall, processor = zip(*times, strict=True)
        figures[f"{name}_{side}_seconds"] = statistics.median(wall)
        figures[f"{name}_{side}_range"] = [min(wall), max(wall)]
        figures[f"{name}_{side}_cpu_seconds"] = statistics.median(processor)
    for clock, ratio in (("seconds", "ratio"), ("cpu_seconds", "cpu_ratio")):
        theirs, ours = (figures[f"{name}_{side}_{clock}"] for side in ("twin", "ours"))
        figures[f"{name}_{ratio}"] = theirs / ours
    return figures


def show(figures: dict, context: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{context['setting']} on {context.get('gpu', context['cpu'])}")
    for column in ("", "ours", "PyTorch", "PyTorch / ours"):
        table.add_column(column, justify="right")

    def rows(name, key):
        clocks = [("seconds", "ms"), ("cpu_seconds", "ms of processor time")]
        for clock, unit in clocks[:1] if "gpu" in context else clocks:
            ours, twin = (figures[f"{key}_{side}_{clock}"] for side in ("ours", "twin"))
            table.add_row(
                f"{name}, {unit}", f"{ours * 1e3:.0f}", f"{twin * 1e3:.0f}", f"{twin / ours:.2f}"
            )

    if "loss_kernels_ratio" in figures:
        rows("loss", "loss_kernels")
    if "step_ratio" in figures:
        rows("training step", "step")
        table.add_row(
            f"GFLOP/s (of {figures['step_gflop']:.0f} GFLOP, the twin's)",
            f"{figures['step_ours_gflop_per_second']:.0f}",
            f"{figures['step_twin_gflop_per_second']:.0f}",
            "",
        )
        table.add_row(
            "examples a second",
            f"{figures['step_ours_examples_per_second']:.2f}",
            f"{figures['step_twin_examples_per_second']:.2f}",
            "",
        )
    Console().print(table)


def main() -> None:
    options = arguments()
    restrict(options)
    figures = measure(options)
    context = hardware(options) | {
        "setting": f"{options.encoder}, {options.width}x{options.height}, mono, "
        f"batch {options.batch}, {options.padding} padding",
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {p: importlib.metadata.version(p) for p in ("jax", "flax", "optax", "torch")},
        "rounds": options.rounds,
    }
    show(figures, context)
    if options.json:
        options.json.write_text(json.dumps(context | figures, indent=2) + "\n")
        print(f"figures: {options.json}")


if __name__ == "__main__":
    main()
