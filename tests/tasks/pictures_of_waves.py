"""Pictures that can be completed from a part of them: soft waves, another one in each channel."""

import numpy as np


def make_batch(size: int, height: int = 32, width: int = 64) -> dict[str, np.ndarray]:
    """A batch of image, id and mask; the same for the same arguments."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    slope = rng.uniform(0.05, 0.3, (2, size, 3, 1, 1))
    light = 0.5 + 0.5 * np.sin(slope[0] * x + slope[1] * y + rng.uniform(0, 6, (size, 3, 1, 1)))
    return {
        "image": np.moveaxis(255 * light, 1, -1).astype(np.uint8),
        "id": np.arange(10, 10 + size, dtype=np.int32),
        "mask": np.ones(size, bool),
    }
