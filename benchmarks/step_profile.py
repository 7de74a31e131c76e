"""Where the time of a compiled step goes: seconds and operations by part of the network and pass.

From a trace of true steps: XLA notes when each of its kernels runs, and names the layer that it
came from. Operations of convolutions and products are counted from the shapes in the program's
text, those of a loop's body as often as the trace saw them run. Beside them stands what a plain
matrix product reaches in this process.
"""

import collections
import math
import pathlib
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

STEPS = 3
LOSS, OPTIMISER, UNNAMED = "loss", "optimiser and report", "unnamed"
# What only runs others: their time is that of what they run.
_CONTROL = {"while", "conditional", "call"}
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (\S+) ([\w-]+)\((.*)$")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*\{$")


class Kernel(NamedTuple):
    """An instruction of the program: where it comes from, what it does, and how much."""

    part: str  # of the network, LOSS, OPTIMISER or UNNAMED
    backward: bool
    kind: str  # 'convolution', 'product' or 'other'
    flop: float
    opcode: str


def profile(step: Any, parts: tuple[str, ...]) -> dict[str, Any]:
    """Profiles a Step that has run before.

    Args:
      step: of benchmarks/step.py.
      parts: of the network, the first level of its parameters.

    Returns:
      rows: for each part and pass {part, pass, seconds, gflop, gflop_per_second}, of a step; kinds:
      the same by kind of kernel; step_seconds by the clock; traced_seconds, the rows' sum, which is
      less where kernels wait, more where they run side by side; sgemm_gflop_per_second.
    """
    sgemm = sgemm_rate()
    begin = time.perf_counter()
    step.run(STEPS)
    seconds = (time.perf_counter() - begin) / STEPS
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            step.run(STEPS)
        spent = kernel_seconds(pathlib.Path(folder))
    kernels = read_kernels(step.compiled.as_text(), parts)
    rows: dict[tuple[str, str], list[float]] = collections.defaultdict(lambda: [0.0, 0.0])
    kinds: dict[tuple[str, str], list[float]] = collections.defaultdict(lambda: [0.0, 0.0])
    for name, (nanoseconds, runs) in spent.items():
        if kernel := kernels.get(name):
            direction = "backward" if kernel.backward else "forward"
            for table, key in ((rows, kernel.part), (kinds, kernel.kind)):
                table[key, direction][0] += nanoseconds / 1e9 / STEPS
                table[key, direction][1] += runs * kernel.flop / 1e9 / STEPS
    return {
        "rows": _told(rows),
        "kinds": _told(kinds),
        "step_seconds": seconds,
        "traced_seconds": sum(row[0] for row in rows.values()),
        "sgemm_gflop_per_second": sgemm,
    }


def _told(table: dict[tuple[str, str], list[float]]) -> list[dict[str, Any]]:
    ordered = sorted(table.items(), key=lambda item: -item[1][0])
    return [
        {
            "what": what,
            "pass": direction,
            "seconds": seconds,
            "gflop": gflop,
            "gflop_per_second": gflop / seconds if seconds else 0.0,
        }
        for (what, direction), (seconds, gflop) in ordered
    ]


def sgemm_rate(size: int = 2048, turns: int = 7) -> float:
    """Measures GFLOP/s of a float32 matrix product of size^3."""
    product = jax.jit(jnp.matmul)
    x = jnp.ones((size, size), jnp.float32)
    product(x, x).block_until_ready()
    times = []
    for _ in range(turns):
        begin = time.perf_counter()
        product(x, x).block_until_ready()
        times.append(time.perf_counter() - begin)
    return 2 * size**3 / statistics.median(times) / 1e9


def kernel_seconds(folder: pathlib.Path) -> dict[str, tuple[float, int]]:
    """Adds up a trace's events by name: nanoseconds, and how many there were."""
    spent: dict[str, tuple[float, int]] = {}
    for file in folder.rglob("*.xplane.pb"):
        for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
            for line in plane.lines:
                for event in line.events:
                    total, count = spent.get(event.name, (0.0, 0))
                    spent[event.name] = total + event.duration_ns, count + 1
    return spent


def read_kernels(text: str, parts: tuple[str, ...]) -> dict[str, Kernel]:
    """Reads a compiled program's text: what each instruction is by name.

    A fusion does what the instructions of its computation do. What XLA makes itself, copies to
    another layout and some weight gradients, has no name and is counted where its operands come
    from: at the border of two parts that may be the neighbour.
    """
    computations = dict(_computations(text))
    inside = {name: _flop(lines) for name, lines in computations.items()}
    kernels = {}
    for lines in computations.values():
        shapes = {m[1]: m[2] for m in lines}
        for match in lines:
            name, _, opcode, rest = match.groups()
            convolved, multiplied = _flop([match], shapes)
            if called := re.search(r"calls=%?([\w.-]+)", rest):
                convolved, multiplied = inside.get(called[1], (0.0, 0.0))
            kind = "convolution" if convolved else "product" if multiplied else "other"
            part, backward = _origin(rest, parts)
            if part == UNNAMED:
                known = [kernels[o] for o in _operands(rest) if o in kernels]
                part = next((k.part for k in known if k.part != UNNAMED), UNNAMED)
                backward = any(k.backward for k in known)
            kernels[name] = Kernel(part, backward, kind, convolved + multiplied, opcode)
    return {name: kernel for name, kernel in kernels.items() if kernel.opcode not in _CONTROL}


def _operands(rest: str) -> list[str]:
    return re.findall(r"%([\w.-]+)", rest.partition(")")[0])


def _computations(text: str) -> Iterator[tuple[str, list[re.Match]]]:
    name, lines = "", []
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            name, lines = found[1], []
        elif line.startswith("}"):
            yield name, lines
        elif found := _INSTRUCTION.match(line):
            lines.append(found)


def _flop(lines: list[re.Match], shapes: dict[str, str] | None = None) -> tuple[float, float]:
    """Counts operations of convolutions and of products, two for each product that is summed."""
    shapes = shapes or {m[1]: m[2] for m in lines}
    convolved = multiplied = 0.0
    for match in lines:
        _, result, opcode, rest = match.groups()
        operands = _operands(rest)
        if opcode == "dot":
            axes = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", rest)
            left = _sizes(shapes.get(operands[0], ""))
            summed = math.prod(left[int(a)] for a in axes[1].split(",") if a) if axes else 1
            multiplied += 2.0 * math.prod(_sizes(result)) * summed
        elif opcode == "convolution":
            labels = re.search(r"dim_labels=\w+_(\w+)->", rest)
            kernel = _sizes(shapes.get(operands[1], ""))
            if labels and kernel:
                outputs = kernel[labels[1].index("o")]
                convolved += 2.0 * math.prod(_sizes(result)) * math.prod(kernel) / outputs
    return convolved, multiplied


def _sizes(shape: str) -> list[int]:
    found = re.match(r"\w+\[([\d,]*)\]", shape)
    return [int(n) for n in found[1].split(",") if n] if found else []


def _origin(rest: str, parts: tuple[str, ...]) -> tuple[str, bool]:
    """Finds the part of the network that an instruction comes from, and whether it is backward."""
    found = re.search(r'op_name="([^"]*)"', rest)
    if not found:
        return UNNAMED, False
    path, backward = found[1], "transpose(" in found[1]
    part = next((element for element in path.split("/") if element in parts), None)
    return part or (LOSS if "jvp(" in path else OPTIMISER), backward
