"""What a configuration may say: every key, its type and its range; and what may change on resume.

A config file is plain data, so a typo in it or on the command line would otherwise show hours
later, or never. `check` refuses it before anything is started, with the key's full name.
"""

import difflib
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class ConfigError(ValueError):
    """A setting that can't be used; the message names config.KEY, the value and the remedy."""


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


def parameter_rules(value: Any) -> str | None:
    """Pairs of a regular expression and a multiplier of at least 0."""
    pairs = isinstance(value, tuple | list) and all(
        isinstance(rule, tuple | list) and len(rule) == 2 and isinstance(rule[0], str)
        for rule in value
    )
    if not pairs or any(number(0.0)(multiplier) for _, multiplier in value):
        return "must be pairs (regular expression, multiplier from 0 on), as in (('pose/.*', 0.1),)"
    return None


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


SHARE = number(0.0, 1.0)
STRIDES = (2, 4, 8, 16, 32)
POSITIVE = number(0.0, open_below=True)
ENCODERS = ("tiny", "resnet18", "resnet34", "resnet50", "resnet101")

RULES: dict[str, Rule] = {
    "seed": whole(0),
    "init_from": text,
    "transfer.parts": each(choice("encoder", "decoder", "head", "pose"), least=1),
    "transfer.frozen": each(choice("encoder", "decoder")),
    "transfer.freeze": choice("all", "statistics"),
    "transfer.checkpoint": choice("latest", "best"),
    "transfer.learning_rate_scale.encoder": POSITIVE,
    "transfer.learning_rate_scale.decoder": POSITIVE,
    "transfer.learning_rate_scale.head": POSITIVE,
    "transfer.learning_rate_scale.pose": POSITIVE,
    "task.name": text,  # tasks and data sets refuse a name they don't know themselves
    "task.smoothness": number(0.0),
    "task.smoothness_order": lambda v: None if v in (1, 2) else "must be 1 or 2",
    "task.ssim_weight": SHARE,
    "task.automask": flag,
    "task.scales": lambda v: None if v in (1, 2, 3, 4) else "must be 1, 2, 3 or 4",
    "task.min_depth": POSITIVE,
    "task.max_depth": POSITIVE,
    "task.initial_depth": POSITIVE,
    "task.jitter.brightness": SHARE,
    "task.jitter.contrast": SHARE,
    "task.jitter.saturation": SHARE,
    "task.jitter.hue": number(0.0, 0.5),
    "task.jitter.probability": SHARE,
    "task.eval.min_depth": POSITIVE,
    "task.eval.max_depth": POSITIVE,
    "task.eval.crop": choice("garg", "none"),
    "task.eval.median_scaling": flag,
    "task.eval.flip": flag,
    "task.eval.window": each(whole(32)),
    "task.label_smoothing": number(0.0, 0.99),
    "task.class_weights": class_weights,
    "task.normalise_twice": flag,
    "model.encoder": choice(*ENCODERS),
    "model.pose_encoder": choice(*ENCODERS),
    "model.normalisation": text,
    "model.decoder_channels": each(whole(1), least=1),
    "model.decoder_padding": choice("reflect", "zero"),
    "model.decoder": choice("unet", "deeplabv3", "linear"),
    "model.output_stride": lambda v: None if v in (8, 16) else "must be 8 or 16",
    "model.probe_stages": each(lambda v: None if v in STRIDES else f"must be one of {STRIDES}", 1),
    "model.compute_dtype": choice("float32", "bfloat16"),
    "data.name": text,
    "data.root": text,
    "data.height": whole(1),
    "data.width": whole(1),
    "data.frames": each(frame),
    "data.stereo": flag,
    "data.flip": flag,
    "data.scale": scale_range,
    "data.crop": crop_size,
    "data.workers": whole(0),
    "data.bad_share": SHARE,
    "data.cache_dir": text,
    "data.train_split": text,
    "data.eval_split": text,
    "data.classes": text,
    "data.labels": whole(0),
    "data.subset": whole(-1),
    "data.subset_seed": whole(0),
    "data.held_out": number(0.0, 1.0, open_below=True),
    "data.cities": each(text),
    "data.eval_labels": choice("full", "resized"),
    "data.label_resize": choice("nearest", "bicubic"),
    "data.label_crop": choice("none", "bottom_right"),
    "data.ground_truth": choice("auto", "improved", "velodyne"),
    "data.constant_frames": whole(1),
    "data.world": text,
    "data.train_size": whole(1),
    "data.eval_size": whole(1),
    "data.seed": whole(0),
    "optimizer.name": choice("adam", "adamw", "sgd"),
    "optimizer.learning_rate": POSITIVE,
    "optimizer.schedule": choice("constant", "cosine", "step", "poly"),
    "optimizer.power": POSITIVE,
    "optimizer.accumulate_gradients": flag,
    "optimizer.decay_at": SHARE,
    "optimizer.decay_factor": number(0.0),
    "optimizer.warmup_steps": whole(0),
    "optimizer.weight_decay": number(0.0),
    "optimizer.clip_norm": number(0.0),
    "optimizer.momentum": SHARE,
    "optimizer.rules": parameter_rules,
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

REQUIRED = (
    "seed",
    "optimizer.name",
    "optimizer.learning_rate",
    "train.steps",
    "train.batch_size",
    "train.eval_batch_size",
)

# What else is needed where a key has a value.
NEEDED = {
    ("data.name", "kitti"): ("data.root", "data.train_split", "data.eval_split"),
    ("data.name", "synthetic"): ("data.world", "data.train_size", "data.eval_size", "data.seed"),
    ("data.name", "synthetic_segmentation"): (
        *("data.world", "data.train_size", "data.eval_size", "data.seed"),
    ),
} | {
    ("data.name", name): ("data.root", "data.train_split", "data.eval_split")
    for name in ("kitti_semantics", "cityscapes", "nyu", "camvid", "folder")
}

# What may differ when a run is continued: none of it changes the numbers of the steps done. The
# number of steps does change those to come, where the schedule of the learning rate ends with it.
CHANGEABLE = (
    "train.steps",
    "train.log_every",
    "train.eval_every",
    "train.checkpoint_every",
    "train.pictures_every",
    "train.eval_batch_size",
    "train.profile_at",
    "data.root",
    "data.workers",
    "data.cache_dir",
)


def did_you_mean(value: Any, names: Iterable[str]) -> str:
    """'; did you mean NAME?' for the nearest of the names, or '' where none is near."""
    near = difflib.get_close_matches(str(value), list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def find_config(argument: str) -> str:
    """FILE.py[:ARGUMENT] as it is, or with FILE in the package or checkout if it isn't here.

    A checkout has configs/ beside the package, an installed copy inside it.

    Raises:
      FileNotFoundError: with the near miss, or with what there is.
    """
    file, colon, rest = argument.partition(":")
    package = pathlib.Path(__file__).resolve().parent
    places = [pathlib.Path(file), package / file, package.parent / file]
    found = next((str(place) for place in places if place.is_file()), None)
    if found is None:
        folders = (package / "configs", package.parent / "configs")
        known = sorted({f"configs/{path.name}" for f in folders for path in f.glob("*.py")})
        hint = did_you_mean(file, known) or f"; there are {', '.join(known)}"
        raise FileNotFoundError(f"--config={file}: no such file{hint}")
    return found + colon + rest


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as {'train.steps': 100, ...}; tuples become lists, as in JSON."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) or hasattr(value, "to_dict"):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = _as_json(value)
    return flat


def _as_json(value: Any) -> Any:
    return [_as_json(v) for v in value] if isinstance(value, tuple | list) else value


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as nested dicts and lists, ready for JSON."""
    return {
        key: plain(value)
        if isinstance(value, Mapping) or hasattr(value, "to_dict")
        else _as_json(value)
        for key, value in config.items()
    }


def check(config: Mapping[str, Any], skip: tuple[str, ...] = ()) -> None:
    """Refuses unknown keys, missing keys and bad values.

    Args:
      config: a ConfigDict or nested dicts.
      skip: top-level sections that someone else answers for ('task', 'model', 'data').

    Raises:
      ConfigError: naming the key, its value, what it may be and the near miss.
    """
    flat = {k: v for k, v in flatten(config).items() if k.split(".")[0] not in skip}
    for key, value in flat.items():
        if key not in RULES:
            raise ConfigError(f"config.{key} is not a setting{did_you_mean(key, RULES)}")
        problem = RULES[key](value)
        if problem:
            raise ConfigError(f"config.{key}={value!r} {problem}")
    for key in REQUIRED:
        if key not in flat:
            raise ConfigError(f"config.{key} is missing; add it to the config file")
    for (key, value), others in NEEDED.items():
        missing = [other for other in others if other not in flat]
        if flat.get(key) == value and missing:
            raise ConfigError(
                f"config.{key}={value!r} needs config.{missing[0]}, which this config file does "
                "not have; start from another one"
            )
    _check_pairs(flat)


def _check_pairs(flat: Mapping[str, Any]) -> None:
    """Settings that are good alone and not together."""
    for section in ("task", "task.eval"):
        least, most = (flat.get(f"{section}.{end}_depth") for end in ("min", "max"))
        if least is not None and most is not None and least >= most:
            raise ConfigError(
                f"config.{section}.min_depth={least} must be below max_depth={most} beside it"
            )
    _check_depth(flat)
    if flat.get("task.name") == "selfsup_depth" and flat.get("transfer.frozen"):
        raise ConfigError(
            f"config.transfer.frozen={flat['transfer.frozen']}: self-supervised depth trains all "
            "of its parts; set it to ()"
        )
    _check_crop(flat)
    if flat.get("optimizer.weight_decay", 0.0) > 0 and flat["optimizer.name"] == "adam":
        raise ConfigError(
            f"config.optimizer.weight_decay={flat['optimizer.weight_decay']} has no effect with "
            "config.optimizer.name='adam'; use 'adamw' or set it to 0"
        )


def _check_depth(flat: Mapping[str, Any]) -> None:
    """What self-supervised depth needs of the range, the views, the size and the decoder."""
    if "task.initial_depth" in flat and "task.max_depth" in flat:
        least, start, most = (flat[f"task.{k}_depth"] for k in ("min", "initial", "max"))
        if not least < start < most:
            raise ConfigError(
                f"config.task.initial_depth={start} must lie between min_depth={least} and "
                f"max_depth={most} beside it"
            )
    if "data.frames" in flat and not flat["data.frames"] and not flat.get("data.stereo"):
        raise ConfigError(
            "config.data.frames=() and config.data.stereo=False leave no source view; use "
            "frames=(-1, 1), or stereo=True, or both"
        )
    if flat.get("data.stereo") is False and flat.get("task.eval.median_scaling") is False:
        raise ConfigError(
            "config.task.eval.median_scaling=False needs metres, which config.data.stereo=False "
            "cannot learn; set config.task.eval.median_scaling=True"
        )
    for key in ("data.height", "data.width"):
        size = flat.get(key, 32)
        if size % 32 and flat.get("task.name") == "selfsup_depth":
            raise ConfigError(
                f"config.{key}={size} must be a multiple of 32, the encoder's largest stride; use "
                f"{max(32, size // 32 * 32)} or {-(-size // 32) * 32}"
            )
    if len(flat.get("model.decoder_channels", range(5))) != 5:
        raise ConfigError(
            f"config.model.decoder_channels={flat['model.decoder_channels']} must be five numbers, "
            "for strides 1, 2, 4, 8 and 16"
        )


def _check_crop(flat: Mapping[str, Any]) -> None:
    """Windows of a picture that networks can take and that a scaled picture can fill."""
    scale, crop = flat.get("data.scale", ()), flat.get("data.crop", ())
    key, value = ("scale", scale) if scale else ("crop", crop)
    if value and "data.frames" in flat:
        raise ConfigError(
            f"config.data.{key}={value} is for pictures with labels, not for the views of "
            f"config.data.frames; set it to ()"
        )
    if not crop:
        return
    largest = max(scale, default=1.0)
    for side, name in zip(crop, ("height", "width"), strict=True):
        whole_side = flat.get(f"data.{name}")
        if whole_side and side > round(whole_side * largest):
            raise ConfigError(
                f"config.data.crop={crop} is larger than any picture: config.data.{name}="
                f"{whole_side} times the largest config.data.scale, {largest:g}; choose at most "
                f"{round(whole_side * largest)}"
            )


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ -> (old, new), with None for a key that one side lacks."""
    before, after = flatten(old), flatten(new)
    keys = sorted(before.keys() | after.keys())
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def check_resume(old: Mapping[str, Any], new: Mapping[str, Any], workdir: str) -> list[str]:
    """Compares the config of a run with the one it is to be continued with.

    Returns:
      One line for every difference that is allowed (see CHANGEABLE).

    Raises:
      ConfigError: where a setting differs that would make it another experiment.
    """
    differences = changed(old, new)
    lines = {key: f"config.{key}: {was!r} -> {now!r}" for key, (was, now) in differences.items()}
    refused = [line for key, line in lines.items() if key not in CHANGEABLE]
    if refused:
        raise ConfigError(
            f"{workdir} holds a run with other settings ({'; '.join(refused)}); go on with the "
            "settings it has, or choose another --workdir"
        )
    if "train.steps" in lines and flatten(new).get("optimizer.schedule") != "constant":
        lines["train.steps"] += ", which changes the learning rate of the steps to come"
    return list(lines.values())
