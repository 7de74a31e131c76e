"""Time of the training step of any config, as the training compiles it, on this machine's devices.

    python benchmarks/step.py configs/depth_synthetic.py:mono --set data.height=192 data.width=640 \
        train.batch_size=12 model.compute_dtype=bfloat16 --json figures.json

One batch is read, or rendered, and stays on the devices: data costs nothing here. FLOP are those
that a study counts (geoseg_jax/study/operations.py), of the network and the loss with their
gradients; bytes are XLA's own count after fusion, where the backend tells it. The roofline is the
longer of the times that both would take at the device's published rates.
"""

import argparse
import functools
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from benchmarks import devices
from geoseg_jax.config import files
from geoseg_jax.config.check import check
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.study import budget
from geoseg_jax.tasks import make_task
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import accumulation, sharding, steps


def parser(about: str) -> argparse.ArgumentParser:
    """Makes the parser of a benchmark that takes a config and settings, and writes figures."""
    made = argparse.ArgumentParser(description=about.partition("\n")[0])
    made.add_argument("config", help="FILE.py[:OPTIONS]")
    made.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings")
    made.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    return made


def arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=20, help="timed steps")
    return options.parse_args()


def load(options: argparse.Namespace) -> ConfigDict:
    """Reads the config; a rendered world gets no more records than a batch has."""
    try:
        config = files.load(options.config)
        for word in options.set:
            key, _, text = word.partition("=")
            files.change(config, key, text, "--set")
        if "train_size" in config.data:
            config.data.update({"train_size": config.train.batch_size, "eval_size": 1})
            if "labels" in config.data:
                config.data.labels = 0
        check(config)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error
    return config


def read(config: ConfigDict) -> tuple[Task, dict[str, np.ndarray]]:
    """Makes the task, and reads or renders a batch."""
    data = make_data(config)
    batches = pipeline.train_batches(
        data.train,
        batch_size=config.train.batch_size,
        seed=0,
        augment=augmentation(config.data),
    )
    return make_task(config, data), next(iter(batches))


class Step:
    """The compiled step with its first state and a batch on the devices.

    change: params -> params, of the first state.
    """

    def __init__(
        self,
        config: ConfigDict,
        task: Task,
        batch: dict[str, np.ndarray],
        change: Callable[[Any], Any] | None = None,
    ) -> None:
        mesh = sharding.make_mesh()
        self._config, self._task = config, task
        self._shapes = sharding.global_shapes(batch, sharding.split(mesh))
        optimizer = steps.make_optimizer_for(task, config, config.train.steps, self._shapes)
        create, abstract = steps.make_state(task, optimizer, self._shapes, mesh)
        self._state = create(0)
        if change:
            params = change(jax.device_get(self._state.params))
            params = jax.device_put(params, sharding.replicated(mesh))
            self._state = self._state.replace(params=params)
        begin = time.perf_counter()
        thrift = accumulation.thrift_of(config)
        program = steps.compile_train_step(task, optimizer, abstract, self._shapes, mesh, thrift)
        self.compile_s = time.perf_counter() - begin
        self.compiled, self._names = program.run, program.names
        costs = program.run.cost_analysis() or {}
        self.bytes = costs.get("bytes accessed", 0.0)
        self._step = steps.make_train_step(program, 0, optimizer.schedule, task, mesh)
        self._batch = sharding.to_devices(batch, mesh)
        self._stop = steps.stop_flags(0, mesh)

    @functools.cached_property
    def flops(self) -> float:
        """Counts the operations of a step as a study does."""
        return budget.flops_of_a_step(self._config, self._task, self._shapes)

    @property
    def variables(self) -> dict[str, Any]:
        """Returns parameters and batch statistics as they are now."""
        return self._state.variables

    def run(self, count: int) -> dict[str, float]:
        """Runs so many steps, one after the other as a training does, and waits for the last.

        Returns what that one reports, by name.
        """
        for _ in range(count):
            self._state, report = self._step.run(self._state, self._batch, self._stop)
        jax.block_until_ready((self._state, report))
        return dict(zip(self._names, np.asarray(report).tolist(), strict=True))


def measure(config: ConfigDict, rounds: int) -> dict[str, float]:
    """Returns figures by name; seconds are the median of five groups of steps."""
    step = Step(config, *read(config))
    step.run(2)
    groups, each = [], max(1, rounds // 5)
    for _ in range(5):
        begin = time.perf_counter()
        step.run(each)
        groups.append((time.perf_counter() - begin) / each)
    seconds = statistics.median(groups)
    figures = {
        "step_s": seconds,
        "examples_per_second": config.train.batch_size / seconds,
        "gflop": step.flops / 1e9,
        "tflop_per_second": step.flops / seconds / 1e12,
        "gbytes": step.bytes / 1e9,
        "compile_s": step.compile_s,
    }
    kind, count = jax.devices()[0].device_kind, jax.device_count()
    device = devices.of_kind(kind)
    if device:
        arithmetic = step.flops / (max(device.products.values()) * count)
        memory = step.bytes / (device.memory * count)
        figures |= {"roofline_s": max(arithmetic, memory), "of_peak": arithmetic / seconds}
    return figures


def main() -> None:
    options = arguments()
    figures = measure(load(options), options.rounds)
    where = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    told = {"config": options.config, "set": options.set, "devices": where, **figures}
    print(json.dumps(told, indent=2))
    if options.json:
        options.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
