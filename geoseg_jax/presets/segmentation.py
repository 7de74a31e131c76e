"""Segmentation: what its configs share, and the faults of the paper's public code as switches.

`paper_code` brings back what is known to be wrong in the public code of Lao et al. (ECCV 2024).
"""

from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.presets import sections
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.encoders import decoder_of, is_vit, suit_vit, warm_up
from geoseg_jax.presets.preset import Options, Preset

# Options of every segmentation config, FILE.py:labels=16,frozen=True; what a config changes of
# these defaults it says at its top.
OPTIONS = {
    "init": sections.OPTIONS["init"],
    "parts": Option(("encoder", "encoder+decoder"), "what is taken from init"),
    "labels": Option(0, "labelled pictures to train on; 0: all"),
    "subset": Option(-1, "of so many: -1 the first by name, 0, 1, ... the k-th at random"),
    "frozen": Option(
        None, "True: the encoder stays bitwise as it is; so too with decoder=linear, unless False"
    ),
    "decoder": Option(
        ("auto", "unet", "deeplabv3", "linear", "dpt"), "auto: unet, or dpt on a ViT"
    ),
    "encoder": sections.OPTIONS["encoder"],
    "resolution": sections.RESIZED,
    "seed": sections.OPTIONS["seed"],
}


def _start(options: Options) -> ConfigDict:
    if options["subset"] >= 0 and not options["labels"]:
        raise ValueError(f"subset={options['subset']} needs labels=N, the subset's size")
    config = sections.assemble(
        options,
        task=_TASK,
        model=_MODEL | decoder_of(options["encoder"], options["decoder"]),
        data=_DATA | _labels(options),
        optimizer=_OPTIMIZER,
        train=_TRAIN,
        parts=tuple(options["parts"].split("+")),
        frozen=_frozen(options),
    )
    suit_vit(config)
    return config


PRESET = Preset(OPTIONS, _start, warm_up)


def _frozen(options: Options) -> tuple[str, ...]:
    """Freezes the encoder where asked, and under a linear probe unless frozen=False is given."""
    frozen = options["frozen"]
    probe = frozen is None and options["decoder"] == "linear"
    return ("encoder",) if frozen or probe else ()


def _labels(options: Options) -> dict[str, Any]:
    chosen = {"labels": options["labels"], "subset": options["subset"], "subset_seed": 0}
    # (FOLD, FOLDS): evaluates on that part of the training labels, not on the evaluation split.
    return chosen | {"inner_fold": ()}


_TASK = {
    "name": "segmentation",
    "label_smoothing": 0.0,
    "class_weights": (),  # or a number for each class, or a way: tasks/segmentation.py
    "normalise_twice": False,
    "jitter": sections.jitter(0.3, hue=0.05, probability=0.8),
    "eval": {"flip": False, "window": ()},
}
_MODEL = {
    "norm_momentum": 0.1,  # of a ResNet's batch norms, as PyTorch's
    "decoder_channels": (16, 32, 64, 128, 256),  # of unet
    "decoder_padding": "zero",
    "output_stride": 16,  # of deeplabv3
    "deeplab": {  # whose version: models/deeplab.Variant; these are torchvision's
        "convolution": True,
        "align_corners": False,
        "init": "torch",
        "norm_momentum": 0.1,
    },
    "probe_stages": (4, 8, 16, 32),  # of linear
}
_DATA = {
    "classes": "",  # the data set's usual table
    "eval_labels": "full",  # evaluated at the labels' own resolution
    "picture_resize": "area",  # or bicubic, Pillow's
    "label_resize": "nearest",
    "label_crop": "none",  # or bottom_right, of pictures that lack what is left of it and above
    # Pictures are brought to height x width first, and scaled and cropped from there.
    "scale": (),
    "crop": (),
}
_OPTIMIZER = {
    "name": "adamw",
    "learning_rate": 1e-3,
    "warmup_steps": 50,
    "weight_decay": 1e-2,  # not of biases and normalisation
    "clip_norm": 1.0,
    "momentum": 0.9,  # of sgd
    "power": 0.9,  # of the schedule 'poly'
    "decay_at": 0.75,  # of the schedule 'step', with decay_factor
    "decay_factor": 0.1,
    "accumulate_gradients": False,
    "layer_decay": 1.0,  # learning rate of an encoder's layer over that of the next one
}
_TRAIN = {
    "steps": 2_000,
    "batch_size": 8,
    "eval_batch_size": 8,
    "eval_every": 500,
    "checkpoint_every": 500,
    "pictures_every": 500,
    "best_metric": "miou",
    "best_mode": "max",
}


def paper_code(config: ConfigDict, imagenet: bool = False) -> None:
    """Sets the switches that reproduce the public code's KITTI fine-tuning, faults included.

    Numbered as the hazards in Lao et al.'s public code. What remains of them, 6 (test pictures
    from drives of the pre-training) and 7 (supervision that differs with the depth of the
    network), lies in the choice of data and ancestors; eval.json tells of 6.

    Args:
      config: changed in place.
      imagenet: the arm that starts from ImageNet or MoCo, whose input is normalised twice (3): by
        ImageNet's mean and deviation before what all arms have.
    """
    config.optimizer.update({"name": "adam", "learning_rate": 1e-5, "warmup_steps": 0})
    config.optimizer.update({"weight_decay": 0.0, "clip_norm": 0.0, "layer_decay": 1.0})
    config.optimizer.accumulate_gradients = True  # 1: gradients are never set back to zero
    config.transfer.freeze = "statistics"  # 2: a frozen encoder's parameters go on learning
    config.model.normalisation = "monodepth2"  # all arms; those trained otherwise as well
    config.transfer.normalisation = "any"
    config.task.normalise_twice = imagenet  # 3
    config.train.best_metric = "paper_miou"  # 4: 7 of the 19 trained classes, image by image
    config.train.batch_size = min(16, config.data.labels or 16)
    config.data.classes = "cityscapes34"
    config.data.picture_resize = "bicubic"
    config.data.label_resize = "bicubic"  # 5: invents label ids
    config.data.eval_labels = "resized"
    config.data.flip = False
    config.task.jitter.probability = 0.0
    config.model.decoder_padding = "reflect"


def paper_code_cityscapes(config: ConfigDict) -> None:
    """Sets what the public code of Lao et al. does on Cityscapes, where it is another program.

    Of the hazards in `paper_code` this one has none: it normalises once, by ImageNet's mean and
    deviation, whatever an arm was trained with; it has no way to freeze; and it reports the mean
    IoU over the data set.

    Args:
      config: with the data set and the length; changed in place.

    Raises:
      ValueError: where parts are frozen.
    """
    if config.transfer.frozen:
        raise ValueError(
            f"segment_cityscapes.py:preset=paper_code: config.transfer.frozen="
            f"{config.transfer.frozen}, and the public code has no way to freeze on Cityscapes; "
            "drop frozen=True (or decoder=linear), or choose preset=controlled"
        )
    config.transfer.normalisation = "any"
    config.data.scale = ()
    config.optimizer.update({"warmup_steps": 0, "layer_decay": 1.0})
    config.train.update({"eval_every": 1_000, "pictures_every": 1_000})
    if not is_vit(config.model.encoder):
        config.model.norm_momentum = 0.05
    if config.model.decoder == "deeplabv3":
        config.model.deeplab.update({"convolution": False, "align_corners": True})
        config.model.deeplab.update({"init": "he_fan_out", "norm_momentum": 3e-4})
