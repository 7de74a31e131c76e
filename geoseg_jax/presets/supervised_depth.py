"""Depth from true depth: what its configs share.

Encoder, decoder, head and range are those of self-supervised depth (presets/depth.py), so that the
two arms differ in what teaches them alone. The loss is that of Lee et al., "From Big to Small",
arXiv:1907.10326; `paper_code` brings back that of Lao et al.'s public code.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.presets import argument, depth, sections
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.encoders import DECODER, decoder_of, suit_vit, warm_up
from geoseg_jax.presets.preset import Options, Preset, build
from geoseg_jax.presets.smoke import smoke

SUPERVISED = "supervised"  # the word, in a file that knows views as well
# Options of every config of supervised depth, FILE.py:supervised,resnet50,init=W where the file
# knows views as well; a word alone says which choice.
OPTIONS = sections.OPTIONS | {
    "decoder": DECODER,
    "loss": Option(("silog_root", "silog", "l1", "berhu"), "see geoseg_jax/ops/depth_losses.py"),
    "preset": argument.PRESET,
}


def build_any(
    arg: str | None,
    file: str,
    change: Callable[[ConfigDict, Options], None],
    shared: Options | None = None,
    **more: Any,
) -> ConfigDict:
    """Builds a config of a data set for both arms: supervised with that word, else by views.

    Args:
      arg, file, change: see preset.build. options['views'] tells the arms apart.
      shared: further options of the file, whatever teaches.
      more: further ones of self-supervision alone, or other defaults than depth.OPTIONS.

    Raises:
      ValueError: for an unknown option or a bad value.
    """
    shared = shared or {}
    if {SUPERVISED, f"views={SUPERVISED}"} & set((arg or "").split(",")):
        only = Option((SUPERVISED,), "true depth teaches; without this word, views do")
        return build(PRESET, arg, file, change, **shared, views=only)
    more = {**shared, **more}
    views = argument.override(depth.OPTIONS, more)["views"]
    # Among the choices, so that a message names it; it never gets there.
    views = Option(
        (*views.default, SUPERVISED),
        f"{views.meaning}; {SUPERVISED}: true depth, by other options ({file}:{SUPERVISED},help)",
    )
    return build(depth.PRESET, arg, file, change, **{**more, "views": views})


def _start(options: Options) -> ConfigDict:
    config = sections.assemble(
        options,
        task=TASK | {"loss": options["loss"]},
        model=sections.UNET | decoder_of(options["encoder"], options["decoder"]),
        data=depth.DATA
        | {"truth_in_training": True, "frames": (), "stereo": False, "flip_vertical": False},
        optimizer=depth.OPTIMIZER | {"schedule": "cosine"},
        train=depth.TRAIN | {"batch_size": 8},
    )
    suit_vit(config)
    if options["preset"] == "paper_code":
        paper_code(config)
    return config


def _finish(config: ConfigDict, options: Options) -> None:
    warm_up(config, options)
    if options["smoke"]:
        smoke(config, "pictures")
        config.data.update({"scale": (), "crop": ()})  # of larger pictures than these


PRESET = Preset(OPTIONS, _start, _finish)


def paper_code(config: ConfigDict) -> None:
    """Sets what the public code of Lao et al. (ECCV 2024) trains supervised depth by.

    L1 in metres, summed over four scales by halves, of depth that is enlarged with the corners
    aligned; Adam at 1e-4, then half of it. Not brought back: there depth is 5.4 / disparity, so
    that the sigmoid ranges over 5.4 times these metres; depth beyond the range is left out here
    rather than set to its end; and the mean is over what was measured, not over all pixels. Theirs
    starts from ImageNet's weights, ours from those that `init` names, or from none.
    """
    config.task.update({"loss": "l1", "gradient_weight": 0.0, "scales": 4})
    config.task.update({"enlarged": "depth", "align_corners": True})
    config.task.jitter.update({"contrast": 0.2, "hue": 0.0, "probability": 1.0})
    config.optimizer.update({"name": "adam", "learning_rate": 1e-4, "schedule": "step"})
    config.optimizer.update({"decay_at": 0.5, "decay_factor": 0.5})
    config.optimizer.update({"weight_decay": 0.0, "clip_norm": 0.0, "warmup_steps": 0})
    config.optimizer.layer_decay = 1.0


TASK = {
    "name": "depth_supervised",
    "loss": "silog_root",
    "variance_focus": 0.85,  # of silog and silog_root: how much of the scale's error is forgiven
    "gradient_weight": 0.0,  # of gradient_matching; 0.5 in MegaDepth, for truth without gaps
    **depth.RANGE,
}
