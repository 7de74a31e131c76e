"""Self-distillation: the flow of the whole picture teaches that of its middle.

Jonschkowski et al., "What Matters in Unsupervised Optical Flow", ECCV 2020, section 3.2
(self-supervision), after Liu et al., "DDFlow", AAAI 2019: what moves out of a window is hidden
from who sees the window alone, but not from who sees the picture. So the latter's flow is a truth
for the former just where pictures teach nothing.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from geoseg_jax.ops.occlusion import round_trip
from geoseg_jax.ops.sampling import resize_bilinear
from geoseg_jax.tasks.flow_photometric import FINEST

# How far apart there and back may be, as a share of the picture's diagonal, for the flow to be
# trusted: the teacher's must agree well, the student's is replaced where it agrees badly.
TEACHER_SIGMA, STUDENT_SIGMA = 0.003, 0.03
_ROUNDING = 1e-3  # sqrt(d^2 + _ROUNDING^2) stands for |d|


def distillation_loss(
    teacher: Callable[[jax.Array], jax.Array],
    student: Callable[[jax.Array], jax.Array],
    frames: jax.Array,
    seen: jax.Array,
    share: float,
) -> jax.Array:
    """Computes how far the student is from the teacher, where the latter knows better.

    Args:
      teacher: [B, 2, H, W, 3] -> the finest flows in both directions, [B, 2, h, w, 2] in pixels of
        the picture.
      student: the same network as it is trained (residuals dropped at random).
      frames: [B, 2, H, W, 3] in [0, 1], which the teacher sees.
      seen: the same with colours changed, of which the student sees the middle, enlarged.
      share: of each side that is cut off at either end.

    Returns:
      A scalar: the difference, |du| + |dv| in pixels of the flow's own map (of stride 4 at the
      finest), weighted by how much the teacher's flow agrees there and back and the student's
      doesn't; the mean over all pixels, both directions and all examples. So UFlow's public code
      counts it. The gradient goes to the student alone.
    """
    height, width = frames.shape[2:4]
    margins = round(share * height), round(share * width)
    inner = height - 2 * margins[0], width - 2 * margins[1]
    small = jax.lax.stop_gradient(teacher(frames))
    own = min(small.shape[3], width // FINEST), min(small.shape[2], height // FINEST)
    ratio = jnp.asarray([own[0] / width, own[1] / height], small.dtype)
    taught = resize_bilinear(small, height, width)
    sure = _middle(_agreement(taught, TEACHER_SIGMA)[..., None], margins)[..., 0]
    enlarged = jnp.asarray([width / inner[1], height / inner[0]], taught.dtype)
    truth = _middle(taught, margins) * enlarged
    answer = resize_bilinear(student(_middle(seen, margins)), height, width)
    unsure = 1 - _agreement(answer, STUDENT_SIGMA)
    weight = jax.lax.stop_gradient(sure * unsure)
    error = jnp.sqrt(((answer - truth) * ratio) ** 2 + _ROUNDING**2).sum(axis=-1)
    return jnp.mean(weight * error)


def ramp(progress: jax.Array, start: float, length: float) -> jax.Array:
    """Returns 0 up to `start`, 1 from `start + length` on, linear between: shares of training."""
    return jnp.clip((progress - start) / max(length, 1e-6), 0, 1)


def _middle(maps: jax.Array, margins: tuple[int, int]) -> jax.Array:
    """Cuts the margins off [..., H, W, C] and enlarges the rest to [..., H, W, C]."""
    height, width = maps.shape[-3:-1]
    inner = maps[..., margins[0] : height - margins[0], margins[1] : width - margins[1], :]
    return resize_bilinear(inner, height, width)


def _agreement(flows: jax.Array, sigma: float) -> jax.Array:
    """Computes exp(-|there and back|^2 / (sigma diagonal)^2), 0 where flow leaves the picture.

    flows: [B, 2, H, W, 2] in both directions -> [B, 2, H, W].
    """
    height, width = flows.shape[-3:-1]
    gap, _, inside = round_trip(flows, flows[:, ::-1])
    squared = jnp.sum(gap**2, axis=-1) / (sigma**2 * (height**2 + width**2))
    return jnp.where(inside, jnp.exp(-squared), 0)
