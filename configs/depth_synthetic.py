"""Self-supervised depth on the embedded synthetic world: no data needed.

    python -m geoseg_jax.main --config=configs/depth_synthetic.py --workdir=W

Options behind the colon: geoseg_jax/presets/depth.py, and world: street (the default) or room. The
world is rendered once and kept in config.data.cache_dir.
Same networks, losses and picture size as depth_kitti.py, hence comparable in cost.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth


def get_config(arg: str = "") -> ConfigDict:
    config, options = depth.make(arg, "depth_synthetic.py", world=("street", "room"))
    world = options["world"]
    config.data.update({"name": "synthetic", "world": world, "seed": 0})
    config.data.update({"train_size": 4_000, "eval_size": 200})
    config.data.cache_dir = ""  # default: geoseg_jax in the user's cache folder
    if world == "room":  # metres
        config.task.update({"max_depth": 20.0, "initial_depth": 3.0})
        config.task.eval.max_depth = 10.0
    return depth.finish(config, options)
