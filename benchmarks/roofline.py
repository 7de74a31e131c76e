"""What a training step computes and moves on an accelerator, kernel by kernel, without having one.

    python benchmarks/roofline.py configs/depth_synthetic.py:mono --device H200 \
        --set data.height=192 data.width=640 train.batch_size=12 model.compute_dtype=bfloat16

The step is compiled for the device by its own compiler: `pip install jax[tpu]` for v5e,
`jax[cuda12]` for the others, no device and no driver needed. Read is the program that would run,
after fusion; on GPUs without what measuring on the device would choose (algorithms of cuDNN, Triton
in place of cuBLAS). Without that compiler, or with --before-fusion, each operation counts as if it
were a kernel: bytes are then far too many.

A kernel's time is the longer of those that its operations and its bytes take at the maker's rates
(benchmarks/devices.py), so the sum is a floor; what starting kernels costs stands beside it.
"""

import argparse
import json
import math
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from benchmarks import devices

if __name__ == "__main__":
    devices.without_devices()

import jax
from ml_collections import ConfigDict

from benchmarks import hlo, step
from benchmarks.devices import DEVICES, Device
from benchmarks.kernels import COLLECTIVE, KINDS, Kernel, kernels
from geoseg_jax.data.factory import make_data
from geoseg_jax.study import budget
from geoseg_jax.tasks import make_task, precision
from geoseg_jax.training import accumulation, sharding, steps

FUSED = "after fusion"
# On a device, kernels are chosen by measuring. What is compiled here is read and never runs.
_CUDA = {
    "xla_gpu_autotune_level": 0,
    "xla_gpu_enable_triton_gemm": False,
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


def arguments() -> argparse.Namespace:
    options = step.parser(__doc__)
    options.add_argument("--device", choices=DEVICES, required=True)
    options.add_argument(
        "--chips", type=int, default=1, help="train.batch_size is what each of them gets"
    )
    options.add_argument(
        "--runs", type=int, default=1, help="trained at once on one chip, as a study's --stack"
    )
    options.add_argument("--top", type=int, default=10, help="how many kernels to list")
    options.add_argument("--before-fusion", action="store_true", help="don't compile")
    return options.parse_args()


def trace(config: ConfigDict, found: list[Any], runs: int) -> jax.stages.Traced:
    """Traces the training step of a config, whose batch each of the devices, or runs, gets."""
    config.train.batch_size *= len(found)
    mesh = sharding.make_mesh(found)
    small = precision.resolved(budget.smallest(config), found[0])
    data = make_data(small, check_labels=False)
    divided = sharding.split(mesh)
    shapes = {
        name: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=divided)
        for name, s in budget.batch_shapes(small, data.train).items()
    }
    task = make_task(small, data)
    optimizer = steps.make_optimizer_for(task, small, config.train.steps, shapes)
    _, state = steps.make_state(task, optimizer, shapes, mesh)
    thrift = accumulation.thrift_of(config)
    if runs > 1:
        return steps.trace_stacked_step(task, optimizer, state, shapes, mesh, runs, thrift)[1]
    return steps.trace_train_step(task, optimizer, state, shapes, mesh, thrift)[1]


def program_text(
    config: ConfigDict, device: Device, options: argparse.Namespace
) -> tuple[str, str, float]:
    """Returns the step as HLO, what kind of reading that is, and bytes between its kernels."""
    lower_for = {"lowering_platforms": (device.platform,)}
    if not options.before_fusion:
        try:
            found = devices.abstract_devices(device, options.chips)
        except (RuntimeError, NotImplementedError) as error:
            print(f"no compiler for {device.name} here: {str(error).splitlines()[0]}")
        except ValueError as error:
            raise SystemExit(str(error)) from error
        else:
            lowered = trace(config, found, options.runs).lower(**lower_for)
            chosen = _CUDA if device.cuda else None
            compiled = lowered.compile(compiler_options=chosen)
            return compiled.as_text(), FUSED, compiled.memory_analysis().temp_size_in_bytes
    if options.chips > 1:
        raise SystemExit(f"--chips={options.chips} needs a compiler for {device.name}")
    lowered = trace(config, jax.devices()[:1], options.runs).lower(**lower_for)
    return lowered.as_text("hlo", debug_info=True), "before fusion", math.nan


def seconds(kernel: Kernel, device: Device, chips: int) -> tuple[float, float]:
    """Returns how long all runs of a kernel compute, and how long they move bytes."""
    rate = device.products.get(kernel.product, device.numbers)
    moving = kernel.bytes / device.memory
    if kernel.kind == COLLECTIVE and chips > 1:
        # A ring: each chip sends all but its own share, twice where a sum goes back to all.
        rounds = (2 if "all-reduce" in kernel.name else 1) * (chips - 1) / chips
        slowest = device.link if chips <= 8 else min(device.link, device.network)
        moving = rounds * kernel.payload / slowest
    return kernel.times * kernel.flop / rate, kernel.times * moving


def summarise(found: list[Kernel], device: Device, chips: int, top: int) -> dict[str, Any]:
    """Returns the table: a row for each kind, their sum, and the heaviest kernels."""
    timed = [(max(seconds(k, device, chips)), k) for k in found]
    rows = {}
    for kind in (*KINDS, ""):
        chosen = [(time, k) for time, k in timed if kind in ("", k.kind)]
        by_bytes = sum(t for t, k in chosen if seconds(k, device, chips)[1] >= t)
        total = sum(t for t, _ in chosen)
        rows[kind or "all"] = {
            "kernels": len(chosen),
            "runs": sum(k.times for _, k in chosen),
            "gflop": sum(k.times * k.flop for _, k in chosen) / 1e9,
            "gbytes": sum(k.times * k.bytes for _, k in chosen) / 1e9,
            "float32_gbytes": sum(k.times * k.bytes_32 for _, k in chosen) / 1e9,
            "sent_gbytes": sum(k.times * k.payload for _, k in chosen) / 1e9,
            "ms": 1e3 * total,
            "bound_by_bytes": by_bytes / total if total else 0.0,
        }
    heaviest = sorted(timed, key=lambda pair: -pair[0])[:top]
    listed = [{"ms": 1e3 * time, **kernel._asdict()} for time, kernel in heaviest]
    return {"kinds": rows, "heaviest": listed}


def show(table: dict[str, Any], chips: int, batch: int, reading: str) -> None:
    """Prints the table."""
    heads = ("kernels", "runs", "GFLOP", "GB", "float32", "ms", "by bytes")
    widths = (8, 7, 9, 8, 9, 9, 10)
    print(" " * 30 + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for kind, row in table["kinds"].items():
        print(
            f"{kind:30}{row['kernels']:8}{row['runs']:7}{row['gflop']:9.1f}{row['gbytes']:8.2f}"
            f"{row['float32_gbytes']:9.2f}{row['ms']:9.3f}{row['bound_by_bytes']:10.0%}"
        )
    whole, sent = table["kinds"]["all"], table["kinds"][COLLECTIVE]
    floor = whole["ms"] - (sent["ms"] if chips > 1 else 0.0)
    print(
        f"\n{'floor' if reading == FUSED else 'unfused'} {floor:.2f} ms a step, "
        f"{1e3 * batch / floor:.0f} examples/s a chip; every "
        f"microsecond that starting a kernel takes adds {whole['runs'] / 1e3:.2f} ms"
    )
    if chips > 1:
        print(
            f"{sent['runs']} collectives of {1e3 * sent['sent_gbytes']:.1f} MB take "
            f"{sent['ms']:.2f} ms: efficiency {floor / whole['ms']:.1%} if none of it overlaps; "
            f"every microsecond that starting one takes adds {sent['runs'] / 1e3:.2f} ms"
        )
    print("\nheaviest:")
    for kernel in table["heaviest"]:
        print(
            f"{kernel['ms']:8.3f} ms {kernel['times']:3} x {kernel['bytes'] / 1e6:7.1f} MB "
            f"{kernel['flop'] / 1e9:7.2f} GFLOP  {kernel['kind']}: {kernel['op_name'][-110:]}"
        )


def main() -> None:
    options = arguments()
    device, config = DEVICES[options.device], step.load(options)
    batch = config.train.batch_size * options.runs
    if options.runs > 1 and options.chips > 1:
        raise SystemExit("--runs are on one chip; leave out --chips")
    text, reading, between = program_text(config, device, options)
    table = summarise(kernels(hlo.parse(text)), device, options.chips, options.top)
    of_runs = f" of {options.runs} runs" if options.runs > 1 else ""
    print(
        f"{options.config}, {batch}{of_runs} a chip, {options.chips} x {device.name}, {reading}\n"
    )
    show(table, options.chips, batch, reading)
    print(f"\n{between / 1e9:.2f} GB of memory beside the state and the batch")
    if options.json:
        told = {"config": options.config, "set": options.set, "device": device.name}
        told |= {"chips": options.chips, "runs": options.runs, "reading": reading}
        told |= {"memory_gb": between / 1e9, **table}
        options.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
