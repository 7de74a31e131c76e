"""Inpainting on the embedded synthetic world: no data needed.

    python -m geoseg_jax.main --config=configs/reconstruct_synthetic.py --workdir=W

The paper's control arm (see reconstruct_kitti.py) on the pictures that depth_synthetic.py and
flow_synthetic.py see. Options behind the colon: geoseg_jax/presets/reconstruction.py, and world:
street (the default) or room. eval.json has `l1` within the holes beside the best single colour of
the picture (`l1_constant`) and the mean of a hole's surroundings (`l1_surroundings`), the number to
beat. To expect: `l1` 0.094 after 1,553 steps of pictures of 96x32 with half a ResNet-18
(docs/results/one_world.md; one colour: 0.130, the surroundings: 0.108). Hardware: a laptop's CPU.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, readers, reconstruction
from geoseg_jax.presets.encoders import is_vit


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        reconstruction.PRESET, arg, "reconstruct_synthetic.py", _set_up, world=readers.WORLD
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "synthetic", "world": options["world"], "seed": 0, "cache_dir": ""})
    config.data.update({"train_size": 1_000, "eval_size": 64, "height": 64, "width": 192})
    config.data.update({"frames": (), "stereo": False})
    config.optimizer.update({"schedule": "cosine", "warmup_steps": 20})
    if not is_vit(options["encoder"]):
        config.optimizer.learning_rate = 4e-4
    config.train.update({"steps": 500, "batch_size": 8, "log_every": 20, "checkpoint_every": 250})
    config.train.update({"eval_every": 250, "pictures_every": 250})
