"""Segmentation on CamVid (Brostow et al., 2009): 367 training, 101 validation frames, 11 classes.

    python -m geoseg_jax.main --config=configs/segment_camvid.py:init=W,labels=16,frozen=True \
        --workdir=S --config.data.root=/data/camvid

ROOT is in the layout of SegNet's tutorial: train/ trainannot/ val/ valannot/. Options behind the
colon: geoseg_jax/presets/segmentation.py; here pictures are 240x180. To expect: mIoU 0.47 on
val at 480x360, from random weights with all labels; 35 minutes on two CPU cores
(docs/segmentation.md). With all labels, whole pictures reach more in the same time:
--config.data.scale="()" --config.data.crop="()"; with 16, windows do.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, segmentation


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        segmentation.PRESET, arg, "segment_camvid.py", _set_up, resolution="240x180"
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "camvid", "root": "", "train_split": "train", "eval_split": "val"})
    # Windows of a scaled picture: more of them in the same time than whole pictures.
    config.data.scale = (0.8, 1.5)
    config.data.crop = (min(160, config.data.height), min(192, config.data.width))
    # Half of the classes are too small to be learned early by their share of the pixels.
    config.task.class_weights = ("root_median_frequency",)
    # Small batches: from random weights, as many steps as the time allows matter the most.
    config.train.update({"steps": 2_400, "batch_size": 4})
    config.train.update({"eval_every": 800, "checkpoint_every": 800, "pictures_every": 800})
