"""Flow from pictures alone: a frame should look like the other one, seen along the flow."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.ops import flow_losses, occlusion
from geoseg_jax.ops.sampling import reduce_mean, resize_bilinear, warp_with_flow

# What stands for the length of a difference in smoothness on a flow's own map, in its pixels
# (Jonschkowski et al., ECCV 2020). In shares of a picture it would hide all but the steepest edges.
_ROUNDING = 1e-3
# The stride of the finest map on which smoothness is asked and flow distilled (Jonschkowski et al.,
# ECCV 2020: at a quarter of the size).
FINEST = 4


def photometric_loss(
    flows: Sequence[jax.Array],
    frames: jax.Array,
    settings: Mapping[str, Any],
    judge_occlusion: jax.Array | bool = True,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns the loss and its terms.

    Args:
      flows: for each scale, the finest first, [B, D, h, w, 2] in pixels of the picture; D = 0 leads
        from frame 0 to frame 1 and D = 1, where there, back.
      frames: [B, 2, H, W, 3] in [0, 1], in true colours.
      settings: config.task: scale_weights of flows enlarged to the picture, coarse_weights of the
        same flows on reduced pictures (how ARFlow reaches far: Liu et al., "Learning by Analogy",
        CVPR 2020; a census of the picture leads no further than its patch does), which are
        coarse_zoom times as large as the flow's own map, but no larger than the picture; data_term,
        ssim_weight, occlusion (needs both directions but for 'none'), smoothness,
        smoothness_order, smoothness_on, edge_constant.
      judge_occlusion: bool scalar; where it is False, all counts. Flows that were never trained
        agree nowhere, and where all is hidden nothing is learned; nor must leaving the picture be a
        way to lower the error of what remains.

    Returns:
      A scalar, and the terms: data, smoothness (before its weight), both summed over scales, and
      visible, the share of pixels that count at the finest scale.
    """
    height, width = frames.shape[2:4]
    targets = frames[:, : flows[0].shape[1]]
    data = smooth = jnp.zeros(())
    visible = []
    for flow, on_picture, on_reduced in _weighted(flows, settings):
        full = resize_bilinear(flow, height, width)
        if on_picture:
            error, seen = _data(full, frames, settings, judge_occlusion)
            data += on_picture * error
            visible.append(seen)
        if on_reduced:
            own, reduced = _reduced(flow, frames, settings["coarse_zoom"])
            error, seen = _data(own, reduced, settings, judge_occlusion)
            data += on_reduced * error
            visible.append(seen)
        # As strong beside both errors of a flow as beside either of them alone.
        smooth += (on_picture + on_reduced) * _smoothness(flow, full, targets, settings)
    terms = {"data": data, "smoothness": smooth, "visible": visible[0]}
    return data + settings["smoothness"] * smooth, terms


def _weighted(flows, settings) -> list[tuple[jax.Array, float, float]]:
    """Returns the flows that count, each with its weight of scale_weights and of coarse_weights."""
    weights = itertools.zip_longest(
        settings["scale_weights"], settings["coarse_weights"], fillvalue=0.0
    )
    counting = [(flow, *pair) for flow, pair in zip(flows, weights, strict=False) if any(pair)]
    if not counting:
        raise ValueError(
            f"config.task.scale_weights={tuple(settings['scale_weights'])} and coarse_weights="
            f"{tuple(settings['coarse_weights'])} train no flow; have one of them above 0"
        )
    return counting


def _reduced(flow, frames, zoom: int) -> tuple[jax.Array, jax.Array]:
    """Resizes a flow and the frames to `zoom` times the flow's map, at most the picture's size."""
    height, width = frames.shape[2:4]
    zoom = min(zoom, height // flow.shape[2])
    h, w = zoom * flow.shape[2], zoom * flow.shape[3]
    ratio = jnp.asarray([w / width, h / height], flow.dtype)
    return resize_bilinear(flow, h, w) * ratio, reduce_mean(frames, h, w)


def _data(flow, frames, settings, judge_occlusion) -> tuple[jax.Array, jax.Array]:
    """Computes the mean error over what is seen, and its share; flow in pixels of the frames."""
    directions = flow.shape[1]
    targets, sources = frames[:, :directions], frames[:, ::-1][:, :directions]
    fixed = jax.lax.stop_gradient(flow)
    seen = jnp.where(
        judge_occlusion,
        occlusion.visible(fixed, fixed[:, ::-1], settings["occlusion"]),
        1.0,
    )
    warped, _ = warp_with_flow(sources, flow)
    kind, sides = settings["data_term"], frames.shape[2:4]
    if kind == "census" and min(sides) < (patch := flow_losses.CENSUS_PATCH):
        raise ValueError(
            f"config.task.data_term='census' compares patches of {patch} pixels; a scale of config."
            f"task.coarse_weights has pictures of {sides[1]}x{sides[0]}: set its weight to 0, or "
            "raise config.task.coarse_zoom"
        )
    error = flow_losses.data_term(warped, targets, kind, ssim_weight=settings["ssim_weight"])
    counts = seen * flow_losses.whole_patches(*sides, kind)
    return flow_losses.masked_mean(error, counts), seen.mean()


def _smoothness(flow, full, targets, settings) -> jax.Array:
    height, width = full.shape[2:4]
    h, w = flow.shape[2:4]
    options = {
        "order": settings["smoothness_order"],
        "edge_constant": settings["edge_constant"],
    }
    if settings["smoothness_on"] == "picture":
        shares = full / jnp.asarray([width, height], full.dtype)
        return flow_losses.flow_smoothness(shares, targets, **options).mean()
    h, w = min(h, height // FINEST), min(w, width // FINEST)
    own = reduce_mean(flow, h, w) * jnp.asarray([w / width, h / height], flow.dtype)
    return flow_losses.flow_smoothness(
        own, reduce_mean(targets, h, w), rounding=_ROUNDING, **options
    ).mean()
