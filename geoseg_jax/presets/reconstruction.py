"""Inpainting, the control of Lao et al. (ECCV 2024): what its configs share."""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth, sections
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.encoders import DECODER, decoder_of, suit_vit, warm_up
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

# Options of every reconstruction config, FILE.py:resnet50,init=W; a word alone says which choice.
OPTIONS = sections.OPTIONS | {
    "decoder": DECODER,
    "loss": Option(
        ("image", "holes"), "over all of the picture, as in the paper, or what is to be filled"
    ),
}


def _start(options: Options) -> ConfigDict:
    config = sections.assemble(
        options,
        task=_TASK | {"loss_region": options["loss"]},
        model=sections.UNET | decoder_of(options["encoder"], options["decoder"]),
        data=_DATA,
        optimizer=depth.ADAM,
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
_DATA = {
    "height": 192,
    "width": 640,
    "frames": (),  # pictures alone
    "stereo": False,
    "truth": "none",
}
# As the depth arm's, so that what is asked for is all that differs.
_TRAIN = depth.TRAIN | {"best_metric": "l1"}
