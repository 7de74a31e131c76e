"""What the configs of studies share.

Options of a study, FILE.py:start=both,sweep:
  start   where depth and flow start: random weights (`random`, the default), the arm of weights
          (`imagenet`, the file --config.roots.imagenet), or `both`, an arm each
  sweep   first tries learning rates for each arm, on other subsets of the training labels
Each replicate has its own subset of labels, seed and encoders; there are as many as the permutation
test needs for so many arms. --config.factors.replicate="(0,1,2)" has fewer, and
--config.factors.pretraining_seed="(0,)" one encoder per arm, which then limits what is said.
--config.without="('imagenet',)" leaves out an arm whose data or weights are not at hand.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.argument import Option

START = Option(
    ("random", "imagenet", "both"),
    "where depth and flow start: random weights, weights from elsewhere, or both, an arm each",
)
SWEEP = Option(False, "first tries learning rates for each arm, on other subsets of the labels")
SMALL = Option(False, "small pictures and short runs, for a CPU")
RANDOM = {"name": "random", "label": "Random weights"}
IMAGENET = {"name": "imagenet", "label": "ImageNet", "weights": "imagenet"}
# What a study has unless its file says otherwise; geoseg_jax/study/check.py has all keys.
DEFAULTS = {
    "reference": "random",
    "contrasts": (),
    "goal": 0.0,  # a score whose steps are counted; 0: none
    "metric": "miou",  # or another score of eval.json, such as "paper_miou" or "iou/car"
    "equivalence": 0.01,  # arms are level where they differ by less; 0: not asked
    "trial": False,  # runs are too short to learn anything, which the page then says first
    "without": (),  # arms to leave out
    "declared": (),
    "panels": 4,
    "keep_checkpoints": False,
}
FACTORS = {"training": ("fine_tuned",), "decoder": ("auto",), "encoder": ("resnet18",)}
# Of a study with frozen cells: random weights have the batch statistics of no data, and would lose
# by these alone.
CALIBRATED = {"transfer": {"statistics": "calibrated"}}
# The public code's (x - .45) / .225, with ImageNet's weights too, which were trained otherwise.
PAPER_PRETRAINING = {
    "model": {"normalisation": "monodepth2"},
    "transfer": {"normalisation": "any"},
}


def study(
    arms: Sequence[Mapping[str, Any]],
    factors: Mapping[str, Any],
    sweep: Mapping[str, Any],
    **own: Any,
) -> ConfigDict:
    """Returns a study with as many replicates as its arms need, if its factors name no runs.

    Args:
      arms: as in the config, before those with several starts are expanded.
      factors: beside, or in place of, FACTORS.
      sweep: see `sweep`.
      **own: the other keys of the study, in place of DEFAULTS.
    """
    if not {"replicate", "subset", "seed"} & factors.keys():
        compared = len(arms) - 1 - len(own.get("without", ()))
        several = [arm["start"] for arm in arms if isinstance(arm.get("start"), tuple)]
        runs = enough(compared + sum(len(start) - 1 for start in several))
        factors = {**factors, "replicate": runs}
    return ConfigDict(
        {**DEFAULTS, **own, **sweep, "arms": tuple(arms), "factors": {**FACTORS, **factors}}
    )


def paper_options(arg: str, file: str) -> tuple[str, tuple[str, ...], bool]:
    """Parses the options of a study of the paper's data: preset, starts of depth and flow, sweep.

    Depth and flow start from ImageNet with paper_code, as in its scripts, else from random weights.
    """
    starting = START._replace(default=("auto", "random", "imagenet", "both"))
    known = {"preset": argument.PRESET, "start": starting, "sweep": SWEEP}
    options = argument.parse(arg, known, file)
    auto = "imagenet" if options["preset"] == "paper_code" else "random"
    start = auto if options["start"] == "auto" else options["start"]
    return options["preset"], starts(start), options["sweep"]


def pace(batch_size: int, learning_rate: float, warmup_steps: int = 40) -> dict:
    """Sets a short pre-training: small batches, and a rate at which it learns in so few steps."""
    return {
        "train": {"batch_size": batch_size},
        "optimizer": {"learning_rate": learning_rate, "warmup_steps": warmup_steps},
    }


def short_cells(steps: int, eval_every: int) -> dict:
    """Sets small cells by the hundred: small batches, and nothing kept on the way."""
    return {
        "steps": steps,
        "batch_size": 4,
        "eval_every": eval_every,
        "pictures_every": 0,
        "checkpoint_every": 0,
    }


def starts(option: str, weights: str = "imagenet") -> tuple[str, ...]:
    """Tells where the pre-training of depth and flow starts, for `start` of an arm: one or two.

    Args:
      option: of a config file: 'random', the name of the arm of weights, or 'both'.
      weights: that name.
    """
    return ("random", weights) if option == "both" else (option,)


def refuse_imagenet(file: str, start: tuple[str, ...]) -> None:
    """Refuses to start a small study from ImageNet. Raises ValueError naming the config's file."""
    if "imagenet" in start:
        raise ValueError(
            f"{file}: small trains half a ResNet-18, of which there are no weights of ImageNet; "
            "leave out small or start"
        )


def started(name: str, start: tuple[str, ...]) -> str:
    """Names an arm after the first of the starts that it was given."""
    return name if start[0] == "random" else f"{name}_from_{start[0]}"


def sweep(wanted: bool, rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3), labels: int = 64) -> dict:
    """Returns the key `sweep` of a study where it is wanted: see geoseg_jax/study/sweep.py.

    A fourth of the labels judges. On CamVid (docs/results/camvid_rates.md) two times 4 pictures
    choose the rate that two times 92 choose in 55 to 88 of 100 draws and lose 0.2 to 0.3 points of
    mIoU on average; two times 16 do in 75 to 100 and lose 0.1 at most.

    Args:
      rates: of segmentation, () for none; those of pre-trainings are multiples of each arm's own.
      labels: labelled pictures to try with, no more than there are.
    """
    spec = {"labels": labels, "replicates": (100, 101), "folds": 4}
    spec |= {"learning_rate": rates, "pretraining": (0.3, 1.0, 3.0)}
    return {"sweep": spec} if wanted else {}


def enough(arms: int, level: float = 0.95) -> tuple[int, ...]:
    """Counts the fewest replicates with which one arm can differ significantly from the reference.

    With n pairs the exact permutation test gives 2^(1-n) at least, which Holm's correction
    multiplies by the number of comparisons: geoseg_jax.analysis.statistics.pairs_needed.

    Args:
      arms: without the reference.
    """
    pairs = 1
    while arms * 2.0 ** (1 - pairs) > (1 - level) * (1 + 1e-9):
        pairs += 1
    return tuple(range(pairs))
