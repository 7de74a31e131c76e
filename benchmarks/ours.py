"""geoseg_jax's side of benchmarks/train_step.py: the step as a training runs it."""

import argparse
import functools
import json
import os
import pathlib
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks import cases, step, step_profile
from geoseg_jax.config import files
from geoseg_jax.config.check import check
from geoseg_jax.config.settings import plain
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.ops.patches import choose_patches
from geoseg_jax.ops.reprojection import reprojection_loss
from geoseg_jax.tasks import mae, make_task
from geoseg_jax.tasks.base import Task
from geoseg_jax.tasks.examples import keys_of, to_unit_range
from geoseg_jax.training import steps
from geoseg_jax.training.state import flat_arrays

AWAKE = 0.03


def make(
    options: argparse.Namespace, dtype: str = "float32"
) -> tuple[ConfigDict, Task, dict[str, np.ndarray]]:
    """Makes the config of a case, its task, and its batch.

    options: task, encoder, height, width, batch, padding of train_step.py.
    """
    case = cases.CASES[options.task]
    separator = "" if case.config.endswith(":") else ","
    config = files.load(f"{case.config}{separator}encoder={options.encoder}")
    sizes = {"data.height": options.height, "data.width": options.width}
    for key, value in (sizes | case.settings).items():
        files.change(config, key, value, "benchmarks/cases.py")
    config.train.batch_size = options.batch
    config.model.compute_dtype = dtype
    if "pose_encoder" in config.model:
        config.model.pose_encoder = options.encoder
    if "decoder_padding" in config.model:
        config.model.decoder_padding = options.padding or config.model.decoder_padding
    if options.task in ("segmentation", "deeplab"):
        config.data.update({"scale": (), "crop": ()})
    check(config)
    batch = cases.make_batch(options.task, options.batch, options.height, options.width)
    return config, make_task(config, _names(options.task)), batch


def _names(task: str) -> Any:
    """Returns what a task asks of its data when it is made: names of classes."""
    names = tuple(f"kind {i}" for i in range(cases.CLASSES.get(task, 0)))
    table = label_table("camvid11") if task in ("segmentation", "deeplab") else None
    source = SimpleNamespace(categories=names, table=table)
    return SimpleNamespace(train=source, eval=source)


def awake(params: Any) -> Any:
    """Gives kernels that start at zero small numbers: else a first loss does not depend on them.

    So small that flows lead nowhere far: were no pixel seen in both frames, the loss would not
    depend on the pictures.
    """
    generator = np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> Any:
        if path[-1].key != "kernel" or np.any(leaf):
            return leaf
        deviation = AWAKE * np.prod(leaf.shape[:-1]) ** -0.5
        return generator.normal(0, deviation, leaf.shape).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, params)


def hand_over(
    folder: pathlib.Path, config: ConfigDict, variables: Any, batch: dict[str, Any]
) -> None:
    """Writes what a twin starts from: weights, settings, and the batch with the patches it sees."""
    np.savez(folder / cases.WEIGHTS, **flat_arrays(variables))
    if config.task.name == "mae":
        count = (config.data.height // 16) * (config.data.width // 16)
        kept = mae.patches_kept(count, config.task.mask_ratio)
        key = jax.random.fold_in(steps._base_key(0), 0)  # of the first step
        keys = keys_of(key, jnp.asarray(batch["id"]))
        keep, _ = jax.vmap(lambda k: choose_patches(k, count, kept))(keys)
        batch = batch | {"keep": np.asarray(keep)}
    np.savez(folder / cases.BATCH, **batch)
    (folder / cases.FACTS).write_text(json.dumps(plain(config)))


class Ours:
    """The step in float32, or with activations in bfloat16."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, dtype: str = "float32"):
        self.options, self.folder, self.dtype = options, folder, dtype
        self.report: dict[str, float] = {}

    def about(self) -> dict[str, Any]:
        processors = len(os.sched_getaffinity(0))
        return {"device": jax.devices()[0].device_kind, "processors": processors}

    def build(self) -> None:
        """Draws the first state and compiles the step."""
        self.config, task, self.batch = make(self.options, self.dtype)
        self.runner = step.Step(self.config, task, self.batch, awake)

    def save(self) -> None:
        """Writes what twins start from: weights, settings, batch."""
        hand_over(self.folder, self.config, self.runner.variables, self.batch)

    def step(self) -> dict[str, float]:
        """Runs a step; returns its loss."""
        self.report = self.runner.run(1)
        return {"loss": self.report["loss"]}

    def gradient_norm(self) -> float:
        """Returns the norm of the last step's gradient, before it was clipped."""
        return self.report["gradient_norm"]

    def losses(self) -> dict[str, float]:
        """Runs the loss kernels of depth, forward and backward; returns the value."""
        value, self._gradients = jax.block_until_ready(self._losses())
        return {"loss": float(value)}

    def loss_gradient_norms(self) -> list[float]:
        """Returns the norm of the loss's gradient by every disparity, and by the poses."""
        of_disparities, of_poses = self._gradients
        arrays = (*of_disparities, of_poses[..., :3, :])
        return [float(np.linalg.norm(np.asarray(a))) for a in arrays]

    @functools.cached_property
    def _losses(self) -> Any:
        o = self.options
        batch = cases.make_batch("depth", o.batch, o.height, o.width)
        target, sources = (to_unit_range(jnp.asarray(batch[k])) for k in ("image", "sources"))
        disparities, poses = cases.geometry(o.batch, o.height, o.width)

        def loss(disparities: Any, poses: Any, *pictures: Any) -> jax.Array:
            return reprojection_loss(disparities, poses, *pictures)[0]

        run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
        given = jax.device_put((disparities, poses, target, sources, batch["intrinsics"]))
        return functools.partial(run, *given)

    def gflop(self) -> float:
        """Counts the operations of a step as a study does."""
        return self.runner.flops / 1e9

    def profile(self) -> dict[str, Any]:
        """Returns where the time of a step goes."""
        return step_profile.profile(self.runner, tuple(self.runner.variables["params"]))
