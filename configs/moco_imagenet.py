"""MoCo v2 on ImageNet-1k (Chen, Fan, Girshick, He, arXiv:2003.04297).

    python -m geoseg_jax.main --config=configs/moco_imagenet.py:resnet50 --workdir=W \
        --config.data.root=/data/tensorflow_datasets

Options behind the colon: geoseg_jax/presets/moco.py, and
  reader=tfds (default): imagenet2012 as tensorflow-datasets prepares it, in array_record;
  class_folder: train/WNID/*.JPEG; pictures: any folder of pictures, a share of them held out;
  epochs=200, batch=256: the learning rate, 0.03 for a batch of 256, follows the batch.
What to expect: the paper's top-1 of a linear classifier on a frozen ResNet-50 is 67.5 % after 200
epochs and 71.1 after 800; 200 epochs take 53 hours on eight V100. eval.json holds
`contrastive_accuracy` of held-out pairs against the queue, beside chance, and `collapse`, which is
1 where all pictures have the same answer. Not yet reproduced here. A ViT takes the optimiser of
MoCo v3; its contrast is v2's, so that the paper of v3 is no measure of it.
Hardware: eight GPUs; the queue is 34 MB. `smoke` runs on a CPU in about a minute.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import moco, preset, readers
from geoseg_jax.presets.argument import Option


def get_config(arg: str = "") -> ConfigDict:
    more = {
        "reader": readers.READER,
        "epochs": Option(200, "how often each picture is seen"),
        "batch": Option(256, "examples a step, over all devices; the learning rate follows it"),
    }
    return preset.build(moco.PRESET, arg, "moco_imagenet.py", _set_up, **more)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    moco.recipe(config, readers.IMAGENET, options["epochs"], options["batch"])
    readers.imagenet(config, options["reader"])
