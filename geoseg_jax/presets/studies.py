"""What the configs of studies share."""


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
