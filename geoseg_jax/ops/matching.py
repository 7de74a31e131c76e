"""Which pixel of another picture looks most like each pixel of this one, wherever it lies.

A photometric loss leads downhill, as far as pictures look alike along the way; a search has no way.
Brox and Malik, "Large Displacement Optical Flow: Descriptor Matching in Variational Motion
Estimation", PAMI 2011, add such matches to an energy of that kind for the same reason.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from geoseg_jax.ops.sampling import pixel_grid

# Grey values, in [0, 1], that count as noise: where nothing but noise varies, all looks alike.
_NOISE = 0.02
# The correlation from which on two windows look alike; and how much one may look like another of
# its own picture that lies further away than this along either axis: of a pattern, or of an edge,
# it could be any part.
_ALIKE, _LIKE, _NEARBY = 0.7, 0.9, 2.0
# The least that grey values, in [0, 1], change from pixel to pixel in whatever direction.
_SLOPE = 0.03
# Matches that lie this far apart, in pixels, belong together; and how many of a pixel's eight
# neighbours must have such a one for it to be trusted.
_APART, _FELLOWS = 2.0, 4


def trusted_matches(
    first: jax.Array,
    second: jax.Array,
    *,
    patch: int = 5,
    zooms: Sequence[float] = (1.0, 0.85, 0.7, 0.6),
    tolerance: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """Flow by exhaustive search, and where to trust it.

    Every pixel is compared with every pixel of the other picture, by normalised correlation of the
    windows around them (each channel less its mean). The other picture is also seen reduced: what
    comes nearer looks the same there. Memory is for one row of pixels at a time, under vmap for one
    of each example. A pattern whose period is no whole number of pixels can deceive it.

    Args:
      first: [H, W, C] in [0, 1]; small pictures, as the work grows with (H W)^2.
      second: the same shape.
      patch: side of the windows, odd; beyond the border the border's pixels go on.
      zooms: how large the second picture is seen, each in (0, 1].
      tolerance: how far from where it started, in pixels, the best match of a pixel's best match
        may lie.

    Returns:
      [H, W, 2] flow from the first to the second in pixels, without gradient; and where to trust
      it, bool [H, W]: the window changes in all directions and looks like no other of its own
      picture but like the match, which leads back to where it started, and half of those around do
      so too and lie next to it.

    Raises:
      ValueError: where the shapes differ, on an even patch, or on zooms out of range.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(
            f"pictures have shapes {list(first.shape)} and {list(second.shape)}; expected twice "
            "the same [H, W, C]"
        )
    if patch < 1 or patch % 2 == 0 or not zooms or not all(0 < zoom <= 1 for zoom in zooms):
        raise ValueError(
            f"patch={patch}, zooms={tuple(zooms)}: use an odd patch, and zooms above 0 up to 1"
        )
    height, width, channels = first.shape
    first, second = lax.stop_gradient((first, second))
    size = patch * patch * channels
    own = _descriptors(first, patch)
    # Of all zooms, one after the other: descriptors [N, size] and places in the second picture.
    seen = [_reduced(second, zoom) for zoom in zooms]
    others = jnp.concatenate([_descriptors(x, patch).reshape(-1, size) for x in seen])
    places = jnp.concatenate([_places(x, height, width) for x in seen])
    grid = pixel_grid(height, width)
    flat, where = own.reshape(-1, size), grid.reshape(-1, 2)

    def row(descriptors: jax.Array, start: jax.Array):
        best, score = _most_like(descriptors, others)
        back, _ = _most_like(others[best], flat)
        elsewhere = jnp.abs(where - start[:, None]).max(axis=-1) > _NEARBY
        _, likeness = _most_like(descriptors, flat, elsewhere)
        # Of low contrast, a window is less like itself than 1, and so are its copies.
        itself = jnp.sum(descriptors**2, axis=-1)
        return places[best], where[back], (score > _ALIKE) & (likeness < _LIKE * itself)

    end, returned, sure = lax.map(lambda x: row(*x), (own, grid))
    flow = end - grid
    good = sure & (_least_slope(first, patch) > _SLOPE)
    good &= jnp.abs(returned - grid).max(axis=-1) <= tolerance
    return flow, good & _has_fellows(flow, good)


def filled_from_reverse(
    flow: jax.Array, trusted: jax.Array, reverse: jax.Array, reverse_trusted: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Where a search found nothing, what the search from the other picture says of that pixel.

    Things that grow are found by reducing the picture that they lead to, things that shrink by
    reducing the one they come from: either search finds what the other can't.

    Args:
      flow, trusted: [H, W, 2] and bool [H, W], see trusted_matches.
      reverse, reverse_trusted: the same from the second picture to the first.

    Returns:
      The same as the first two.
    """
    height, width = trusted.shape
    end = jnp.round(pixel_grid(height, width) + reverse).astype(jnp.int32)
    x, y = end[..., 0], end[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & reverse_trusted
    target = jnp.where(inside, y * width + x, height * width)
    # The last one, where several lead to a pixel: the same at every run, on whatever device.
    source = (
        jnp.full(height * width, -1).at[target.ravel()].max(jnp.arange(height * width), mode="drop")
    )
    source = source.reshape(height, width)
    told = -reverse.reshape(-1, 2)[source]
    return jnp.where(trusted[..., None], flow, told), trusted | (source >= 0)


def _most_like(
    some: jax.Array, others: jax.Array, among: jax.Array | bool = True
) -> tuple[jax.Array, jax.Array]:
    """For each of [n, size] the first of [N, size] with the largest product: index and product.

    among: bool [n, N], which to look at. The index comes from a second pass over the products, of
    which a CPU does many at a time, unlike argmax.
    """
    scores = jnp.matmul(some, others.T, precision=lax.Precision.HIGHEST)
    scores = jnp.where(among, scores, -jnp.inf)
    index = lax.broadcasted_iota(jnp.int32, scores.shape, 1)
    top = scores.max(axis=1, keepdims=True)
    return jnp.where(scores >= top, index, len(others) - 1).min(axis=1), top[:, 0]


def _reduced(picture: jax.Array, zoom: float) -> jax.Array:
    height, width, channels = picture.shape
    if zoom == 1:
        return picture
    shape = (max(round(zoom * height), 1), max(round(zoom * width), 1), channels)
    return jax.image.resize(picture, shape, "linear")


def _places(picture: jax.Array, height: int, width: int) -> jax.Array:
    """Where the pixels of a reduced picture lie in the whole one, [N, 2]."""
    ratio = jnp.asarray([width / picture.shape[1], height / picture.shape[0]])
    return ((pixel_grid(*picture.shape[:2]) + 0.5) * ratio - 0.5).reshape(-1, 2)


def _descriptors(picture: jax.Array, patch: int) -> jax.Array:
    """[H, W, C] -> [H, W, patch^2 C], all but unit length where there is anything to see."""
    height, width, channels = picture.shape
    margin = patch // 2
    padded = jnp.pad(picture, [(margin, margin), (margin, margin), (0, 0)], mode="edge")
    windows = jnp.stack(
        [padded[y : y + height, x : x + width] for y in range(patch) for x in range(patch)], axis=2
    )
    centred = (windows - windows.mean(axis=2, keepdims=True)).reshape(height, width, -1)
    power = jnp.sum(centred**2, axis=-1, keepdims=True)
    return centred * lax.rsqrt(power + _NOISE**2 * patch * patch * channels)


def _least_slope(picture: jax.Array, patch: int) -> jax.Array:
    """How much a picture changes within each window in the direction in which it changes least.

    [H, W, C] -> [H, W], the root of the structure tensor's smaller eigenvalue (Shi and Tomasi,
    "Good Features to Track", CVPR 1994), of the mean over channels.
    """
    grey = picture.mean(axis=-1)
    y, x = jnp.gradient(grey)
    margin = patch // 2

    def window(values: jax.Array) -> jax.Array:
        padded = jnp.pad(values, margin, mode="edge")
        total = lax.reduce_window(padded, 0.0, lax.add, (patch, patch), (1, 1), "valid")
        return total / patch**2

    xx, yy, xy = window(x * x), window(y * y), window(x * y)
    least = (xx + yy - jnp.sqrt((xx - yy) ** 2 + 4 * xy**2)) / 2
    return jnp.sqrt(jnp.maximum(least, 0))


def _has_fellows(flow: jax.Array, good: jax.Array) -> jax.Array:
    height, width = good.shape
    flows = jnp.pad(flow, [(1, 1), (1, 1), (0, 0)])
    known = jnp.pad(good, 1)
    fellows = 0
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                window = slice(y, y + height), slice(x, x + width)
                near = jnp.abs(flows[window] - flow).max(axis=-1) <= _APART
                fellows += near & known[window]
    return fellows >= _FELLOWS
