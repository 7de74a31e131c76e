"""Segmentation on CamVid (Brostow et al., 2009): 367 training, 101 validation frames, 11 classes.

    python -m geoseg_jax.main --config=configs/segment_camvid.py:init=W,labels=16,frozen=True \
        --workdir=S --config.data.root=/data/camvid

ROOT is in the layout of SegNet's tutorial: train/ trainannot/ val/ valannot/. Options behind the
colon: geoseg_jax/presets/segmentation.py; here pictures are 240x180. The README has what came out
from random weights on two CPU cores with other class weights; with these it was not run yet.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import segmentation


def get_config(arg: str = "") -> ConfigDict:
    config, _ = segmentation.make(arg, "segment_camvid.py", resolution="240x180")
    config.data.update({"name": "camvid", "root": "", "train_split": "train", "eval_split": "val"})
    # Windows of a scaled picture: more of them in the same time than whole pictures.
    config.data.scale = (0.8, 1.5)
    config.data.crop = (min(160, config.data.height), min(192, config.data.width))
    # Half of the classes are too small to be learned early by their share of the pixels.
    config.task.class_weights = ("root_median_frequency",)
    config.train.update({"steps": 1_200, "eval_every": 600, "pictures_every": 600})
    return config
