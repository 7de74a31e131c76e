"""Weights that any machine makes alike, away from the initial values that hide mistakes."""

import jax
import numpy as np


def images(shape, seed=0) -> np.ndarray:
    """Pictures in [0, 1], float32."""
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


def randomise(variables: dict, seed: int = 1) -> dict:
    """Variables of the same shapes: scales and variances in 0.5 to 1.5, the rest around zero.

    At the initial values a batch norm with scale and bias exchanged, or with mean and variance
    left out, would pass unseen.
    """
    generator = np.random.default_rng(seed)

    def draw(path, leaf):
        kind = path[-1].key
        if kind in ("scale", "var"):
            return generator.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        fan_in = np.prod(leaf.shape[:-1]) if kind == "kernel" else 100.0
        values = generator.standard_normal(leaf.shape) / np.sqrt(fan_in)
        return values.astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, variables)
