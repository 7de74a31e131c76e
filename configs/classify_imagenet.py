"""ImageNet-1k classification: ResNets (He et al., CVPR 2016) and plain ViTs (Beyer et al., 2022).

    python -m geoseg_jax.main --config=configs/classify_imagenet.py:resnet50 --workdir=W \
        --config.data.root=/data/tensorflow_datasets

Options behind the colon: geoseg_jax/presets/classification.py, and
  reader=tfds (default): imagenet2012 as tensorflow-datasets prepares it, in array_record; how to
    prepare it once says geoseg_jax/data/classes/tfds.py; no TensorFlow is needed to train;
  class_folder: train/WNID/*.JPEG and val/WNID/*.JPEG, or val/*.JPEG with val.txt (`NAME WNID`).
A ResNet: batch 256, 90 epochs, SGD 0.1, smoothing 0.1; with another --config.train.batch_size scale
the learning rate alike and divide the steps. A ViT: batch 1024, 90 epochs, AdamW 1e-3.
What to expect: torchvision's weights of nearly this recipe have a top-1 of 69.8 % (ResNet-18),
73.3 (34), 76.1 (50) and 77.4 (101); ViT-S/16 reaches 76.5 in the paper, with RandAugment and Mixup,
which are not here, so that it will be less. Not yet reproduced here.
Hardware: GPUs or TPUs, and many cores to decode, or a pack (geoseg_jax/prepare.py). 450,000 steps
of a ResNet-50 are 2.8 EFLOP; times were not measured here.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import classification, preset, readers
from geoseg_jax.presets.argument import Option


def get_config(arg: str = "") -> ConfigDict:
    # Not any folder of pictures: these need their categories.
    reader = Option(
        tuple(reader for reader in readers.READERS if reader != "pictures"),
        "as tensorflow-datasets prepares it, or a folder for each class",
    )
    return preset.build(classification.PRESET, arg, "classify_imagenet.py", _set_up, reader=reader)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    classification.recipe(config, readers.IMAGENET)
    readers.imagenet(config, options["reader"])
