"""Masked autoencoding (He et al., MAE, CVPR 2022, arXiv:2111.06377): what its configs share."""

from ml_collections import ConfigDict

from geoseg_jax.core.encoder_names import ENCODERS
from geoseg_jax.presets import sections
from geoseg_jax.presets.argument import override
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

# Without those of DINOv2, which have more than MAE's ViT.
VITS = tuple(e for e in ENCODERS if e.startswith("vit") and "dinov2" not in e)

# Options of every MAE config, FILE.py:vit_l16,init=W; a word alone says which choice.
OPTIONS = override(
    sections.OPTIONS,
    {
        "encoder": ("vit_b16", *(e for e in VITS if e != "vit_b16")),
        "resolution": sections.RESOLUTION,
    },
)


def _start(options: Options) -> ConfigDict:
    config = sections.assemble(
        options, task=_TASK, model=_MODEL, data=_DATA, optimizer=_OPTIMIZER, train=_TRAIN
    )
    if options["encoder"] == "vit_tiny":
        config.model.update({"mae_depth": 1, "mae_width": 32, "mae_heads": 2})
    return config


def recipe(config: ConfigDict, pictures: int, epochs: int, batch: int = 4096) -> None:
    """Sets length, batch and learning rate (appendix A.1, table 8).

    Args:
      config: changed in place.
      pictures: in the training set.
      epochs: how often each is seen, the first 40 of 800 in the warm-up.
      batch: of all devices; the learning rate is 1.5e-4 for 256 and grows with it.
    """
    epoch = pictures / batch
    config.optimizer.learning_rate = 1.5e-4 * batch / 256
    config.optimizer.warmup_steps = round(epochs / 20 * epoch)
    every = max(1, round(epochs / 40 * epoch))
    config.train.update({"batch_size": batch, "steps": round(epochs * epoch)})
    config.train.update({"eval_every": every, "pictures_every": every})
    config.train.checkpoint_every = max(1, round(epoch))


def _finish(config: ConfigDict, options: Options) -> None:
    if options["smoke"]:
        smoke(config, "objects")


PRESET = Preset(OPTIONS, _start, _finish)


_TASK = {
    "name": "mae",
    "mask_ratio": 0.75,
    "normalise_patches": True,  # each by its own mean and deviation
}
_MODEL = {
    "mae_depth": 8,  # of the decoder
    "mae_width": 512,
    "mae_heads": 16,
}
_DATA = {
    "truth": "none",
    "crop_area": (0.2, 1.0),
    "central_share": 0.875,  # evaluated on the middle
}
_OPTIMIZER = {
    "name": "adamw",
    "learning_rate": 1.5e-4,
    "adam_b2": 0.95,
    "weight_decay": 0.05,
    # Sines and cosines, which MAE does not learn.
    "rules": (("encoder/pos_embed", 0.0),),
}
_TRAIN = {"batch_size": 256, "eval_batch_size": 256, "best_metric": "mse"}
