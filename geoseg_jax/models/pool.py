"""Max pooling whose gradient is fast on a CPU.

XLA differentiates a pooling by selecting and scattering, window by window, with an array of indices
as large as the picture for each axis. Here the nine shifted pictures are compared at once and the
place of the largest is kept in a byte, which makes the gradient nine selects.
"""

import jax
import jax.numpy as jnp

# Rows and columns of a window relative to its centre, in the order that PyTorch prefers in a tie.
_TAPS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
    """Takes the largest of each 3x3 window, stride 2, padding 1: as torch's MaxPool2d(3, 2, 1).

    Args:
      x: [N, H, W, C], floating.

    Returns:
      [N, ceil(H / 2), ceil(W / 2), C]. The gradient goes to the first of equal values, row by row.
    """
    return _forward(x)[0]


def _forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    n, height, width, c = x.shape
    h, w = (height + 1) // 2, (width + 1) // 2
    edges = ((0, 0), (1, 2 * h - height), (1, 2 * w - width), (0, 0))
    padded = jnp.pad(x, edges, constant_values=-jnp.inf)
    # Before jax 0.8 an index with a step gathers, which is slow and no ONNX.
    windows = [
        jax.lax.slice(padded, (0, 1 + a, 1 + b, 0), (n, a + 2 * h, b + 2 * w, c), (1, 2, 2, 1))
        for a, b in _TAPS
    ]
    best, place = windows[0], jnp.zeros(windows[0].shape, jnp.uint8)
    for number, value in enumerate(windows[1:], start=1):
        place = jnp.where(value > best, jnp.uint8(number), place)
        best = jnp.maximum(best, value)  # passes NaN on, unlike a select
    return best, (place, jnp.zeros((0, height, width, 0), x.dtype))


def _backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    place, empty = residuals
    _, height, width, _ = empty.shape
    n, h, w, c = gradient.shape
    # A pixel at even row and column is the centre of its window; others belong to two or four.
    parts: dict[tuple[int, int], jax.Array] = {}
    for number, (a, b) in enumerate(_TAPS):
        share = jnp.where(place == number, gradient, 0)
        if a == -1:
            share = jnp.pad(share[:, 1:], ((0, 0), (0, 1), (0, 0), (0, 0)))
        if b == -1:
            share = jnp.pad(share[:, :, 1:], ((0, 0), (0, 0), (0, 1), (0, 0)))
        corner = abs(a), abs(b)
        parts[corner] = parts[corner] + share if corner in parts else share
    rows = [jnp.stack([parts[a, 0], parts[a, 1]], axis=3) for a in (0, 1)]
    return (jnp.stack(rows, axis=2).reshape(n, 2 * h, 2 * w, c)[:, :height, :width],)


max_pool.defvjp(_forward, _backward)
