"""Scores camera motion: how far it is predicted to move from frame to frame, and its spread.

A pose network that compares its two frames gives fast and slow drives different steps; one that
doesn't gives all of them the mean step, which has no spread.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.tasks.base import Sums

TRANSLATION, ROTATION = "translation", "rotation"
_SQUARE, _COUNT = "translation_squared", "moved_images"


def step_sizes(poses: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Measures translations in metres and angles in [0, pi] radians, [...] of [..., 4, 4].

    The angle is atan2(sin, cos) with 2 sin the length of the rotation's skew part and
    1 + 2 cos its trace, exact for small angles too.
    """
    rotation = poses[..., :3, :3]
    pairs = ((2, 1), (0, 2), (1, 0))
    skew = jnp.stack([rotation[..., i, j] - rotation[..., j, i] for i, j in pairs])
    sine = jnp.linalg.norm(skew, axis=0) / 2
    cosine = (jnp.trace(rotation, axis1=-2, axis2=-1) - 1) / 2
    return jnp.linalg.norm(poses[..., :3, 3], axis=-1), jnp.arctan2(sine, cosine)


def mean_motion(poses: jax.Array) -> dict[str, jax.Array]:
    """Averages source <- target poses [B, S, 4, 4]; nothing where there are none (S = 0)."""
    if not poses.shape[1]:
        return {}
    translation, rotation = step_sizes(jax.lax.stop_gradient(poses))
    return {TRANSLATION: translation.mean(), ROTATION: rotation.mean()}


def judge(poses: jax.Array, mask: jax.Array) -> Sums:
    """Adds the mean steps of poses [B, S, 4, 4], S >= 1, over the pictures of mask, bool [B]."""
    translation, rotation = (size.mean(axis=1) for size in step_sizes(poses))
    per_picture = {TRANSLATION: translation, _SQUARE: translation**2, ROTATION: rotation}
    sums = {name: jnp.sum(jnp.where(mask, size, 0)) for name, size in per_picture.items()}
    return sums | {_COUNT: jnp.sum(mask, dtype=jnp.float32)}


def summarise(sums: dict[str, Any]) -> dict[str, float]:
    """Computes mean steps and the translation's deviation over pictures; {} without a picture."""
    if not sums.get(_COUNT):
        return {}
    mean, square, rotation = (
        float(sums[name] / sums[_COUNT]) for name in (TRANSLATION, _SQUARE, ROTATION)
    )
    spread = float(np.sqrt(max(square - mean**2, 0.0)))
    return {TRANSLATION: mean, TRANSLATION + "_spread": spread, ROTATION: rotation}
