"""Settings of optical flow, and what goes together."""

from geoseg_jax.core.rules import POSITIVE, SHARE, choice, each, flag, number, whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.tasks.settings import (
    DECODER,
    ENCODER,
    JITTER,
    check_decoder,
    check_jitter,
    check_size,
    check_trains_all,
    optional,
)

SETTINGS = {
    **ENCODER,
    **optional({"model.normalisation": ENCODER["model.normalisation"], **DECODER}),
    **JITTER,
    "model.flow": Setting(choice("concat", "pyramid"), "the network's design"),
    **optional(
        {
            "model.flow_width": Setting(whole(1), "channels that pyramid compares"),
            "model.flow_radius": Setting(whole(1), "pixels that pyramid searches at each stride"),
            "model.flow_layers": Setting(each(whole(1), least=1), "channels of pyramid's decoder"),
            "model.flow_context_layers": Setting(whole(0), "dilated layers at pyramid's end"),
        }
    ),
    "task.supervision": Setting(choice("photometric", "truth"), "from pictures or from truth"),
    "task.data_term": Setting(choice("ssim_l1", "census"), "how pictures are compared"),
    "task.ssim_weight": Setting(SHARE, "weight of SSIM in ssim_l1; the rest is L1"),
    "task.occlusion": Setting(
        choice("none", "forward_backward", "range_map"), "how occlusion is found"
    ),
    "task.occlusion_start": Setting(SHARE, "share of training before occlusion counts"),
    "task.bidirectional": Setting(flag, "learn the backward flow too"),
    "task.smoothness": Setting(number(0.0), "weight of the smoothness"),
    "task.smoothness_order": Setting(choice(1, 2), "order of the smoothness's derivatives"),
    "task.smoothness_on": Setting(
        choice("map", "picture"),
        "unit of smoothness: the flow's own pixels, or shares of the picture's sides",
    ),
    "task.edge_constant": Setting(number(0.0), "how sharply smoothness ends at a picture's edges"),
    "task.scale_weights": Setting(
        each(number(0.0), least=1),
        "weights of the flows up-sampled to the picture, the finest first",
    ),
    "task.coarse_weights": Setting(each(number(0.0)), "weights of these flows on reduced pictures"),
    "task.coarse_zoom": Setting(choice(1, 2, 4, 8), "size of those pictures over the flow's own"),
    "task.level_dropout": Setting(number(0.0, 0.9), "probability of dropping a level's residual"),
    "task.distillation.weight": Setting(number(0.0), "weight of self-distillation"),
    "task.distillation.start": Setting(SHARE, "share of training before self-distillation"),
    "task.distillation.ramp": Setting(SHARE, "share of training to its full weight"),
    "task.distillation.crop": Setting(
        number(0.0, 0.4, open_below=True), "share cut off each side of the student's pictures"
    ),
    "task.robust_epsilon": Setting(POSITIVE, "epsilon of the robust error, supervision 'truth'"),
    "task.robust_power": Setting(number(0.0, 2.0, open_below=True), "power of the robust error"),
}
# What flow from truth does nothing with, and its value where it is off.
_PHOTOMETRIC = {
    "task.smoothness": 0,
    "task.occlusion": "none",
    "task.occlusion_start": 0,
    "task.bidirectional": False,
    "task.distillation.weight": 0,
    "task.coarse_weights": [],
    "task.coarse_zoom": 1,
}


def check(flat: Flat) -> None:
    """Refuses settings of flow that don't go together.

    Raises:
      ConfigError: naming the first.
    """
    check_trains_all(flat)
    check_jitter(flat)
    check_decoder(flat)
    weights, concat = flat["task.scale_weights"], flat["model.flow"] == "concat"
    refuse(
        flat,
        (
            "data.truth",
            "data.name" in flat and flat.get("data.truth") != "flow",
            "must be 'flow', which flow is judged by",
        ),
        (
            "task.scale_weights",
            not any((*weights, *flat["task.coarse_weights"])),
            "trains no flow; have a weight above 0 there or in config.task.coarse_weights",
        ),
        ("task.scale_weights", len(weights) > 4, "has more than the 4 scales there are; drop some"),
        (
            "task.level_dropout",
            concat and flat["task.level_dropout"] > 0,
            "has no effect with config.model.flow='concat'; set it to 0",
        ),
    )
    (_check_photometric if flat["task.supervision"] == "photometric" else _check_truth)(flat)
    check_size(flat, 32, "the largest stride")


def _check_photometric(flat: Flat) -> None:
    """Refuses what flow from pictures alone would do nothing with."""
    hides = flat["task.occlusion"] != "none"
    distils, start = flat["task.distillation.weight"] > 0, flat["task.occlusion_start"]
    refuse(
        flat,
        (
            "task.bidirectional",
            (hides or distils) and not flat["task.bidirectional"],
            "must be True: occlusion and distillation compare both directions",
        ),
        (
            "task.occlusion_start",
            not hides and start > 0,
            "has no effect with config.task.occlusion='none'; set it to 0",
        ),
        (
            "task.occlusion_start",
            hides and start == 1,
            "means that config.task.occlusion never begins; set it below 1, or occlusion to 'none'",
        ),
        (
            "task.distillation.start",
            distils and flat["task.distillation.start"] == 1,
            "means that it never begins; set it below 1, or config.task.distillation.weight to 0",
        ),
        (
            "task.coarse_zoom",
            flat["task.coarse_zoom"] > 1 and not any(flat["task.coarse_weights"]),
            "has no effect without config.task.coarse_weights; set it to 1",
        ),
    )


def _check_truth(flat: Flat) -> None:
    """Refuses what flow from truth would do nothing with."""
    effect = "has no effect with config.task.supervision='truth'; set it to"
    refuse(
        flat,
        (
            "data.truth_in_training",
            "data.name" in flat and flat.get("data.truth_in_training") is not True,
            "must be True: config.task.supervision='truth' learns from it",
        ),
        *(
            (key, flat[key] != off, f"{effect} {() if off == [] else repr(off)}")
            for key, off in _PHOTOMETRIC.items()
        ),
    )
