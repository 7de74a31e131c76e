"""Which pictures train a probe and which judge it: every picture judges once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.labels.subsets import choose
from geoseg_jax.data.name_splits import deal, original
from geoseg_jax.data.source import DataError

INNER = 4  # a fourth of the pictures that train chooses settings
LEAST = 2  # pictures that train: one of them chooses settings


class Cell(NamedTuple):
    """One fit: which pictures train, which choose its settings first, and which it judges.

    labels: how many pictures train, 0 for all that don't judge. inner: of `train`, to fit on, and
    to choose on. All are indices of pictures.
    """

    labels: int
    repeat: int
    fold: int
    train: np.ndarray
    inner: tuple[np.ndarray, np.ndarray]
    judged: np.ndarray


def cells(
    names: Sequence[str], recordings: Sequence[str], labels: Sequence[int], folds: int, repeats: int
) -> Iterator[Cell]:
    """Lists the fits, those of one number of labels and one repeat together.

    Args:
      names: of the pictures, each once.
      recordings: of each the recording, '' where unknown.
      labels: how many pictures train; 0 for all that don't judge, which is done once.
      folds: at most; fewer where there are fewer recordings.
      repeats: of fewer than all, each with another choice of them.

    Raises:
      DataError: where fewer pictures are left to train on than asked for.
    """
    parted = assign(names, recordings, folds)
    for count in labels:
        for repeat in range(repeats if count else 1):
            for fold in range(parted.max() + 1):
                yield _cell(names, recordings, parted == fold, fold, count, repeat)


def _cell(
    names: Sequence[str],
    recordings: Sequence[str],
    judged: np.ndarray,
    fold: int,
    count: int,
    repeat: int,
) -> Cell:
    pool = np.flatnonzero(~judged)
    if not LEAST <= (count or len(pool)) <= len(pool):
        raise DataError(
            f"--labels={count}: in one of the folds {len(pool)} pictures are left to train on; "
            f"ask for {LEAST} to {len(pool)}, or 0 = all"
        )
    train = pool[list(choose([names[i] for i in pool], count, repeat))] if count else pool
    own = [names[i] for i in train], [recordings[i] for i in train]
    held_out = assign(*own, INNER) == 0
    if held_out.all():  # versions of one picture alone, which can't be kept together
        held_out = np.arange(len(train)) % INNER == 0
    inner = train[~held_out], train[held_out]
    return Cell(count, repeat, fold, train, inner, np.flatnonzero(judged))


def assign(names: Sequence[str], recordings: Sequence[str], folds: int) -> np.ndarray:
    """Gives each picture a fold, [N] from 0 on; no recording is in two of them.

    See name_splits.deal. Where no recording is known, or all are one, the names in order are cut
    into blocks, since neighbours may be frames of one video; versions of one picture stay together.
    """
    pictures = [original(name) for name in names]
    own = [
        f"recording {r}" if r else f"picture {p}" for p, r in zip(pictures, recordings, strict=True)
    ]
    if not any(recordings) or len(set(own)) < 2:
        _, place = np.unique(pictures, return_inverse=True)
        count = place.max() + 1
        return place * min(folds, count) // count
    return np.array(deal(names, recordings, min(folds, len(set(own)))))
