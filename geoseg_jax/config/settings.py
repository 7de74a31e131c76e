"""Whether a configuration can be used (its keys: table.py), and what may change on resume.

A config file is plain data, so a typo in it or on the command line would otherwise show hours
later, or never. `check` refuses it before anything is started, with the key's full name.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from geoseg_jax.config.table import RULES
from geoseg_jax.core.near_miss import did_you_mean


class ConfigError(ValueError):
    """A setting that can't be used; the message names config.KEY, the value and the remedy."""


REQUIRED = (
    "seed",
    "optimizer.name",
    "optimizer.learning_rate",
    "train.steps",
    "train.batch_size",
    "train.eval_batch_size",
)

DEPTH_TASKS = ("selfsup_depth", "depth_supervised")

# Tasks that need neither neighbours nor a truth.
SINGLE_PICTURES = ("reconstruction", "mae", "moco")


def find_config(argument: str) -> str:
    """FILE.py[:ARGUMENT] as it is, or with FILE in the package or checkout if it isn't here.

    A checkout has configs/ beside the package, an installed copy inside it.

    Raises:
      FileNotFoundError: with the near miss, or with what there is.
    """
    file, colon, rest = argument.partition(":")
    package = pathlib.Path(__file__).resolve().parent.parent
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
    reader = _readers().get(flat.get("data.name"))
    own = reader.settings if reader else {}
    rules = RULES | {key: setting.rule for key, setting in own.items()}
    for key, value in flat.items():
        if key not in rules:
            raise ConfigError(f"config.{key} is not a setting{did_you_mean(key, rules)}")
        problem = rules[key](value)
        if problem:
            raise ConfigError(f"config.{key}={value!r} {problem}")
    for key in REQUIRED:
        if key not in flat:
            raise ConfigError(f"config.{key} is missing; add it to the config file")
    if reader:
        _check_reader(flat, reader)
    _check_pairs(flat)


def _readers() -> Mapping[str, Any]:
    """The registry of readers, which load what they read pictures with: not before it is needed."""
    from geoseg_jax.data.readers import READERS

    return READERS


def _check_reader(flat: Mapping[str, Any], reader: Any) -> None:
    """What the reader of config.data.name asks of the configuration."""
    missing = [key for key in reader.needs if key not in flat]
    if missing:
        raise ConfigError(
            f"config.data.name={flat['data.name']!r} needs config.{missing[0]}, which this config "
            "file does not have; start from another one"
        )
    if complaint := reader.check(flat):
        raise ConfigError(complaint)
    for key, usual, what in (
        ("data.picture_resize", "area", "picture"),
        ("data.label_resize", "nearest", "label"),
    ):
        if reader.labelled and key not in reader.settings and flat.get(key, usual) != usual:
            raise ConfigError(
                f"config.{key}={flat[key]!r} has no effect without a data set of {what} files; set "
                f"it to {usual!r}"
            )


def check_warm_up(config: Mapping[str, Any]) -> None:
    """Refuses a warm-up as long as the training, whose learning rate never gets to its peak.

    For what a person starts: a study shortens the warm-up of its jobs itself.

    Raises:
      ConfigError: naming both, with a twentieth as the remedy.
    """
    flat = flatten(config)
    warm_up, steps = flat.get("optimizer.warmup_steps", 0), flat.get("train.steps", 0)
    if warm_up and warm_up >= steps:
        raise ConfigError(
            f"config.optimizer.warmup_steps={warm_up} must be below config.train.steps={steps}, or "
            f"the learning rate never reaches its peak; set it to {steps // 20}"
        )


def _check_pairs(flat: Mapping[str, Any]) -> None:
    """Settings that are good alone and not together.

    A weight above zero that would change no loss, and a switch that is on and would do nothing, are
    refused. The parameters of something that is off (the jitter's strengths where its probability
    is 0, ssim_weight beside a census) stay, so that it can be switched on by itself.
    """
    for section in ("task", "task.eval"):
        least, most = (flat.get(f"{section}.{end}_depth") for end in ("min", "max"))
        if least is not None and most is not None and least >= most:
            raise ConfigError(
                f"config.{section}.min_depth={least} must be below max_depth={most} beside it"
            )
    _check_depth(flat)
    _check_poses(flat)
    if flat.get("task.name") in DEPTH_TASKS and flat.get("transfer.frozen"):
        raise ConfigError(
            f"config.transfer.frozen={flat['transfer.frozen']}: depth trains all of its parts; "
            "set it to ()"
        )
    _check_transfer(flat)
    _check_supervised_depth(flat)
    _check_cameras(flat)
    _check_flow(flat)
    _check_crop(flat)
    _check_decoder(flat)
    _check_segmentation(flat)
    _check_single_pictures(flat)
    _check_mae(flat)
    _check_moco(flat)
    _check_crop_area(flat)
    _check_jitter(flat)
    if flat.get("optimizer.weight_decay", 0.0) > 0 and flat["optimizer.name"] == "adam":
        raise ConfigError(
            f"config.optimizer.weight_decay={flat['optimizer.weight_decay']} has no effect with "
            "config.optimizer.name='adam'; use 'adamw' or set it to 0"
        )


def _check_transfer(flat: Mapping[str, Any]) -> None:
    """Settings of what a run takes from elsewhere that would have no effect."""
    if flat.get("transfer.prefix") and not flat.get("init_from"):
        raise ConfigError(
            f"config.transfer.prefix={flat['transfer.prefix']!r} has no effect without "
            "config.init_from, the file that it is a prefix in; set it to ''"
        )
    _check_pose_start(flat)
    task = flat.get("task.name", "segmentation")
    if flat.get("transfer.statistics") and task != "segmentation":
        raise ConfigError(
            f"config.transfer.statistics={flat['transfer.statistics']!r} has no effect with "
            f"config.task.name={task!r}, which trains its encoder; set it to ''"
        )


def _check_pose_start(flat: Mapping[str, Any]) -> None:
    """A pose network's encoder can start only from a like one that is taken, and but once."""
    if not flat.get("transfer.pose_encoder"):
        return
    parts = flat.get("transfer.parts", ("encoder",))
    encoder = flat.get("model.encoder")
    for wrong, remedy in (
        (not flat.get("init_from"), "has no effect without config.init_from; set it to ''"),
        ("encoder" not in parts, "repeats the encoder, which config.transfer.parts must name"),
        ("pose" in parts, "is taken as part of 'pose' already; set it to ''"),
        (
            flat.get("model.pose_encoder") != encoder or not flat.get("data.frames"),
            f"needs a pose network on an encoder like config.model.encoder={encoder!r}; set "
            "config.model.pose_encoder to that and config.data.frames to (-1, 1), or it to ''",
        ),
    ):
        if wrong:
            raise ConfigError(
                f"config.transfer.pose_encoder={flat['transfer.pose_encoder']!r} {remedy}"
            )


def _check_depth(flat: Mapping[str, Any]) -> None:
    """What depth needs of the range, the views, the size and the decoder."""
    if "task.initial_depth" in flat and "task.max_depth" in flat:
        least, start, most = (flat[f"task.{k}_depth"] for k in ("min", "initial", "max"))
        if not least < start < most:
            raise ConfigError(
                f"config.task.initial_depth={start} must lie between min_depth={least} and "
                f"max_depth={most} beside it"
            )
    alone = flat.get("task.name") == "selfsup_depth"  # what learns from views alone
    if alone and not flat.get("data.frames", True) and not flat.get("data.stereo"):
        raise ConfigError(
            "config.data.frames=() and config.data.stereo=False leave no source view; use "
            "frames=(-1, 1), or stereo=True, or both"
        )
    metric = flat.get("data.stereo") is not False or flat.get("task.poses") == "given"
    if alone and not metric and flat.get("task.eval.median_scaling") is False:
        raise ConfigError(
            "config.task.eval.median_scaling=False needs metres, which config.data.stereo=False "
            "cannot learn; set config.task.eval.median_scaling=True, or start from poses=given"
        )
    if alone and flat.get("data.truth") == "none" and flat.get("task.eval.flip"):
        raise ConfigError(
            "config.task.eval.flip=True has no effect with config.data.truth='none', which is "
            "judged by views; set it to False"
        )
    if flat.get("task.automask") is False and flat.get("task.automask_start", 0.0) > 0:
        raise ConfigError(
            f"config.task.automask_start={flat['task.automask_start']} has no effect with "
            "config.task.automask=False; set it to 0"
        )
    if flat.get("model.pose_encoder") == "shared" and not flat.get("data.frames", True):
        raise ConfigError(
            "config.model.pose_encoder='shared' has no effect with config.data.frames=(), which "
            "leaves no motion to learn; use frames=(-1, 1), or an encoder's name"
        )
    for key in ("data.height", "data.width"):
        size = flat.get(key, 32)
        if size % 32 and flat.get("task.name") in DEPTH_TASKS:
            raise ConfigError(
                f"config.{key}={size} must be a multiple of 32, the encoder's largest stride; use "
                f"{max(32, size // 32 * 32)} or {-(-size // 32) * 32}"
            )
    for key, off in (("task.enlarged", "disparity"), ("task.align_corners", False)):
        if flat.get("task.scales") == 1 and flat.get(key, off) != off:
            raise ConfigError(
                f"config.{key}={flat[key]!r} has no effect with config.task.scales=1, which is of "
                f"the pictures' size; set it to {off!r}"
            )
    if len(flat.get("model.decoder_channels", range(5))) != 5:
        raise ConfigError(
            f"config.model.decoder_channels={flat['model.decoder_channels']} must be five numbers, "
            "for strides 1, 2, 4, 8 and 16"
        )


def _check_poses(flat: Mapping[str, Any]) -> None:
    """Poses that are given need data that has them, views that move, and no network beside."""
    given = flat.get("task.poses") == "given"
    remedy = "; start from the config's option poses=given or poses=learned"
    if flat.get("data.poses", False) != given:
        raise ConfigError(
            f"config.data.poses={flat.get('data.poses', False)} does not go with "
            f"config.task.poses={flat.get('task.poses', 'learned')!r}, which alone reads them"
            + remedy
        )
    if not given:
        return
    readers, name = _readers(), flat.get("data.name")
    if name not in readers or not readers[name].poses:
        with_poses = ", ".join(known for known, reader in readers.items() if reader.poses)
        raise ConfigError(
            f"config.task.poses='given': config.data.name={name!r} has none; those of {with_poses} "
            "have; use poses=learned"
        )
    if not flat.get("data.frames"):
        raise ConfigError(
            "config.task.poses='given' has no effect with config.data.frames=(): a stereo pair's "
            "pose is always given; use poses=learned, or frames=(-1, 1)"
        )
    if "model.pose_encoder" in flat:
        raise ConfigError(
            f"config.model.pose_encoder={flat['model.pose_encoder']!r} has no effect with "
            "config.task.poses='given'" + remedy
        )


def _check_supervised_depth(flat: Mapping[str, Any]) -> None:
    """True depth to train on, and a window of it that the network can take."""
    if flat.get("task.name") != "depth_supervised":
        return
    if flat.get("data.truth_in_training") is not True:
        raise ConfigError(
            "config.task.name='depth_supervised' trains on true depth; set "
            "config.data.truth_in_training=True"
        )
    odd = [side for side in flat.get("data.crop", ()) if side % 32]
    if odd:
        raise ConfigError(
            f"config.data.crop={flat['data.crop']} must be multiples of 32, the encoder's largest "
            "stride"
        )


def _check_cameras(flat: Mapping[str, Any]) -> None:
    """What unknown cameras need: other frames than a stereo partner."""
    learned = flat.get("task.intrinsics", "given")
    if learned != "given" and flat.get("data.flip_vertical"):
        raise ConfigError(
            f"config.data.flip_vertical=True: config.task.intrinsics={learned!r} knows of pictures "
            "mirrored left to right alone; set it to False"
        )
    if learned != "given" and not flat.get("data.frames"):
        raise ConfigError(
            f"config.task.intrinsics={learned!r} needs a camera that turns, which a stereo pair "
            "does not; use config.data.frames=(-1, 1), or config.task.intrinsics='given'"
        )


def _check_flow(flat: Mapping[str, Any]) -> None:
    """What flow needs of the views, the truth, the network and the picture's size."""
    if flat.get("task.name") != "flow":
        return
    photometric = flat.get("task.supervision") == "photometric"
    odd = [key for key in ("data.height", "data.width") if flat.get(key, 32) % 32]
    odd += ["data.crop"] if any(side % 32 for side in flat.get("data.crop", ())) else []
    for key, wrong, remedy in (
        (
            "data.truth",
            flat.get("data.truth") != "flow",
            "flow is judged by flow; set it to 'flow'",
        ),
        (
            "data.truth_in_training",
            not photometric and flat.get("data.truth_in_training") is not True,
            "task.supervision='truth' learns from it; set it to True",
        ),
        (
            "task.scale_weights",
            not any((*flat.get("task.scale_weights", (1,)), *flat.get("task.coarse_weights", ()))),
            "no flow is trained; have a weight above 0 there or in config.task.coarse_weights",
        ),
        ("transfer.frozen", bool(flat.get("transfer.frozen")), "flow trains all; set it to ()"),
        *(_photometric_flow(flat) if photometric else _flow_from_truth(flat)),
        *_flow_against_network(flat),
        *((key, True, "use multiples of 32, the largest stride") for key in odd),
    ):
        if wrong:
            raise ConfigError(f"config.{key}={flat.get(key)}: {remedy}")


def _photometric_flow(flat: Mapping[str, Any]) -> tuple[tuple[str, bool, str], ...]:
    """What flow from pictures alone would do nothing with: (key, wrong, remedy)."""
    hides = flat.get("task.occlusion", "none") != "none"
    distils = flat.get("task.distillation.weight", 0.0) > 0
    return (
        (
            "task.bidirectional",
            (hides or distils) and not flat.get("task.bidirectional"),
            "occlusion and distillation compare both directions; set it to True",
        ),
        (
            "task.occlusion_start",
            not hides and flat.get("task.occlusion_start", 0.0) > 0,
            "has no effect with config.task.occlusion='none'; set it to 0",
        ),
        (
            "task.occlusion_start",
            hides and flat.get("task.occlusion_start", 0.0) == 1,
            "config.task.occlusion would never begin; set it below 1, or occlusion to 'none'",
        ),
        (
            "task.distillation.start",
            distils and flat.get("task.distillation.start", 0.0) == 1,
            "it would never begin; set it below 1, or config.task.distillation.weight to 0",
        ),
        (
            "task.coarse_zoom",
            flat.get("task.coarse_zoom", 1) > 1 and not any(flat.get("task.coarse_weights", ())),
            "has no effect without config.task.coarse_weights; set it to 1",
        ),
    )


def _flow_from_truth(flat: Mapping[str, Any]) -> tuple[tuple[str, bool, str], ...]:
    """What flow from truth does nothing with: (key, wrong, remedy)."""
    off = {
        "task.smoothness": 0,
        "task.occlusion": "none",
        "task.occlusion_start": 0,
        "task.bidirectional": False,
        "task.distillation.weight": 0,
        "task.coarse_weights": [],
        "task.coarse_zoom": 1,
    }
    return tuple(
        (
            key,
            flat.get(key, none) != none,
            "has no effect with config.task.supervision='truth'; set it to "
            f"{() if none == [] else none!r}",
        )
        for key, none in off.items()
    )


def _flow_against_network(flat: Mapping[str, Any]) -> tuple[tuple[str, bool, str], ...]:
    """What the flow network's design leaves without effect, or can't do: (key, wrong, remedy)."""
    concat, levels = flat.get("model.flow") == "concat", len(flat.get("task.scale_weights", ()))
    return (
        (
            "task.level_dropout",
            concat and flat.get("task.level_dropout", 0.0) > 0,
            "has no effect with config.model.flow='concat'; set it to 0",
        ),
        ("task.scale_weights", levels > 4, "there are 4 scales at most; drop some"),
    )


def _check_jitter(flat: Mapping[str, Any]) -> None:
    """Colours that are changed now and then, but by nothing."""
    strengths = [f"task.jitter.{of}" for of in ("brightness", "contrast", "saturation", "hue")]
    often = flat.get("task.jitter.probability", 0.0)
    if often > 0 and not any(flat.get(key) for key in strengths):
        raise ConfigError(
            f"config.task.jitter.probability={often} has no effect where brightness, contrast, "
            "saturation and hue are 0; set it to 0 too"
        )


def _check_single_pictures(flat: Mapping[str, Any]) -> None:
    """Tasks on pictures alone train all that they have, and must be told to train something."""
    if flat.get("task.name") == "reconstruction" and not any(flat.get("task.scale_weights", (1,))):
        raise ConfigError(
            f"config.task.scale_weights={flat['task.scale_weights']}: nothing is trained; have one "
            "above 0"
        )
    if flat.get("task.name") in SINGLE_PICTURES and flat.get("transfer.frozen"):
        raise ConfigError(
            f"config.transfer.frozen={flat['transfer.frozen']}: config.task.name="
            f"{flat['task.name']!r} trains all of its parts; set it to ()"
        )


def _check_mae(flat: Mapping[str, Any]) -> None:
    """Masked autoencoding: a ViT, whole patches, and a decoder whose width its heads divide."""
    if flat.get("task.name") != "mae":
        return
    if not flat.get("model.encoder", "vit").startswith("vit"):
        raise ConfigError(
            f"config.model.encoder={flat['model.encoder']!r} can't leave patches out, as "
            "config.task.name='mae' asks for; set it to a ViT, e.g. 'vit_b16'"
        )
    for key in ("data.height", "data.width"):
        size = flat.get(key, 16)
        if size % 16:
            near = f"{size // 16 * 16} or {-(-size // 16) * 16}" if size > 16 else "16"
            raise ConfigError(f"config.{key}={size} must be whole patches of 16; use {near}")
    width, heads = flat.get("model.mae_width", 512), flat.get("model.mae_heads", 16)
    if width % heads or width % 4:
        raise ConfigError(
            f"config.model.mae_width={width} must be a multiple of 4 and of "
            f"config.model.mae_heads={heads}"
        )


def _check_moco(flat: Mapping[str, Any]) -> None:
    """Contrast: two windows of a picture, and groups and a queue that suit the batch."""
    if flat.get("task.name") != "moco":
        return
    if flat.get("data.crop_views") != 2:
        raise ConfigError(
            f"config.data.crop_views={flat.get('data.crop_views', 1)}: config.task.name='moco' "
            "compares two windows of a picture; set it to 2, and config.data.crop_area"
        )
    batch, groups = flat["train.batch_size"], flat.get("task.norm_groups", 1)
    if not flat.get("model.encoder", "").startswith("vit") and (
        batch % groups or batch // groups < 2
    ):
        raise ConfigError(
            f"config.task.norm_groups={groups} must divide config.train.batch_size={batch} into "
            "groups of at least 2, whose statistics normalise them"
        )
    if flat.get("task.queue", batch) < batch:
        raise ConfigError(
            f"config.task.queue={flat['task.queue']} must hold at least one batch, "
            f"config.train.batch_size={batch}"
        )


def _check_decoder(flat: Mapping[str, Any]) -> None:
    """Decoders that the encoder has the stages for, and that the task can use."""
    encoder, decoder = flat.get("model.encoder", ""), flat.get("model.decoder", "unet")
    if not encoder.startswith("vit"):
        return
    remedy = ""
    if decoder == "unet" and "model.decoder_channels" in flat:
        remedy = "a ViT's stages do not halve, as a U-Net needs; set config.model.decoder='dpt'"
    elif decoder == "deeplabv3" and flat.get("model.output_stride", 16) != 16:
        remedy = "a ViT's stages have stride 16; set config.model.output_stride=16"
    elif decoder == "linear" and 2 in flat.get("model.probe_stages", ()):
        remedy = "a ViT has no stage 2; set config.model.probe_stages=(4, 8, 16, 32)"
    if remedy:
        raise ConfigError(
            f"config.model.decoder={decoder!r} with config.model.encoder={encoder!r}: {remedy}"
        )


def _check_segmentation(flat: Mapping[str, Any]) -> None:
    """Refuses settings of a decoder, an encoder or a reader that this run does not have."""
    plain = {"convolution": True, "align_corners": False, "init": "torch", "norm_momentum": 0.1}
    encoder = flat.get("model.encoder", "")
    still = encoder.startswith("vit") or "encoder" in flat.get("transfer.frozen", ())
    for key, usual, without, why in (
        *(
            (f"model.deeplab.{name}", value, flat.get("model.decoder") != "deeplabv3", "deeplabv3")
            for name, value in plain.items()
        ),
        ("model.norm_momentum", 0.1, still, "an encoder with batch statistics that learn"),
    ):
        if without and flat.get(key, usual) != usual:
            raise ConfigError(
                f"config.{key}={flat[key]!r} has no effect without {why}; set it to {usual!r}"
            )


def _check_crop(flat: Mapping[str, Any]) -> None:
    """Windows of a picture that networks can take and that a scaled picture can fill."""
    scale, crop = flat.get("data.scale", ()), flat.get("data.crop", ())
    key, value = ("scale", scale) if scale else ("crop", crop)
    views = flat.get("data.frames") or flat.get("data.stereo")
    if value and views and flat.get("task.name") != "flow":
        raise ConfigError(
            f"config.data.{key}={value} is for single pictures and flow, not for depth from the "
            "views of config.data.frames and config.data.stereo; set it to ()"
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


def _check_crop_area(flat: Mapping[str, Any]) -> None:
    """Random resized windows are the only scaling there is, and are for pictures alone."""
    if not flat.get("data.crop_area"):
        if flat.get("data.crop_views", 1) > 1:
            raise ConfigError(
                f"config.data.crop_views={flat['data.crop_views']} needs config.data.crop_area; "
                "set it, as in (0.08, 1.0)"
            )
        return
    for key in ("data.scale", "data.crop", "data.frames", "data.flip_vertical"):
        if flat.get(key):
            off = False if flat[key] is True else ()
            raise ConfigError(
                f"config.{key}={flat[key]} does not go with config.data.crop_area="
                f"{flat['data.crop_area']}; set it to {off}, or crop_area to ()"
            )
