"""What the configs of studies share."""


def pace(batch_size: int, learning_rate: float, warmup_steps: int = 40) -> dict:
    """Settings of a short pre-training: small batches, and a rate at which it learns in so few
    steps.
    """
    return {
        "train": {"batch_size": batch_size},
        "optimizer": {"learning_rate": learning_rate, "warmup_steps": warmup_steps},
    }
