"""Gives each arm the same budget: of pictures, or of floating-point operations.

Four numbers tell what an arm was given, and no two of them are the same: distinct pictures of data,
pictures through the encoder, steps, and operations.
"""

import dataclasses
import hashlib
import json
import math
import pathlib
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from geoseg_jax.config import settings, table
from geoseg_jax.core import json_files
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.source import LABEL, Source, files_of
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.study import operations
from geoseg_jax.study.plan import Plan
from geoseg_jax.tasks import make_task, task_named
from geoseg_jax.training import accumulation, sharding, steps

# What changes no operation of a step, or is only where it starts; what changes no record.
_NO_OPERATIONS = table.keys(lambda setting: not setting.operations)
_NO_RECORDS = table.keys(lambda setting: not setting.records)

# Seconds that a job takes beside its steps: reading, tracing, saving.
STARTING = 8.0
_RATE = 4e10  # FLOP a second of a laptop's CPU


class Cost(NamedTuple):
    """The cost of a run."""

    steps: int
    images: int  # pictures that the loss looks at, each source view and each second view counted
    flops: float  # of training steps alone
    pictures: int = 0  # distinct ones of the data among them
    encoder_images: int = 0  # those of them that pass the encoder that is transferred


def size(cost: Cost) -> float:
    """Estimates how much work a job is beside others, its start included."""
    return cost.flops + STARTING * _RATE


def pictures_in_a_step(config: Mapping[str, Any]) -> int:
    """Counts pictures that a training step looks at: each example's own and its source views."""
    windows = max(config["data"].get("crop_views", 1), 1) - 1
    return config["train"]["batch_size"] * (views_of_a_record(config["data"]) + windows)


def views_of_a_record(data: Mapping[str, Any]) -> int:
    """Counts a record's pictures: its own, its neighbours in time and its stereo partner.

    Args:
      data: config.data.
    """
    return 1 + len(data.get("frames", ())) + int(bool(data.get("stereo"))) * ("frames" in data)


def encoder_pictures_in_a_step(config: Mapping[str, Any]) -> int:
    """Counts a training step's pictures that pass the encoder that is transferred; see TaskSpec."""
    return config["train"]["batch_size"] * task_named(config["task"]["name"]).encoded(config)


def steps_for(config: Mapping[str, Any], budget: Mapping[str, Any], flops: float) -> int:
    """Computes the training steps that use the budget up, at least one.

    Args:
      budget: measure, one of check.MEASURES ('steps': as many as the config says), and amount.
      flops: of one step.
    """
    measure = budget["measure"]
    if measure == "steps":
        return config["train"]["steps"]
    if measure == "flops":
        each = flops
    elif measure == "encoder_images":
        each = encoder_pictures_in_a_step(config)
    else:
        each = pictures_in_a_step(config)
    return max(1, math.ceil(budget["amount"] / each))


def given(budget: Mapping[str, Any]) -> str:
    """Says what every pre-training gets."""
    return {
        "images": "{amount:,} pictures, including source views",
        "encoder_images": "{amount:,} pictures through the encoder",
        "flops": "{amount:.3g} floating-point operations",
        "steps": "the steps of its own config, which may be unfair",
    }[budget["measure"]].format(amount=budget.get("amount", 0))


def flops_of_a_step(config: ConfigDict, task: Any, shapes: Mapping[str, Any]) -> float:
    """Counts the floating-point operations of a training step, see operations.count.

    Args:
      shapes: of a batch.
    """
    mesh = sharding.make_mesh(jax.devices()[:1])
    optimizer = steps.make_optimizer_for(task, config, config.train.steps, shapes)
    _, abstract_state = steps.make_state(task, optimizer, shapes, mesh)
    # What is computed again, to need less memory, is no training.
    thrift = accumulation.thrift_of(config)._replace(remat=False)
    _, traced = steps.trace_train_step(task, optimizer, abstract_state, shapes, mesh, thrift)
    return operations.count(traced.jaxpr.jaxpr)


def apply(
    plan: Plan, budget: Mapping[str, Any], memory: pathlib.Path, say: Callable[[str], None]
) -> tuple[Plan, dict[str, Cost]]:
    """Gives pre-trainings the steps that the budget allows, and tells what each job costs.

    Args:
      memory: a file that keeps the operations of a step, which take a while to count.
    """
    what, remedy = "the operations of a step", "remove it, and they are counted again"
    known = json_files.read_json(memory, what, {"*": float}, remedy) or {}
    costs, pretrainings = {}, []
    settled: dict[Hashable, tuple[dict[str, int], Cost]] = {}
    for job in plan.pretrainings:
        kind = job.recipe.kind(_of_a_pretraining)
        if kind not in settled:
            settled[kind] = _within(budget, job.config, known, say)
        changes, costs[job.id] = settled[kind]
        pretrainings.append(job.changed(changes))
    of_cells: dict[Hashable, Cost] = {}
    for cell in plan.cells:
        kind = cell.recipe.kind(_of_a_cell)
        if kind not in of_cells:
            # Of all labels, the data has to be opened to know how many: 0 stands for unknown.
            config, labels = cell.config, cell.recipe.get("data.labels", 0)
            of_cells[kind] = _cost(config, _flops(config, known, say), labels)
        costs[cell.id] = of_cells[kind]
    memory.parent.mkdir(parents=True, exist_ok=True)
    json_files.write_json(memory, known)
    return dataclasses.replace(plan, pretrainings=pretrainings), costs


def _of_a_cell(key: str) -> bool:
    """Tells whether the setting can change what a cell costs."""
    return key not in _NO_OPERATIONS or key in ("train.steps", "data.labels")


def _of_a_pretraining(key: str) -> bool:
    """Tells whether the setting can change a pre-training's length, cost or pictures."""
    changes_pictures = key.startswith("data.") and key not in _NO_RECORDS
    return _of_a_cell(key) or key == "optimizer.warmup_steps" or changes_pictures


def _within(
    budget: Mapping[str, Any], config: ConfigDict, known: dict[str, Any], say: Callable[[str], None]
) -> tuple[dict[str, int], Cost]:
    """Gives a pre-training the steps of the budget -> the settings that change, and its cost.

    A warm-up is cut to a tenth of the training, which a budget may have cut short.
    """
    flops = _flops(config, known, say)
    config.train.steps = steps_for(settings.plain(config), budget, flops)
    changes = {"train.steps": config.train.steps}
    if "warmup_steps" in config.optimizer:
        warm_up = min(config.optimizer.warmup_steps, config.train.steps // 10)
        config.optimizer.warmup_steps = changes["optimizer.warmup_steps"] = warm_up
    return changes, _cost(config, flops, _pictures(config, known, say))


def _cost(config: ConfigDict, flops: float, pictures: int) -> Cost:
    """Sums a run up; pictures: distinct ones in the data, of which a short run sees a part."""
    plain, count = settings.plain(config), config.train.steps
    images = count * pictures_in_a_step(plain)
    seen = min(pictures, images)
    return Cost(count, images, count * flops, seen, count * encoder_pictures_in_a_step(plain))


def _flops(config: ConfigDict, known: dict[str, Any], say: Callable[[str], None]) -> float:
    """Looks up the operations of a step by all that can change them, or counts them."""
    flat = settings.flatten(config)
    relevant = {k: v for k, v in flat.items() if k not in _NO_OPERATIONS}
    text = json.dumps([operations.VERSION, relevant], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    if key not in known:
        say(f"counting the operations of {config.task.name}…")
        known[key] = _counted(config)
    return known[key]


def _counted(config: ConfigDict) -> float:
    """Counts the operations of a step on the config's data, of which one record is read."""
    config = smallest(config)
    data = make_data(config, check_labels=False)
    shapes = batch_shapes(config, data.train)
    return flops_of_a_step(config, make_task(config, data), shapes)


def smallest(config: ConfigDict) -> ConfigDict:
    """Leaves a config no more data than shows the shapes: of a rendered world, one record.

    A constant prediction, beside which evaluation puts its numbers, is made of one frame.
    """
    small = ConfigDict(config.to_dict())
    if "train_size" in small.data:
        small.data.update({"train_size": 1, "eval_size": 1})
        if "labels" in small.data:
            small.data.update({"labels": 0, "subset": -1, "inner_fold": ()})
    if "constant_frames" in small.data:
        small.data.constant_frames = 1
    return small


def batch_shapes(config: ConfigDict, source: Source) -> dict[str, jax.ShapeDtypeStruct]:
    """Finds shapes and types of a training batch from a record of the source."""
    one = pipeline.train_batches(
        source,
        batch_size=1,
        seed=0,
        augment=augmentation(config.data),
        bad_share=config.data.get("bad_share", 0.0),
    )
    size = config.train.batch_size
    record = next(iter(one))
    return {k: jax.ShapeDtypeStruct((size, *v.shape[1:]), v.dtype) for k, v in record.items()}


def _pictures(config: ConfigDict, known: dict[str, Any], say: Callable[[str], None]) -> int:
    """Counts distinct pictures in a pre-training's data; kept by what names the data."""
    data = settings.plain(config)["data"]
    if "train_size" in data:  # each record is a world of its own
        return data["train_size"] * views_of_a_record(data)
    chosen = {k: v for k, v in data.items() if f"data.{k}" not in _NO_RECORDS}
    key = "pictures " + hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]
    if key not in known:
        say(f"counting the pictures of {data['name']}…")
        known[key] = distinct_pictures(make_data(smallest(config), check_labels=False).train)
    return known[key]


def name_of_data(config: ConfigDict) -> str:
    """Names a pre-training's data set and place; equal where pictures are shared."""
    data = settings.plain(config)["data"]
    return repr([data.get(key) for key in ("name", "root", "world", "seed", "train_split")])


def distinct_pictures(source: Source) -> int:
    """Counts the pictures of a source's records, each once, by their published names; one per
    record where the source has no names.
    """
    named = (files_of(source, i) or {f"record {i}": None} for i in range(len(source)))
    return len({name for files in named for name in files if not name.endswith(LABEL)})


def measured_rate() -> float:
    """Measures floating-point operations a second of a convolution with its gradient, here."""
    x = jnp.ones((4, 48, 160, 64))
    w = jnp.full((3, 3, 64, 64), 1e-3)
    gradient = jax.jit(jax.grad(lambda w: jnp.square(_convolve(x, w)).mean()))
    operations = 2 * 2 * 4 * 48 * 160 * 64 * 64 * 9
    gradient(w).block_until_ready()
    start = time.perf_counter()
    for _ in range(5):
        gradient(w).block_until_ready()
    return 5 * operations / (time.perf_counter() - start)


def _convolve(x: jax.Array, w: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
