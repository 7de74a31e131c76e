"""Segmentation on NYUv2 (Silberman et al., ECCV 2012): 795 training, 654 test pictures.

    python -m geoseg_jax.main --config=configs/segment_nyu.py:init=W,labels=64 \
        --workdir=S --config.data.root=/data/nyu

ROOT holds nyu_depth_v2_labeled.mat, or images/ and labels40/. Options behind the colon:
geoseg_jax/presets/segmentation.py, and classes: nyu40 (the default) or nyu13. Pictures are 320x240.

8,000 steps of 16 pictures want a GPU or TPU, on which they were not timed. On two idle CPU cores
they would take 6 to 12 hours, reckoned from the 0.8 to 1.6 s of a step of 8 at 240x180 in
benchmarks/README.md. No score of our own is known yet, and no published one is claimed.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, segmentation
from geoseg_jax.presets.argument import Option


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        segmentation.PRESET,
        arg,
        "segment_nyu.py",
        _set_up,
        resolution="320x240",
        classes=Option(("nyu40", "nyu13"), "how many classes"),
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "nyu", "root": "", "train_split": "train", "eval_split": "test"})
    config.data.classes = options["classes"]
    config.data.held_out = 0.2  # for eval_split=held_out
    config.data.scale = (0.75, 1.75)
    config.train.update(
        {"steps": 8_000, "batch_size": 16, "eval_every": 2_000, "pictures_every": 2_000}
    )
