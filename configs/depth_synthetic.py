"""Depth on the embedded synthetic world, by views or `supervised` by its exact truth: no data.

    python -m geoseg_jax.main --config=configs/depth_synthetic.py --workdir=W
    python -m geoseg_jax.main --config=configs/depth_synthetic.py:supervised --workdir=W

Options behind the colon: geoseg_jax/presets/depth.py, with `supervised`
geoseg_jax/presets/supervised_depth.py, and world: street (the default) or room; with poses=given
views come with the exact motion of the camera. The world is
rendered once and kept in config.data.cache_dir.
Papers, networks, losses and picture size are those of depth_kitti.py, hence comparable in cost:
Godard et al. (monodepth2), ICCV 2019; Lee et al. (BTS), arXiv:1907.10326.
What to expect: at 192x64, evaluated on 64 other streets, an absolute relative error of 0.166
(`supervised`, 500 steps of 8 in 12 min 34 s on two CPU cores; docs/arms.md has the command), where
the constant prediction has 0.313; of stereo alone, that of quickstart.py. The
whole, 10,000 steps at 640x192, was not run here.
Hardware: a GPU for that, which was not timed here; a CPU does the small size.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import supervised_depth
from geoseg_jax.presets.preset import Options
from geoseg_jax.presets.readers import WORLD


def get_config(arg: str = "") -> ConfigDict:
    return supervised_depth.build_any(arg, "depth_synthetic.py", _set_up, {"world": WORLD})


def _set_up(config: ConfigDict, options: Options) -> None:
    world = options["world"]
    config.data.update({"name": "synthetic", "world": world, "seed": 0})
    config.data.update({"train_size": 4_000, "eval_size": 200})
    config.data.cache_dir = ""  # default: geoseg_jax in the user's cache folder
    if options["views"] == supervised_depth.SUPERVISED:  # the truth has no gap but the sky
        config.task.gradient_weight = 0.5
    if world == "room":  # metres
        config.task.update({"max_depth": 20.0, "initial_depth": 3.0})
        config.task.eval.max_depth = 10.0
