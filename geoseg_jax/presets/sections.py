"""The sections of every config, what they share, and the options that every config takes."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.core.encoder_names import ENCODERS
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.transfer import transfer

OPTIONS = {
    "encoder": Option(ENCODERS, "the network that is trained and can be transferred"),
    # For depth, flow, inpainting and segmentation a transformer then learns with layer_decay 0.75;
    # --config.init_from=W names weights and leaves that at 1.
    "init": Option("", "workdir, checkpoint or weights to start from; nothing: random weights"),
    "seed": Option(0, "of initialisation, order and augmentation"),
    "smoke": Option(
        False, "a minute on a CPU on the synthetic world, without any data; it learns nothing"
    ),
}
RESIZED = Option("640x192", "width x height that pictures are resized to, pixels")
RESOLUTION = Option("224x224", "width x height of the windows that are learned from, pixels")


# What sections hold unless a preset says otherwise.
MODEL = {"normalisation": "imagenet", "compute_dtype": "auto"}  # by the device: tasks/precision.py
DATA = {"flip": True, "workers": 0, "bad_share": 0.0}
OPTIMIZER = {"schedule": "cosine", "warmup_steps": 0, "weight_decay": 0.0, "clip_norm": 0.0}
TRAIN = {
    "steps": 10_000,
    "log_every": 50,
    "eval_every": 1_000,
    "checkpoint_every": 1_000,
    "pictures_every": 1_000,
    "writers": ("tensorboard",),  # and "wandb", "mlflow"
}
UNET = {"decoder_channels": (16, 32, 64, 128, 256), "decoder_padding": "reflect"}


def jitter(amount: float, hue: float, probability: float) -> dict[str, float]:
    """Returns the section: `amount` for brightness, contrast and saturation alike."""
    colours = dict.fromkeys(("brightness", "contrast", "saturation"), amount)
    return colours | {"hue": hue, "probability": probability}


def assemble(
    options: Mapping[str, Any],
    *,
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    optimizer: Mapping[str, Any],
    train: Mapping[str, Any],
    parts: tuple[str, ...] = ("encoder",),
    frozen: tuple[str, ...] = (),
) -> ConfigDict:
    """Returns a config of these sections and what they share, for the seed, encoder and init given.

    parts, frozen: see transfer.transfer.
    """
    return ConfigDict(
        {
            "seed": options["seed"],
            "init_from": options["init"],
            "transfer": transfer(parts, frozen),
            "task": task,
            "model": {**MODEL, **model, "encoder": options["encoder"]},
            "data": {**DATA, **data},
            "optimizer": {**OPTIMIZER, "rules": (), **optimizer},
            "train": {**TRAIN, **train},
        }
    )
