"""Compares the arms of a study: in each condition, over all of them, and in contrasts.

What a row, a condition, a replicate and a unit are is said in analysis/units.py. A run of an arm
and the run of another arm with the same condition and replicate are a pair.
"""

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from geoseg_jax.analysis import statistics
from geoseg_jax.analysis.units import CONDITION, FACTORS, Replicate, Row, Units, mean
from geoseg_jax.analysis.units import arms as arms_of
from geoseg_jax.analysis.units import scores as scores_of
from geoseg_jax.analysis.units import tables as tables_of
from geoseg_jax.analysis.units import units as units_of
from geoseg_jax.core.near_miss import did_you_mean

Tables = Mapping[tuple[tuple, str], Mapping[Replicate, Row]]
BETTER, WORSE, LEVEL, NOT_SHOWN = "better", "worse", "level", "not shown"


def groups(rows: Sequence[Row], reference: str, metric: str = "miou") -> list[dict[str, Any]]:
    """Scores every arm in every condition, and compares it with the reference arm.

    Args:
      rows: one of each cell, done or not.
      reference: the arm that the others are compared with.
      metric: what is compared, a key of the rows; higher is better.

    Returns:
      One dict for each condition and arm in the order of the rows, with CONDITION, 'arm' and:
      n, n_planned: runs with a score, and all. units: what the intervals count.
      mean, low, high: of the score, and its 95 % interval; units weigh the same.
      std: of the runs, without what all arms share (see statistics.residual_stds).
      same: whether several runs gave the very same number.
      difference, difference_low, difference_high: to the reference in pairs, with Student's t
        interval. bootstrap_low, bootstrap_high: the studentised bootstrap beside it.
      p, p_corrected: the exact permutation test, and Holm's correction over all comparisons.
      p_smallest: the smallest p that the number of units allows.
      n_pairs, n_missing: pairs with both scores, and without. pair_units: what the interval counts.
      warning: what rows say of test data seen in training, and of how many runs it is true where
        it isn't of all.
      The reference's own comparisons are nan and its n_pairs 0.

    Raises:
      ValueError: for an unknown reference or metric, or a cell that is given twice.
    """
    check(rows, [reference], metric)
    units, tables = units_of(rows), tables_of(rows)
    scores = {key: scores_of(cells, metric) for key, cells in tables.items()}
    spreads = {
        place: statistics.residual_stds({a: s for (p, a), s in scores.items() if p == place})
        for place, _ in tables
    }
    groups = []
    for (place, arm), cells in tables.items():
        own = scores[place, arm]
        short = statistics.summary(units.average(own).values())
        against = {} if arm == reference else tables.get((place, reference), {})
        pairs = _paired(own, scores[place, reference] if against else {})
        by_unit = units.average(pairs)
        group = dict(zip(CONDITION, place, strict=True)) | {"arm": arm, "n": len(own)}
        group |= {"n_planned": len(cells), "units": short.n, "mean": short.mean}
        group |= {"low": short.low, "high": short.high, "std": spreads[place][arm]}
        group["same"] = len(own) > 1 and np.ptp(list(own.values())) < 1e-9  # but for rounding
        group |= {"n_pairs": len(pairs), "pair_units": len(by_unit)} | _compared(by_unit.values())
        group["n_missing"] = len(cells.keys() | against.keys()) - len(pairs) if against else 0
        groups.append(group | {"warning": _warnings(cells.values(), len(own))})
    return _corrected(groups)


def overall(
    rows: Sequence[Row],
    reference: str,
    metric: str = "miou",
    bound: float = 0.0,
    resampled: Any = None,
) -> list[dict[str, Any]]:
    """Compares each arm with the reference over all its conditions: the mean of its differences.

    Returns:
      dicts as `contrasts` gives, of each arm against the reference, and beside that 'best' (in how
      many conditions the arm has the highest mean of all arms) and 'ahead' (in how many its
      difference is above 0). Holm's correction is over the arms.

    Raises:
      ValueError: as `groups`.
    """
    check(rows, [reference], metric)
    units, tables = units_of(rows), tables_of(rows)
    others = dict.fromkeys(a for p, a in tables if a != reference and (p, reference) in tables)
    scores = _scores(tables, metric, units)
    results = []
    for arm in others:
        parts = _parts(tables, arm, reference, metric, units)
        result = _compare(tables, arm, reference, parts, units, bound, resampled)
        results.append(result | _standing(arm, parts, scores))
    return _judged(results, bound)


def contrasts(
    rows: Sequence[Row],
    pairs: Sequence[tuple[str, str]],
    metric: str = "miou",
    bound: float = 0.0,
    resampled: Any = None,
) -> list[dict[str, Any]]:
    """Compares pairs of arms over all conditions that both have: the mean of their differences.

    A unit's difference is averaged over the conditions first: conditions share subsets and seeds,
    and are no replicates. Units that lack a pair in any condition are left out and counted.

    Args:
      rows: one of each cell, done or not.
      pairs: (arm, other) of each contrast.
      metric: what is compared; higher is better.
      bound: arms that differ by less are level: of the metric, set beforehand; 0 for none.
      resampled: a geoseg_jax.study.resampling.Resampled of the cells, where there is one.

    Returns:
      dicts with 'arm', 'other', 'conditions' (how many), 'units', 'units_missing', 'difference',
      'difference_low', 'difference_high', 'bootstrap_low', 'bootstrap_high', 'by_training' (the
      difference of fine-tuned and of frozen runs), 'p', 'p_smallest' and 'p_corrected', by Holm
      over the contrasts, which are a family of their own; 'level_p' and 'level_p_corrected' (see
      statistics.level_p, with Holm's correction too; nan without a bound); 'pictures_low' and
      'pictures_high', the interval over other judged pictures, of these very runs (nan where a run
      has none); and 'verdict', one of BETTER, WORSE, LEVEL, NOT_SHOWN, '' where nothing is
      compared.

    Raises:
      ValueError: for an unknown arm or metric, or a cell that is given twice.
    """
    check(rows, [name for pair in pairs for name in pair], metric)
    units, tables = units_of(rows), tables_of(rows)
    results = []
    for arm, other in pairs:
        parts = _parts(tables, arm, other, metric, units)
        results.append(_compare(tables, arm, other, parts, units, bound, resampled))
    return _judged(results, bound)


def standing(rows: Sequence[Row], reference: str, metric: str = "miou") -> dict[str, Any]:
    """Ranks the arms over the same conditions and the same units.

    Returns:
      'arms': dicts with 'arm', 'best', 'ahead' and what `contrasts` says of differences, the best
      first, of the units alone that all of them have in every condition. 'left_out': arms that lack
      a condition, or half of the units or more that others have, or at last all that these have in
      common. 'lead': how far the first is ahead of the next, a dict with 'arm', 'next',
      'difference', 'difference_low' and 'difference_high'; None for fewer than two.

    Raises:
      ValueError: as `groups`.
    """
    results = overall(rows, reference, metric)
    units, tables = units_of(rows), tables_of(rows)
    by_arm = {o["arm"]: _parts(tables, o["arm"], reference, metric, units) for o in results}
    names, common = _comparable([o for o in results if o["units"]], by_arm)
    scores = {
        key: {u: s for u, s in of.items() if u in common}
        for key, of in _scores(tables, metric, units).items()
        if key[1] in (*names, reference)
    }
    parts = {
        name: {place: {u: part[u] for u in common} for place, part in by_arm[name].items()}
        for name in names
    }
    ranked = [
        {"arm": name, "conditions": len(parts[name]), "units": len(common)}
        | _standing(name, parts[name], scores)
        | _compared(_by_unit(parts[name]))
        for name in names
    ]
    ranked.sort(key=lambda o: o["difference"], reverse=True)
    first, second = [*(o["arm"] for o in ranked[:2]), "", ""][:2]
    return {
        "arms": ranked,
        "left_out": [o["arm"] for o in results if o["arm"] not in names],
        "lead": _lead(first, second, parts) if second else None,
    }


def _comparable(results: list[dict[str, Any]], by_arm: Mapping[str, Any]) -> tuple[list[str], list]:
    """Finds the arms that can be ranked, and the units that all of them have whole."""
    most = max((o["conditions"] for o in results), default=0)
    full = [o for o in results if o["conditions"] == most]
    enough = max((o["units"] for o in full), default=0) / 2
    whole = {o["arm"]: set(_whole(by_arm[o["arm"]])) for o in full if o["units"] > enough}
    while whole and not set.intersection(*whole.values()):
        del whole[min(whole, key=lambda arm: len(whole[arm]))]
    return list(whole), sorted(set.intersection(*whole.values())) if whole else []


def _lead(first: str, second: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    ahead = [a - b for a, b in zip(*(_by_unit(parts[n]) for n in (first, second)), strict=True)]
    kept = ("difference", "difference_low", "difference_high")
    return {"arm": first, "next": second} | {k: v for k, v in _compared(ahead).items() if k in kept}


def spread(rows: Sequence[Row], metric: str = "miou") -> dict[str, float]:
    """Parts the spread of the runs of one condition, as a root of mean squares over conditions.

    Returns:
      'shared': what all arms share by subset and seed, and pairs remove (statistics.shared_std);
      'own': what each arm has for itself, its encoders and chance (statistics.residual_stds). nan
      where there are too few runs to tell.
    """
    scores = {key: scores_of(cells, metric) for key, cells in tables_of(rows).items()}
    shared, own = [], []
    for condition in dict.fromkeys(place for place, _ in scores):
        of_arms = {arm: found for (place, arm), found in scores.items() if place == condition}
        shared.append(statistics.shared_std(of_arms))
        own += statistics.residual_stds(of_arms).values() if len(of_arms) > 1 else ()
    roots = {"shared": _root_mean_square(shared), "own": _root_mean_square(own)}
    return roots if math.isfinite(roots["shared"]) else dict.fromkeys(roots, math.nan)


def _root_mean_square(values: Iterable[float]) -> float:
    known = [value**2 for value in values if math.isfinite(value)]
    return math.sqrt(math.fsum(known) / len(known)) if known else math.nan


def class_gains(
    rows: Sequence[Row], reference: str, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Averages the paired differences of each class's IoU to the reference's.

    Returns:
      dicts with CONDITION, 'arm' and 'gains', {class: difference}, nan where no pair has both; for
      all arms but the reference.
    """
    tables, units = tables_of(rows), units_of(rows)
    by_arm = []
    for place, arm in tables:
        if arm == reference or (place, reference) not in tables:
            continue
        gains = {}
        for name in classes:
            own, other = (scores_of(tables[place, a], f"iou/{name}") for a in (arm, reference))
            gains[name] = mean(units.average(_paired(own, other)).values())
        by_arm.append(dict(zip(CONDITION, place, strict=True)) | {"arm": arm, "gains": gains})
    return by_arm


def check(rows: Sequence[Row], named: Sequence[str], metric: str) -> None:
    """Refuses rows that can't be compared.

    Args:
      named: arms that must be there.

    Raises:
      ValueError: for an unknown arm or metric, a row without a factor, or a cell twice.
    """
    seen = set()
    for row in rows:
        for name in FACTORS:
            if name not in row:
                raise ValueError(
                    f"row {row.get('cell', row)!r} has no {name!r}; every row needs {FACTORS}"
                )
        cell = tuple(row[name] for name in FACTORS)
        if cell in seen:
            raise ValueError(f"two rows of the same cell {cell}: a replicate would count twice")
        seen.add(cell)
    there = arms_of(rows)
    for arm in named:
        if arm not in there:
            raise ValueError(f"the arm {arm!r} has no row{did_you_mean(arm, there)}")
    if not any(metric in row for row in rows):
        keys = list(dict.fromkeys(key for row in rows for key in row))
        raise ValueError(f"no row has the metric {metric!r}{did_you_mean(metric, keys)}")


def _scores(tables: Tables, metric: str, units: Units) -> dict[tuple, dict[Any, float]]:
    """Averages scores: (condition, arm) -> unit -> score."""
    return {key: units.average(scores_of(cells, metric)) for key, cells in tables.items()}


def _parts(
    tables: Tables, arm: str, other: str, metric: str, units: Units
) -> dict[tuple, dict[Any, float]]:
    """Subtracts: condition -> unit -> difference, of the conditions that both have."""
    parts = {}
    for place, name in tables:
        if name == arm and (place, other) in tables:
            own, beside = (scores_of(tables[place, a], metric) for a in (arm, other))
            parts[place] = units.average_whole(_paired(own, beside), tables[place, arm])
    return parts


def _compare(
    tables: Tables,
    arm: str,
    other: str,
    parts: Mapping[tuple, Mapping[Any, float]],
    units: Units,
    bound: float,
    resampled: Any,
) -> dict[str, Any]:
    """Compares two arms, before any correction."""
    whole, differences = _whole(parts), _by_unit(parts)
    wanted = {units.of[r] for place in parts for r in tables[place, arm]}
    result = {"arm": arm, "other": other, "conditions": len(parts)}
    result |= {"units": len(whole), "units_missing": len(wanted) - len(whole)}
    result["by_training"] = {
        training: mean(mean(p[u] for u in whole) for q, p in parts.items() if q[1] == training)
        for training in dict.fromkeys(place[1] for place in parts)
    }
    result |= _compared(differences)
    result["level_p"] = statistics.level_p(differences, bound) if bound else math.nan
    low, high = _over_pictures(tables, result, parts, units, resampled)
    return result | {"pictures_low": low, "pictures_high": high}


def _over_pictures(
    tables: Tables, result: Mapping[str, Any], parts: Mapping, units: Units, resampled: Any
) -> tuple[float, float]:
    """Computes the interval of a mean difference over resamples of the judged pictures."""
    drawn: dict[tuple, dict[Any, np.ndarray]] = {}
    for place in parts if resampled else ():
        own, beside = (
            {
                replicate: resampled.scores[row["cell"]]
                for replicate, row in tables[place, arm].items()
                if row["status"] == "done" and row["cell"] in resampled.scores
            }
            for arm in (result["arm"], result["other"])
        )
        planned = tables[place, result["arm"]]
        drawn[place] = units.average_whole(_paired(own, beside), planned)
    # Of the same units as the difference itself, or of none.
    if not result["units"] or _whole(drawn) != _whole(parts):
        return math.nan, math.nan
    draws = mean(_by_unit(drawn))
    return statistics.resampled_interval(result["difference"], draws, resampled.count)


def _judged(results: list[dict[str, Any]], bound: float) -> list[dict[str, Any]]:
    """Adds corrections over all, and a verdict on each."""
    judged = _corrected(_corrected(results), "level_p")
    return [result | {"verdict": verdict(result, bound)} for result in judged]


def verdict(result: Mapping[str, Any], bound: float) -> str:
    """Gives LEVEL where a difference is shown to lie within the bound, whatever else; BETTER or
    WORSE where the corrected p is at most 0.05; else NOT_SHOWN; '' without a pair.
    """
    if not result["units"]:
        return ""
    if bound and statistics.significant(result["level_p_corrected"]):
        return LEVEL
    if statistics.significant(result["p_corrected"]):
        return BETTER if result["difference"] > 0 else WORSE
    return NOT_SHOWN


def _corrected(results: list[dict[str, Any]], name: str = "p") -> list[dict[str, Any]]:
    """Adds NAME_corrected, by Holm over all results."""
    corrected = statistics.holm([result[name] for result in results])
    return [r | {f"{name}_corrected": p} for r, p in zip(results, corrected, strict=True)]


def _whole(parts: Mapping[tuple, Mapping[Any, Any]]) -> list:
    """Lists the units that are in every condition."""
    return sorted(set.intersection(*(set(part) for part in parts.values()))) if parts else []


def _by_unit(parts: Mapping[tuple, Mapping[Any, Any]]) -> list:
    """Averages each whole unit over the conditions."""
    return [mean(part[u] for part in parts.values()) for u in _whole(parts)]


def _standing(arm: str, parts, scores) -> dict[str, Any]:
    """Counts the conditions in which an arm is best of all, and ahead of the reference.

    Args:
      parts: condition -> unit -> difference.
      scores: (condition, arm) -> unit -> score, of all arms.
    """
    return {
        "best": sum(_is_best(scores, place, arm) for place in parts),
        "ahead": sum(mean(part.values()) > 0 for part in parts.values()),
    }


def _warnings(rows: Iterable[Row], done: int) -> str:
    """Joins what rows say; of how many runs, where it isn't all that are done."""
    texts = [dict.fromkeys((row.get("warning") or "").split("; ")) for row in rows]
    counts = collections.Counter(text for own in texts for text in own if text)
    return "; ".join(
        text if count >= done else f"{text} ({count} of {done} runs)"
        for text, count in counts.items()
    )


def _paired(arm: Mapping, other: Mapping) -> dict[Replicate, Any]:
    return {r: value - other[r] for r, value in arm.items() if r in other}


def _compared(differences: Iterable[float]) -> dict[str, float]:
    """Summarises and tests independent differences."""
    differences = list(differences)
    short = statistics.summary(differences)
    low, high = statistics.bootstrap_interval(differences)
    return {
        **{"difference": short.mean, "difference_low": short.low, "difference_high": short.high},
        **{"bootstrap_low": low, "bootstrap_high": high},
        "p": statistics.sign_flip_p(differences),
        "p_smallest": statistics.smallest_p(len(differences)),
    }


def _is_best(scores, place: tuple, arm: str) -> bool:
    means = {other: mean(s.values()) for (p, other), s in scores.items() if p == place and s}
    return arm in means and means[arm] == max(means.values())
