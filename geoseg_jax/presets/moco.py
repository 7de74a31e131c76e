"""MoCo v2 (Chen, Fan, Girshick, He, arXiv:2003.04297): what its configs share."""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument, sections
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

# Options of every MoCo config, FILE.py:resnet18,init=W; a word alone says which choice.
OPTIONS = argument.override(
    sections.OPTIONS,
    {"encoder": "resnet50", "resolution": sections.RESOLUTION},
)


def _start(options: Options) -> ConfigDict:
    optimizer = _ADAMW if options["encoder"].startswith("vit") else _SGD
    return sections.assemble(
        options, task=_TASK, model={}, data=_DATA, optimizer=optimizer, train=_TRAIN
    )


def recipe(config: ConfigDict, pictures: int, epochs: int, batch: int = 256) -> None:
    """Sets length, batch and learning rate.

    Args:
      config: changed in place.
      pictures: in the training set.
      epochs: how often each is seen.
      batch: of all devices, in the paper 256; the learning rate grows with it.
    """
    epoch = pictures / batch
    config.optimizer.learning_rate *= batch / 256
    config.train.update({"batch_size": batch, "steps": round(epochs * epoch)})
    every = max(1, round(epochs / 40 * epoch))
    config.train.update({"eval_every": every, "pictures_every": every})
    config.train.checkpoint_every = max(1, round(epoch))
    if config.model.encoder.startswith("vit"):
        config.optimizer.warmup_steps = round(epochs / 10 * epoch)


def _finish(config: ConfigDict, options: Options) -> None:
    if options["smoke"]:
        smoke(config, "objects")
        config.task.update({"queue": 64, "norm_groups": 2})


PRESET = Preset(OPTIONS, _start, _finish)


_TASK = {
    "name": "moco",
    "queue": 65_536,  # negatives
    "momentum": 0.999,
    "temperature": 0.2,
    "features": 128,
    # Of batch normalisation, for MoCo's eight GPUs: tasks/moco.py says why.
    "norm_groups": 8,
    "jitter": sections.jitter(0.4, hue=0.1, probability=0.8),
    "grey_probability": 0.2,
    "blur_probability": 0.5,
    "blur_sigma": (0.1, 2.0),  # pixels, of pictures of 224x224
}
_DATA = {
    "truth": "none",
    "crop_area": (0.2, 1.0),
    "crop_views": 2,
    "central_share": 1.0,
}
# Of the paper for ResNets. There biases and normalisation decay as well, which is spared here.
_SGD = {
    "name": "sgd",
    "learning_rate": 0.03,  # for a batch of 256
    "momentum": 0.9,
    "weight_decay": 1e-4,
}
# For ViTs that of MoCo v3 (Chen, Xie, He, arXiv:2104.02057, section 4.2), with its remedy against
# unstable training: the projection of patches stays random.
_ADAMW = {
    "name": "adamw",
    "learning_rate": 1.5e-4,  # for a batch of 256
    "weight_decay": 0.1,
    "rules": (("encoder/patch_embed/.*", 0.0),),
}
# The negatives get harder as the network learns, so that no step's number is the best.
_TRAIN = {"batch_size": 256, "eval_batch_size": 256, "best_metric": ""}
