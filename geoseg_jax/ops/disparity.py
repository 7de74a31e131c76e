"""Between a network's disparity in [0, 1] and depth in metres, and two predictions made one."""

import jax
import jax.numpy as jnp


def _range(min_depth: float, max_depth: float) -> tuple[float, float]:
    if not 0 < min_depth < max_depth:
        raise ValueError(
            f"min_depth is {min_depth} and max_depth {max_depth}; "
            "expected 0 < min_depth < max_depth, in metres"
        )
    return 1 / max_depth, 1 / min_depth


def disparity_to_depth(disparity: jax.Array, min_depth: float, max_depth: float) -> jax.Array:
    """Converts a sigmoid's output, linear in inverse depth, to depth (Godard et al., ICCV 2019, 5).

    Args:
      disparity: [...] in [0, 1]; 0 is max_depth, 1 is min_depth.
      min_depth: metres, positive.
      max_depth: metres, larger than min_depth.

    Returns:
      depth [...] in metres: 1 / (1 / max_depth + (1 / min_depth - 1 / max_depth) * disparity).

    Raises:
      ValueError: on a range that is empty or not positive.
    """
    low, high = _range(min_depth, max_depth)
    return 1 / (low + (high - low) * disparity)


def depth_to_disparity(depth: jax.Array, min_depth: float, max_depth: float) -> jax.Array:
    """Inverts disparity_to_depth. depth [...] in metres, positive; same errors."""
    low, high = _range(min_depth, max_depth)
    return (1 / depth - low) / (high - low)


def blend_mirrored(plain: jax.Array, mirrored: jax.Array) -> jax.Array:
    """Blends inverse depth of a picture and of its mirror image (Godard et al., CVPR 2017, 3.3).

    Near the left and right border, what a view does not see of the other one leaves a shadow that
    lies on the other side in the mirror: the outermost twentieth is that of `mirrored` at the left
    and of `plain` at the right, as the public code has it; from a tenth inwards it is the mean of
    both, and in between the weight is linear.

    Args:
      plain: inverse depth or disparity [..., H, W] of the picture.
      mirrored: that of its mirror image, mirrored back.

    Returns:
      [..., H, W].
    """
    place = jnp.linspace(0, 1, plain.shape[-1], dtype=plain.dtype)
    left = 1 - jnp.clip(20 * (place - 0.05), 0, 1)
    right = left[::-1]
    return right * plain + left * mirrored + (1 - left - right) * (plain + mirrored) / 2
