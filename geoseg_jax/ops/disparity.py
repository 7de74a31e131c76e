"""Between a network's disparity in [0, 1] and depth in metres."""

import jax


def _range(min_depth: float, max_depth: float) -> tuple[float, float]:
    if not 0 < min_depth < max_depth:
        raise ValueError(
            f"min_depth is {min_depth} and max_depth {max_depth}; "
            "expected 0 < min_depth < max_depth, in metres"
        )
    return 1 / max_depth, 1 / min_depth


def disparity_to_depth(disparity: jax.Array, min_depth: float, max_depth: float) -> jax.Array:
    """Depth of a sigmoid's output, linear in inverse depth (Godard et al., ICCV 2019, section 5).

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
    """The inverse of disparity_to_depth. depth [...] in metres, positive; same errors."""
    low, high = _range(min_depth, max_depth)
    return (1 / depth - low) / (high - low)
