"""Self-supervised depth as in monodepth2 (Godard et al., ICCV 2019): what its configs share."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from geoseg_jax.presets.transfer import transfer

VIEWS = {
    "mono": {"frames": (-1, 1), "stereo": False},
    "stereo": {"frames": (), "stereo": True},
    "mono_stereo": {"frames": (-1, 1), "stereo": True},
}


def make(arg: str | None, file: str, words: Sequence[str] = ()) -> tuple[ConfigDict, list[str]]:
    """A complete depth config, its data set excepted, and the words it was made with.

    Args:
      arg: what the user wrote behind the config file's colon, words joined by commas: one of VIEWS
        (default: mono_stereo), resnet50, init=SOURCE (workdir, checkpoint or weights that the
        encoder starts from).
      file: the config file's name, for messages.
      words: further words that it knows.

    Raises:
      ValueError: for an unknown word, or two of VIEWS.
    """
    given = [word for word in (arg or "").split(",") if word]
    init = [word.removeprefix("init=") for word in given if word.startswith("init=")]
    given = [word for word in given if not word.startswith("init=")]
    known = (*VIEWS, "resnet50", *words)
    for word in given:
        if word not in known:
            raise ValueError(f"{file}:{arg}: {word!r} is none of {', '.join(known)}, init=SOURCE")
    views = [word for word in given if word in VIEWS] or ["mono_stereo"]
    if len(views) > 1:
        raise ValueError(f"{file}:{arg}: give one of {', '.join(VIEWS)}, not {len(views)}")
    config = ConfigDict(
        {
            "seed": 0,
            "init_from": init[-1] if init else "",
            "transfer": transfer(("encoder",)),
            "task": _TASK,
            "model": _MODEL,
            "data": _DATA | VIEWS[views[0]],
            "optimizer": _OPTIMIZER,
            "train": _TRAIN,
        }
    )
    # The true baseline gives metres; without stereo the scale is unknown.
    config.task.eval.median_scaling = views[0] == "mono"
    if "resnet50" in given:
        config.model.encoder = "resnet50"
    return config, given


_TASK = {
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
    "eval": {"min_depth": 1e-3, "max_depth": 80.0, "crop": "none", "median_scaling": False},
}
_MODEL = {
    "encoder": "resnet18",
    "normalisation": "imagenet",
    "decoder_channels": (16, 32, 64, 128, 256),
    "decoder_padding": "reflect",
    "pose_encoder": "resnet18",
    "compute_dtype": "float32",  # bfloat16 on GPU and TPU
}
_DATA = {
    "height": 192,
    "width": 640,
    "constant_frames": 200,
    "flip": True,
    "workers": 0,
    "bad_share": 0.0,
}
_OPTIMIZER = {
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
_TRAIN = {
    "steps": 10_000,
    "batch_size": 12,
    "eval_batch_size": 16,
    "log_every": 50,
    "eval_every": 1_000,
    "checkpoint_every": 1_000,
    "pictures_every": 1_000,
    "best_metric": "abs_rel",
}
