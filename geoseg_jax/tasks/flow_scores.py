"""Scores flow: end-point error and outliers, at the ground truth's own resolution."""

import jax
import jax.numpy as jnp

from geoseg_jax.ops import flow_metrics, sampling
from geoseg_jax.tasks.base import Batch, Sums

# The answers that are judged, by the suffix that their numbers carry in eval.json: the network's,
# the mean flow of the training set at each pixel, and no motion at all.
PREDICTION, CONSTANT, ZERO = "", "_constant", "_zero"
# Which pixels: all, those that are seen in the other frame, and those that are not.
ALL, VISIBLE, OCCLUDED = "", "_noc", "_occ"


def judge(flow: jax.Array, batch: Batch) -> Sums:
    """Returns sums over the examples whose mask is True.

    Args:
      flow: [B, H, W, 2] in pixels of the network's picture.
      batch: with flow, flow_valid and mask; with flow_size, flow_visible and constant_flow if they
        are known.
    """
    truth = batch["flow"]
    shape = truth.shape[1:3]
    whole = jnp.broadcast_to(jnp.asarray(shape, jnp.int32), (len(truth), 2))
    size = batch.get("flow_size", whole)
    answers = {PREDICTION: flow, ZERO: jnp.zeros_like(flow)}
    if "constant_flow" in batch:
        answers[CONSTANT] = batch["constant_flow"]
    valid = batch["flow_valid"] & batch["mask"][:, None, None]
    chosen = {ALL: valid}
    if "flow_visible" in batch:
        chosen |= {VISIBLE: valid & batch["flow_visible"]}
        chosen |= {OCCLUDED: valid & ~batch["flow_visible"]}
    sums: Sums = {}
    for which, answer in answers.items():
        predicted = at_original_size(answer, size, *shape)
        for where, pixels in chosen.items():
            one = flow_metrics.flow_error_sums(predicted, truth, pixels)
            sums |= {name + where + which: value.sum() for name, value in one.items()}
    return sums


def at_original_size(flow: jax.Array, size: jax.Array, height: int, width: int) -> jax.Array:
    """Returns a flow [B, h, w, 2] enlarged to each example's own size, and its vectors with it.

    size: int32 [B, 2], rows and columns. Returns [B, height, width, 2], see sampling.resize_each.
    """
    h, w = flow.shape[1:3]
    scale = size[:, ::-1].astype(flow.dtype) / jnp.asarray([w, h], flow.dtype)
    return sampling.resize_each(flow, size, height, width) * scale[:, None, None]


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Computes epe, mean over images of each mean, pixels; and fl, share of outliers of all pixels.

    Both with _noc and _occ where occlusion is known, and with _constant and _zero for the answers
    that ignore the pictures.

    Raises:
      ValueError: where no pixel has true flow.
    """
    if not sums["images"]:
        raise ValueError(
            "no evaluated image has a pixel with true flow: check config.data.eval_split and that "
            "the flow files hold any"
        )
    scores = {}
    for which in (PREDICTION, CONSTANT, ZERO):
        for where in (ALL, VISIBLE, OCCLUDED):
            name = where + which
            if sums.get("images" + name):
                scores["epe" + name] = sums["epe" + name] / sums["images" + name]
                scores["fl" + name] = sums["outliers" + name] / sums["pixels" + name]
    return scores | {"eval_images": sums["images"]}
