"""Convolutions with PyTorch's numbers, on NHWC arrays, written so that XLA runs them fast.

flax's own layer differs from PyTorch's in details that matter when weights are carried over: the
side on which a strided convolution pads, mirrored padding, and the initial values.
"""

import math
from collections.abc import Callable, Sequence
from typing import cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import fast_conv
from geoseg_jax.models.shared import plus

PADDINGS = ("zero", "reflect")

# Results a picture up to which a convolution is one matrix product: at 2x2 to 2x4 XLA's own takes a
# hundred times as long on a CPU, up to here its gradient one and a half to three times.
FEW = 48

# What torchvision gives its ResNets (He et al., arXiv:1502.01852, eq. 10 in backward form).
he_normal_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# What torch.nn.Conv2d starts with: uniform in +-1/sqrt(fan_in).
torch_uniform = nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: str = "zero",
    dilation: int = 1,
) -> jax.Array:
    """Convolves, padded by half the kernel's reach on each side: stride 1 keeps the size.

    Args:
      x: [N, H, W, C_in].
      kernel: [k, k, C_in, C_out], k odd, of x's dtype.
      stride: 1 or more, the same in both directions.
      padding: 'zero', or 'reflect' (the border pixel is not repeated).
      dilation: distance between neighbouring taps, in pixels; above 1 with padding 'zero' only.

    Returns:
      [N, ceil(H / stride), ceil(W / stride), C_out] of x's dtype, but float32 of one feature with
      padding 'reflect' and stride 1.

    Raises:
      ValueError: for another padding, or for a dilation with padding 'reflect'.
    """
    if padding not in PADDINGS:
        raise ValueError(f"padding {padding!r} is not known; choose one of {PADDINGS}")
    size, _, _, features = kernel.shape
    if dilation > 1 and size > 1:
        if padding != "zero":
            raise ValueError(f"dilation {dilation} goes with padding 'zero', not {padding!r}")
        return _dilated(x, kernel, stride, dilation)
    n, height, width, _ = x.shape
    if padding == "zero":
        places = -(-height // stride) * -(-width // stride)
        if size > 1 and places <= FEW and not fast_conv.is_tiny(kernel, n * places):
            return _as_product(x, kernel, stride)
        return fast_conv.correlate(x, kernel, stride, size // 2)
    if features == 1 and stride == 1:
        return _one_feature(x, kernel)
    small = fast_conv.is_small(kernel, n * height * width)
    if size == 3 and stride == 1 and not small:
        return _mirrored(x, kernel)
    return fast_conv.correlate(_reflect(x, size // 2, (1, 2)), kernel, stride, 0)


def _as_product(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolves, zero-padded, as [places, taps * C_in] times [taps * C_in, C_out]."""
    size, _, _, features = kernel.shape
    _, height, width, _ = x.shape
    pad = size // 2
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    taps = [
        x[:, i : i + height : stride, j : j + width : stride]
        for i in range(size)
        for j in range(size)
    ]
    return jnp.concatenate(taps, axis=-1) @ kernel.reshape(-1, features)


def upsampled_conv2d(x: jax.Array, kernel: jax.Array, *, padding: str = "zero") -> jax.Array:
    """Computes `conv2d` of the picture at twice the size (nearest neighbour), without making that.

    Of the nine taps on an enlarged picture those that fall on the same pixel are added beforehand,
    which leaves four for each of the four pixels that one becomes: 2.25 times fewer products.

    Args:
      x: [N, H, W, C_in].
      kernel: [3, 3, C_in, C_out].
      padding: 'zero' or 'reflect', of the enlarged picture.

    Returns:
      [N, 2 H, 2 W, C_out].
    """
    n, height, width, channels = x.shape
    features = kernel.shape[-1]
    if fast_conv.is_small(kernel, n * height * width):
        large = jnp.broadcast_to(x[:, :, None, :, None, :], (n, height, 2, width, 2, channels))
        large = large.reshape(n, 2 * height, 2 * width, channels)
        return conv2d(large, kernel, padding=padding)
    # Mirroring an enlarged picture repeats the border pixel of the small one.
    mode = {"zero": "constant", "reflect": "edge"}[padding]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)
    shares = jnp.asarray(_SHARES, kernel.dtype)
    # p, q: which of the four pixels; d, e: tap on the small picture; a, b: on the large one.
    taps = jnp.einsum("pda,qeb,abio->deipqo", shares, shares, kernel)
    taps = taps.reshape(2, 2, channels, 4 * features)
    y = fast_conv.correlate(x, taps, 1, 0)
    y = y.reshape(n, height + 1, width + 1, 2, 2, features)
    rows = [
        jnp.stack([y[:, p : p + height, q : q + width, p, q] for q in (0, 1)], axis=3)
        for p in (0, 1)
    ]
    return jnp.stack(rows, axis=2).reshape(n, 2 * height, 2 * width, features)


# [p][d][a]: pixel 2r + p of the large picture at its tap a sees pixel r + p - 1 + d of the small.
_SHARES = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))


def _dilated(x, kernel, stride, dilation):
    edge = dilation * (kernel.shape[0] // 2)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((edge, edge), (edge, edge)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _reflect(x, half, axes):
    edges = [(half, half) if axis in axes else (0, 0) for axis in range(x.ndim)]
    return jnp.pad(x, edges, mode="reflect")


def _mirrored(x, kernel):
    """Convolves 3x3 with reflection: zero padding, then what the mirrored frame adds at the border.

    Padding the picture itself costs a copy, and XLA is several times slower on the odd size.
    """
    y = fast_conv.correlate(x, kernel, 1, 1)
    top = _along(_reflect(x[:, 1], 1, (1,)), kernel[0])
    bottom = _along(_reflect(x[:, -2], 1, (1,)), kernel[2])
    # The frame's corners went to its rows: the columns have zeros there.
    ends = ((0, 0), (1, 1), (0, 0))
    left = _along(jnp.pad(x[:, :, 1], ends), kernel[:, 0])
    right = _along(jnp.pad(x[:, :, -2], ends), kernel[:, 2])
    y = y.at[:, 0].add(top).at[:, -1].add(bottom)
    return y.at[:, :, 0].add(left).at[:, :, -1].add(right)


def _along(lines, kernel):
    return jax.lax.conv_general_dilated(
        lines, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )


def _one_feature(x, kernel):
    """Convolves to one feature with reflection: every tap's product, then shifts of planes.

    Float32: it is what a depth head ends in, where bfloat16 has steps of 1.5 to 3 % of a depth.
    """
    size = kernel.shape[0]
    _, height, width, _ = x.shape
    planes = jnp.einsum("nhwi,abi->abnhw", x, kernel[..., 0], preferred_element_type=jnp.float32)
    planes = _reflect(planes, size // 2, (3, 4))
    y = sum(
        planes[a, b, :, a : a + height, b : b + width] for a in range(size) for b in range(size)
    )
    return y[..., None]


class Conv(nn.Module):
    """`conv2d` with its parameters: kernel [k, k, C_in, C_out] and, if asked for, bias [C_out].

    Without a bias_init the bias starts as PyTorch's, uniform in +-1/sqrt(fan_in).
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: str = "zero"
    dilation: int = 1
    use_bias: bool = True
    kernel_init: Callable = torch_uniform
    bias_init: Callable | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array | None = None, *, small: jax.Array | None = None) -> jax.Array:
        """Convolves x [N, H, W, C], or small [N, H / 2, W / 2, C'] enlarged twofold, or both.

        Of both, small's channels come first, as if the two were concatenated.
        """
        inputs = [a.astype(self.dtype) for a in (small, x) if a is not None]
        channels = sum(a.shape[-1] for a in inputs)
        shape = (self.size, self.size, channels, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32).astype(self.dtype)
        y: jax.Array | int = 0
        if small is not None:
            y = upsampled_conv2d(inputs[0], kernel[:, :, : small.shape[-1]], padding=self.padding)
        if x is not None:
            kernel = kernel[:, :, channels - x.shape[-1] :]
            y += conv2d(
                inputs[-1],
                kernel,
                stride=self.stride,
                padding=self.padding,
                dilation=self.dilation,
            )
        if self.use_bias:
            bound = 1.0 / math.sqrt(math.prod(shape[:3]))
            start = self.bias_init or _uniform(bound)
            bias = self.param("bias", start, (self.features,), jnp.float32)
            y = plus(cast(jax.Array, y), bias)
        return cast(jax.Array, y)


def _uniform(bound: float) -> Callable:
    def init(key: jax.Array, shape: Sequence[int], dtype: jnp.dtype) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init
