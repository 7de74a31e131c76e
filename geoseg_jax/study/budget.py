"""What each arm may use up: the same number of pictures, or of floating-point operations."""

import hashlib
import json
import math
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from geoseg_jax import manifest, settings, sharding, steps
from geoseg_jax.data import make_data, pipeline
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.study import operations
from geoseg_jax.study.plan import Plan
from geoseg_jax.tasks import make_task

# What changes no operation of a step, or is only where it starts.
_NO_OPERATIONS = (
    *("seed", "init_from", "data.root", "data.eval_root", "data.cache_dir", "data.workers"),
    *("data.labels", "data.subset", "data.seed", "optimizer.learning_rate"),
    *("optimizer.warmup_steps", "train.steps", "train.log_every", "train.eval_every"),
    *("train.checkpoint_every", "train.pictures_every", "train.eval_batch_size"),
)

# Seconds that a job takes beside its steps: reading, tracing, saving.
STARTING = 8.0
_RATE = 4e10  # FLOP a second of a laptop's CPU


class Cost(NamedTuple):
    """What a run uses up."""

    steps: int
    images: int  # pictures that the loss looks at, each source view and each second view counted
    flops: float  # of training steps alone


def size(cost: Cost) -> float:
    """How much work a job is beside others, its start included; for telling the time left."""
    return cost.flops + STARTING * _RATE


def pictures_in_a_step(config: Mapping[str, Any]) -> int:
    """Pictures that a training step looks at: every example's own and its source views."""
    data = config["data"]
    views = len(data.get("frames", ())) + int(bool(data.get("stereo"))) * ("frames" in data)
    views += max(data.get("crop_views", 1), 1) - 1
    return config["train"]["batch_size"] * (1 + views)


def steps_for(config: Mapping[str, Any], budget: Mapping[str, Any], flops: float) -> int:
    """Training steps that use the budget up, at least one.

    Args:
      budget: measure, one of check.MEASURES ('steps': as many as the config says), and amount.
      flops: of one step.
    """
    measure = budget["measure"]
    if measure == "steps":
        return config["train"]["steps"]
    each = flops if measure == "flops" else pictures_in_a_step(config)
    return max(1, math.ceil(budget["amount"] / each))


def given(budget: Mapping[str, Any]) -> str:
    """What every pre-training gets, for people."""
    return {
        "images": "{amount:,} pictures, source views counted",
        "flops": "{amount:.3g} floating-point operations",
        "steps": "the steps of its own config, which need not be fair",
    }[budget["measure"]].format(amount=budget.get("amount", 0))


def flops_of_a_step(config: ConfigDict, task: Any, shapes: Mapping[str, Any]) -> float:
    """Floating-point operations of a training step, see operations.count.

    Args:
      shapes: of a batch.
    """
    mesh = sharding.make_mesh(jax.devices()[:1])
    optimizer = steps.make_optimizer_for(task, config, config.train.steps, shapes)
    _, like = steps.make_state(task, optimizer, shapes, mesh)
    _, traced = steps.trace_train_step(task, optimizer, like, shapes, mesh)
    return operations.count(traced.jaxpr.jaxpr)


def apply(
    plan: Plan, budget: Mapping[str, Any], memory: pathlib.Path, say: Callable[[str], None]
) -> tuple[Plan, dict[str, Cost]]:
    """The plan with as many steps of pre-training as the budget allows, and what each job costs.

    Args:
      memory: a file that keeps the operations of a step, which take a while to count.
    """
    known = manifest.read_json(memory) or {}
    costs, pretrainings = {}, []
    for job in plan.pretrainings:
        flops = _flops(job.config, known, say)
        config = ConfigDict(job.config.to_dict())
        config.train.steps = steps_for(settings.plain(config), budget, flops)
        _shorten(config)
        costs[job.id] = _cost(config, flops)
        pretrainings.append(job._replace(config=config))
    for cell in plan.cells:
        costs[cell.id] = _cost(cell.config, _flops(cell.config, known, say))
    memory.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_json(memory, known)
    return plan._replace(pretrainings=pretrainings), costs


def _shorten(config: ConfigDict) -> None:
    """A warm-up takes a tenth of the training at most, which a budget may have cut short."""
    most = config.train.steps // 10
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, most)


def _cost(config: ConfigDict, flops: float) -> Cost:
    steps_ = config.train.steps
    return Cost(steps_, steps_ * pictures_in_a_step(settings.plain(config)), steps_ * flops)


def _flops(config: ConfigDict, known: dict[str, float], say: Callable[[str], None]) -> float:
    """Operations of a step, by all that can change them."""
    flat = settings.flatten(config)
    relevant = {k: v for k, v in flat.items() if k not in _NO_OPERATIONS}
    text = json.dumps([operations.VERSION, relevant], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    if key not in known:
        say(f"counting the operations of {config.task.name}…")
        known[key] = _counted(config)
    return known[key]


def _counted(config: ConfigDict) -> float:
    """Operations of a step on the data that the config names, of which one batch is read."""
    data = make_data(config)
    batches = pipeline.train_batches(
        data.train,
        batch_size=config.train.batch_size,
        seed=0,
        augment=augmentation(config.data),
        bad_share=config.data.get("bad_share", 0.0),
    )
    batch = next(iter(batches))
    shapes = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in batch.items()}
    return flops_of_a_step(config, make_task(config, data), shapes)


def measured_rate() -> float:
    """Floating-point operations a second of a convolution, forth and back, on one device here."""
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
