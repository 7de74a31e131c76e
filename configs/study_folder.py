"""Your own video and your own labels: which pre-training is worth it?

    python -m geoseg_jax.study --config=configs/study_folder.py:smoke --workdir=W \
        --config.roots.video=/data/footage --config.roots.labels=/data/mine

makes a first table and page in minutes, of which nothing can be learned; without `smoke` it is the
study. --dry_run says what it would take. docs/own_data.md goes through all of it.

`video`: what configs/depth_video.py takes: a video file, a folder of frames, or a folder of several
of these. `labels`: what configs/segment_folder.py takes, images/, labels/ and classes.txt. Without
lists of pictures to train and to judge on, each labelled picture judges in one replicate and may
train in the others. Arms: random weights; depth and inpainting learned from the footage; a file of
weights, where one is given. `study_folder.py:help` lists the options behind the colon; `smoke` is
the smallest encoder at 96x64 with all labels and four steps, and options given beside it hold.
Hardware: a GPU, or patience; the dry run tells.
"""

from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.studies import (
    CALIBRATED,
    RANDOM,
    START,
    SWEEP,
    short_cells,
    starts,
    study,
    sweep,
)

_OPTIONS = {
    "resolution": Option("320x256", "width x height of pictures, in the proportions of yours"),
    "labels": Option("16+all", "numbers of labelled pictures to train on"),
    "steps": Option(2_000, "of each segmentation"),
    "pictures": Option(100_000, "that each pre-training looks at, source views included"),
    "replicates": Option(0, "each with labels, seed and encoders of its own; 0: as the test needs"),
    "start": START._replace(default=("random", "weights", "both")),
    "weights": Option("", "a file of weights: an arm more, that starts from it"),
    "sweep": SWEEP,
    "smoke": Option(False, "the smallest encoder, a few steps, two replicates: nothing is learned"),
}
_SMOKE = {"resolution": "96x64", "labels": "all", "steps": 4, "pictures": 32, "replicates": 2}


def get_config(arg: str = "") -> ConfigDict:
    options = argument.parse(arg, _OPTIONS, "study_folder.py")
    if options["smoke"]:
        smaller = {k: _OPTIONS[k]._replace(default=value) for k, value in _SMOKE.items()}
        options = argument.parse(arg, _OPTIONS | smaller, "study_folder.py")
    weights = bool(options["weights"]) or options["start"] != "random"
    # The recipe of all arms alike: else a transformer's layers learn at decaying rates where they
    # come from elsewhere.
    target: dict[str, Any] = {"optimizer": {"layer_decay": 1.0}} | CALIBRATED
    pretraining: dict[str, Any] = {}
    if options["smoke"]:
        target["train"] = short_cells(options["steps"], options["steps"])
        pretraining["train"] = {"batch_size": 4, "eval_every": 0, "pictures_every": 0}
        # Most of the time is compiling: half of depth's loss, and the smallest network of motion.
        pretraining |= {"model": {"pose_encoder": "tiny"}, "task": {"scales": 2}}
    else:
        target["train"] = {"steps": options["steps"]}
    return study(
        _arms(options, weights),
        _factors(options),
        sweep(options["sweep"], labels=16),  # there may be thirty
        title="My own footage and labels",
        trial=options["smoke"],
        question="Which pre-training helps segmentation of my pictures the most?",
        roots={"video": "", "labels": ""} | ({"weights": options["weights"]} if weights else {}),
        pretraining=pretraining,
        budget={"measure": "images", "amount": options["pictures"]},
        target={"config": "configs/segment_folder.py", "root": "labels", "set": target},
    )


def _arms(options: dict[str, Any], weights: bool) -> tuple[dict[str, Any], ...]:
    size = options["resolution"]
    elsewhere = {"name": "weights", "label": "Weights from elsewhere", "weights": "weights"}
    return (
        RANDOM,
        *((elsewhere,) if weights else ()),
        {
            "name": "reconstruction",
            "label": "Inpainting",
            "config": f"configs/reconstruct_video.py:resolution={size}",
            "root": "video",
        },
        {
            "name": "video_depth",
            "label": "Depth from my footage",
            "config": f"configs/depth_video.py:resolution={size}",
            "root": "video",
            "start": starts(options["start"], "weights"),
        },
    )


def _factors(options: dict[str, Any]) -> dict[str, Any]:
    given = options["labels"]
    numbers = [0 if word == "all" else word for word in given.split("+")]
    if not all(str(word).isdecimal() and (word == 0 or int(word) > 0) for word in numbers):
        raise ValueError(f"study_folder.py:labels={given!r} must be numbers or all, as in 8+16+all")
    factors = {"labels": tuple(map(int, numbers)), "resolution": (options["resolution"],)}
    if options["smoke"]:
        factors |= {"encoder": ("tiny",), "training": ("fine_tuned",)}
    else:
        factors["training"] = ("fine_tuned", "frozen")
    if options["replicates"]:
        factors["replicate"] = tuple(range(options["replicates"]))
    return factors
