"""Depth from true depth: of a laser, a structured-light camera, stereo matching, or a renderer.

One picture in, metres out, trained where something was measured. Network and range are those of
self-supervised depth (tasks/selfsup_depth.py), so that the two arms differ in what teaches them
alone, and encoder, decoder and head of either can start the other. The losses: ops/depth_losses.py.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.models.depth import SelfSupDepthNet
from geoseg_jax.ops import depth_losses, disparity, sampling
from geoseg_jax.tasks import depth_scores, depth_settings, inference, pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.jitter import jitter_views
from geoseg_jax.tasks.precision import activations

# An error of this much, a factor of 1.25^2, is drawn in the brightest colour.
_WORST = 2 * math.log(1.25)


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.task and config.model."""
    del data  # every batch carries all that this task needs
    return _SupervisedDepth(config)


def make_net(config: Any) -> SelfSupDepthNet:
    """Returns the network of self-supervised depth without what finds the cameras' motion."""
    model, task = config.model, config.task
    # Far from the scene's depth the sigmoid is flat, and the first steps go into its bias alone.
    start = disparity.depth_to_disparity(task.initial_depth, task.min_depth, task.max_depth)
    return SelfSupDepthNet(
        encoder_name=model.encoder,
        decoder_name=model.get("decoder", SelfSupDepthNet.decoder_name),
        decoder_channels=tuple(model.decoder_channels),
        decoder_padding=model.decoder_padding,
        dpt_features=model.get("dpt_features", SelfSupDepthNet.dpt_features),
        pose_encoder="",
        scales=task.scales,
        normalisation=model.get("normalisation", "imagenet"),
        initial_disparity=float(start),
        dtype=activations(model),
    )


class _SupervisedDepth(Task):
    """Supervised depth as one configuration asks for it."""

    holds = ()

    def __init__(self, config: Any):
        self.task, self.net = config.task, make_net(config)
        self.error = _loss_of(config.task)
        self.range = {"min_depth": self.task.min_depth, "max_depth": self.task.max_depth}

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        return self.net.init(key, to_unit_range(batch["image"]), train=False, method="disparities")

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        task, truth = self.task, _training_truth(batch)
        seen = jitter_views(key, batch["id"], to_unit_range(batch["image"])[:, None], task.jitter)[
            :, 0
        ]
        disparities, updated = self.net.apply(
            variables, seen, train=True, method="disparities", mutable=["batch_stats"]
        )
        # What the network can't say, it isn't taught: beyond the sigmoid's range all is saturated.
        valid = (truth > task.min_depth) & (truth < task.max_depth)
        weights = [0.5**scale for scale in range(len(disparities))]
        terms = {"depth": 0.0, "gradient_matching": 0.0}
        for weight, level in zip(weights, disparities, strict=True):
            predicted = self._depth(level, *truth.shape[1:])
            share = weight / sum(weights)
            terms["depth"] += share * self.error(predicted, truth, valid)
            if task.gradient_weight:
                errors = depth_losses.gradient_matching(predicted, truth, valid)
                terms["gradient_matching"] += share * depth_losses.mean_over_images(errors, valid)
        value = terms["depth"] + task.gradient_weight * terms["gradient_matching"]
        if not task.gradient_weight:
            del terms["gradient_matching"]
        terms["measured"] = valid.mean(dtype=jnp.float32)
        return value, Aux(updated.get("batch_stats", {}), terms)

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        inverse = self.predict(variables, batch)["inverse_depth"]
        return depth_scores.judge(inverse, batch, self.task.eval)

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return depth_scores.summarise(sums)

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """Draws prediction and truth in the same colours, both being metres; errors are factors."""
        inverse = self.predict(variables, batch)["inverse_depth"]
        truth = pictures.draw_sparse_depth(batch["depth"], batch["depth_size"], *inverse.shape[1:])
        known = truth > 0
        error = jnp.abs(jnp.log(inverse) - jnp.log(jnp.where(known, truth, 1)))
        near = pictures.brightest(truth, known)
        return {
            "input": batch["image"],
            "depth": pictures.colour(inverse, jnp.ones_like(known), high=near),
            "ground truth": pictures.colour(truth, known, high=near),
            "error": pictures.colour(error, known, high=jnp.full_like(near, _WORST)),
        }

    def predict(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """Predicts from the pictures alone, whatever else the batch holds."""

        def network(images: jax.Array) -> jax.Array:
            levels = self.net.apply(variables, images, train=False, method="disparities")
            return 1 / disparity.disparity_to_depth(levels[0], **self.range)

        flip = self.task.eval.get("flip", False)
        images = to_unit_range(batch["image"])
        found = {"inverse_depth": inference.inverse_depth(network, images, flip=flip)}
        if "intrinsics" in batch:
            found["intrinsics"] = batch["intrinsics"]
        return found

    def _depth(self, level: jax.Array, height: int, width: int) -> jax.Array:
        """Enlarges one scale to metres [B, height, width]; config.task.enlarged is interpolated."""
        by_depth = self.task.get("enlarged", "disparity") == "depth"
        maps = disparity.disparity_to_depth(level, **self.range) if by_depth else level
        aligned = self.task.get("align_corners", False)
        full = sampling.resize_bilinear(maps[..., None], height, width, align_corners=aligned)
        return (
            full[..., 0] if by_depth else disparity.disparity_to_depth(full[..., 0], **self.range)
        )


def _loss_of(task: Any) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """Returns (predicted, truth, valid) -> scalar, for config.task.loss and variance_focus.

    Every picture counts the same, however much of it was measured, as in the metrics.
    """
    focus = task.get("variance_focus", 0.85)
    maps = {"l1": depth_losses.absolute_error, "berhu": depth_losses.berhu}
    images = {
        "silog": depth_losses.scale_invariant_log,
        "silog_root": depth_losses.scale_invariant_log_root,
    }

    def loss(predicted: jax.Array, truth: jax.Array, valid: jax.Array) -> jax.Array:
        if task.loss in maps:
            errors = depth_losses.masked_mean(maps[task.loss](predicted, truth, valid), valid)
        else:
            errors = images[task.loss](predicted, truth, valid, focus)
        return depth_losses.mean_over_images(errors, valid)

    return loss


def _training_truth(batch: Batch) -> jax.Array:
    """Returns depth of the pictures' size, [B, H, W] metres."""
    size = batch["image"].shape[1:3]
    if "depth" not in batch or batch["depth"].shape[1:] != size:
        held = f"is {list(batch['depth'].shape[1:])}" if "depth" in batch else "is not there"
        raise ValueError(
            f"supervised depth trains on depth of the pictures' size {list(size)}, which {held}; "
            "set config.data.truth_in_training=True"
        )
    return batch["depth"]


SPEC = TaskSpec(make, depth_settings.SUPERVISED, depth_settings.check_supervised, predicts="depth")
