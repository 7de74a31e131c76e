"""The table of all settings: each key of a configuration, its type and its range."""

import math
from collections.abc import Callable
from typing import Any

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.presets.encoders import ENCODERS

# A rule takes a value and returns what is wrong with it, or None.
Rule = Callable[[Any], str | None]


def whole(least: int) -> Rule:
    """An int of at least `least`."""

    def rule(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            return f"must be a whole number of at least {least}"
        return None

    return rule


def number(least: float, most: float = math.inf, open_below: bool = False) -> Rule:
    """A finite number in [least, most], or in (least, most] where open_below."""

    def rule(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good = good and math.isfinite(value) and least <= value <= most
        if not good or (open_below and value == least):
            text = f"must be a finite number {'above' if open_below else 'of at least'} {least:g}"
            return text if math.isinf(most) else f"{text} and at most {most:g}"
        return None

    return rule


def choice(*names: str) -> Rule:
    """One of the names; the message tells the nearest."""

    def rule(value: Any) -> str | None:
        if value in names:
            return None
        return f"must be one of {', '.join(names)}{did_you_mean(value, names)}"

    return rule


def text(value: Any) -> str | None:
    """A string, possibly empty, or None for a placeholder that was left open."""
    return None if value is None or isinstance(value, str) else "must be a string"


def flag(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool) else "must be True or False"


def each(rule: Rule, least: int = 0) -> Rule:
    """A tuple or list of at least `least` entries that all keep the rule."""

    def check_all(value: Any) -> str | None:
        if not isinstance(value, tuple | list) or len(value) < least:
            return f"must be a tuple of at least {least} entries"
        problems = [p for p in map(rule, value) if p]
        return f"every entry {problems[0]}" if problems else None

    return check_all


def frame(value: Any) -> str | None:
    """A temporal neighbour: an int other than 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value == 0:
        return "must be a whole number other than 0, as in (-1, 1)"
    return None


def scale_range(value: Any) -> str | None:
    """() for none, or the least and the largest factor."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    good = good and not any(number(0.1, 10.0)(factor) for factor in value)
    if good and list(value) == sorted(value):
        return None
    return "must be (), or the least and the largest factor from 0.1 to 10, as in (0.5, 2.0)"


def crop_size(value: Any) -> str | None:
    """() for none, or height and width."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    if good and not any(whole(1)(side) for side in value):
        return None
    return "must be (), or height and width in pixels, as in (512, 512)"


def inner_fold(value: Any) -> str | None:
    """A fold and the number of folds, or () for none."""
    if not value and isinstance(value, tuple | list):
        return None
    pair = isinstance(value, tuple | list) and len(value) == 2
    if pair and not any(whole(least)(v) for v, least in zip(value, (0, 2), strict=True)):
        return None if value[0] < value[1] else f"must be a fold below {value[1]}"
    return "must be () or (FOLD, FOLDS), as in (0, 4)"


def area_range(value: Any) -> str | None:
    """() for none, or the least and the largest share of an area."""
    good = isinstance(value, tuple | list) and len(value) in (0, 2)
    good = good and not any(number(0.0, 1.0, open_below=True)(share) for share in value)
    if good and list(value) == sorted(value):
        return None
    return "must be (), or the least and the largest share of the picture, as in (0.08, 1.0)"


def parameter_rules(value: Any) -> str | None:
    """Pairs of a regular expression and a multiplier of at least 0."""
    pairs = isinstance(value, tuple | list) and all(
        isinstance(rule, tuple | list) and len(rule) == 2 and isinstance(rule[0], str)
        for rule in value
    )
    if not pairs or any(number(0.0)(multiplier) for _, multiplier in value):
        return "must be pairs (regular expression, multiplier from 0 on), as in (('pose/.*', 0.1),)"
    return None


def row_range(value: Any) -> str | None:
    """The rows kept of a picture, as shares of its height from above: (first, last)."""
    good = isinstance(value, tuple | list) and len(value) == 2
    good = good and not any(SHARE(share) for share in value)
    if good and value[0] < value[1]:
        return None
    return "must be two shares of the height, rising, as in (0.0, 0.8) for all but the lowest fifth"


def class_weights(value: Any) -> str | None:
    """() for none, a number from 0 on for each class, or the name of a way to compute them."""
    # A tuple in any case, of which the command line makes one from a word alone.
    methods = (["median_frequency"], ["root_median_frequency"])
    named = isinstance(value, tuple | list) and list(value) in methods
    if named or not each(number(0.0))(value):
        return None
    return (
        "must be (), a tuple of one number from 0 on for each class, ('median_frequency',) or "
        "('root_median_frequency',)"
    )


def span(rule: Rule) -> Rule:
    """The least and the largest of something, both of which keep the rule."""

    def check_both(value: Any) -> str | None:
        problem = each(rule, 2)(value)
        if not problem and (len(value) != 2 or value[0] > value[1]):
            problem = "must be the least and the largest"
        return problem

    return check_both


def odd(value: Any) -> str | None:
    """An odd whole number from 1 on."""
    return whole(1)(value) or (None if value % 2 else "must be odd, to have a middle")


def power_of_two(value: Any) -> str | None:
    """1, 2, 4 or 8."""
    return whole(1)(value) or (None if value in (1, 2, 4, 8) else "must be 1, 2, 4 or 8")


SHARE = number(0.0, 1.0)
STRIDES = (2, 4, 8, 16, 32)
POSITIVE = number(0.0, open_below=True)

RULES: dict[str, Rule] = {
    "seed": whole(0),
    "init_from": text,
    "transfer.parts": each(choice("encoder", "decoder", "head", "pose", "flow"), least=1),
    "transfer.frozen": each(choice("encoder", "decoder")),
    "transfer.freeze": choice("all", "statistics"),
    "transfer.normalisation": choice("matching", "any"),
    "transfer.checkpoint": choice("latest", "best"),
    "transfer.prefix": text,
    "transfer.pose_encoder": lambda v: (
        None if v in ("", "repeated") else "must be '' (random weights) or 'repeated'"
    ),
    "transfer.statistics": lambda v: (
        None if v in ("", "calibrated") else "must be '' (as they come) or 'calibrated'"
    ),
    "transfer.learning_rate_scale.encoder": POSITIVE,
    "transfer.learning_rate_scale.decoder": POSITIVE,
    "transfer.learning_rate_scale.head": POSITIVE,
    "transfer.learning_rate_scale.pose": POSITIVE,
    "task.name": text,  # tasks and data sets refuse a name they don't know themselves
    "task.smoothness": number(0.0),
    "task.smoothness_order": lambda v: None if v in (1, 2) else "must be 1 or 2",
    "task.ssim_weight": SHARE,
    "task.automask": flag,
    "task.automask_start": SHARE,
    "task.scales": lambda v: None if v in (1, 2, 3, 4) else "must be 1, 2, 3 or 4",
    "task.enlarged": choice("disparity", "depth"),
    "task.align_corners": flag,
    "task.min_depth": POSITIVE,
    "task.max_depth": POSITIVE,
    "task.initial_depth": POSITIVE,
    "task.loss": choice("l1", "berhu", "silog", "silog_root"),
    "task.variance_focus": SHARE,
    "task.gradient_weight": number(0.0),
    "task.intrinsics": choice("given", "focal", "learned"),
    "task.poses": choice("learned", "given"),
    "task.initial_fov": number(1.0, 175.0),
    "task.jitter.brightness": SHARE,
    "task.jitter.contrast": SHARE,
    "task.jitter.saturation": SHARE,
    "task.jitter.hue": number(0.0, 0.5),
    "task.jitter.probability": SHARE,
    "task.eval.min_depth": POSITIVE,
    "task.eval.max_depth": POSITIVE,
    "task.eval.crop": choice("garg", "eigen_nyu", "cityscapes", "none"),
    "task.eval.median_scaling": flag,
    "task.eval.cap_truth": flag,
    "task.eval.flip": flag,
    "task.eval.window": each(whole(32)),
    "task.supervision": choice("photometric", "truth"),
    "task.data_term": choice("ssim_l1", "census"),
    "task.occlusion": choice("none", "forward_backward", "range_map"),
    "task.occlusion_start": SHARE,
    "task.edge_constant": number(0.0),
    "task.smoothness_on": choice("map", "picture"),
    "task.scale_weights": each(number(0.0), least=1),
    "task.coarse_weights": each(number(0.0)),
    "task.bidirectional": flag,
    "task.coarse_zoom": power_of_two,
    "task.level_dropout": number(0.0, 0.9),
    "task.robust_epsilon": POSITIVE,
    "task.robust_power": number(0.0, 2.0, open_below=True),
    "task.distillation.weight": number(0.0),
    "task.distillation.start": SHARE,
    "task.distillation.ramp": SHARE,
    "task.distillation.crop": number(0.0, 0.4, open_below=True),
    "task.label_smoothing": number(0.0, 0.99),
    "task.class_weights": class_weights,
    "task.normalise_twice": flag,
    "task.hole_share": span(SHARE),
    "task.hole_size": odd,
    "task.loss_region": choice("image", "holes"),
    "task.mask_ratio": number(0.0, 0.99, open_below=True),
    "task.normalise_patches": flag,
    "task.queue": whole(1),
    "task.momentum": SHARE,
    "task.temperature": POSITIVE,
    "task.features": whole(2),
    "task.norm_groups": whole(1),
    "task.grey_probability": SHARE,
    "task.blur_probability": SHARE,
    "task.blur_sigma": span(POSITIVE),
    "model.encoder": choice(*ENCODERS),
    "model.pose_encoder": choice("shared", *ENCODERS),
    "model.flow": choice("concat", "pyramid"),
    "model.flow_width": whole(1),
    "model.flow_radius": whole(1),
    "model.flow_layers": each(whole(1), least=1),
    "model.flow_context_layers": whole(0),
    "model.normalisation": text,
    "model.norm_momentum": number(0.0, 1.0, open_below=True),
    "model.deeplab.convolution": flag,
    "model.deeplab.align_corners": flag,
    "model.deeplab.init": choice("torch", "he_fan_out"),
    "model.deeplab.norm_momentum": number(0.0, 1.0, open_below=True),
    "model.decoder_channels": each(whole(1), least=1),
    "model.decoder_padding": choice("reflect", "zero"),
    "model.decoder": choice("unet", "deeplabv3", "linear", "dpt"),
    "model.dpt_features": whole(1),
    "model.mae_depth": whole(1),
    "model.mae_width": whole(4),
    "model.mae_heads": whole(1),
    "model.output_stride": lambda v: None if v in (8, 16) else "must be 8 or 16",
    "model.probe_stages": each(lambda v: None if v in STRIDES else f"must be one of {STRIDES}", 1),
    "model.compute_dtype": choice("float32", "bfloat16"),
    "data.name": text,
    "data.truth_in_training": flag,
    "data.keep_rows": row_range,
    "data.truth": choice("depth", "flow", "none"),
    "data.eval_name": text,
    "data.eval_root": text,
    "data.eval_list": text,
    "data.dataset": text,
    "data.root": text,
    "data.height": whole(1),
    "data.width": whole(1),
    "data.frames": each(frame),
    "data.stereo": flag,
    "data.poses": flag,
    "data.flip": flag,
    "data.flip_vertical": flag,
    "data.scale": scale_range,
    "data.crop": crop_size,
    "data.crop_area": area_range,
    "data.crop_views": whole(1),
    "data.central_share": number(0.0, 1.0, open_below=True),
    "data.fit": choice("crop", "cover"),
    "data.workers": whole(0),
    "data.bad_share": SHARE,
    "data.cache_dir": text,
    "data.train_split": text,
    "data.eval_split": text,
    "data.classes": text,
    "data.labels": whole(0),
    "data.subset": whole(-1),
    "data.subset_seed": whole(0),
    "data.inner_fold": inner_fold,
    "data.held_out": number(0.0, 1.0, open_below=True),
    "data.gap": whole(0),
    "data.frame_stride": whole(1),
    "data.min_motion": SHARE,
    "data.intrinsics": choice("given", "fov"),
    "data.fov": number(1.0, 175.0),
    "data.calibration": text,
    "data.cities": each(text),
    "data.eval_labels": choice("full", "resized"),
    "data.picture_resize": choice("area", "bicubic"),
    "data.label_resize": choice("nearest", "bicubic"),
    "data.label_crop": choice("none", "bottom_right"),
    "data.ground_truth": choice("auto", "improved", "velodyne", "eigen", "filled", "raw"),
    "data.constant_frames": whole(1),
    "data.world": text,
    "data.train_size": whole(1),
    "data.eval_size": whole(1),
    "data.seed": whole(0),
    "optimizer.name": choice("adam", "adamw", "sgd"),
    "optimizer.learning_rate": number(0.0),  # 0: batch statistics alone
    "optimizer.schedule": choice("constant", "cosine", "step", "poly"),
    "optimizer.power": POSITIVE,
    "optimizer.accumulate_gradients": flag,
    "optimizer.decay_at": SHARE,
    "optimizer.decay_factor": number(0.0),
    "optimizer.warmup_steps": whole(0),
    "optimizer.weight_decay": number(0.0),
    "optimizer.clip_norm": number(0.0),
    "optimizer.momentum": SHARE,
    "optimizer.adam_b2": number(0.0, 0.999999),
    "optimizer.rules": parameter_rules,
    "optimizer.layer_decay": number(0.0, 1.0, open_below=True),
    "train.steps": whole(1),
    "train.batch_size": whole(1),
    "train.eval_batch_size": whole(1),
    "train.log_every": whole(1),
    "train.eval_every": whole(0),
    "train.checkpoint_every": whole(0),
    "train.pictures_every": whole(0),
    "train.best_metric": text,
    "train.best_mode": choice("min", "max"),
    "train.profile_at": whole(0),
}
