"""Segmentation on a folder of one's own: images/, labels/ and a list of the classes.

    python -m geoseg_jax.main --config=configs/segment_folder.py:init=W,labels=16,subset=0 \
        --workdir=S --config.data.root=/data/mine

docs/segmentation.md describes the folder. Options behind the colon:
geoseg_jax/presets/segmentation.py; choose a resolution with the proportions of your pictures, and
with labels= a subset: without one they are the first by name, the beginning of one recording.

2,000 steps of 8 pictures at 320x240 take an hour or more on two idle CPU cores, evaluation apart;
that is reckoned from the 0.8 to 1.6 s of a step at 240x180 in benchmarks/README.md, and not run.
What score to expect depends on your labels; none is claimed.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, segmentation


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        segmentation.PRESET, arg, "segment_folder.py", _set_up, resolution="320x240"
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "folder", "root": "", "train_split": "", "eval_split": ""})
    # Without train.txt and val.txt: a fifth of the pictures judges, another one with fold=1 to 4.
    config.data.update({"folds": 5, "fold": 0})
    config.data.held_out = 0.2  # of eval_split=held_out
    config.data.scale = (0.75, 1.75)
