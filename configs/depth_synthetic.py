"""Self-supervised depth on the embedded synthetic world: no data needed.

    python -m geoseg_jax.main --config=configs/depth_synthetic.py --workdir=W

Argument, joined by commas: mono, stereo or mono_stereo (default: mono_stereo), street or room
(default: street), resnet50. The world is rendered once and kept in config.data.cache_dir.
Same networks, losses and picture size as depth_kitti.py, hence comparable in cost.
"""

from ml_collections import ConfigDict

VIEWS = {
    "mono": {"frames": (-1, 1), "stereo": False},
    "stereo": {"frames": (), "stereo": True},
    "mono_stereo": {"frames": (-1, 1), "stereo": True},
}
WORLDS = ("street", "room")
# Metres: the range of the sigmoid, where the head starts, the farthest depth that is judged.
RANGE = {"street": (0.1, 100.0, 10.0, 80.0), "room": (0.1, 20.0, 3.0, 10.0)}


def get_config(arg: str = "") -> ConfigDict:
    words = [word for word in (arg or "").split(",") if word]
    for word in words:
        if word not in {*VIEWS, *WORLDS, "resnet50"}:
            known = ", ".join((*VIEWS, *WORLDS, "resnet50"))
            raise ValueError(f"depth_synthetic.py:{arg}: {word!r} is none of {known}")
    views = next((word for word in words if word in VIEWS), "mono_stereo")
    world = next((word for word in words if word in WORLDS), "street")
    encoder = "resnet50" if "resnet50" in words else "resnet18"
    min_depth, max_depth, initial_depth, farthest = RANGE[world]

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
            "min_depth": min_depth,
            "max_depth": max_depth,
            "initial_depth": initial_depth,
            "jitter": {
                "brightness": 0.2,
                "contrast": 0.2,
                "saturation": 0.2,
                "hue": 0.1,
                "probability": 0.5,
            },
            "eval": {
                "min_depth": 1e-3,  # metres
                "max_depth": farthest,
                "crop": "none",
                # The true baseline gives metres; without stereo the scale is unknown.
                "median_scaling": views == "mono",
            },
        }
    )
    config.model = ConfigDict(
        {
            "encoder": encoder,
            "decoder_channels": (16, 32, 64, 128, 256),
            "decoder_padding": "reflect",
            "pose_encoder": "resnet18",
            "compute_dtype": "float32",  # bfloat16 on GPU and TPU
        }
    )
    config.data = ConfigDict(
        {
            "name": "synthetic",
            "world": world,
            "train_size": 4_000,
            "eval_size": 200,
            "seed": 0,
            "cache_dir": "",  # default: geoseg_jax in the user's cache folder
            "height": 192,
            "width": 640,
            **VIEWS[views],
            "constant_frames": 200,
            "flip": True,
            "workers": 0,
            "bad_share": 0.0,
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "adam",
            "learning_rate": 1e-4,
            "schedule": "step",
            "decay_at": 0.75,
            "decay_factor": 0.1,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "clip_norm": 0.0,
            "rules": (),
        }
    )
    config.train = ConfigDict(
        {
            "steps": 10_000,
            "batch_size": 12,
            "eval_batch_size": 16,
            "log_every": 50,
            "eval_every": 1_000,
            "checkpoint_every": 1_000,
            "pictures_every": 1_000,
            "best_metric": "abs_rel",
        }
    )
    return config
