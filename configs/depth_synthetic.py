"""Self-supervised depth on the embedded synthetic world: no data needed.

    python -m geoseg_jax.main --config=configs/depth_synthetic.py --workdir=W

Argument, joined by commas: mono, stereo or mono_stereo (default: mono_stereo), street or room
(default: street), resnet50. The world is rendered once and kept in config.data.cache_dir.
Same networks, losses and picture size as depth_kitti.py, hence comparable in cost.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth

WORLDS = ("street", "room")


def get_config(arg: str = "") -> ConfigDict:
    config, words = depth.make(arg, "depth_synthetic.py", WORLDS)
    world = next((word for word in words if word in WORLDS), "street")
    config.data.update({"name": "synthetic", "world": world, "seed": 0})
    config.data.update({"train_size": 4_000, "eval_size": 200})
    config.data.cache_dir = ""  # default: geoseg_jax in the user's cache folder
    if world == "room":  # metres
        config.task.update({"max_depth": 20.0, "initial_depth": 3.0})
        config.task.eval.max_depth = 10.0
    return config
