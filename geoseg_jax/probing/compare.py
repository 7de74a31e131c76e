"""Compares probed encoders in pairs: over other pictures, and over other choices of labels."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.analysis import statistics
from geoseg_jax.scoring import resampling
from geoseg_jax.scoring.resampling import averages

METRIC = "miou"


class Scored(NamedTuple):
    """One encoder and probe at one number of labels.

    matrices: int64 [R, N, K, K], by repeat and picture.
    """

    encoder: str
    probe: str
    labels: int
    matrices: np.ndarray


class Units(NamedTuple):
    """What of the pictures is drawn, and swapped: recordings where they are known, or pictures.

    of: [N], the number of each picture's. count: how many there are. what: in words.
    """

    of: np.ndarray
    count: int
    what: str


def units(names: Sequence[str], recordings: Sequence[str]) -> Units:
    """Takes recordings, and pictures of unknown ones; all pictures where that leaves too few."""
    drawn, count = resampling.drawn_with(names, recordings), len(names)
    distinct = sorted(set(drawn))
    if len(distinct) == count:
        return Units(np.arange(count), count, "pictures")
    if len(distinct) < statistics.DRAWN_LEAST:
        return Units(np.arange(count), count, f"pictures of {len(distinct)} recordings")
    of = np.array([distinct.index(name) for name in drawn])
    return Units(of, len(distinct), resampling.what_is_drawn(names, recordings))


def mean_score(matrices: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Computes mIoU of matrices added over pictures, [..., R, K, K], averaged over repeats."""
    return averages(matrices, judged)[METRIC].mean(-1)


def summary(scored: Scored, judged: np.ndarray, drawn: Units) -> dict[str, Any]:
    """Computes the score of an encoder and its intervals.

    Returns:
      'miou', the mean over repeats; 'repeats', how many; 'pictures_low' and 'pictures_high', its
      95 % interval over other judged pictures (or recordings, see Units), within 0 and 1.
    """
    of_units = _by_unit(scored.matrices, drawn)
    middle = float(mean_score(of_units.sum(1), judged))
    low, high = statistics.resampled_interval(middle, _resampled(of_units, judged), drawn.count)
    kept = {"encoder": scored.encoder, "probe": scored.probe, "labels": scored.labels}
    kept |= {"repeats": len(scored.matrices), METRIC: middle}
    return kept | {"pictures_low": max(low, 0.0), "pictures_high": min(high, 1.0)}


def difference(one: Scored, other: Scored, judged: np.ndarray, drawn: Units) -> dict[str, Any]:
    """Computes the paired difference one - other, its intervals and its p.

    Returns:
      'difference'; 'pictures_low' and '_high', a bootstrap over judged pictures; 'choices_low' and
      '_high', Student's interval over repeats (nan for one); 'p', see swap_p.
    """
    pair = [_by_unit(scored.matrices, drawn) for scored in (one, other)]
    middle = float(np.subtract(*(mean_score(m.sum(1), judged) for m in pair)))
    draws = np.subtract(*(_resampled(m, judged) for m in pair))
    low, high = statistics.resampled_interval(middle, draws, drawn.count)
    repeats = np.subtract(*(averages(m.sum(1), judged)[METRIC] for m in pair))
    kept = {"encoder": one.encoder, "reference": other.encoder, "probe": one.probe}
    kept |= {"labels": one.labels, "difference": middle}
    kept |= {"pictures_low": low, "pictures_high": high}
    kept |= dict(zip(("choices_low", "choices_high"), statistics.interval(repeats), strict=True))
    return kept | {"p": swap_p(*pair, judged)}


def corrected(differences: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds 'p_corrected', by Holm over all of them, and 'verdict': better, worse or not shown."""
    p_values = statistics.holm([d["p"] for d in differences])
    return [
        d | {"p_corrected": p, "verdict": _verdict(d, p)}
        for d, p in zip(differences, p_values, strict=True)
    ]


def _verdict(found: Mapping[str, Any], p: float) -> str:
    if not statistics.significant(p):
        return "not shown"
    return "better" if found["difference"] > 0 else "worse"


def swap_p(one: np.ndarray, other: np.ndarray, judged: np.ndarray) -> float:
    """Computes the two-sided p of a difference of mIoU by swapping the encoders unit by unit.

    If both are alike, a picture's two matrices might as well be each other's: of the difference,
    which is none of means over pictures, that is the paired permutation test (approximate
    randomisation: Noreen, 1989; of F scores Yeh, COLING 2000). Up to statistics.EXACT_PAIRS units
    all swaps are made, beyond that statistics.RESAMPLES at random and the observed one.

    Args:
      one, other: [R, U, K, K], by repeat and unit; all repeats of a unit are swapped together.

    Returns:
      p in (0, 1].
    """
    count = one.shape[1]
    if count <= statistics.EXACT_PAIRS:
        bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        generator = np.random.default_rng(0)
        bits = generator.integers(0, 2, (statistics.RESAMPLES + 1, count))
        bits[0] = 0
    found = np.empty(len(bits))
    total, gap = one.sum(1), (other - one).astype(np.float64)
    for start in range(0, len(bits), 500):
        moved = np.einsum("bu,ruij->brij", bits[start : start + 500].astype(float), gap)
        first = mean_score(total + moved, judged)
        second = mean_score(other.sum(1) - moved, judged)
        found[start : start + 500] = first - second
    return float(np.mean(np.abs(found) >= abs(found[0]) - 1e-12))


def _by_unit(matrices: np.ndarray, drawn: Units) -> np.ndarray:
    """Adds up pictures of a unit: [R, N, K, K] -> [R, U, K, K]."""
    summed = np.zeros((len(matrices), drawn.count, *matrices.shape[2:]), np.int64)
    np.add.at(summed, (slice(None), drawn.of), matrices)
    return summed


def _resampled(matrices: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Scores bootstrap resamples of the units of [R, U, K, K], the same for every encoder."""
    count = matrices.shape[1]
    times = resampling.draw_times(count)
    parts = [
        mean_score(np.einsum("bu,ruij->brij", part.astype(float), matrices.astype(float)), judged)
        for part in np.array_split(times, 10)
    ]
    return np.concatenate(parts)
