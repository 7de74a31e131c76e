"""Image classification: the recipes of ResNets and of vision transformers, which configs share."""

from ml_collections import ConfigDict

from geoseg_jax.presets import sections
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

# Options of every classification config, FILE.py:resnet50,init=W; a bare word is a choice.
OPTIONS = sections.OPTIONS | {"resolution": sections.RESOLUTION}


def _start(options: Options) -> ConfigDict:
    return sections.assemble(
        options, task=_TASK, model={}, data=_DATA, optimizer=_SGD, train=_TRAIN
    )


def _finish(config: ConfigDict, options: Options) -> None:
    if options["smoke"]:
        smoke(config, "objects")


PRESET = Preset(OPTIONS, _start, _finish)


def recipe(config: ConfigDict, pictures: int, epochs: int = 90) -> None:
    """Sets the batch, the length and the optimiser that an encoder of this kind is trained with.

    Args:
      config: changed in place.
      pictures: in the training set.
      epochs: how often each is seen.
    """
    vit = config.model.encoder.startswith("vit")
    batch = 1024 if vit else 256
    epoch = pictures / batch
    config.train.batch_size = batch
    config.train.steps = round(epochs * epoch)
    every = max(1, round(5 * epoch))
    config.train.update({"eval_every": every, "pictures_every": every})
    config.train.checkpoint_every = max(1, round(epoch))
    config.optimizer.warmup_steps = every
    if vit:
        config.optimizer.update(_ADAMW)
        config.optimizer.warmup_steps = round(8 * epoch)
        config.task.label_smoothing = 0.0


_TASK = {
    "name": "classification",
    "label_smoothing": 0.1,
    # No part of the recipe: the colours of synthetic and of small sets may want it.
    "jitter": sections.jitter(0.4, hue=0.1, probability=0.0),
}
_DATA = {
    "truth": "none",
    # Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015), section 6; () = the middle.
    "crop_area": (0.08, 1.0),
    # Judged on the middle: 224 of a short side of 256.
    "central_share": 0.875,
}
# ResNets: He et al. (CVPR 2016, section 3.4), its rate for a batch of 256, with the warm-up of
# Goyal et al. (arXiv:1706.02677, section 2.2), the cosine and the smoothing of He et al., "Bag of
# Tricks" (CVPR 2019, section 5), and without decay of biases and normalisation (section 3.1).
_SGD = {
    "name": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
}
# Transformers: Beyer et al., "Better plain ViT baselines for ImageNet-1k" (arXiv:2205.01580), whose
# decay of 1e-4 is not multiplied by the rate of 1e-3, as ours is.
_ADAMW = {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1, "clip_norm": 1.0}
_TRAIN = {"batch_size": 256, "eval_batch_size": 256, "best_metric": "top1", "best_mode": "max"}
