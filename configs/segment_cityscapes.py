"""Segmentation on Cityscapes (Cordts et al., CVPR 2016): 2975 training, 500 validation pictures.

    python -m geoseg_jax.main --config=configs/segment_cityscapes.py:init=W,labels=64 \
        --workdir=S --config.data.root=/data/cityscapes

Options behind the colon: geoseg_jax/presets/segmentation.py, with ResNet-50 and DeepLabV3 at output
stride 16 and 2048x1024 as defaults, trained on random 512x512 crops as Lao et al. (ECCV 2024) do,
and
  preset=controlled (default), or paper_code: their public code's choices on Cityscapes, each a
    switch in segmentation.paper_code_cityscapes: one normalisation (ImageNet's) for every arm, ASPP
    straight to the classes, batch norm's momentum .05 and .0003, corners aligned, He's
    initialisation by fan-out, validation every 1,000 steps; it can't freeze.
Not as there with paper_code: weight decay spares biases and normalisation, the learning rate falls
to 0 instead of 1e-6, colours are jittered in one fixed order, and fewer than 32 labels train (there
a batch that isn't full is dropped, so that with fewer nothing ever does).
50,000 steps at batch 32 want GPUs or TPUs. Nothing was run at full length yet.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument, preset, segmentation
from geoseg_jax.presets.encoders import suit_vit


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        segmentation.PRESET,
        arg,
        "segment_cityscapes.py",
        _set_up,
        decoder=("deeplabv3", "unet", "linear", "dpt"),
        encoder="resnet50",
        resolution="2048x1024",
        preset=argument.PRESET,
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "cityscapes", "root": "", "classes": "cityscapes19"})
    config.data.update({"train_split": "train", "eval_split": "val", "cities": ()})
    # Smaller pictures, for a try, are cropped to at most their own size.
    crop = (min(512, config.data.height), min(512, config.data.width))
    config.data.update({"scale": (0.5, 2.0), "crop": crop})
    jitter = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.0}
    config.task.jitter.update(jitter | {"probability": 1.0})
    config.optimizer.update({"name": "sgd", "learning_rate": 0.01, "schedule": "poly"})
    config.optimizer.update({"weight_decay": 1e-4, "clip_norm": 0.0})
    suit_vit(config)
    # Full-size scores of 19 classes take 160 MB a picture.
    config.train.update({"steps": 50_000, "batch_size": 32, "eval_batch_size": 8})
    config.train.update({"eval_every": 2_500, "pictures_every": 2_500})
    if options["preset"] == "paper_code":
        segmentation.paper_code_cityscapes(config)
