"""A few minutes on a laptop's CPU, from nothing to depth: the embedded street, small pictures.

    python -m geoseg_jax.main --config=configs/quickstart.py --workdir=W

As depth_kitti.py:stereo, with smaller pictures and a higher learning rate: stereo learns most in a
few minutes. For video add --config.data.frames="(-1,1)", which costs twice the time a step.
The README says how long it took, on what, and what came out.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "") -> ConfigDict:
    if arg:
        raise ValueError(f"quickstart.py takes no argument, got {arg!r}")
    config = ConfigDict()
    config.seed = 0
    config.task = ConfigDict(
        {
            "name": "selfsup_depth",
            "ssim_weight": 0.85,
            "automask": True,
            "scales": 4,
            "smoothness": 1e-3,
            "smoothness_order": 1,
            "min_depth": 0.1,  # metres, the range of the sigmoid
            "max_depth": 100.0,
            "initial_depth": 10.0,  # metres, where the head starts
            "jitter": {
                "brightness": 0.2,
                "contrast": 0.2,
                "saturation": 0.2,
                "hue": 0.1,
                "probability": 0.5,
            },
            "eval": {
                "min_depth": 1e-3,  # metres
                "max_depth": 80.0,
                "crop": "none",
                "median_scaling": True,
            },
        }
    )
    config.model = ConfigDict(
        {
            "encoder": "resnet18",
            "decoder_channels": (16, 32, 64, 128, 256),
            "decoder_padding": "zero",
            "pose_encoder": "tiny",
            "compute_dtype": "float32",
        }
    )
    config.data = ConfigDict(
        {
            "name": "synthetic",
            "world": "street",
            "train_size": 1_000,
            "eval_size": 64,
            "seed": 0,
            "cache_dir": "",  # default: geoseg_jax in the user's cache folder
            "height": 64,
            "width": 192,
            "frames": (),
            "stereo": True,
            "constant_frames": 200,
            "flip": True,
            "workers": 0,
            "bad_share": 0.0,
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "adam",
            "learning_rate": 8e-4,
            "schedule": "cosine",
            "decay_at": 0.75,
            "decay_factor": 0.1,
            "warmup_steps": 20,
            "weight_decay": 0.0,
            "clip_norm": 0.0,
            "rules": (),
        }
    )
    config.train = ConfigDict(
        {
            "steps": 500,
            "batch_size": 8,
            "eval_batch_size": 16,
            "log_every": 20,
            "eval_every": 250,
            "checkpoint_every": 100,
            "pictures_every": 250,
            "best_metric": "abs_rel",
        }
    )
    return config
