"""Settings of depth, from views or from truth, and what goes together."""

from geoseg_jax.core.rules import POSITIVE, SHARE, choice, flag, number
from geoseg_jax.core.setting import ConfigError, Flat, Setting, refuse
from geoseg_jax.models import ENCODERS
from geoseg_jax.models.depth import SHARED
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

# What teaches depth differs, the network and the evaluation do not. Runs of old lack what is
# optional.
_DEPTH = {
    **ENCODER,
    **DECODER,
    **optional({k: (ENCODER | DECODER)[k] for k in ("model.normalisation", "model.decoder")}),
    **optional({"model.dpt_features": DECODER["model.dpt_features"]}),
    **JITTER,
    "task.scales": Setting(choice(1, 2, 3, 4), "disparity maps, each half the size of the last"),
    "task.enlarged": Setting(
        choice("disparity", "depth"),
        "what is up-sampled at smaller scales: disparity or depth",
        optional=True,
    ),
    "task.align_corners": Setting(flag, "up-sample with aligned corners", optional=True),
    "task.min_depth": Setting(POSITIVE, "metres, lower end of the sigmoid's range"),
    "task.max_depth": Setting(POSITIVE, "metres, upper end of the sigmoid's range"),
    "task.initial_depth": Setting(POSITIVE, "metres, the head's output at the start"),
    "task.eval.min_depth": Setting(POSITIVE, "metres, smallest depth that is evaluated"),
    "task.eval.max_depth": Setting(POSITIVE, "metres, largest depth that is evaluated"),
    "task.eval.crop": Setting(
        choice("garg", "eigen_nyu", "cityscapes", "none"), "part of the picture that is evaluated"
    ),
    "task.eval.median_scaling": Setting(flag, "scale each prediction to the truth's median"),
    "task.eval.cap_truth": Setting(flag, "leave out truth beyond max_depth", optional=True),
    "task.eval.flip": Setting(flag, "blend with the mirror image's depth", optional=True),
}
SUPERVISED = _DEPTH | {
    "task.loss": Setting(choice("l1", "berhu", "silog", "silog_root"), "see ops/depth_losses.py"),
    "task.variance_focus": Setting(
        SHARE, "share of the scale's error that silog and silog_root forgive", optional=True
    ),
    "task.gradient_weight": Setting(number(0.0), "weight of gradient matching"),
}
SELFSUP = _DEPTH | {
    "task.ssim_weight": Setting(SHARE, "weight of SSIM; the rest is L1"),
    "task.smoothness": Setting(number(0.0), "weight of the smoothness"),
    "task.smoothness_order": Setting(choice(1, 2), "order of the smoothness's derivatives"),
    "task.automask": Setting(flag, "leave out pixels that an unmoved camera explains better"),
    "task.automask_start": Setting(SHARE, "share of training before the mask", optional=True),
    "task.intrinsics": Setting(
        choice("given", "focal", "learned"), "given by the records, or learned", optional=True
    ),
    "task.initial_fov": Setting(
        number(1.0, 175.0),
        "degrees, field of view at which learned intrinsics start",
        optional=True,
    ),
    "task.poses": Setting(
        choice("learned", "given"), "learned by a network, or given by the records", optional=True
    ),
    "model.pose_encoder": Setting(
        choice(SHARED, *ENCODERS),
        "encoder of the pose network; none where poses are given",
        optional=True,
    ),
}


def check_supervised(flat: Flat) -> None:
    """Refuses settings of depth from truth that don't go together.

    Raises:
      ConfigError: naming the first.
    """
    _check(flat)
    refuse(
        flat,
        (
            "data.truth_in_training",
            "data.name" in flat and flat.get("data.truth_in_training") is not True,
            "must be True: config.task.name='depth_supervised' trains on true depth",
        ),
    )


def check_selfsup(flat: Flat) -> None:
    """Refuses settings of depth from views that don't go together.

    Raises:
      ConfigError: naming the first.
    """
    _check(flat)
    frames, stereo = flat.get("data.frames", True), flat.get("data.stereo")
    metric = stereo is not False or flat.get("task.poses") == "given"
    refuse(
        flat,
        (
            "data.frames",
            not frames and not stereo,
            "with config.data.stereo=False leaves no source view; use frames=(-1, 1), or "
            "stereo=True, or both",
        ),
        (
            "task.eval.median_scaling",
            not metric and flat["task.eval.median_scaling"] is False,
            "needs metres, which config.data.stereo=False cannot learn; set it to True, or start "
            "from poses=given",
        ),
        (
            "task.eval.flip",
            flat.get("data.truth") == "none" and flat.get("task.eval.flip", False),
            "has no effect with config.data.truth='none', which is judged by views; set it to "
            "False",
        ),
        (
            "task.automask_start",
            not flat["task.automask"] and flat.get("task.automask_start", 0.0) > 0,
            "has no effect with config.task.automask=False; set it to 0",
        ),
        *(
            (
                f"data.{key}",
                bool(flat.get(f"data.{key}")),
                "is for single pictures and flow, not for depth from the views of "
                "config.data.frames and config.data.stereo; set it to ()",
            )
            for key in ("scale", "crop")
        ),
    )
    _check_cameras(flat, bool(frames))
    _check_poses(flat, bool(frames))


def _check(flat: Flat) -> None:
    """Checks what both depth tasks have."""
    for section in ("task", "task.eval"):
        least, most = (flat[f"{section}.{end}_depth"] for end in ("min", "max"))
        problem = f"must be below config.{section}.max_depth={most}"
        refuse(flat, (f"{section}.min_depth", least >= most, problem))
    least, start, most = (flat[f"task.{name}_depth"] for name in ("min", "initial", "max"))
    one = flat["task.scales"] == 1
    unused = "has no effect with config.task.scales=1, which is of the pictures' size; set it to "
    refuse(
        flat,
        (
            "task.initial_depth",
            not least < start < most,
            f"must lie between config.task.min_depth={least} and config.task.max_depth={most}",
        ),
        (
            "task.enlarged",
            one and flat.get("task.enlarged", "disparity") != "disparity",
            f"{unused}'disparity'",
        ),
        ("task.align_corners", one and flat.get("task.align_corners", False), f"{unused}False"),
    )
    check_trains_all(flat)
    check_jitter(flat)
    check_decoder(flat)
    check_size(flat, 32, "the encoder's largest stride")


def _check_cameras(flat: Flat, frames: bool) -> None:
    """Refuses learned intrinsics that nothing can teach."""
    learned = flat.get("task.intrinsics", "given")
    refuse(
        flat,
        (
            "data.flip_vertical",
            learned != "given" and flat.get("data.flip_vertical", False),
            f"does not go with config.task.intrinsics={learned!r}, which only knows pictures "
            "mirrored left to right; set it to False",
        ),
        (
            "task.intrinsics",
            learned != "given" and not frames,
            "needs a camera that turns, which a stereo pair does not; use "
            "config.data.frames=(-1, 1), or config.task.intrinsics='given'",
        ),
    )


def _check_poses(flat: Flat, frames: bool) -> None:
    """Refuses given poses without records that hold them, and learned ones without a network."""
    given = flat.get("task.poses") == "given"
    remedy = "; start from the config's option poses=given or poses=learned"
    if flat.get("data.frames") and not given and not flat.get("model.pose_encoder"):
        raise ConfigError(
            "config.model.pose_encoder is missing, which learns the motion between "
            "config.data.frames; add it to the config file"
        )
    refuse(
        flat,
        (
            "data.poses",
            given and "data.name" in flat and not flat.get("data.poses"),
            f"does not go with config.task.poses='given', which reads them{remedy}",
        ),
        (
            "task.poses",
            given and not frames,
            "has no effect with config.data.frames=(): a stereo pair's pose is always given; use "
            "poses=learned, or frames=(-1, 1)",
        ),
        (
            "model.pose_encoder",
            given and "model.pose_encoder" in flat,
            f"has no effect with config.task.poses='given'{remedy}",
        ),
        (
            "model.pose_encoder",
            flat.get("model.pose_encoder") == SHARED and not frames,
            "has no effect with config.data.frames=(), which leaves no motion to learn; use "
            "frames=(-1, 1), or an encoder's name",
        ),
    )
