"""Self-supervised depth on KITTI raw, as in monodepth2 (Godard et al., ICCV 2019).

    python -m geoseg_jax.main --config=configs/depth_kitti.py:mono_stereo \
        --workdir=W --config.data.root=/data/kitti_raw

Argument, joined by commas: mono, stereo or mono_stereo (default: mono_stereo), resnet50.
What to expect: the paper's absolute relative error on the Eigen test split at 640x192, without
ImageNet weights, is .132 (mono), .130 (stereo) and .127 (mono+stereo); its mono training takes
12 hours on one Titan Xp. Not yet reproduced here at full length; the README has what was run.
Hardware: any; on a CPU, try it with --config.data.width=416 --config.data.height=128 first.
"""

from ml_collections import ConfigDict

VIEWS = {
    "mono": {"frames": (-1, 1), "stereo": False},
    "stereo": {"frames": (), "stereo": True},
    "mono_stereo": {"frames": (-1, 1), "stereo": True},
}


def get_config(arg: str = "") -> ConfigDict:
    words = [word for word in (arg or "").split(",") if word]
    for word in words:
        if word not in {*VIEWS, "resnet50"}:
            raise ValueError(
                f"depth_kitti.py:{arg}: {word!r} is none of mono, stereo, mono_stereo, resnet50"
            )
    views = [word for word in words if word in VIEWS] or ["mono_stereo"]
    if len(views) > 1:
        raise ValueError(f"depth_kitti.py:{arg}: give one of {', '.join(VIEWS)}, not {len(views)}")
    encoder = "resnet50" if "resnet50" in words else "resnet18"

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
                "crop": "garg",
                # The true baseline gives metres; without stereo the scale is unknown.
                "median_scaling": views[0] == "mono",
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
            "name": "kitti",
            "root": "",
            "height": 192,
            "width": 640,
            **VIEWS[views[0]],
            "train_split": "eigen_train",  # or a file: DRIVE FRAME l|r a line
            "eval_split": "eigen_test",  # or a file, or train
            "ground_truth": "auto",
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
            "steps": 66_000,  # 20 epochs of 39,810 frames at batch 12
            "batch_size": 12,
            "eval_batch_size": 16,
            "log_every": 50,
            "eval_every": 3_300,
            "checkpoint_every": 1_000,
            "pictures_every": 3_300,
            "best_metric": "abs_rel",
        }
    )
    return config
