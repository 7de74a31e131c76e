"""Inpainting, the control of Lao et al. (ECCV 2024): what its configs share."""

from ml_collections import ConfigDict

from geoseg_jax.presets import sections
from geoseg_jax.presets.encoders import DECODERS, decoder_of, suit_vit, warm_up
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

# Options of every reconstruction config, FILE.py:resnet50,init=W; a word alone says which choice.
OPTIONS = sections.OPTIONS | {
    "decoder": DECODERS,
    "loss": ("image", "holes"),  # all of the picture, as in the paper, or what is to be filled
}


def _start(options: Options) -> ConfigDict:
    config = sections.assemble(
        options,
        task=_TASK | {"loss_region": options["loss"]},
        model=_MODEL | decoder_of(options["encoder"], options["decoder"]),
        data=_DATA,
        optimizer=_OPTIMIZER,
        train=_TRAIN,
    )
    suit_vit(config)
    return config


def _finish(config: ConfigDict, options: Options) -> None:
    warm_up(config, options)
    if options["smoke"]:
        smoke(config, "pictures")


PRESET = Preset(OPTIONS, _start, _finish)


_TASK = {
    "name": "reconstruction",
    "hole_share": (0.001, 0.01),  # of the pixels start a hole
    "hole_size": 7,  # pixels
    "scale_weights": (1 / 64, 1 / 16, 1 / 4, 1.0),  # the finest first, as in their public code
}
_MODEL = {
    "normalisation": "imagenet",
    "decoder_channels": (16, 32, 64, 128, 256),
    "decoder_padding": "reflect",
    "compute_dtype": "float32",  # bfloat16 on GPU and TPU
}
_DATA = {
    "height": 192,
    "width": 640,
    "frames": (),  # pictures alone
    "stereo": False,
    "truth": "none",
    "flip": True,
    "workers": 0,
    "bad_share": 0.0,
}
# As the depth arm's, so that what is asked for is all that differs.
_OPTIMIZER = {
    "name": "adam",
    "learning_rate": 1e-4,
    "schedule": "step",
    "decay_at": 0.75,
    "decay_factor": 0.1,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "clip_norm": 0.0,
    "rules": (),
}
_TRAIN = {
    "steps": 10_000,
    "batch_size": 12,
    "eval_batch_size": 16,
    "log_every": 50,
    "eval_every": 1_000,
    "checkpoint_every": 1_000,
    "pictures_every": 1_000,
    "best_metric": "l1",
}
