"""Settings that every run shares, and what goes together: seed, transfer, optimizer, train."""

from geoseg_jax.core.places import check_local
from geoseg_jax.core.rules import (
    POSITIVE,
    SHARE,
    choice,
    each,
    flag,
    number,
    parameter_rules,
    text,
    whole,
)
from geoseg_jax.core.setting import Flat, Setting, refuse

_BESIDE = {"on_resume": True, "numbers": False, "operations": False}  # the training itself
_TRANSFER = {
    "parts": Setting(
        each(choice("encoder", "decoder", "head", "pose", "flow"), least=1),
        "parts to take from config.init_from",
    ),
    "frozen": Setting(each(choice("encoder", "decoder")), "parts that are not trained"),
    "freeze": Setting(choice("all", "statistics"), "what of these stays fixed"),
    "normalisation": Setting(
        choice("matching", "any"),
        "'matching': refuse weights that were trained with another one; 'any': take them",
    ),
    "checkpoint": Setting(choice("latest", "best"), "which checkpoint of a run"),
    "prefix": Setting(text, "prefix of the encoder's names in a file of several encoders"),
    "pose_encoder": Setting(choice("", "repeated"), "'repeated': starts as the encoder does"),
    "statistics": Setting(
        choice("", "calibrated"),
        "'calibrated': a frozen encoder's batch statistics are those of the pictures",
    ),
} | {
    f"learning_rate_scale.{part}": Setting(POSITIVE, "multiplier of config.optimizer.learning_rate")
    for part in ("encoder", "decoder", "head", "pose")
}
_OPTIMIZER = {
    "schedule": Setting(choice("constant", "cosine", "step", "poly"), "of the learning rate"),
    "power": Setting(POSITIVE, "power of the schedule 'poly'"),
    "accumulate_gradients": Setting(flag, "never reset gradients, a fault of the paper's code"),
    "decay_at": Setting(SHARE, "share of training after which the schedule 'step' falls"),
    "decay_factor": Setting(number(0.0), "factor by which 'step' falls"),
    "warmup_steps": Setting(whole(0), "steps until the rate's peak", operations=False),
    "weight_decay": Setting(number(0.0), "weight decay, except of biases and normalisation"),
    "clip_norm": Setting(number(0.0), "global norm to clip gradients to; 0: no clipping"),
    "momentum": Setting(SHARE, "momentum of sgd"),
    "adam_b2": Setting(number(0.0, 0.999999), "decay of Adam's second moment"),
    "rules": Setting(parameter_rules, "rate multipliers by regular expression on names"),
    "layer_decay": Setting(
        number(0.0, 1.0, open_below=True),
        "learning rate of an encoder's layer over that of the next layer",
    ),
}
_TRAIN = {
    "micro_batches": Setting(
        whole(1),
        "parts that a batch passes through in, one after the other, each normalised by itself: "
        "less memory",
    ),
    "remat": Setting(
        flag,
        "compute the encoder's blocks again for the gradient, instead of keeping them: less memory",
        **_BESIDE,
    ),
    "log_every": Setting(whole(1), "steps", **_BESIDE),
    "eval_every": Setting(whole(0), "steps; 0: at the end", on_resume=True, operations=False),
    "checkpoint_every": Setting(whole(0), "steps; 0: at the end", **_BESIDE),
    "checkpoints_kept": Setting(whole(1), "of the newest, beside the best", **_BESIDE),
    "pictures_every": Setting(whole(0), "steps; 0: none", **_BESIDE),
    "best_metric": Setting(text, "metric of the best evaluation; '': none", operations=False),
    "best_mode": Setting(choice("min", "max"), "which end is best", operations=False),
    "profile_at": Setting(whole(0), "step to profile; 0: none", **_BESIDE),
    "writers": Setting(
        each(choice("tensorboard", "wandb", "mlflow", "clu")),
        "tools that get the numbers and pictures; clu: by TensorFlow, in tensorboard's place",
        **_BESIDE,
    ),
}
SETTINGS = {
    "seed": Setting(whole(0), "seed of initialisation, order and augmentation", operations=False),
    "init_from": Setting(
        text,
        "run, checkpoint, weights, or hf:OWNER/NAME; '': random",
        operations=False,
        optional=True,
    ),
    "optimizer.name": Setting(choice("adam", "adamw", "sgd"), "the optimiser"),
    # 0: batch statistics alone are learned.
    "optimizer.learning_rate": Setting(number(0.0), "learning rate at its peak", operations=False),
    # More steps change those to come where the schedule ends with them.
    "train.steps": Setting(whole(1), "optimiser steps in all", on_resume=True, operations=False),
    "train.batch_size": Setting(whole(1), "examples per step, over all devices"),
    "train.eval_batch_size": Setting(
        whole(1),
        "examples evaluated at a time, rounded up to a multiple of the devices",
        on_resume=True,
        operations=False,
    ),
} | {
    f"{section}.{name}": setting._replace(optional=True)
    for section, settings in (
        ("transfer", _TRANSFER),
        ("optimizer", _OPTIMIZER),
        ("train", _TRAIN),
    )
    for name, setting in settings.items()
}


def check(flat: Flat) -> None:
    """Refuses settings of the optimiser and of the transfer that don't go together.

    Raises:
      ConfigError: naming the first; for weights at an address.
    """
    check_local(flat.get("init_from") or "", "config.init_from")
    refuse(
        flat,
        (
            "optimizer.weight_decay",
            flat.get("optimizer.weight_decay", 0.0) > 0 and flat["optimizer.name"] == "adam",
            "has no effect with config.optimizer.name='adam'; use 'adamw' or set it to 0",
        ),
        (
            "transfer.prefix",
            bool(flat.get("transfer.prefix")) and not flat.get("init_from"),
            "has no effect without config.init_from, the file that it is a prefix in; set it to ''",
        ),
        (
            "train.writers",
            {"tensorboard", "clu"} <= set(flat.get("train.writers", ())),
            "names two that write the same events; leave one out",
        ),
    )
    if flat.get("transfer.pose_encoder"):
        _check_pose_start(flat)


def _check_pose_start(flat: Flat) -> None:
    """Refuses a pose network's start from an encoder that is not taken, or not like its own."""
    parts, encoder = flat.get("transfer.parts", ("encoder",)), flat.get("model.encoder")
    unlike = flat.get("model.pose_encoder") != encoder or not flat.get("data.frames")
    cases = (
        (not flat.get("init_from"), "has no effect without config.init_from; set it to ''"),
        ("encoder" not in parts, "repeats the encoder, which config.transfer.parts must name"),
        ("pose" in parts, "is taken as part of 'pose' already; set it to ''"),
        (
            unlike,
            f"needs a pose network on an encoder like config.model.encoder={encoder!r}; set "
            "config.model.pose_encoder to that and config.data.frames to (-1, 1), or it to ''",
        ),
    )
    refuse(flat, *(("transfer.pose_encoder", *case) for case in cases))


def check_warm_up(flat: Flat) -> None:
    """Refuses a warm-up as long as the training, whose learning rate never gets to its peak.

    For what a person starts: a study shortens the warm-up of its jobs itself.

    Raises:
      ConfigError: naming both, with a twentieth as the remedy.
    """
    warm_up, steps = flat.get("optimizer.warmup_steps", 0), flat["train.steps"]
    refuse(
        flat,
        (
            "optimizer.warmup_steps",
            0 < warm_up >= steps,
            f"must be below config.train.steps={steps}, or the learning rate never reaches its "
            f"peak; set it to {steps // 20}",
        ),
    )
