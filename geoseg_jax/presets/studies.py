"""What the configs of studies share."""

import math


def pace(batch_size: int, learning_rate: float, warmup_steps: int = 40) -> dict:
    """Settings of a short pre-training: small batches, and a rate at which it learns in so few
    steps.
    """
    return {
        "train": {"batch_size": batch_size},
        "optimizer": {"learning_rate": learning_rate, "warmup_steps": warmup_steps},
    }


def short_cells(steps: int, eval_every: int) -> dict:
    """Training of small cells by the hundred: small batches, and nothing kept on the way."""
    return {
        "steps": steps,
        "batch_size": 4,
        "eval_every": eval_every,
        "pictures_every": 0,
        "checkpoint_every": 0,
    }


def starts(option: str, weights: str = "imagenet") -> tuple[str, ...]:
    """Where the pre-training of depth and flow starts, for `start` of an arm: one or two.

    Args:
      option: of a config file: 'random', the name of the arm of weights, or 'both'.
      weights: that name.
    """
    return ("random", weights) if option == "both" else (option,)


def started(name: str, start: tuple[str, ...]) -> str:
    """What the arm of that name is called after it was given these starts: the first of them."""
    return name if start[0] == "random" else f"{name}_from_{start[0]}"


def enough(arms: int, level: float = 0.95) -> tuple[int, ...]:
    """The fewest replicates with which one of the arms can differ significantly from the reference.

    With n pairs the exact permutation test gives 2^(1-n) at least, which Holm's correction
    multiplies by the number of comparisons: geoseg_jax.study.statistics.pairs_needed.

    Args:
      arms: without the reference.
    """
    return tuple(range(1 + max(math.ceil(math.log2(arms / (1 - level)) - 1e-9), 0)))
