"""The sections of every config, and the options that every config takes."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.core.encoder_names import ENCODERS
from geoseg_jax.presets.transfer import transfer

OPTIONS = {
    "encoder": ENCODERS,
    # Workdir, checkpoint or weights that the encoder starts from; '': random weights. For depth,
    # flow, inpainting and segmentation a transformer then learns with layer_decay 0.75;
    # --config.init_from=W names weights and leaves that at 1.
    "init": "",
    "seed": 0,  # of initialisation, order and augmentation
    "smoke": False,  # a minute on a CPU on the synthetic world, without any data
}


def assemble(
    options: Mapping[str, Any],
    *,
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    optimizer: Mapping[str, Any],
    train: Mapping[str, Any],
) -> ConfigDict:
    """Returns a config of these sections that starts from, and with, what the options say."""
    return ConfigDict(
        {
            "seed": options["seed"],
            "init_from": options["init"],
            "transfer": transfer(("encoder",)),
            "task": task,
            "model": {**model, "encoder": options["encoder"]},
            "data": data,
            "optimizer": optimizer,
            "train": train,
        }
    )
