"""Tells how each pre-training did its own task, beside predictions that ignore the picture.

An encoder whose network is no better than a constant has learned nothing that its task asks for;
what its arm is better by must come from elsewhere, as from batch statistics.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from geoseg_jax.analysis import statistics, units
from geoseg_jax.core import atomic

COLUMNS = ("pretraining", "arm", "encoder", "seed", "status", "number", "score", "constant")
COLUMNS += ("seconds", "parameters_sha256", "revision")
_NUMBERS = ("score", "constant", "seconds")


class OwnTask(NamedTuple):
    """A number of eval.json: its name, constant predictions, and which way is better."""

    label: str
    constants: tuple[str, ...]
    more_is_better: bool = False


# A run has one of these numbers.
OWN_TASKS = {
    "abs_rel": OwnTask("AbsRel", ("abs_rel_constant",)),
    "photometric": OwnTask("photometric error", ("photometric_flat", "photometric_identity")),
    "epe": OwnTask("end-point error in pixels", ("epe_constant", "epe_zero")),
    "top1": OwnTask("top-1 accuracy", ("top1_constant",), True),
    "contrastive_accuracy": OwnTask(
        "accuracy among the queue", ("contrastive_accuracy_constant",), True
    ),
    "l1": OwnTask("L1 error in the holes", ("l1_constant",)),
    "mse": OwnTask("squared error of the hidden patches", ("mse_constant",)),
}


class Scored(NamedTuple):
    """A key of OWN_TASKS, its value (nan where it is no number), and the best constant's."""

    number: str
    score: float
    constant: float

    @property
    def beaten(self) -> bool:
        """Tells whether the constant prediction is beaten."""
        if OWN_TASKS[self.number].more_is_better:
            return self.score > self.constant
        return self.score < self.constant


def scored(numbers: Mapping[str, Any]) -> Scored | None:
    """Finds a run's own score in its eval.json; None where it has none, or nothing beside it."""
    for name, task in OWN_TASKS.items():
        others = [numbers[c] for c in task.constants if numbers.get(c) is not None]
        if name not in numbers or not others:
            continue
        score = math.nan if numbers[name] is None else float(numbers[name])
        best = max(others) if task.more_is_better else min(others)
        return Scored(name, score, float(best))
    return None


def summary(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sums up an arm's pre-trainings, by architecture.

    Args:
      rows: of pre-trainings, with COLUMNS; those without a 'number' are left out.

    Returns:
      dicts with 'encoder', 'number' (for people), 'score' and 'constant' (of the best constant
      prediction), means over the runs; 'low' and 'high', the 95 % interval of score less constant
      over runs, nan for one; 'runs', and 'beaten', how many of them beat it.
    """
    by_encoder: dict[str, list[Scored]] = {}
    for row in rows:
        if row["number"]:
            one = Scored(row["number"], row["score"], row["constant"])
            by_encoder.setdefault(row["encoder"], []).append(one)
    return [
        {
            "encoder": encoder,
            "number": OWN_TASKS[runs[0].number].label,
            "score": units.mean(run.score for run in runs),
            "constant": units.mean(run.constant for run in runs),
            **dict(zip(("low", "high"), _margin(runs), strict=True)),
            "runs": len(runs),
            "beaten": sum(run.beaten for run in runs),
        }
        for encoder, runs in by_encoder.items()
    ]


def _margin(runs: list[Scored]) -> tuple[float, float]:
    margins = [run.score - run.constant for run in runs]
    return statistics.interval(margins) if all(map(math.isfinite, margins)) else (math.nan,) * 2


def write_csv(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one line for each pre-training, whole or not at all; nan and None are empty."""
    text = io.StringIO(newline="")
    lines = [[_written(row[name]) for name in COLUMNS] for row in rows]
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *lines])
    atomic.write_text(path, text.getvalue())


def read_csv(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Reads the rows that `write_csv` wrote.

    Raises:
      ValueError: a column is missing, or a number is none.
    """
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    try:
        return [
            line
            | {name: float(line[name] or "nan") for name in _NUMBERS}
            | {"seed": int(line["seed"])}
            for line in lines
        ]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is no pretrainings.csv of a study: {error}") from error


def _written(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return "" if value is None else str(value)
