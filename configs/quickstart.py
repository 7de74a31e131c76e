"""A few minutes on a laptop's CPU, from nothing to depth: the embedded street, small pictures.

    python -m geoseg_jax.main --config=configs/quickstart.py --workdir=W

As depth_kitti.py:stereo, with smaller pictures and a higher learning rate: stereo learns most in a
few minutes. For video add --config.data.frames="(-1,1)", which costs twice the time a step.
The README says how long it took, on what, and what came out.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument, depth, preset


def get_config(arg: str = "") -> ConfigDict:
    argument.parse(arg, {}, "quickstart.py")
    return preset.build(depth.PRESET, "stereo", "quickstart.py", _set_up)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.task.eval.median_scaling = True
    config.model.update({"decoder_padding": "zero", "pose_encoder": "tiny"})
    config.data.update({"name": "synthetic", "world": "street", "seed": 0, "cache_dir": ""})
    config.data.update({"train_size": 1_000, "eval_size": 64, "height": 64, "width": 192})
    config.optimizer.update({"learning_rate": 8e-4, "schedule": "cosine", "warmup_steps": 20})
    config.train.update({"steps": 500, "batch_size": 8, "log_every": 20, "checkpoint_every": 100})
    config.train.update({"eval_every": 250, "pictures_every": 250})
