"""Classification of one's own pictures, in a folder for each class.

    python -m geoseg_jax.main --config=configs/classify_folder.py:resolution=64x64 --workdir=W \
        --config.data.root=/data/mine

ROOT/train/CLASS/*.jpg and ROOT/val/CLASS/*.jpg; without val, --config.data.eval_split=held_out
takes a share (config.data.held_out) of the training pictures; see data/classes/folder.py; options
behind the colon: geoseg_jax/presets/classification.py. Any set of tensorflow-datasets:
--config.data.name=tfds --config.data.dataset=NAME.
The ResNet recipe (He et al., CVPR 2016, and "Bag of Tricks", CVPR 2019), for a batch of 64 and
3,000 steps, windows no smaller than a quarter of the picture. 700 steps of ResNet-18 at 64x64 took
35 minutes of one busy CPU core (docs/arms.md), so 3,000 would take two and a half hours of it.
What score to expect depends on your pictures; none is claimed.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import classification, preset


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(classification.PRESET, arg, "classify_folder.py", _set_up)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "class_folder", "root": "", "dataset": "", "eval_list": ""})
    config.data.update({"train_split": "train", "eval_split": "val", "held_out": 0.1})
    config.data.crop_area = (0.25, 1.0)
    config.optimizer.learning_rate = 0.1 * 64 / 256
    config.optimizer.warmup_steps = 200
    if options["encoder"].startswith("vit"):
        config.optimizer.update({"name": "adamw", "learning_rate": 3e-4, "weight_decay": 0.1})
        config.optimizer.clip_norm = 1.0
    config.train.update({"steps": 3_000, "batch_size": 64, "eval_batch_size": 64})
    config.train.update({"eval_every": 500, "checkpoint_every": 500, "pictures_every": 500})
