"""Measures how pictures differ at every pixel, and which source view explains a pixel best.

Godard, Mac Aodha, Firman, Brostow, "Digging Into Self-Supervised Monocular Depth Estimation",
ICCV 2019; SSIM after Wang et al., "Image Quality Assessment", TIP 2004.
"""

import jax
import jax.numpy as jnp

from geoseg_jax.ops.checks import check_pictures

# (0.01 L)^2 and (0.03 L)^2 with L = 1, the range of the pictures.
C1 = 0.01**2
C2 = 0.03**2


def box_mean(maps: jax.Array) -> jax.Array:
    """Averages each pixel's 3x3 window, mirrored at the border. [..., H, W, C], H and W >= 2."""
    pad = [(0, 0)] * (maps.ndim - 3) + [(1, 1), (1, 1), (0, 0)]
    maps = jnp.pad(maps, pad, mode="reflect")
    maps = maps[..., :-2, :, :] + maps[..., 1:-1, :, :] + maps[..., 2:, :, :]
    maps = maps[..., :-2, :] + maps[..., 1:-1, :] + maps[..., 2:, :]
    return maps / 9


def ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes the structural similarity of each pixel's 3x3 window, for each channel.

    Args:
      a: [..., H, W, C] in [0, 1].
      b: the same shape.

    Returns:
      [..., H, W, C], the similarity itself: in [-1, 1], 1 for equal windows. Windows are mirrored
      at the border and weighted equally, variances are those of the population.

    Raises:
      ValueError: on pictures of whole numbers.
    """
    check_pictures(a=a, b=b)
    mean_a, mean_b = box_mean(a), box_mean(b)
    variance_a = box_mean(a * a) - mean_a * mean_a
    variance_b = box_mean(b * b) - mean_b * mean_b
    covariance = box_mean(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    below = (mean_a * mean_a + mean_b * mean_b + C1) * (variance_a + variance_b + C2)
    return above / below


def photometric_error(
    predicted: jax.Array, target: jax.Array, ssim_weight: float = 0.85
) -> jax.Array:
    """Computes w clip((1 - ssim) / 2, 0, 1) + (1 - w) |difference|, channel mean, w = ssim_weight.

    Args:
      predicted: [..., H, W, C] in [0, 1].
      target: the same shape.
      ssim_weight: share of the structural term, in [0, 1].

    Returns:
      [..., H, W] in [0, 1].

    Raises:
      ValueError: on pictures of whole numbers.
    """
    check_pictures(predicted=predicted, target=target)
    dissimilarity = jnp.clip((1 - ssim(predicted, target)) / 2, 0, 1).mean(axis=-1)
    difference = jnp.abs(predicted - target).mean(axis=-1)
    return ssim_weight * dissimilarity + (1 - ssim_weight) * difference


def best_view(errors: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Finds the view with each pixel's smallest error; an invalid one never beats a valid one.

    Args:
      errors: [..., S, H, W].
      valid: bool [..., S, H, W].

    Returns:
      view int32 [..., H, W], the first of equals, and any_valid bool [..., H, W].
    """
    best, any_valid = errors[..., 0, :, :], valid[..., 0, :, :]
    view = jnp.zeros(best.shape, jnp.int32)
    for i in range(1, errors.shape[-3]):
        error, seen = errors[..., i, :, :], valid[..., i, :, :]
        wins = (seen & ~any_valid) | ((seen == any_valid) & (error < best))
        best, view = jnp.where(wins, error, best), jnp.where(wins, i, view)
        any_valid = any_valid | seen
    return view, any_valid


def take_view(maps: jax.Array, view: jax.Array) -> jax.Array:
    """Takes maps [..., S, H, W] at view [..., H, W], by selects: a gather's derivative is slow."""
    taken = maps[..., 0, :, :]
    for i in range(1, maps.shape[-3]):
        taken = jnp.where(view == i, maps[..., i, :, :], taken)
    return taken


def minimum_reprojection(errors: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns each pixel's smallest error over the source views: it may be hidden in some of them.

    Args:
      errors: [..., S, H, W].
      valid: bool [..., S, H, W]. An invalid view never wins against a valid one.

    Returns:
      error [..., H, W], over the valid views, over all where none is valid; the derivative goes
      to the winning view alone (the first of equals). any_valid: bool [..., H, W].
    """
    view, any_valid = best_view(errors, valid)
    return take_view(errors, view), any_valid


def automask(
    error: jax.Array, any_valid: jax.Array, identity_errors: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Leaves out pixels that the unwarped sources explain as well: still camera, moving along.

    Args:
      error: minimum reprojection error [..., H, W].
      any_valid: bool [..., H, W], as minimum_reprojection.
      identity_errors: errors of the unwarped sources [..., S, H, W]; they get no derivative.

    Returns:
      min(error, identity) [..., H, W], where nothing is valid the identity error; and the mask,
      bool [..., H, W]: True where the reprojection won and its derivative counts.
    """
    identity = jax.lax.stop_gradient(identity_errors.min(axis=-3))
    mask = any_valid & (error < identity)
    return jnp.where(mask, error, identity), mask
