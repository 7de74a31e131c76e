"""Masked autoencoding of a ViT on ImageNet-1k (He et al., CVPR 2022, arXiv:2111.06377).

    python -m geoseg_jax.main --config=configs/mae_imagenet.py:vit_b16 --workdir=W \
        --config.data.root=/data/tensorflow_datasets

Options behind the colon: geoseg_jax/presets/mae.py, and
  reader=tfds (default): imagenet2012 as tensorflow-datasets prepares it, in array_record;
  class_folder: train/WNID/*.JPEG; pictures: any folder of pictures, a share of them held out;
  epochs=800, batch=4096: the learning rate, 1.5e-4 for a batch of 256, follows the batch.
What to expect: the paper's top-1 after fine-tuning on ImageNet is 83.6 % (ViT-B) and 85.9 (ViT-L)
from 1,600 epochs; of 800 epochs of a ViT-L it says 84.9 and 15.4 hours on 128 TPU-v3 cores.
eval.json holds `mse` on hidden patches, each by its own mean and deviation, beside that of the
answer 0 (`mse_constant`); with --config.task.normalise_patches=False it is of colours, beside that
of the mean colour of what is seen. Not yet reproduced here.
Hardware: several GPUs or TPUs for that batch. `smoke` runs on a CPU in about a minute.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import mae, preset, readers
from geoseg_jax.presets.argument import Option


def get_config(arg: str = "") -> ConfigDict:
    more = {
        "reader": readers.READER,
        "epochs": Option(800, "how often each picture is seen"),
        "batch": Option(4096, "examples a step, over all devices; the learning rate follows it"),
    }
    return preset.build(mae.PRESET, arg, "mae_imagenet.py", _set_up, **more)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    mae.recipe(config, readers.IMAGENET, options["epochs"], options["batch"])
    readers.imagenet(config, options["reader"])
