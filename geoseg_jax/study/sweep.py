"""Chooses learning rates: a few are tried for each arm, on training labels, before the study.

One rate for all arms favours the arm that it was found for. So each arm has its own: for its
pre-training by the validation score of that, then for its segmentation, frozen or fine-tuned, by
other subsets of the training labels, of which one fold judges the others. No label that judges the
result is read: a study whose cells are judged on all that they weren't trained on is refused here.
(A pre-training may validate on those pictures, without their labels.) Trials are jobs as all
others: locked, resumed, shared.
"""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import json_files
from geoseg_jax.data.name_splits import REST, TRAIN
from geoseg_jax.study import records
from geoseg_jax.study.guard import RATE
from geoseg_jax.study.plan import Cell, Plan, Pretraining, arms_of, make_plan, rate_of, replicates
from geoseg_jax.training import workdir as workdirs

FOLDER, RATES = "sweep", "rates.json"
FOLDS = 4


class Trial(NamedTuple):
    """One run with one rate."""

    job: Pretraining | Cell
    rate: float
    metric: str  # of its eval.json
    mode: str  # 'max' or 'min'


class Stage(NamedTuple):
    """Trials that can be run together, and the plan that holds them and what they start from."""

    plan: Plan
    trials: list[Trial]


def stages(study: Mapping[str, Any]) -> int:
    """Counts the stages: one for each link of the longest chain, and one of cells."""
    spec = study.get("sweep") or {}
    links = max(_depths(study).values(), default=-1) + 1 if spec.get("pretraining") else 0
    return links + bool(spec.get("learning_rate"))


def stage(
    study: Mapping[str, Any], workdir: pathlib.Path, number: int, rates: Mapping[str, float]
) -> Stage:
    """Plans the trials of one stage.

    Args:
      study: its config as plain data, expanded, with `sweep`.
      workdir: of the study.
      number: below `stages`.
      rates: what the stages before have chosen.
    """
    spec = study["sweep"]
    depths = _depths(study)
    if spec.get("pretraining") and number <= max(depths.values(), default=-1):
        arms = [arm for arm, depth in depths.items() if depth == number]
        return _of_pretrainings(study, workdir, arms, rates)
    return _of_cells(study, workdir, rates)


def choose(stage: Stage) -> tuple[dict[str, float], dict[str, Any]] | None:
    """Chooses the best rate for each `plan.rate_of`; None while trials last.

    Scores are means over the replicates. A rate of which a trial failed is out, as it may well fail
    again; of rates that are level the smaller one is taken.

    Raises:
      ConfigError: where no rate is left.
    """
    if not all(records.read(trial.job.workdir) for trial in stage.trials):
        return None
    scores: dict[str, dict[float, list[float]]] = {}
    modes = {}
    for trial in stage.trials:
        key = rate_of(trial.job)
        scores.setdefault(key, {}).setdefault(trial.rate, []).append(_score(trial))
        modes[key] = trial.mode
    chosen, tried = {}, {}
    for key, by_rate in scores.items():
        means = {rate: math.fsum(s) / len(s) for rate, s in sorted(by_rate.items())}
        left = {rate: mean for rate, mean in means.items() if math.isfinite(mean)}
        if not left:
            raise ConfigError(
                f"every learning rate of config.sweep failed for {key}, see "
                f"{FOLDER}/*.record.json; choose others, or add --retry"
            )
        best = max if modes[key] == "max" else min
        chosen[key] = best(left, key=left.get)
        tried[key] = {
            "chosen": chosen[key],
            "tried": {f"{rate:g}": mean if rate in left else None for rate, mean in means.items()},
            "at_the_edge": chosen[key] in (min(means), max(means)),
        }
    return chosen, tried


def read_rates(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Reads what was written down of the chosen rates; None where nothing was.

    Raises:
      FileError: the file is damaged.
    """
    remedy = "remove it, and it is written again"
    return json_files.read_json(workdir / RATES, "the chosen learning rates", {}, remedy)


def curves(workdir: pathlib.Path, made: Plan, metric: str) -> list[dict[str, Any]]:
    """Lists for a report how each arm did by learning rate, at what it was chosen by.

    Args:
      workdir: of the study.
      made: its plan; what was tried for jobs that it no longer has is left out.
      metric: of the study.

    Returns:
      dicts with 'arm', 'kind' ('pre-training' or 'segmentation'), 'encoder', 'metric' (of
      eval.json), 'less' (whether less of it is better), 'tried' ([rate, score], the score None
      where a trial failed) and 'chosen', one of these rates; of segmentation 'training', 'decoder'
      and 'resolution' too.

    Raises:
      FileError: as `read_rates`.
    """
    jobs = {rate_of(job): job for job in (*made.pretrainings, *made.cells)}
    found = []
    for key, of in (read_rates(workdir) or {}).items():
        if not (job := jobs.get(key)):
            continue
        if isinstance(job, Pretraining):
            told = {"arm": job.arm, "kind": "pre-training", "encoder": job.encoder}
            told["metric"] = job.recipe.get("train.best_metric", "")
            told["less"] = job.recipe.get("train.best_mode", "min") == "min"
        else:
            kept = ("arm", "training", "decoder", "resolution", "encoder")
            told = {name: job.factors[name] for name in kept}
            told |= {"kind": "segmentation", "metric": metric, "less": False}
        tried = [[float(rate), score] for rate, score in of["tried"].items()]
        # What was tried is written with six digits: 4e-4 * 3 is not 0.0012 to the last.
        found.append(told | {"tried": tried, "chosen": float(f"{of['chosen']:g}")})
    return found


def describe(tried: Mapping[str, Any]) -> list[str]:
    """Describes the chosen rates."""
    return [
        f"{key}: learning rate {of['chosen']:g}"
        + (", at the edge of those tried" if of["at_the_edge"] else "")
        for key, of in tried.items()
    ]


def declared(study: Mapping[str, Any]) -> tuple[str, ...]:
    """Gives config.declared, with the learning rate where it is chosen for each arm."""
    more = (RATE,) if (study.get("sweep") or {}).get("learning_rate") else ()
    return (*study.get("declared", ()), *more)


def _depths(study: Mapping[str, Any]) -> dict[str, int]:
    """Counts for each pre-trained arm the pre-trainings that its own rests on."""
    arms, depths = arms_of(study), {}
    for name, arm in arms.items():  # what one starts from stands before it
        if arm.get("config"):
            depths[name] = depths.get(arm.get("start", ""), -1) + 1
    return depths


def _of_pretrainings(study, workdir, arms, rates) -> Stage:
    """Plans trials from the sweep's first seed; a chain's link starts from the best one before.

    Optimisers differ from arm to arm, so that the rates are multiples of an arm's own. One of 0,
    by which nothing is learned, stays.
    """
    spec = study["sweep"]
    seed = spec["replicates"][0]
    planned = _planned(study, workdir, (seed,), seed, rates)
    starts, trials = {}, []
    for job in planned.pretrainings:
        own = job.recipe.get("optimizer.learning_rate")
        if job.arm not in arms or not own:
            continue
        metric = job.recipe.get("train.best_metric", "")
        if not metric:
            raise ConfigError(
                f"arm {job.arm!r} needs config.train.best_metric, by which "
                "config.sweep.pretraining chooses"
            )
        mode = job.recipe.get("train.best_mode", "min")
        before = planned.start(job)
        for factor in spec["pretraining"]:
            trial = _trial(job, own * factor, workdir)
            if before:
                best = _trial(before, before.recipe.get("optimizer.learning_rate"), workdir)
                trial = trial.changed({"init_from": str(best.workdir)})
                starts[best.id] = best
            trials.append(Trial(trial, own * factor, metric, mode))
    return Stage(Plan([*starts.values(), *(trial.job for trial in trials)], []), trials)


def _of_cells(study, workdir, rates) -> Stage:
    """Plans trials from the encoders of the study's first pre-training seed."""
    spec = study["sweep"]
    first = replicates(study)[0][2]
    planned = _planned(study, workdir, spec["replicates"], first, rates)
    trials = []
    for rate in spec["learning_rate"]:
        for cell in planned.cells:
            fold = {"data.inner_fold": (0, spec.get("folds", FOLDS))}
            trial = _trial(cell, rate, workdir).changed(fold)
            trials.append(Trial(trial, rate, study.get("metric", "miou"), "max"))
    return Stage(dataclasses.replace(planned, cells=[trial.job for trial in trials]), trials)


def _planned(study, workdir, runs, pretraining_seed, rates) -> Plan:
    """Plans the sweep's labels and replicates.

    Raises:
      ConfigError: where these labels are among those that score the result.
    """
    kept = {k: v for k, v in study["factors"].items() if k not in ("subset", "seed")}
    kept |= {"labels": (study["sweep"]["labels"],), "replicate": tuple(runs)}
    kept["pretraining_seed"] = (pretraining_seed,)
    planned = make_plan({**study, "sweep": None, "factors": kept}, workdir, rates)
    judged = planned.cells[0].recipe.get("data.eval_split", "")
    if study["sweep"].get("learning_rate") and judged in (REST, TRAIN):
        raise ConfigError(
            "config.sweep.learning_rate would be chosen on labels that score the result, as "
            f"config.data.eval_split={judged!r} has no pictures of its own; set it to () or choose "
            "another split"
        )
    return planned


def _trial(job: Pretraining | Cell, rate: float, workdir: pathlib.Path) -> Pretraining | Cell:
    """Gives the job that rate, and a folder of its own."""
    name = f"{FOLDER}-{job.id}-rate{rate:g}"
    changed = job.changed({"optimizer.learning_rate": rate})
    return changed._replace(id=name, workdir=workdir / FOLDER / name)


def _score(trial: Trial) -> float:
    """Reads a trial's score; nan where it failed."""
    record = records.read(trial.job.workdir)
    scores = workdirs.read_results(trial.job.workdir) or {}
    score = scores.get(trial.metric) if record.state == records.DONE else None
    return math.nan if score is None else float(score)
