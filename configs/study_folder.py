"""Your own video and your own labels: which pre-training is worth it?

    python -m geoseg_jax.study --config=configs/study_folder.py:smoke --workdir=W \
        --config.roots.video=/data/footage --config.roots.labels=/data/mine

makes a first table and page in minutes, of which nothing can be learned. With `small` in place of
`smoke` it is a study of about an hour on two CPU cores; with neither, one for a GPU. --dry_run says
what it would take. docs/own_data.md goes through all of it.

`video`: what configs/depth_video.py takes: a video file, a folder of frames, or a folder of several
of these. `labels`: what configs/segment_folder.py takes, images/, labels/ and classes.txt. Without
lists of pictures to train and to judge on, each labelled picture judges in one replicate and may
train in the others. Arms: random weights; depth and inpainting learned from the footage; a file of
weights, where one is given. `study_folder.py:help` lists the options behind the colon, and
  small  half a ResNet-18, whole pictures of 128x96, short runs
  smoke  the smallest encoder at 96x64 with all labels and four steps
Options given beside these two hold.
"""

from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.studies import (
    CALIBRATED,
    RANDOM,
    SMALL,
    START,
    SWEEP,
    pace,
    short_cells,
    starts,
    study,
    sweep,
)
from geoseg_jax.presets.two_cores import DECODER, NETWORK, SHARED

_OPTIONS = {
    "resolution": Option("320x256", "width x height of pictures, in the proportions of yours"),
    "labels": Option("16+all", "numbers of labelled pictures to train on"),
    "steps": Option(2_000, "of each segmentation"),
    "pictures": Option(100_000, "that each pre-training looks at, source views included"),
    "replicates": Option(0, "each with labels, seed and encoders of its own; 0: as the test needs"),
    "start": START._replace(
        default=("random", "weights", "both"),
        meaning="where depth starts: random weights, the file of weights, or both, an arm each",
    ),
    "weights": Option("", "a file of weights: an arm more, that starts from it"),
    "sweep": SWEEP,
    "small": SMALL,
    "smoke": Option(False, "the smallest encoder, a few steps, two replicates: nothing is learned"),
}
_SIZES = {
    "small": {"resolution": "128x96", "steps": 600, "pictures": 9_000},
    "smoke": {"resolution": "96x64", "labels": "all", "steps": 4, "pictures": 32, "replicates": 2},
}


def get_config(arg: str = "") -> ConfigDict:
    options, size = _options(arg)
    roots = {"video": "", "labels": ""}
    if _with_weights(options):
        roots["weights"] = options["weights"]
    return study(
        _arms(options, size),
        _factors(options, size),
        sweep(options["sweep"], labels=16),  # there may be thirty
        title="My own footage and labels",
        trial=size == "smoke",
        question="Which pre-training helps segmentation of my pictures the most?",
        roots=roots,
        pretraining=_pretraining(size),
        budget={"measure": "images", "amount": options["pictures"]},
        target={
            "config": "configs/segment_folder.py",
            "root": "labels",
            "set": _target(options["steps"], size),
        },
    )


def _options(arg: str) -> tuple[dict[str, Any], str]:
    """Returns the options, and which of _SIZES they are of, if of any."""
    options = argument.parse(arg, _OPTIONS, "study_folder.py")
    sizes = [name for name in _SIZES if options[name]]
    if len(sizes) > 1:
        raise ValueError("study_folder.py: small is a study and smoke a trial; drop one of the two")
    if sizes:
        smaller = {k: _OPTIONS[k]._replace(default=v) for k, v in _SIZES[sizes[0]].items()}
        options = argument.parse(arg, _OPTIONS | smaller, "study_folder.py")
    _check(options)
    return options, sizes[0] if sizes else ""


def _check(options: dict[str, Any]) -> None:
    """Refuses numbers that no job can start with. Raises ValueError."""
    for name, least in (("steps", 1), ("pictures", 1), ("replicates", 0)):
        if options[name] < least:
            raise ValueError(f"study_folder.py:{name}={options[name]} must be at least {least}")
    sides = argument.size(options["resolution"], "study_folder.py:resolution")
    if any(side % 32 for side in sides):
        height, width = (max(32, round(side / 32) * 32) for side in sides)
        raise ValueError(
            f"study_folder.py:resolution={options['resolution']}: both sides must be multiples of "
            f"32, such as {width}x{height}"
        )


def _with_weights(options: dict[str, Any]) -> bool:
    return bool(options["weights"]) or options["start"] != "random"


def _pretraining(size: str) -> dict[str, Any]:
    """Returns what both pre-trainings have in place of their configs' settings."""
    if size == "small":
        return {**SHARED, "model": {**DECODER, "pose_encoder": NETWORK[0]}}
    if size == "smoke":
        # Most of the time is compiling: half of depth's loss, and the smallest network of motion.
        return {
            "train": {"batch_size": 4, "eval_every": 0, "pictures_every": 0},
            "model": {"pose_encoder": "tiny"},
            "task": {"scales": 2},
        }
    return {}


def _target(steps: int, size: str) -> dict[str, Any]:
    """Returns what every segmentation has in place of its config's settings."""
    # The recipe of all arms alike: else a transformer's layers learn at decaying rates where they
    # come from elsewhere.
    recipe: dict[str, Any] = {"optimizer": {"layer_decay": 1.0}} | CALIBRATED
    if not size:
        return recipe | {"train": {"steps": steps}}
    recipe["train"] = short_cells(steps, steps)
    if size == "small":
        recipe |= {"model": DECODER, "data": {"scale": ()}}  # windows are learned more slowly
    return recipe


def _arms(options: dict[str, Any], size: str) -> tuple[dict[str, Any], ...]:
    shape = options["resolution"]
    elsewhere = {"name": "weights", "label": "Weights from elsewhere", "weights": "weights"}
    return (
        RANDOM,
        *((elsewhere,) if _with_weights(options) else ()),
        {
            "name": "reconstruction",
            "label": "Inpainting",
            "config": f"configs/reconstruct_video.py:resolution={shape}",
            "root": "video",
            "set": pace(8, 4e-4, 20) if size == "small" else {},
        },
        {
            "name": "video_depth",
            "label": "Depth from my footage",
            "config": f"configs/depth_video.py:resolution={shape}",
            "root": "video",
            "set": pace(4, 4e-4, 20) if size == "small" else {},
            "start": starts(options["start"], "weights"),
        },
    )


def _factors(options: dict[str, Any], size: str) -> dict[str, Any]:
    given = options["labels"]
    numbers = [0 if word == "all" else word for word in given.split("+")]
    if not all(str(word).isdecimal() and (word == 0 or int(word) > 0) for word in numbers):
        raise ValueError(f"study_folder.py:labels={given!r} must be numbers or all, as in 8+16+all")
    factors = {"labels": tuple(map(int, numbers)), "resolution": (options["resolution"],)}
    factors["training"] = ("fine_tuned",) if size == "smoke" else ("fine_tuned", "frozen")
    if size:
        factors["encoder"] = NETWORK if size == "small" else ("tiny",)
    if options["replicates"]:
        factors["replicate"] = tuple(range(options["replicates"]))
    return factors
