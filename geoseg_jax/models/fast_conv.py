"""A convolution whose weight gradient is fast on a CPU too.

XLA turns the gradient with respect to the kernel into a convolution of [C_in, H, W, N] with a
window of the size of the picture. On a CPU its inner loop then runs over the batch, which is
short, and the gradient is three to five times slower than the forward pass. Here rows of the
picture join the batch as the summed dimension first: a convolution along the width alone, with a
long contiguous inner loop. Other devices keep XLA's own.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import lax

# Below this many products the rearrangement isn't worth compiling: tests run on small pictures.
SMALL = 20_000_000
# As one matrix product (conv.FEW) a convolution compiles no slower, and pays off from here on.
TINY = 1_000_000
# Positions summed over at a time: above this the rearranged arrays fall out of the cache.
BLOCK = 32768

_PLAIN = contextvars.ContextVar("plain", default=False)


def is_small(kernel: jax.Array, positions: int) -> bool:
    """Tells whether a convolution at so many positions is cheap whichever way it is done."""
    return _PLAIN.get() or positions * kernel.size < SMALL


def is_tiny(kernel: jax.Array, positions: int) -> bool:
    """Tells whether it is cheap even where XLA's own is at its worst: at a few places."""
    return _PLAIN.get() or positions * kernel.size < TINY


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Traces convolutions as they are published, whatever their size: for other runtimes."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def correlate(x: jax.Array, kernel: jax.Array, stride: int, pad: int) -> jax.Array:
    """Computes a cross-correlation, as neural networks' convolutions are.

    Args:
      x: [N, H, W, C_in].
      kernel: [k, k, C_in, C_out].
      stride: of both directions.
      pad: zeros put around the picture on each side.

    Returns:
      [N, (H + 2 pad - k) // stride + 1, (W + 2 pad - k) // stride + 1, C_out].
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _forward(x, kernel, stride, pad):
    return correlate(x, kernel, stride, pad), (x, kernel)


def _backward(stride, pad, residuals, gradient):
    x, kernel = residuals
    plain = functools.partial(correlate.fun, stride=stride, pad=pad)
    (x_gradient,) = jax.vjp(lambda x: plain(x, kernel), x)[1](gradient)

    def by_xla(x, gradient):
        return jax.vjp(lambda kernel: plain(x, kernel), kernel)[1](gradient)[0]

    def by_rows(x, gradient):
        return kernel_gradient(x, gradient, kernel.shape[0], stride, pad)

    n, height, width, _ = gradient.shape
    if is_small(kernel, n * height * width):
        return x_gradient, by_xla(x, gradient)
    return x_gradient, lax.platform_dependent(x, gradient, cpu=by_rows, default=by_xla)


correlate.defvjp(_forward, _backward)


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, size: int, stride: int, pad: int
) -> jax.Array:
    """Computes the gradient of `correlate` with respect to its kernel: [k, k, C_in, C_out].

    Args:
      x: [N, H, W, C_in].
      gradient: with respect to the result, [N, h, w, C_out].
      size: k.
      stride, pad: as in `correlate`.
    """
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    n, height, width, _ = gradient.shape
    rows = _block_rows(height, BLOCK // (n * width))
    if rows == height:
        return _block_gradient(x, gradient, size, stride)

    def add_block(total, row):
        x_rows = lax.dynamic_slice_in_dim(x, row * stride, (rows - 1) * stride + size, axis=1)
        gradient_rows = lax.dynamic_slice_in_dim(gradient, row, rows, axis=1)
        return total + _block_gradient(x_rows, gradient_rows, size, stride), None

    total = jnp.zeros((size, size, x.shape[-1], gradient.shape[-1]), x.dtype)
    return lax.scan(add_block, total, jnp.arange(0, height, rows))[0]


def _block_rows(height: int, at_most: int) -> int:
    """Returns the largest divisor of height that is at_most, or height where that would be tiny."""
    rows = max(d for d in range(1, height + 1) if height % d == 0 and d <= max(at_most, 1))
    return rows if rows >= 4 else height


def _block_gradient(x, gradient, size, stride):
    """Computes kernel_gradient of an x that is padded already."""
    if stride == 1 and x.shape[-1] > gradient.shape[-1]:
        # The same sum with the two exchanged, seen from the gradient: fewer channels to rearrange.
        edge = size - 1
        framed = jnp.pad(gradient, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
        mirrored = _taps(framed, x, size, 1)
        return mirrored[::-1, ::-1].swapaxes(2, 3)
    return _taps(x, gradient, size, stride)


def _taps(x, weight, size, stride):
    """Sums x[n, stride y + a, stride x + b, i] weight[n, y, x, o] over n, y, x: [a, b, i, o].

    Rows are shifted by copying (a). Columns of the same remainder (b modulo stride) are put side by
    side, so that the convolution along them has stride 1 and finds b // stride by itself.
    """
    n, height, width, features = weight.shape
    channels = x.shape[-1]
    remainders = min(stride, size)
    steps = -(-size // stride)
    columns = width + steps - 1
    short = max(0, columns * stride + remainders - 1 - x.shape[2])
    x = jnp.pad(x, ((0, 0), (0, 0), (0, short), (0, 0)))
    last = (height - 1) * stride + 1
    shifted = jnp.stack(
        [
            x[:, a : a + last : stride, p : p + (columns - 1) * stride + 1 : stride]
            for a in range(size)
            for p in range(remainders)
        ]
    )
    lines = shifted.transpose(0, 4, 3, 1, 2).reshape(-1, columns, n * height)
    window = weight.transpose(2, 0, 1, 3).reshape(width, n * height, features)
    sums = lax.conv_general_dilated(
        lines, window, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    sums = sums.reshape(size, remainders, channels, steps, features).transpose(0, 3, 1, 2, 4)
    return sums.reshape(size, steps * remainders, channels, features)[:, :size]
