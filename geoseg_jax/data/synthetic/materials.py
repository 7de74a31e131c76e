"""Patterns on surfaces: how much of a material's accent colour shows, and how bright it is.

Each pattern maps a Patch, the surface samples of all primitives that wear it, to (accent share,
brightness), both [n]. Coordinates are metres on the surface: on upright faces u runs along the face
from its edge and v is the height above its foot; on level ones u is local x and v local z. So a
texture sticks to its object, moving or not.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.synthetic.noise import cell_hash, pulse, step, value_noise
from geoseg_jax.data.synthetic.scene import PATTERN_NAMES


class Patch(NamedTuple):
    """n surface samples: coordinates and footprints in metres, periods, and the face's extent."""

    u: np.ndarray
    v: np.ndarray
    footprint_u: np.ndarray
    footprint_v: np.ndarray
    size_u: np.ndarray
    size_v: np.ndarray
    width: np.ndarray  # of the face along u, metres
    height: np.ndarray  # along v
    upright: np.ndarray  # bool: the face's normal is nearer to level than to plumb
    seed: np.ndarray  # int, of the primitive


Look = tuple[np.ndarray, np.ndarray]


def _line(x: np.ndarray, period: np.ndarray, width: float, footprint: np.ndarray) -> np.ndarray:
    """Draws lines of `width` metres, centred on multiples of the period."""
    share = width / period
    return pulse(x / period + share / 2, share, footprint / period)


def _calm(footprint: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Fades from 1 to 0 where cells of this period get too small to tell apart."""
    return np.clip(1.6 - 2 * footprint / period, 0, 1)


def _cells(patch: Patch, i: np.ndarray, j: np.ndarray, spread: float) -> np.ndarray:
    """Returns a random brightness round 1 for each cell."""
    calm = np.minimum(
        _calm(patch.footprint_u, patch.size_u), _calm(patch.footprint_v, patch.size_v)
    )
    return 1 + spread * calm * (cell_hash(i + 7 * patch.seed, j + 3 * patch.seed) - 0.5)


def plain(patch: Patch) -> Look:
    """Paints one colour all over."""
    return np.zeros_like(patch.u), np.ones_like(patch.u)


def road(patch: Patch) -> Look:
    """Paints asphalt with a dashed centre line, solid edge lines and worn wheel tracks.

    `size` is (lanes' total width, dash period); width is the road's.
    """
    middle = patch.u - patch.width / 2
    line = 0.07
    edge = patch.size_u / 2

    def stripe(x: np.ndarray) -> np.ndarray:
        return step(x + line, patch.footprint_u) - step(x - line, patch.footprint_u)

    dashes = pulse(patch.v / patch.size_v, 0.4, patch.footprint_v / patch.size_v)
    marks = stripe(middle) * dashes + stripe(middle - edge) + stripe(middle + edge)
    tracks = np.cos(middle * (4 * np.pi / np.maximum(edge, 1)))
    return 0.85 * np.clip(marks, 0, 1), 1 + 0.06 * tracks


def tiles(patch: Patch) -> Look:
    """Paints slabs with joints in the accent colour."""
    joints_u = _line(patch.u, patch.size_u, 0.03, patch.footprint_u)
    joints_v = _line(patch.v, patch.size_v, 0.03, patch.footprint_v)
    i, j = np.floor(patch.u / patch.size_u), np.floor(patch.v / patch.size_v)
    return np.maximum(joints_u, joints_v), _cells(patch, i, j, 0.35)


def checks(patch: Patch) -> Look:
    """Returns a chessboard, faded to its mean where it is too fine to see."""
    i, j = np.floor(patch.u / patch.size_u), np.floor(patch.v / patch.size_v)
    a = 2 * pulse(patch.u / patch.size_u / 2, 0.5, patch.footprint_u / patch.size_u / 2) - 1
    b = 2 * pulse(patch.v / patch.size_v / 2, 0.5, patch.footprint_v / patch.size_v / 2) - 1
    return 0.5 + 0.5 * a * b, _cells(patch, i, j, 0.2)


def stripes(patch: Patch) -> Look:
    """Paints bands across u, half of each period in the accent colour."""
    share = pulse(patch.u / patch.size_u, 0.5, patch.footprint_u / patch.size_u)
    return share, np.ones_like(share)


def bricks(patch: Patch) -> Look:
    """Paints courses shifted by half a brick, mortar in the accent colour."""
    row = np.floor(patch.v / patch.size_v)
    shifted = patch.u / patch.size_u + 0.5 * (row % 2)
    mortar = np.maximum(
        _line(shifted * patch.size_u, patch.size_u, 0.02, patch.footprint_u),
        _line(patch.v, patch.size_v, 0.02, patch.footprint_v),
    )
    return mortar * 0.8, _cells(patch, np.floor(shifted), row, 0.6)


def planks(patch: Patch) -> Look:
    """Paints boards along v with dark seams and grain."""
    board = np.floor(patch.u / patch.size_u)
    shift = cell_hash(board, board + 5 * patch.seed) * patch.size_v
    along = (patch.v + shift) / patch.size_v
    seams = _line(patch.u, patch.size_u, 0.012, patch.footprint_u)
    ends = _line(along * patch.size_v, patch.size_v, 0.012, patch.footprint_v)
    grain = 1 + 0.12 * _rough(patch, 25.0, 3.0) * _calm(patch.footprint_u, np.float32(0.08))
    return 0.8 * np.maximum(seams, ends), grain * _cells(patch, board, np.floor(along), 0.55)


def _rough(patch: Patch, per_u: float, per_v: float) -> np.ndarray:
    return value_noise(patch.u * per_u, patch.v * per_v + 3.3 * patch.seed)


def facade(patch: Patch) -> Look:
    """Paints windows (accent) with sills in bays and storeys of `size`, a taller ground floor."""
    bay, storey = patch.size_u, patch.size_v
    column, row = np.floor(patch.u / bay), np.floor(patch.v / storey)
    ground = row < 1
    wide = np.where(ground, 0.74, 0.5)
    tall = np.where(ground, 0.74, 0.56)
    u = patch.u / bay - 0.5 + wide / 2
    v = patch.v / storey - np.where(ground, 0.08, 0.27)
    pane = pulse(u, wide, patch.footprint_u / bay) * pulse(v, tall, patch.footprint_v / storey)
    bars = _line(patch.u - bay / 2, bay, 0.08, patch.footprint_u)
    frame = pulse(u + 0.05, wide + 0.1, patch.footprint_u / bay) * pulse(
        v + 0.06, tall + 0.1, patch.footprint_v / storey
    )
    lit = _cells(patch, column, row, 0.9)
    whole = (patch.u < np.floor(patch.width / bay) * bay) & patch.upright
    pane = np.where(whole, pane * (1 - 0.7 * bars), 0)
    frame = np.where(whole, frame, 0)
    courses = 1 - 0.18 * _line(patch.v, storey, 0.22, patch.footprint_v) * patch.upright
    wall = courses * (1 + 0.28 * np.clip(frame - pane, 0, 1))
    return pane, np.where(pane > 0.5, lit, wall)


def leaves(patch: Patch) -> Look:
    """Paints clumps of light and dark."""
    clumps = 0.5 + 0.9 * _rough(patch, 1.6, 1.6)
    return np.clip(clumps, 0, 1), np.ones_like(clumps)


def blobs(patch: Patch) -> Look:
    """Paints large soft shapes inside a plain frame of a tenth of the height."""
    shapes = _rough(patch, 3.0, 3.0) + 0.6 * _rough(patch, 8.0, 8.0)
    border = np.minimum(patch.width, patch.height) * 0.1
    inside = (np.abs(patch.u - patch.width / 2) < patch.width / 2 - border) & (
        np.abs(patch.v - patch.height / 2) < patch.height / 2 - border
    )
    return np.where(inside, np.clip(0.5 + 1.5 * shapes, 0, 1), 0), np.where(inside, 1, 0.55)


def panes(patch: Patch) -> Look:
    """Returns a window: `size` panes in a frame of the base colour, a pale view (accent) behind."""
    frame = np.maximum(
        _line(patch.u, patch.size_u, 0.09, patch.footprint_u),
        _line(patch.v, patch.size_v, 0.09, patch.footprint_v),
    )
    view = 1.05 - 0.25 * np.clip(0.5 + 1.5 * _rough(patch, 2.2, 2.2), 0, 1)
    skyline = patch.v / patch.height < 0.35 + 0.15 * _rough(patch, 3.0, 0.0)
    return 1 - frame, np.where(frame > 0.5, 1, np.where(skyline, 0.55, view))


def books(patch: Patch) -> Look:
    """Paints shelves of spines: `size` is (a book's width, a shelf's height)."""
    shelf, book = np.floor(patch.v / patch.size_v), np.floor(patch.u / patch.size_u)
    rise = patch.v / patch.size_v - shelf
    height = 0.55 + 0.35 * cell_hash(book, shelf + 11 * patch.seed)
    board = _line(patch.v, patch.size_v, 0.05, patch.footprint_v)
    tint = cell_hash(book + 3, shelf + 5 * patch.seed)
    spine = np.where(rise < height, tint, 0)
    shade = np.where(rise < height, 0.6 + 0.7 * cell_hash(book, shelf + 50), 0.35)
    calm = _calm(patch.footprint_u, patch.size_u)
    spine, shade = 0.5 + calm * (spine - 0.5), 0.8 + calm * (shade - 0.8)
    front = patch.upright & (board < 0.5)
    return np.where(front, spine, 0), np.where(front, shade, 1)


def glass(patch: Patch) -> Look:
    """Returns a car's windows (accent) between pillars, under a painted roof."""
    pillars = _line(patch.u - patch.width / 2, patch.width * 0.5, 0.12, patch.footprint_u)
    band = step(patch.v - 0.06, patch.footprint_v) * step(
        patch.height - 0.1 - patch.v, patch.footprint_v
    )
    pane = np.where(patch.upright, (1 - 0.9 * pillars) * band, 0)
    sheen = 1 + 0.5 * (patch.v / np.maximum(patch.height, 0.1)) * (pane > 0.5)
    return pane, sheen


def panel(patch: Patch) -> Look:
    """Paints doors and drawers: raised rectangles of `size`, joints in the accent colour."""
    joint = np.maximum(
        _line(patch.u, patch.size_u, 0.02, patch.footprint_u),
        _line(patch.v, patch.size_v, 0.02, patch.footprint_v),
    )
    inner = pulse(patch.u / patch.size_u - 0.12, 0.76, patch.footprint_u / patch.size_u) * pulse(
        patch.v / patch.size_v - 0.1, 0.8, patch.footprint_v / patch.size_v
    )
    return np.where(patch.upright, joint, 0), np.where(patch.upright, 0.9 + 0.13 * inner, 1)


PATTERNS: tuple[Callable[[Patch], Look], ...] = tuple(globals()[name] for name in PATTERN_NAMES)
