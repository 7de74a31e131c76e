"""Estimates by resampling how a cell would score on other pictures like those that judged it.

All cells of a study get the same draws, so that differences between them are paired. Where each
replicate is judged on pictures of its own, as on a fold of them, a fold alone has too few to draw
from: the matrices of an arm's replicates are added up first, as if one run had judged them all.
"""

import pathlib
from collections.abc import Container, Hashable, Mapping
from typing import NamedTuple

import numpy as np

from geoseg_jax.scoring.resampling import (
    METRICS,
    RESAMPLES,
    draw_times,
    drawn_with,
    rescored,
    what_is_drawn,
)
from geoseg_jax.training import judged
from geoseg_jax.training.judged import Judged


class Resampled(NamedTuple):
    """Scores on resamples of the judged pictures.

    scores: cell -> [R], the same for cells that were pooled. count: of what was drawn. what:
    'pictures', 'recordings', or 'recordings (pictures where unknown)'. pictures: that judged, each
    once. pooled: whether any cells were.
    """

    scores: Mapping[str, np.ndarray]
    count: int
    what: str
    pictures: int
    pooled: bool


def resample(
    folders: Mapping[str, pathlib.Path],
    metric: str,
    pools: Mapping[str, Hashable] | None = None,
    alone: Container[str] = (),
    draws: int = RESAMPLES,
    seed: int = 0,
) -> Resampled | None:
    """Scores cells on bootstrap resamples of their judged pictures.

    Args:
      folders: cell -> its workdir; those without matrices of their pictures are passed over.
      metric: one of METRICS, from added-up matrices.
      pools: cell -> what it has in common with its other replicates, with which it is pooled where
        they were judged on folds; none are without it.
      alone: cells that can't be pooled, and are not scored where they would have to be.
      draws: R, how many.

    Returns:
      None where no cell has matrices, or the metric is none of METRICS.
    """
    # Without the matrices, which are large: those of one pool at a time are read again below.
    names = {cell: kept[:2] for cell, folder in folders.items() if (kept := judged.read(folder))}
    parts = _pools({cell: pictures for cell, (pictures, _) in names.items()}, pools or {}, alone)
    if not parts or metric not in METRICS:
        return None
    scored_at_all = [names[cell] for cells in parts for cell in cells]
    named = [np.concatenate(of) for of in zip(*scored_at_all, strict=True)]
    place = {name: i for i, name in enumerate(sorted(set(drawn_with(*named))))}
    times = draw_times(len(place), draws, seed)
    scores = {}
    for cells in parts:
        kept = _together([kept for cell in cells if (kept := judged.read(folders[cell]))])
        columns = [place[name] for name in drawn_with(kept.pictures, kept.recordings)]
        scored = rescored(times[:, columns], kept.matrices, kept.classes)[metric]
        scores |= dict.fromkeys(cells, scored)
    pooled = any(len(cells) > 1 for cells in parts)
    return Resampled(scores, len(place), what_is_drawn(*named), len(set(named[0])), pooled)


def _pools(
    pictures: Mapping[str, np.ndarray], pools: Mapping[str, Hashable], alone: Container[str]
) -> list[tuple[str, ...]]:
    """Lists cells that are scored together: those that were judged on folds, no picture twice."""
    members: dict[Hashable, list[str]] = {}
    for cell in pictures:
        members.setdefault(pools.get(cell, cell), []).append(cell)
    parts = []
    for cells in members.values():
        kinds = {tuple(pictures[cell]) for cell in cells}
        apart = len(kinds) > 1 and sum(map(len, kinds)) == len(set().union(*kinds))
        joined = [tuple(cell for cell in cells if cell not in alone)]
        parts += joined if apart else [(cell,) for cell in cells]
    return [cells for cells in parts if cells]


def _together(kept: list[Judged]) -> Judged:
    """Joins judgements by the same classes, one behind the other."""
    arrays = zip(*(k[:3] for k in kept), strict=True)
    return kept[0] if len(kept) == 1 else Judged(*map(np.concatenate, arrays), kept[0].classes)
