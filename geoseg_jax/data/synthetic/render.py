"""A picture of a scene: rays are traced several to a pixel, but shaded once where they agree."""

import itertools

import numpy as np

from geoseg_jax.data.synthetic.raycast import Hits, View, gather, pose, trace_grid
from geoseg_jax.data.synthetic.scene import Scene
from geoseg_jax.data.synthetic.shade import Samples, sky_color, surface_color


def _samples(hits: Hits, x: np.ndarray, y: np.ndarray, side: int) -> tuple[Samples, np.ndarray]:
    """Returns the samples to shade, and which pixels (flat, bool) are uniform.

    First come the uniform pixels, where all rays hit one primitive: one sample each, at the
    centre. Textures are filtered over a sample's footprint, so more would only repeat it. Then come
    the others with all their rays, those of a pixel side by side.
    """
    height, width = len(y) // side, len(x) // side
    first = hits.index[::side, ::side]
    uniform = np.ones((height, width), bool)
    for a, b in itertools.product(range(side), repeat=2):
        uniform &= hits.index[a::side, b::side] == first
    uniform = uniform.reshape(-1)
    one, many = np.flatnonzero(uniform), np.flatnonzero(~uniform)
    # All rays of the first kind of pixels as [rays, pixels], of the second as [pixels, rays].
    corner = np.arange(height)[:, None] * (side * side * width) + np.arange(width) * side
    corner = corner.reshape(-1)
    steps = (np.arange(side)[:, None] * (side * width) + np.arange(side)).reshape(-1)
    rays = (corner[many][:, None] + steps).reshape(-1)
    # On a plane 1 / depth is linear in the pixel, so that its mean is that of the centre.
    inverse = sum(1 / gather(hits.depth, corner[one] + step) for step in steps)
    row = rays // (side * width)
    samples = Samples(
        x=np.concatenate([(one % width).astype(np.float32), gather(x, rays - row * side * width)]),
        y=np.concatenate([(one // width).astype(np.float32), gather(y, row)]),
        index=np.concatenate([gather(hits.index, corner[one]), gather(hits.index, rays)]),
        depth=np.concatenate([(side * side) / inverse, gather(hits.depth, rays)]),
        spacing=np.repeat(np.float32([1, 1 / side]), [one.size, rays.size]),
    )
    return samples, uniform


def render(scene: Scene, view: View, samples: int = 2) -> np.ndarray:
    """Returns the picture, uint8 [H, W, 3], the mean of samples x samples rays in each pixel."""
    spots = (np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5
    x = (np.arange(view.width, dtype=np.float32)[:, None] + spots).ravel()
    y = (np.arange(view.height, dtype=np.float32)[:, None] + spots).ravel()
    posed = pose(scene, view)
    with np.errstate(divide="ignore"):  # the sky is at depth inf
        chosen, uniform = _samples(trace_grid(scene, posed, x, y), x, y, samples)
    color = np.empty((chosen.x.size, 3), np.float32)
    hit, missed = np.flatnonzero(chosen.index >= 0), np.flatnonzero(chosen.index < 0)
    if hit.size:
        color[hit] = surface_color(scene, view, posed, Samples(*(gather(v, hit) for v in chosen)))
    if missed.size:
        spots = gather(chosen.x, missed), gather(chosen.y, missed)
        color[missed] = sky_color(scene.sky, view, *spots)
    color = np.clip(color, 0, 1) * 255
    picture = np.empty((view.height * view.width, 3), np.float32)
    single = int(uniform.sum())
    picture[uniform] = color[:single]
    picture[~uniform] = color[single:].reshape(-1, samples * samples, 3).mean(1)
    return np.round(picture).astype(np.uint8).reshape(view.height, view.width, 3)
