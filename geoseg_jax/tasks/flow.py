"""Optical flow between two frames, learned from pictures alone or from true flow.

Photometric, in two ways. `paper`: the pre-training that Lao et al., "On the Viability of Monocular
Depth Pre-training for Semantic Segmentation", ECCV 2024, compare with: features concatenated, SSIM
and L1 at all scales. `strong`: what is known to matter since (Jonschkowski et al., "What Matters in
Unsupervised Optical Flow", ECCV 2020; Stone et al., "SMURF", CVPR 2021): cost volumes from coarse
to fine, census, occlusion, second-order smoothness at a quarter of the size, self-distillation.
True flow: robust end-point error at all scales (Sun et al., "PWC-Net", CVPR 2018).
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.models.flow import REACH, FlowNet
from geoseg_jax.models.flow_pyramid import DROPS, STRIDES
from geoseg_jax.ops import flow_losses, occlusion
from geoseg_jax.ops.flow_color import flow_to_color
from geoseg_jax.ops.sampling import resize_bilinear, warp_with_flow
from geoseg_jax.tasks import flow_scores, flow_settings, pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.flow_distillation import distillation_loss, ramp
from geoseg_jax.tasks.flow_photometric import photometric_loss
from geoseg_jax.tasks.jitter import jitter_views
from geoseg_jax.tasks.precision import activations


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.task and config.model.

    Raises:
      ValueError: for more of config.task.coarse_weights than the network has flows.
    """
    del data  # every batch carries all that this task needs
    flows, weights = _scales(config.model, config.task), config.task.get("coarse_weights", ())
    if len(weights) > flows:
        raise ValueError(
            f"config.task.coarse_weights={tuple(weights)}: config.model.flow={config.model.flow!r} "
            f"has {flows} flows, one for each weight at most; drop the last, or have more of "
            "config.task.scale_weights where that is 'concat'"
        )
    return _Flow(config)


class _Flow(Task):
    """Optical flow as one configuration asks for it."""

    holds = ()

    def __init__(self, config: Any):
        self.task, self.net = config.task, _network(config.model, config.task)
        self.both = self.task.supervision == "photometric" and self.task.bidirectional
        self.distils = self.both and self.task.distillation.weight > 0
        self.bounded = config.model.flow == "concat"

        # Compiled for itself, so that the three runs of self-distillation are traced but once.
        @functools.partial(jax.jit, static_argnames=("train", "both"))
        def run(
            variables: Variables, frames: jax.Array, keep: jax.Array | None, train: bool, both: bool
        ):
            options = {"train": train, "both": both, "keep": keep, "mutable": ["batch_stats"]}
            return self.net.apply(variables, frames, **options)

        self._run = run

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        return self.net.init(key, _frames(batch), train=False)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        task = self.task
        of_jitter, of_levels = jax.random.split(key)
        frames = _frames(batch)
        seen = jitter_views(of_jitter, batch["id"], frames, task.jitter)
        kept = jax.random.bernoulli(of_levels, 1 - task.level_dropout, (DROPS,))
        keep = kept.astype(jnp.float32)
        flows, stats = self._apply(variables, seen, train=True, both=self.both, keep=keep)
        if task.supervision == "truth":
            value = _against_truth(flows, batch, task)
            return value, Aux(stats, {"robust_error": value})
        # Neither occlusion nor self-distillation must begin before there are flows to go by.
        judge = not task.occlusion_start or progress >= task.occlusion_start
        value, terms = photometric_loss(flows, frames, task, judge)
        if self.bounded:
            terms["at_reach"] = _share_at_reach(flows, *frames.shape[2:4])
        if self.distils:
            terms["distillation"] = self._distilled(variables, frames, seen, keep, progress)
            value = value + terms["distillation"]
        return value, Aux(stats, terms)

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        return flow_scores.judge(self._finest(variables, _frames(batch))[:, 0], batch)

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return flow_scores.summarise(sums)

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        frames = _frames(batch)
        flows = self._finest(variables, frames, both=True)
        return _pictures(flows[:, 0], flows[:, 1], frames, batch)

    def predict(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        return {"flow": self._finest(variables, _frames(batch))[:, 0]}

    def _apply(
        self,
        variables: Variables,
        frames: jax.Array,
        *,
        train: bool,
        both: bool,
        keep: jax.Array | None = None,
    ) -> tuple[tuple[jax.Array, ...], Any]:
        """Returns the flows of all scales, and the batch statistics after them."""
        flows, updated = self._run(variables, frames, keep, train=train, both=both)
        return flows, updated.get("batch_stats", {})

    def _finest(self, variables: Variables, frames: jax.Array, both: bool = False) -> jax.Array:
        """Predicts the finest flow, [B, D, H, W, 2] in pixels of the picture."""
        flow = self._apply(variables, frames, train=False, both=both)[0][0]
        return resize_bilinear(flow, *frames.shape[2:4])

    def _distilled(self, variables, frames, seen, keep, progress) -> jax.Array:
        """Computes self-distillation with its weight."""
        settings = self.task.distillation
        weight = settings.weight * ramp(progress, settings.start, settings.ramp)

        # Both are normalised by the batch, as in training; the running statistics remain those of
        # whole pictures.
        def teacher(frames: jax.Array) -> jax.Array:
            fixed = jax.lax.stop_gradient(variables)
            return self._apply(fixed, frames, train=True, both=True, keep=jnp.ones(DROPS))[0][0]

        def student(frames: jax.Array) -> jax.Array:
            return self._apply(variables, frames, train=True, both=True, keep=keep)[0][0]

        # Before its time it is not computed at all.
        value = jax.lax.cond(
            weight > 0,
            lambda: distillation_loss(teacher, student, frames, seen, settings.crop),
            lambda: jnp.zeros(()),
        )
        return weight * value


def _share_at_reach(flows, height: int, width: int) -> jax.Array:
    """Returns the share of flows near the longest possible, at the scale where it is largest.

    There the sigmoid has no gradient left: a scale with a share near 1 is lost.
    """
    most = 0.98 * REACH * jnp.asarray([width, height])
    return jnp.stack([jnp.mean(jnp.any(jnp.abs(f) > most, axis=-1)) for f in flows]).max()


def _network(model: Any, task: Any) -> FlowNet:
    designs = {
        "concat": ("decoder_channels", "decoder_padding", "dpt_features"),
        "pyramid": (),
    }
    options = {name: model[name] for name in designs.get(model.flow, ()) if name in model}
    if "decoder_channels" in options:
        options["decoder_channels"] = tuple(options["decoder_channels"])
    return FlowNet(
        encoder_name=model.encoder,
        design=model.flow,
        decoder_name=model.get("decoder", "unet"),
        scales=_scales(model, task),
        width=model.get("flow_width", 32),
        radius=model.get("flow_radius", 4),
        layers=tuple(model.get("flow_layers", FlowNet.layers)),
        context_layers=model.get("flow_context_layers", FlowNet.context_layers),
        normalisation=model.get("normalisation", "imagenet"),
        dtype=activations(model),
        **options,
    )


def _scales(model: Any, task: Any) -> int:
    """Returns how many flows the network has."""
    return len(task.scale_weights) if model.flow == "concat" else len(STRIDES)


def _frames(batch: Batch) -> jax.Array:
    """Returns target and first source, [B, 2, H, W, 3] in [0, 1]."""
    return to_unit_range(jnp.stack((batch["image"], batch["sources"][:, 0]), axis=1))


def _against_truth(flows, batch: Batch, task: Any) -> jax.Array:
    height, width = batch["flow"].shape[1:3]
    full = [resize_bilinear(flow[:, 0], height, width) for flow in flows]
    return flow_losses.multi_scale_error(
        full[: len(task.scale_weights)],
        batch["flow"],
        batch["flow_valid"],
        task.scale_weights,
        epsilon=task.robust_epsilon,
        power=task.robust_power,
    )


def _pictures(flow, backward, frames, batch: Batch) -> dict[str, jax.Array]:
    """Draws prediction and truth in the same colours."""
    height, width = flow.shape[1:3]
    warped, _ = warp_with_flow(frames[:, 1], flow)
    seen = occlusion.forward_backward_check(flow, backward)
    shown = {"input": batch["image"]}
    reference, known = _truth_at(batch, height, width)
    # The 98th percentile: one wild vector must not make all others pale.
    length = jnp.where(known, jnp.linalg.norm(reference, axis=-1), jnp.nan)
    longest = jnp.nan_to_num(jnp.nanpercentile(length, 98, axis=(1, 2)), nan=1.0) + 1e-3
    shown["flow"] = pictures.to_uint8(flow_to_color(flow, longest))
    truth = jnp.where(known[..., None], reference, jnp.nan)
    shown["ground truth"] = pictures.to_uint8(flow_to_color(truth, longest))
    shown["warped"] = pictures.to_uint8(warped)
    shown["visible"] = pictures.to_uint8(jnp.repeat(seen[..., None] * 1.0, 3, axis=-1))
    return shown


def _truth_at(batch: Batch, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Returns true flow, and where it is known, by the nearest pixel of the truth's own size."""
    rows, columns = batch["flow"].shape[1:3]
    whole = jnp.broadcast_to(jnp.asarray([rows, columns], jnp.int32), (len(batch["flow"]), 2))
    size = batch.get("flow_size", whole)

    def nearest(truth, valid, size):
        y = (2 * jnp.arange(height) + 1) * size[0] // (2 * height)
        x = (2 * jnp.arange(width) + 1) * size[1] // (2 * width)
        scale = jnp.asarray([width, height]) / size[::-1]
        return truth[y[:, None], x] * scale, valid[y[:, None], x]

    return jax.vmap(nearest)(batch["flow"], batch["flow_valid"], size)


def _encoded(config: Mapping[str, Any]) -> int:
    """Counts the pictures of a record that pass the encoder: both frames."""
    return 1 + len(config["data"].get("frames", ()))


SPEC = TaskSpec(
    make, flow_settings.SETTINGS, flow_settings.check, predicts="flow", encoded=_encoded
)
