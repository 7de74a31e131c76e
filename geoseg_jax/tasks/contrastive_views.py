"""The colours of contrastive views, changed on the device: jitter, grey, blur."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.ops import blur, color
from geoseg_jax.tasks.examples import keys_of


def change_views(
    key: jax.Array, ids: jax.Array, views: jax.Array, settings: Mapping[str, Any]
) -> jax.Array:
    """Changes each view by draws of its own, in the order of SimCLR and MoCo v2.

    Chen et al. (SimCLR, arXiv:2002.05709, appendix A), with MoCo v2's strengths: jitter with
    probability 0.8, grey with 0.2, blur with 0.5. Random windows and flips, the geometry, are the
    data pipeline's.

    Args:
      key: of the step, another one for each of the two views.
      ids: int32 [N], of which the draws follow together with the key, so that neither the place in
        the batch nor the device matters.
      views: float [N, H, W, 3] RGB in [0, 1].
      settings: config.task: jitter, the arguments of ops.color.color_jitter; grey_probability;
        blur_probability; blur_sigma, the least and the largest, pixels.

    Returns:
      The views, changed.
    """
    keys = keys_of(key, ids)
    keys = jax.vmap(lambda k: jax.random.split(k, 3))(keys)
    views = jax.vmap(lambda k, v: color.color_jitter(k, v[None], **settings["jitter"])[0])(
        keys[:, 0], views
    )
    grey = _chance(keys[:, 1], settings["grey_probability"])
    views = jnp.where(grey[:, None, None, None], color.to_grey(views), views)
    least, most = settings["blur_sigma"]
    coins, widths = (jax.vmap(lambda k, i=i: jax.random.fold_in(k, i))(keys[:, 2]) for i in (0, 1))
    blurred = _chance(coins, settings["blur_probability"])
    sigma = jax.vmap(lambda k: jax.random.uniform(k, (), minval=least, maxval=most))(widths)
    soft = blur.gaussian_blur(views, sigma, largest_sigma=most)
    return jnp.where(blurred[:, None, None, None], soft, views)


def _chance(keys: jax.Array, probability: float) -> jax.Array:
    """Returns bool [N], True with that probability."""
    return jax.vmap(lambda k: jax.random.uniform(k, ()))(keys) < probability
