"""Groups the rows of a study by condition and arm, and finds its independent replicates.

A row is a dict of one cell: FACTORS, 'status', metrics as floats (nan where there is none) and
perhaps 'curve', (step, score) of each evaluation, 'labelled', on how many pictures it was trained,
'judged', what stands for the pictures that it was judged on, 'start', the pre-training or the file
of weights that it started from ('' for random weights), and 'warning'. A condition is what
CONDITION holds; runs that share it and differ in REPLICATE are replicates.

What is independent? Runs that share a subset of labels, or an encoder, are alike beyond the arm,
and counting each would make intervals too narrow: with a spread of one point between pre-trainings
and 0.75 between runs, 95 % intervals over 3, 5 and 10 replicates of one pre-training hold the truth
in 84, 70 and 51 % of studies. So a unit is all replicates that are linked by a shared subset or
pre-training seed, averaged first; with replicate k = (subset k, seed k, pre-training seed k) each
is a unit. What doesn't vary in a study links nothing, and its intervals speak of that one subset,
or of these very encoders, alone. Where every subset meets every pre-training, nothing would be
left: then the pre-training is the unit, and intervals speak of these subsets.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]
Replicate = tuple[int, int, int]  # by REPLICATE

CONDITION = ("labels", "training", "decoder", "resolution", "encoder")
REPLICATE = ("subset", "seed", "pretraining_seed")
FACTORS = ("arm", *CONDITION, *REPLICATE)
_SUBSET, _PRETRAINING = 0, 2  # places in REPLICATE of what links


class Units(NamedTuple):
    """The independent units that intervals count.

    name: what people call one. of: replicate -> its unit, named by the first of its replicates.
    crossed: whether all units share the subsets, see the top of the file.
    """

    name: str
    of: Mapping[Replicate, Replicate]
    crossed: bool = False

    def average(self, values: Mapping[Replicate, Any]) -> dict[Replicate, Any]:
        """Averages each unit's replicates: numbers, or arrays of one shape."""
        parts: dict[Replicate, list] = {}
        for replicate, value in values.items():
            parts.setdefault(self.of[replicate], []).append(value)
        return {name: mean(parts[name]) for name in sorted(parts)}

    def average_whole(
        self, values: Mapping[Replicate, Any], planned: Iterable[Replicate]
    ) -> dict[Replicate, Any]:
        """Averages each unit of whose planned replicates none lacks a value."""
        lacking = {self.of[replicate] for replicate in planned if replicate not in values}
        return {unit: v for unit, v in self.average(values).items() if unit not in lacking}


def units(rows: Iterable[Row]) -> Units:
    """Finds the units of a study, from all rows, done or not."""
    replicates = sorted({replicate(row) for row in rows})
    subsets, seeds = ({r[i] for r in replicates} for i in (_SUBSET, _PRETRAINING))
    if len(subsets) > 1 and len(seeds) > 1:
        linked = _linked(replicates, (_SUBSET, _PRETRAINING))
        if len(set(linked.values())) > 1:
            return Units(_name(linked), linked)
        return Units("pre-training", _linked(replicates, (_PRETRAINING,)), crossed=True)
    if len(subsets) > 1:
        return Units("subset", _linked(replicates, (_SUBSET,)))
    if len(seeds) > 1:
        return Units("pre-training", _linked(replicates, (_PRETRAINING,)))
    return Units("seed", {r: r for r in replicates})


def _linked(replicates: Sequence[Replicate], by: Sequence[int]) -> dict[Replicate, Replicate]:
    """Finds each replicate's unit: the first that it is linked with, over however many others."""
    linked = {r: r for r in replicates}
    while True:
        first: dict[tuple[int, int], Replicate] = {}
        for r, unit in linked.items():
            for i in by:
                first[i, r[i]] = min(first.get((i, r[i]), unit), unit)
        nearer = {r: min(first[i, r[i]] for i in by) for r in linked}
        if nearer == linked:
            return linked
        linked = nearer


def _name(linked: Mapping[Replicate, Replicate]) -> str:
    """Names units where both subsets and pre-trainings vary."""
    most = []
    for i in (_SUBSET, _PRETRAINING):
        values: dict[Replicate, set[int]] = {}
        for r, unit in linked.items():
            values.setdefault(unit, set()).add(r[i])
        most.append(max(map(len, values.values())))
    names = {(True, True): "replicate", (True, False): "subset", (False, True): "pre-training"}
    return names.get((most[0] == 1, most[1] == 1), "block")


def encoders(rows: Iterable[Row]) -> dict[str, int]:
    """Counts the encoders of each arm, of one architecture; 0 for random weights.

    By 'start' where rows have it, else by the pre-training seeds.
    """
    by_arm: dict[str, dict[str, set]] = {}
    for row in rows:
        starts = by_arm.setdefault(row["arm"], {}).setdefault(row["encoder"], set())
        start = row.get("start", row["pretraining_seed"])
        starts.update(() if start == "" else (start,))
    return {arm: max(len(starts) for starts in of.values()) for arm, of in by_arm.items()}


def replicate(row: Row) -> Replicate:
    """Gives what tells a row from the others of its arm and condition."""
    return tuple(row[name] for name in REPLICATE)


def condition(row: Row) -> tuple:
    """Gives a row's condition."""
    return tuple(row[name] for name in CONDITION)


def arms(rows: Iterable[Row]) -> list[str]:
    """Lists the arms in the order in which they come."""
    return list(dict.fromkeys(row["arm"] for row in rows))


def tables(rows: Iterable[Row]) -> dict[tuple[tuple, str], dict[Replicate, Row]]:
    """Indexes rows as (condition, arm) -> replicate -> row, in their order."""
    cells: dict[tuple[tuple, str], dict[Replicate, Row]] = {}
    for row in rows:
        cells.setdefault((condition(row), row["arm"]), {})[replicate(row)] = row
    return cells


def scores(cells: Mapping[Replicate, Row], metric: str) -> dict[Replicate, float]:
    """Collects the scores of the runs that are done and have one."""
    done = {r: row.get(metric) for r, row in cells.items() if row["status"] == "done"}
    return {r: float(v) for r, v in done.items() if v is not None and math.isfinite(v)}


def mean(values: Iterable[Any]) -> Any:
    """Averages numbers (nan without one) or arrays, element by element."""
    values = list(values)
    if values and isinstance(values[0], np.ndarray):
        return np.mean(values, axis=0)
    return math.fsum(values) / len(values) if values else math.nan
