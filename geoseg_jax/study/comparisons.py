"""From the rows of a study to what was found: each arm in each condition, against the reference.

A row is a dict of one cell: FACTORS, 'status', metrics as floats (nan where there is none) and
perhaps 'curve', (step, score) of each evaluation, 'labelled', on how many pictures it was trained,
'judged', what stands for the pictures that it was judged on, and 'warning'. A condition is what
CONDITION holds; runs that share it and differ in subset and seed are replicates. A run of an arm
and the run of the reference arm with the same condition, subset and seed are a pair.

What is independent? Where a study has several subsets of labels, runs on the same subset are alike
beyond the arm, and counting each would make intervals too narrow. Then the unit is the subset, its
seeds averaged first, and intervals speak of other subsets. With one subset the unit is the seed,
and intervals speak of that subset alone. In both cases they speak of these very pre-trainings, of
which a study has one for each arm and encoder.
"""

import math
import statistics as plain
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoseg_jax.near_miss import did_you_mean
from geoseg_jax.study import statistics

Row = Mapping[str, Any]
Replicate = tuple[int, int]  # subset, seed

CONDITION = ("labels", "training", "decoder", "resolution", "encoder")
REPLICATE = ("subset", "seed")
FACTORS = ("arm", *CONDITION, *REPLICATE)


def unit(rows: Iterable[Row]) -> str:
    """'subset' where the study has several, else 'seed'; of all rows, done or not."""
    return "subset" if len({row["subset"] for row in rows}) > 1 else "seed"


def condition(row: Row, without: Sequence[str] = ()) -> tuple:
    """A row's place among the conditions."""
    return tuple(row[name] for name in CONDITION if name not in without)


def arms(rows: Iterable[Row]) -> list[str]:
    """In the order in which they come."""
    return list(dict.fromkeys(row["arm"] for row in rows))


def groups(
    rows: Sequence[Row], reference: str, metric: str = "miou", goal: float | None = None
) -> list[dict[str, Any]]:
    """Every arm in every condition: how good, and how much better than the reference arm.

    Args:
      rows: one of each cell, done or not.
      reference: the arm that the others are compared with.
      metric: what is compared, a key of the rows; higher is better.
      goal: a score, where it is asked how long it takes to get there.

    Returns:
      One dict for each condition and arm in the order of the rows, with CONDITION, 'arm' and:
      n, n_planned: runs with a score, and all. units: what the intervals count (top of the file).
      mean, low, high: of the score, and its 95 % interval; subsets weigh the same.
      std: over all n runs.
      difference, difference_low, difference_high: to the reference in pairs, with Student's t
        interval. bootstrap_low, bootstrap_high: the studentised bootstrap beside it.
      p, p_corrected: the exact permutation test, and Holm's correction over all comparisons.
      p_smallest: the smallest p that the number of units allows.
      n_pairs, n_missing: pairs with both scores, and without. pair_units: what the interval counts.
      steps_to_reference: the median over pairs of the steps in which the curve reaches the score
        that the reference has at its end; None where half or more never do, or without curves.
      steps_to_goal: the same over runs, to `goal`.
      warning: what rows say of test data seen in training.
      The reference's own comparisons are nan and its n_pairs 0.

    Raises:
      ValueError: for an unknown reference or metric, or a cell that is given twice.
    """
    check(rows, reference, metric)
    by_subset = unit(rows) == "subset"
    tables = _tables(rows)
    found = []
    for (place, arm), cells in tables.items():
        scores = _scores(cells, metric)
        against = {} if arm == reference else tables.get((place, reference), {})
        short = statistics.summary(_units(scores, by_subset).values())
        group = dict(zip(CONDITION, place, strict=True)) | {"arm": arm, "n": len(scores)}
        group |= {
            "n_planned": len(cells),
            "units": short.n,
            "mean": short.mean,
            "low": short.low,
            "high": short.high,
        }
        group["std"] = statistics.summary(scores.values()).std
        group |= _against(scores, _scores(against, metric), by_subset)
        group["n_missing"] = len(cells.keys() | against.keys()) - group["n_pairs"] if against else 0
        targets = _scores(tables.get((place, reference), {}), metric)
        group["steps_to_reference"] = _steps(cells, targets)
        group["steps_to_goal"] = None if goal is None else _steps(cells, dict.fromkeys(cells, goal))
        warnings = dict.fromkeys(row.get("warning") or "" for row in cells.values())
        found.append(group | {"warning": "; ".join(filter(None, warnings))})
    corrected = statistics.holm([group["p"] for group in found])
    return [g | {"p_corrected": p} for g, p in zip(found, corrected, strict=True)]


def overall(rows: Sequence[Row], reference: str, metric: str = "miou") -> list[dict[str, Any]]:
    """Each arm but the reference over all its conditions: the mean of its differences.

    A unit's difference is averaged over the conditions first: conditions share subsets and seeds,
    and are no replicates. Units that lack a pair in any condition are left out and counted.

    Returns:
      dicts with 'arm', 'conditions' (how many), 'best' (in how many the arm has the highest mean of
      all arms), 'ahead' (in how many its difference is above 0), 'units', 'units_missing',
      'difference', 'difference_low', 'difference_high', 'bootstrap_low', 'bootstrap_high',
      'by_training' (the difference of fine-tuned and of frozen runs), 'p', 'p_smallest' and
      'p_corrected', by Holm over the arms.

    Raises:
      ValueError: as `groups`.
    """
    check(rows, reference, metric)
    by_subset = unit(rows) == "subset"
    tables = _tables(rows)
    scores = {key: _units(_scores(cells, metric), by_subset) for key, cells in tables.items()}
    found = []
    for arm, parts in _by_arm(tables, reference, metric, by_subset).items():
        wanted = {r[0] if by_subset else r for place in parts for r in tables[place, arm]}
        told = _over_conditions(arm, parts, scores)
        found.append(told | {"units_missing": len(wanted) - told["units"]})
    corrected = statistics.holm([result["p"] for result in found])
    return [r | {"p_corrected": p} for r, p in zip(found, corrected, strict=True)]


def standing(rows: Sequence[Row], reference: str, metric: str = "miou") -> dict[str, Any]:
    """The arms against each other: over the same conditions and the same units.

    Returns:
      'arms': dicts as `overall` gives, the best first, of the units alone that all of them have in
      every condition. 'left_out': arms that lack a condition, or half of the units or more that
      others have, or at last all that these have in common. 'lead': how far the first is ahead of
      the next, a dict with 'arm', 'next', 'difference', 'difference_low' and 'difference_high';
      None for fewer than two.

    Raises:
      ValueError: as `groups`.
    """
    found = overall(rows, reference, metric)
    by_subset = unit(rows) == "subset"
    tables = _tables(rows)
    by_arm = _by_arm(tables, reference, metric, by_subset)
    names, common = _comparable([o for o in found if o["units"]], by_arm)
    scores = {
        key: {u: s for u, s in _units(_scores(cells, metric), by_subset).items() if u in common}
        for key, cells in tables.items()
        if key[1] in (*names, reference)
    }
    parts = {
        name: {place: {u: part[u] for u in common} for place, part in by_arm[name].items()}
        for name in names
    }
    ranked = [_over_conditions(name, parts[name], scores) for name in names]
    others = [o for o in found if o["arm"] not in names and o["units"]]  # were compared as well
    corrected = statistics.holm([o["p"] for o in (*ranked, *others)])
    ranked = [r | {"p_corrected": p} for r, p in zip(ranked, corrected, strict=False)]
    ranked.sort(key=lambda o: o["difference"], reverse=True)
    first, second = [*(o["arm"] for o in ranked[:2]), "", ""][:2]
    return {
        "arms": ranked,
        "left_out": [o["arm"] for o in others],
        "lead": _lead(first, second, parts) if second else None,
    }


def _comparable(found: list[dict[str, Any]], by_arm: Mapping[str, Any]) -> tuple[list[str], list]:
    """Names of arms, and the units that all of them have whole."""
    most = max((o["conditions"] for o in found), default=0)
    full = [o for o in found if o["conditions"] == most]
    enough = max((o["units"] for o in full), default=0) / 2
    whole = {o["arm"]: set(_whole(by_arm[o["arm"]])) for o in full if o["units"] > enough}
    while whole and not set.intersection(*whole.values()):
        del whole[min(whole, key=lambda arm: len(whole[arm]))]
    return list(whole), sorted(set.intersection(*whole.values())) if whole else []


def _lead(first: str, second: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    ahead = [a - b for a, b in zip(*(_by_unit(parts[n]) for n in (first, second)), strict=True)]
    told = _compared(ahead)
    kept = ("difference", "difference_low", "difference_high")
    return {"arm": first, "next": second} | {name: told[name] for name in kept}


def efficiency(rows: Sequence[Row], reference: str, metric: str = "miou") -> list[dict[str, Any]]:
    """How many labels each arm needs for the score that the reference has with the most.

    Returns:
      dicts with CONDITION without labels, 'arm', 'labels_needed' (None where the score is not
      reached), 'text' (the same for people, '>64' where not with the most tried, '≤8' where with
      the fewest already), 'labels_tried' (the most), 'reference_labels', 'target' (that score) and
      'spread' (how far units differ, each against the reference's own score in it: '25 to >64 by
      seed'); for conditions with two or more numbers of labels. Labels of 0, all there are, count
      as the rows' 'labelled', and are left out where no row has it. Nothing where it can't be
      asked: the reference has a better score with fewer labels, or other pictures judge these.

    Raises:
      ValueError: as `groups`.
    """
    check(rows, reference, metric)
    unit_name = unit(rows)
    curves: dict[tuple, dict[str, dict[int, dict]]] = {}
    judged: dict[tuple, set] = {}
    for (place, arm), cells in _tables(rows).items():
        labels, rest = place[0] or _all_labels(cells), place[1:]
        judged.setdefault(rest, set()).update(r["judged"] for r in cells.values() if "judged" in r)
        units = _units(_scores(cells, metric), unit_name == "subset")
        if labels > 0 and units:
            # Where all labels are as many as a subset, the subsets count.
            curves.setdefault(rest, {}).setdefault(arm, {}).setdefault(labels, units)
    found = []
    for rest, by_arm in curves.items():
        if len({n for scores in by_arm.values() for n in scores}) < 2 or reference not in by_arm:
            continue
        most = max(by_arm[reference])
        targets = by_arm[reference][most]
        highest = max(_mean(units.values()) for units in by_arm[reference].values())
        if _mean(targets.values()) < highest or len(judged[rest]) > 1:
            continue
        for arm, scores in by_arm.items():
            result = dict(zip(CONDITION[1:], rest, strict=True)) | {"arm": arm}
            result |= {"reference_labels": most, "target": _mean(targets.values())}
            means = [_mean(units.values()) for units in scores.values()]
            needed = statistics.labels_to_reach(list(scores), means, result["target"])
            result |= {"labels_needed": needed.labels, "text": _count(needed, max(scores))}
            result["labels_tried"] = max(scores)
            found.append(result | {"spread": _spread(scores, targets, unit_name)})
    return found


def _all_labels(cells: Mapping[Replicate, Row]) -> int:
    """How many there are, 0 where no run has told."""
    return int(max((row.get("labelled") or 0 for row in cells.values()), default=0))


def class_gains(
    rows: Sequence[Row], reference: str, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The mean paired difference of each class's IoU to the reference's.

    Returns:
      dicts with CONDITION, 'arm' and 'gains', {class: difference}, nan where no pair has both; for
      all arms but the reference.
    """
    tables = _tables(rows)
    by_subset = unit(rows) == "subset"
    found = []
    for place, arm in tables:
        if arm == reference or (place, reference) not in tables:
            continue
        gains = {}
        for name in classes:
            differences = _differences(tables, place, arm, reference, f"iou/{name}")
            gains[name] = _mean(_units(differences, by_subset).values())
        found.append(dict(zip(CONDITION, place, strict=True)) | {"arm": arm, "gains": gains})
    return found


def check(rows: Sequence[Row], reference: str, metric: str) -> None:
    """Refuses rows that can't be compared.

    Raises:
      ValueError: for an unknown reference or metric, a row without a factor, or a cell twice.
    """
    seen = set()
    for row in rows:
        for name in FACTORS:
            if name not in row:
                raise ValueError(f"row {row.get('cell', row)!r} has no {name!r}; FACTORS name all")
        cell = tuple(row[name] for name in FACTORS)
        if cell in seen:
            raise ValueError(f"two rows of the same cell {cell}: a replicate would count twice")
        seen.add(cell)
    if reference not in arms(rows):
        hint = did_you_mean(reference, arms(rows))
        raise ValueError(f"the reference arm {reference!r} has no row{hint}")
    if not any(metric in row for row in rows):
        keys = list(dict.fromkeys(key for row in rows for key in row))
        raise ValueError(f"no row has the metric {metric!r}{did_you_mean(metric, keys)}")


def _tables(rows: Iterable[Row]) -> dict[tuple[tuple, str], dict[Replicate, Row]]:
    """(condition, arm) -> replicate -> row, in the order of the rows."""
    found: dict[tuple[tuple, str], dict[Replicate, Row]] = {}
    for row in rows:
        cells = found.setdefault((condition(row), row["arm"]), {})
        cells[row["subset"], row["seed"]] = row
    return found


def _scores(cells: Mapping[Replicate, Row], metric: str) -> dict[Replicate, float]:
    """Of the runs that are done and have one."""
    found = {r: row.get(metric, math.nan) for r, row in cells.items() if row["status"] == "done"}
    return {r: float(v) for r, v in found.items() if v is not None and math.isfinite(v)}


def _units(scores: Mapping[Replicate, float], by_subset: bool) -> dict[Any, float]:
    """Means over a subset's seeds, or the scores as they are."""
    if not by_subset:
        return dict(scores)
    subsets = sorted({subset for subset, _ in scores})
    return {s: _mean(v for (subset, _), v in scores.items() if subset == s) for s in subsets}


def _differences(tables, place, arm, reference, metric) -> dict[Replicate, float]:
    mine = _scores(tables[place, arm], metric)
    return _paired(mine, _scores(tables.get((place, reference), {}), metric))


def _by_arm(tables, reference, metric, by_subset) -> dict[str, dict[tuple, dict[Any, float]]]:
    """arm -> condition -> unit -> difference to the reference; conditions that it shares alone."""
    found: dict[str, dict[tuple, dict[Any, float]]] = {}
    for place, arm in tables:
        if arm != reference and (place, reference) in tables:
            differences = _differences(tables, place, arm, reference, metric)
            found.setdefault(arm, {})[place] = _units(differences, by_subset)
    return found


def _whole(parts: Mapping[tuple, Mapping[Any, float]]) -> list:
    """The units that are in every condition."""
    return sorted(set.intersection(*(set(part) for part in parts.values())))


def _by_unit(parts: Mapping[tuple, Mapping[Any, float]]) -> list[float]:
    """Of each whole unit the mean over the conditions."""
    return [_mean(part[u] for part in parts.values()) for u in _whole(parts)]


def _over_conditions(arm: str, parts, scores) -> dict[str, Any]:
    """One arm's numbers over its conditions.

    Args:
      parts: condition -> unit -> difference.
      scores: (condition, arm) -> unit -> score, of all arms.
    """
    whole = _whole(parts)
    trainings = dict.fromkeys(place[1] for place in parts)
    return {
        "arm": arm,
        "conditions": len(parts),
        "units": len(whole),
        "best": sum(_is_best(scores, place, arm) for place in parts),
        "ahead": sum(_mean(part.values()) > 0 for part in parts.values()),
        "by_training": {
            training: _mean(
                _mean(part[u] for u in whole) for p, part in parts.items() if p[1] == training
            )
            for training in trainings
        },
    } | _compared(_by_unit(parts))


def _paired(arm: Mapping, reference: Mapping) -> dict[Replicate, float]:
    return {r: value - reference[r] for r, value in arm.items() if r in reference}


def _against(arm: Mapping, reference: Mapping, by_subset: bool) -> dict[str, Any]:
    pairs = _paired(arm, reference)
    units = _units(pairs, by_subset)
    return {"n_pairs": len(pairs), "pair_units": len(units)} | _compared(units.values())


def _compared(differences: Iterable[float]) -> dict[str, float]:
    """What is said of independent differences."""
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
    means = {other: _mean(s.values()) for (p, other), s in scores.items() if p == place and s}
    return arm in means and means[arm] == max(means.values())


def _steps(cells: Mapping[Replicate, Row], targets: Mapping[Replicate, float]) -> float | None:
    """The median over runs; a curve that never gets there counts as longer than all others."""
    reached = []
    for replicate, row in cells.items():
        if replicate in targets and row["status"] == "done" and row.get("curve"):
            steps = statistics.steps_to_reach(row["curve"], targets[replicate])
            reached.append(math.inf if steps is None else steps)
    middle = plain.median(reached) if reached else math.inf
    return middle if math.isfinite(middle) else None


def _spread(scores, targets, unit_name: str) -> str:
    """'25 to 33 by seed', with what lies outside the labels tried marked as such."""
    needed = []
    for name, target in targets.items():
        values = [units.get(name, math.nan) for units in scores.values()]
        needed.append(statistics.labels_to_reach(list(scores), values, target))
    ordered = sorted(needed, key=lambda n: (n.labels or math.inf, not n.at_most))
    ends = dict.fromkeys(_count(n, max(scores)) for n in (ordered[0], ordered[-1]))
    return f"{' to '.join(ends)} by {unit_name}" if len(needed) > 1 else ""


def _count(needed: statistics.Needed, most: int) -> str:
    if needed.labels is None:
        return f">{most}"
    return f"{'≤' if needed.at_most else ''}{needed.labels:.0f}"


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if values else math.nan
