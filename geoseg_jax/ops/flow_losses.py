"""Losses of flow: pictures that should agree, smoothness, or true flow."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp

from geoseg_jax.ops import census, smoothness
from geoseg_jax.ops.photometric import photometric_error

CENSUS_PATCH = 7


def data_term(
    warped: jax.Array, target: jax.Array, kind: str, *, ssim_weight: float = 0.85
) -> jax.Array:
    """Measures how much a source picture, seen from the target, differs from it.

    Args:
      warped: [..., H, W, 3] in [0, 1].
      target: the same shape.
      kind: 'ssim_l1', see photometric.photometric_error; or 'census', (d + 0.01)^0.4 of the soft
        Hamming distance d of 7x7 census transforms, in pixels that differ, 0 to 48 (Meister et
        al., AAAI 2018; in this form Jonschkowski et al., ECCV 2020, section 3.2).
      ssim_weight: of 'ssim_l1'.

    Returns:
      [..., H, W].

    Raises:
      ValueError: on another kind.
    """
    if kind == "ssim_l1":
        return photometric_error(warped, target, ssim_weight)
    if kind == "census":
        others = CENSUS_PATCH**2 - 1
        distance = others * census.census_distance(warped, target, patch=CENSUS_PATCH)
        return (distance + 0.01) ** 0.4
    raise ValueError(f"data term is {kind!r}; use 'ssim_l1' or 'census'")


def whole_patches(height: int, width: int, kind: str) -> jax.Array:
    """Returns [height, width]: 1 where the data term sees pixels of the picture alone, else 0.

    A census at the border compares with pixels that are made up; SSIM mirrors the picture.
    """
    if kind != "census":
        return jnp.ones((height, width))
    margin = CENSUS_PATCH // 2
    inner = jnp.ones((max(height - 2 * margin, 0), max(width - 2 * margin, 0)))
    if not inner.size:
        return jnp.zeros((height, width))
    return jnp.pad(inner, margin)


def masked_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Averages values by their weights over all pixels of all examples.

    The weights get no gradient: otherwise hiding a pixel would be a way to lower its error.
    """
    weights = jax.lax.stop_gradient(weights)
    return jnp.sum(values * weights) / (jnp.sum(weights) + 1e-6)


def flow_smoothness(
    flow: jax.Array,
    image: jax.Array,
    *,
    order: int = 1,
    edge_constant: float = 1.0,
    rounding: float = 0.0,
) -> jax.Array:
    """Measures each example's unevenness, which counts less where the picture changes.

    exp(-edge_constant * mean over channels of |dI|) * |d^order F| along x and along y
    (Jonschkowski et al., ECCV 2020, eq. 5, with k = order).

    Args:
      flow: [..., H, W, 2], any unit. Along a side that is not longer than order it is smooth.
      image: [..., H, W, 3] in [0, 1].
      order: 1 penalises differences, 2 changes of differences, which lets planes be slanted.
      edge_constant: how steeply edges of the picture excuse those of the flow.
      rounding: sqrt(d^2 + rounding^2) stands for |d|, in the flow's unit.

    Returns:
      [...]: the means along x and along y, summed over both and over u and v.
    """
    weights = smoothness.edge_weights(edge_constant * image, order)
    total = jnp.zeros(flow.shape[:-3], flow.dtype)
    for axis, weight in zip((-2, -3), weights, strict=True):
        if flow.shape[axis] <= order:
            continue
        change = jnp.diff(flow, n=order, axis=axis)
        size = jnp.sqrt(change**2 + rounding**2) if rounding else jnp.abs(change)
        total += (size.sum(axis=-1) * weight).mean(axis=(-2, -1))
    return total


def robust_error(
    predicted: jax.Array, truth: jax.Array, *, epsilon: float = 0.01, power: float = 0.4
) -> jax.Array:
    """Computes (|d| + epsilon)^power, |d| the sum of both components' absolute differences.

    Sun et al., "PWC-Net", CVPR 2018, eq. 4, which gives less weight to outliers than the L2 norm.

    predicted, truth: [..., H, W, 2] in pixels -> [..., H, W].
    """
    return (jnp.abs(predicted - truth).sum(axis=-1) + epsilon) ** power


def multi_scale_error(
    flows: Sequence[jax.Array],
    truth: jax.Array,
    valid: jax.Array,
    weights: Sequence[float],
    *,
    epsilon: float = 0.01,
    power: float = 0.4,
) -> jax.Array:
    """Adds over scales, by weight, robust_error's mean over the valid pixels of all examples.

    flows: of the truth's size and unit each. Predictions are enlarged to the truth rather than the
    truth reduced to them: where it is sparse, means over its neighbours would mix near and far.

    Args:
      flows: [..., H, W, 2] in pixels, the finest scale first.
      truth: [..., H, W, 2].
      valid: bool [..., H, W].
      weights: of the scales, as many as flows.
      epsilon, power: see robust_error.
    """
    total: jax.Array | float = 0.0
    truth = jnp.where(valid[..., None], truth, 0)
    for flow, weight in zip(flows, weights, strict=True):
        error = robust_error(flow, truth, epsilon=epsilon, power=power)
        total += weight * masked_mean(error, valid.astype(flow.dtype))
    return cast(jax.Array, total)
