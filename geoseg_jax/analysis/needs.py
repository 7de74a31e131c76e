"""Finds how many labels and steps an arm needs for a score, as a multiple of the reference's.

The score is the lower of the two that the arm and its pair end with, so that both reach it and
neither is favoured: asking for the score that the reference ends with, an arm that is no better
seems to need less as soon as chance lifts its end, and more than a part of studies says so. Curves
are made to rise first (statistics.rising): the first place at which a noisy curve is above a score
is the luckiest of many, and too early.

Each unit gives one number, the logarithm to base 2 of what the arm needs over what the reference
needs. Under no difference it is symmetric about 0, so that the t interval and the exact permutation
test of `comparisons` hold. Less is said to be needed only where p, corrected by Holm for all that
is asked at once, is at most 0.05 and the interval excludes 1.
"""

import functools
import math
import statistics as plain
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from geoseg_jax.analysis import statistics
from geoseg_jax.analysis.comparisons import check
from geoseg_jax.analysis.units import CONDITION, Replicate, Row, Units, mean, scores, tables, units

Curve = list[tuple[float, float]]


class _Pair(NamedTuple):
    """log2 of what the arm needs over what the other does; nan where one never gets there.

    early, other_early: whether it is there at the first place of its curve already, or before.
    """

    octaves: float
    early: bool = False
    other_early: bool = False


def labels(rows: Sequence[Row], reference: str, metric: str = "miou") -> list[dict[str, Any]]:
    """Finds how many labels each arm needs beside the reference, on a line over log2(labels).

    Returns:
      dicts with CONDITION without labels, 'arm', 'labels_tried' (the most that both have), 'sign'
      ('≤' or '≥' where the ratio is a bound), and 'ratio', 'ratio_low', 'ratio_high', 'units',
      'units_missing', 'p', 'p_corrected' and 'shown'; for conditions with two or more numbers of
      labels and all arms but the reference. Labels of 0, all there are, count as the rows'
      'labelled', and are left out where no row has it. Nothing where it can't be asked: the
      reference has a better score with fewer labels, or other pictures judge these.

    Raises:
      ValueError: as comparisons.groups.
    """
    check(rows, [reference], metric)
    independent = units(rows)
    curves: dict[tuple, dict[str, dict[int, dict]]] = {}
    planned: dict[tuple, set[Replicate]] = {}  # units, by all but the labels and by arm
    judged: dict[tuple, dict[Replicate, set]] = {}  # replicates may be judged on folds
    # Those of all labels last: where a subset has as many, the subsets count.
    for (place, arm), cells in sorted(tables(rows).items(), key=lambda item: item[0][0][0] == 0):
        count, rest = place[0] or _all_labels(cells), place[1:]
        for replicate, row in cells.items():
            on = judged.setdefault(rest, {}).setdefault(replicate, set())
            on.update([row["judged"]] if "judged" in row else [])
        if count > 0:
            by_unit = independent.average_whole(scores(cells, metric), cells)
            planned.setdefault((*rest, arm), set()).update(independent.of[r] for r in cells)
            curves.setdefault(rest, {}).setdefault(arm, {}).setdefault(count, by_unit)
    needs = []
    for rest, by_arm in curves.items():
        own = by_arm.get(reference, {})
        if any(len(on) > 1 for on in judged[rest].values()) or not _helps(own):
            continue
        for arm in by_arm:
            tried = sorted(by_arm[arm].keys() & own.keys())
            if arm == reference or len(tried) < 2:
                continue
            pairs = {u: _of_unit(by_arm[arm], own, tried, u) for u in planned[*rest, arm]}
            need = dict(zip(CONDITION[1:], rest, strict=True)) | {"arm": arm}
            need |= {"labels_tried": tried[-1], "sign": _sign(pairs.values())}
            needs.append(need | _ratio({u: pair.octaves for u, pair in pairs.items()}))
    return _shown(needs)


def _helps(curve: Mapping[int, Mapping[Any, float]]) -> bool:
    """Tells whether the most labels give the best score."""
    means = {count: mean(of.values()) for count, of in curve.items() if of}
    return len(means) > 1 and means[max(means)] == max(means.values())


def _of_unit(arm: Mapping, other: Mapping, tried: Sequence[int], unit: Any) -> _Pair:
    """Compares the needs of two arms in a unit, which must have every number of labels in both."""
    first, second = (
        statistics.rising((math.log2(n), of[n].get(unit, math.nan)) for n in tried)
        for of in (arm, other)
    )
    if len(first) < len(tried) or len(second) < len(tried):
        return _Pair(math.nan)
    return _pair(first, second, _lower_end(first, second), lambda log2: log2)


def _all_labels(cells: Mapping[Replicate, Row]) -> int:
    """Counts them; 0 where no run has told."""
    return int(max((row.get("labelled") or 0 for row in cells.values()), default=0))


def steps(
    rows: Sequence[Row], reference: str, metric: str = "miou", goal: float | None = None
) -> dict[tuple[tuple, str], dict[str, Any]]:
    """Finds how many steps each arm needs in each condition, beside the reference.

    Args:
      rows: those with a 'curve' are asked.
      goal: a score, where it is asked how long it takes to get there.

    Returns:
      (condition, arm) -> 'steps', the same of the steps to the score that both the run
      and the reference's in its pair come to, or None where no pair has both curves; and
      'steps_to_goal', the median over runs of the steps to `goal`, None where half or more never
      get there, with 'goal', the same of it where all pairs get there, else None.
    """
    check(rows, [reference], metric)
    independent, curves, planned = units(rows), _curves(rows), tables(rows)
    needs = {}
    for (place, arm), own in curves.items():
        paired = _paired(curves, place, arm, reference)
        both = {r: _pair(*pair, _lower_end(*pair), _log_steps) for r, pair in paired.items()}
        whole = functools.partial(_of_pairs, planned=planned[place, arm], independent=independent)
        need = {"steps": whole(both), "steps_to_goal": None, "goal": None}
        if goal is not None:
            ends = [statistics.reached(curve, goal) for curve in own.values()]
            middle = plain.median([math.inf if e is None else e for e in ends] or [math.inf])
            there = {r: _pair(*pair, goal, _log_steps) for r, pair in paired.items()}
            all_there = not any(math.isnan(pair.octaves) for pair in there.values())
            need["steps_to_goal"] = middle if math.isfinite(middle) else None
            need["goal"] = whole(there) if all_there else None
        needs[place, arm] = need
    for name in ("steps", "goal"):
        asked = [need for need in needs.values() if need[name]]
        for need, ratio in zip(asked, _shown([n[name] for n in asked]), strict=True):
            need[name] = ratio
    return needs


def steps_overall(
    rows: Sequence[Row], reference: str, metric: str = "miou"
) -> list[dict[str, Any]]:
    """Averages 'steps' of `steps` over all conditions: the octaves of each whole unit.

    Returns:
      dicts with 'arm' and what `steps` says; of arms that have curves beside the reference's. A
      family of their own, of one comparison for each arm.
    """
    check(rows, [reference], metric)
    independent, curves, planned = units(rows), _curves(rows), tables(rows)
    by_arm: dict[str, dict[tuple, dict[Replicate, _Pair]]] = {}
    for place, arm in curves:
        other = curves.get((place, reference))
        if arm != reference and other is not None and (curves[place, arm] or other):
            paired = _paired(curves, place, arm, reference)
            pairs = {r: _pair(*pair, _lower_end(*pair), _log_steps) for r, pair in paired.items()}
            by_arm.setdefault(arm, {})[place] = pairs
    needs = []
    for arm, by_place in by_arm.items():
        parts = list(by_place.values())
        octaves = [
            independent.average_whole({r: p.octaves for r, p in of.items()}, planned[place, arm])
            for place, of in by_place.items()
        ]
        everyone = {independent.of[r] for place in by_place for r in planned[place, arm]}
        together = {u: mean(part.get(u, math.nan) for part in octaves) for u in everyone}
        sign = _sign(pair for pairs in parts for pair in pairs.values())
        needs.append({"arm": arm, "sign": sign} | _ratio(together))
    return _shown(needs)


def _of_pairs(
    pairs: Mapping[Replicate, _Pair], planned: Iterable[Replicate], independent: Units
) -> dict[str, Any] | None:
    if not pairs:
        return None
    whole = independent.average_whole({r: p.octaves for r, p in pairs.items()}, planned)
    octaves = {unit: whole.get(unit, math.nan) for unit in map(independent.of.get, planned)}
    return {"sign": _sign(pairs.values())} | _ratio(octaves)


def _curves(rows: Sequence[Row]) -> dict[tuple[tuple, str], dict[Replicate, Curve]]:
    """Fits the rising curves of the runs that are done and were evaluated on the way."""
    curves = {}
    for key, cells in tables(rows).items():
        done = {r: row for r, row in cells.items() if row["status"] == "done"}
        known = {r: row["curve"] for r, row in done.items() if len(row.get("curve") or ()) > 1}
        rising = {r: statistics.rising(curve) for r, curve in known.items()}
        curves[key] = {r: curve for r, curve in rising.items() if curve}
    return curves


def _paired(
    curves: Mapping[tuple[tuple, str], Mapping[Replicate, Curve]],
    place: tuple,
    arm: str,
    reference: str,
) -> dict[Replicate, tuple[Curve, Curve]]:
    """Pairs an arm's curves with the reference's, which has no pairs itself."""
    beside = {} if arm == reference else curves.get((place, reference), {})
    return {r: (own, beside[r]) for r, own in curves[place, arm].items() if r in beside}


def _pair(arm: Curve, other: Curve, target: float, log2: Callable[[float], float]) -> _Pair:
    first, second = (statistics.reached(curve, target) for curve in (arm, other))
    if first is None or second is None:
        return _Pair(math.nan)
    return _Pair(log2(first) - log2(second), first == arm[0][0], second == other[0][0])


def _log_steps(steps: float) -> float:
    return math.log2(max(steps, 1))


def _sign(pairs: Iterable[_Pair]) -> str:
    """Gives '≤' where the ratio is an upper bound (the arm may have got there before it was asked),
    '≥' where it is a lower one, '≈' where there are such pairs of both kinds.
    """
    one_sided = {(p.early, p.other_early) for p in pairs if p.early != p.other_early}
    return {0: "", 2: "≈"}.get(len(one_sided), "≤" if (True, False) in one_sided else "≥")


def _lower_end(arm: Curve, other: Curve) -> float:
    """Gives the score that both come to."""
    return min(arm[-1][1], other[-1][1])


def _ratio(octaves: Mapping[Any, float]) -> dict[str, Any]:
    """Gives how many times as much an arm needs: the units' geometric mean, its 95 % interval."""
    known = [value for value in octaves.values() if not math.isnan(value)]
    short = statistics.summary(known)
    names = {"ratio": short.mean, "ratio_low": short.low, "ratio_high": short.high}
    return {name: 2.0**value for name, value in names.items()} | {
        "units": len(known),
        "units_missing": len(octaves) - len(known),
        "p": statistics.sign_flip_p(known),
    }


def _shown(needs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds the corrected p, and whether anything may be said."""
    corrected = statistics.holm([need["p"] for need in needs])
    return [
        need
        | {
            "p_corrected": p,
            "shown": statistics.significant(p) and not need["ratio_low"] <= 1 <= need["ratio_high"],
        }
        for need, p in zip(needs, corrected, strict=True)
    ]
