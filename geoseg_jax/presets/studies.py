"""What the configs of studies share."""

# The public code's (x - .45) / .225, with ImageNet's weights too, which were trained otherwise.
PAPER_PRETRAINING = {
    "model": {"normalisation": "monodepth2"},
    "transfer": {"normalisation": "any"},
}


def pace(batch_size: int, learning_rate: float, warmup_steps: int = 40) -> dict:
    """Settings of a short pre-training: small batches, and a rate at which it learns in so few
    steps.
    """
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


def started(name: str, start: tuple[str, ...]) -> str:
    """Names an arm after the first of the starts that it was given."""
    return name if start[0] == "random" else f"{name}_from_{start[0]}"


def sweep(wanted: bool, rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)) -> dict:
    """Returns the key `sweep` of a study where it is wanted: see geoseg_jax/study/sweep.py.

    Args:
      rates: of segmentation, () for none; those of pre-trainings are multiples of each arm's own.
    """
    spec = {"labels": 16, "replicates": (100, 101), "folds": 4}
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
