"""What a study's config may say; everything else is refused before anything is planned."""

import math
import re
from collections.abc import Mapping
from typing import Any

from geoseg_jax.analysis import metrics
from geoseg_jax.analysis.units import CONDITION
from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.near_miss import did_you_mean

TRAININGS = ("fine_tuned", "frozen")
MEASURES = ("images", "encoder_images", "flops", "steps")
NEEDED = ("title", "question", "arms", "reference", "budget", "target", "factors")
OPTIONAL = (
    *("pretraining", "panels", "keep_checkpoints", "roots", "without", "declared", "goal"),
    *("metric", "contrasts", "equivalence"),
    *("spread", "sweep"),
)
SWEEP_KEYS = ("learning_rate", "labels", "replicates", "folds", "pretraining")
KEYS = NEEDED + OPTIONAL
ARM_KEYS = ("name", "label", "config", "set", "root", "eval_root", "weights", "start", "target")


def check(study: Mapping[str, Any]) -> None:
    """Refuses a study that can't be planned.

    Args:
      study: its config as plain data, each arm with one start (see starts.expand).

    Raises:
      ConfigError: naming the key, its value and the remedy.
    """
    for key in study:
        if key not in KEYS:
            raise ConfigError(f"config.{key} is nothing of a study{did_you_mean(key, KEYS)}")
    for key in NEEDED:
        if key not in study:
            raise ConfigError(f"a study needs config.{key}; see configs/study_quick.py")
    for number, arm in enumerate(study["arms"]):
        if not arm.get("name"):
            raise ConfigError(f"config.arms[{number}] has no name: {dict(arm)}")
    names = [arm["name"] for arm in study["arms"]]
    for name in study.get("without", ()):
        if name not in names:
            raise ConfigError(f"config.without holds {name!r}, no arm{did_you_mean(name, names)}")
    for arm in study["arms"]:
        _check_arm(study, arm, names)
        _check_start(study, arm, names)
    if study["reference"] not in names or study["reference"] in study.get("without", ()):
        hint = did_you_mean(study["reference"], names)
        raise ConfigError(f"config.reference={study['reference']!r} is no arm{hint}")
    goal = study.get("goal", 0.0)
    if not (isinstance(goal, float) and 0 <= goal < 1):
        raise ConfigError(
            f"config.goal={goal!r} must be a score below 1, as 0.3, or 0.0 where none is asked"
        )
    spread = study.get("spread", 0.0)
    if not (isinstance(spread, float) and 0 <= spread < 1):
        raise ConfigError(
            f"config.spread={spread!r} must be the expected standard deviation of paired "
            "differences, as 0.02 for two points, or 0.0 where it isn't known"
        )
    _check_comparisons(study, names)
    _check_budget(study["budget"])
    _check_factors(study["factors"])
    if study.get("sweep"):
        _check_sweep(study["sweep"], study["factors"])


def _check_comparisons(study: Mapping[str, Any], names: list[str]) -> None:
    metric, bound = study.get("metric", "miou"), study.get("equivalence", 0.0)
    if not metrics.known(metric):
        raise ConfigError(
            f"config.metric={metric!r} is no score of segmentation"
            f"{did_you_mean(metric, metrics.NAMES)}; known are {', '.join(metrics.NAMES)}, "
            "iou/CLASS and category_iou/CATEGORY"
        )
    if not (isinstance(bound, float) and 0 <= bound < 1):
        raise ConfigError(
            f"config.equivalence={bound!r} must be a difference of the metric below 1, as 0.01 for "
            "one point, or 0.0 for none"
        )
    seen = set()
    for pair in study.get("contrasts", ()):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or pair[0] == pair[1]:
            raise ConfigError(f"config.contrasts holds {pair!r}, which is no pair of two arms")
        for name in pair:
            if name not in names:
                hint = did_you_mean(name, names)
                raise ConfigError(f"config.contrasts names {name!r}, which is no arm{hint}")
        if frozenset(pair) in seen:
            raise ConfigError(f"config.contrasts has {tuple(pair)!r} twice")
        seen.add(frozenset(pair))


def _check_budget(budget: Mapping[str, Any]) -> None:
    measure, amount = budget.get("measure"), budget.get("amount")
    if measure not in MEASURES:
        hint = did_you_mean(measure, MEASURES)
        raise ConfigError(
            f"config.budget.measure={measure!r} is none of {', '.join(MEASURES)}{hint}"
        )
    if measure == "steps" and amount is not None:
        raise ConfigError(
            f"config.budget.amount={amount!r} says nothing beside measure='steps', by which each "
            "pre-training has the steps of its own config; drop it, or choose another measure"
        )
    number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if measure != "steps" and not (number and 0 < amount < math.inf):
        raise ConfigError(f"config.budget.amount={amount!r} must be a number above 0")


def _check_sweep(sweep: Mapping[str, Any], factors: Mapping[str, Any]) -> None:
    for key in sweep:
        if key not in SWEEP_KEYS:
            hint = did_you_mean(key, SWEEP_KEYS)
            raise ConfigError(f"config.sweep.{key} is none of {', '.join(SWEEP_KEYS)}{hint}")
    for key in ("learning_rate", "pretraining"):
        rates = sweep.get(key, ())
        numbers = all(isinstance(r, float) and 0 < r < math.inf for r in rates)
        if not numbers or len(set(rates)) < len(rates) or len(rates) == 1:
            raise ConfigError(
                f"config.sweep.{key}={tuple(rates)!r} must be two or more learning rates (of "
                "pretraining multiples of an arm's own), each once, or () where none is swept"
            )
    if not (sweep.get("learning_rate") or sweep.get("pretraining")):
        raise ConfigError("config.sweep has neither learning_rate nor pretraining; drop it")
    runs = sweep.get("replicates", ())
    used = {*factors.get("replicate", ()), *factors.get("subset", ())}
    if not runs or not all(type(k) is int and k >= 0 for k in runs) or used & set(runs):
        raise ConfigError(
            f"config.sweep.replicates={tuple(runs)!r} must be subsets that "
            "config.factors doesn't have, as (100, 101)"
        )
    labels, folds = sweep.get("labels"), sweep.get("folds", 4)
    if not (type(labels) is int and type(folds) is int and 2 <= folds <= labels):
        raise ConfigError(
            f"config.sweep.labels={labels!r} must be a number of labels, at least as many as "
            f"config.sweep.folds={folds!r}, of which one judges the others"
        )


def _check_arm(study: Mapping[str, Any], arm: Mapping[str, Any], names: list[str]) -> None:
    who = f"arm {arm['name']!r}"
    for key in arm:
        if key not in ARM_KEYS:
            hint = did_you_mean(key, ARM_KEYS)
            raise ConfigError(f"{who} has {key!r}, which is no setting{hint}")
    if not re.fullmatch(r"[a-z0-9_]+", arm["name"]) or names.count(arm["name"]) > 1:
        raise ConfigError(f"{who}: names are unique and of a-z, 0-9 and _; `label` is shown")
    labels = [other.get("label", other["name"]) for other in study["arms"]]
    if labels.count(arm.get("label", arm["name"])) > 1:
        raise ConfigError(f"{who}: another arm is called {arm.get('label', arm['name'])!r} too")
    nothing = not (arm.get("config") or arm.get("weights"))
    if nothing and len(arm) > 1 + ("label" in arm):
        raise ConfigError(f"{who} has neither config nor weights, and yet more than a label")
    if arm.get("config") and arm.get("weights"):
        raise ConfigError(f"{who} has both config and weights; give one")
    if arm.get("start") and arm.get("weights"):
        raise ConfigError(f"{who} has both weights and start; weights start from nothing")
    for key in settings.flatten(arm.get("target", {})):
        if key not in study.get("declared", ()):
            raise ConfigError(
                f"{who} has a {key} of its own for the target; name it in config.declared, so that "
                "the report tells, or drop it"
            )


def _check_start(study: Mapping[str, Any], arm: Mapping[str, Any], names: list[str]) -> None:
    left_out = study.get("without", ())
    if not arm.get("start") or arm["name"] in left_out:
        return
    before = study["arms"][: names.index(arm["name"])]
    there = [a["name"] for a in before if a["name"] not in left_out and not is_random(a)]
    if arm["start"] not in there:
        raise ConfigError(
            f"arm {arm['name']!r} starts from {arm['start']!r}, which is no arm before it that is "
            "trained or has weights; put it there, or leave this one out too, --config.without"
        )


def is_random(arm: Mapping[str, Any]) -> bool:
    """Whether an arm has neither a pre-training nor weights from elsewhere."""
    return not (arm.get("config") or arm.get("weights"))


def _check_factors(factors: Mapping[str, Any]) -> None:
    pairs = ("replicate",) if "replicate" in factors else ("subset", "seed")
    needed = (*CONDITION, *pairs)
    given = (*needed, *(f for f in ("pretraining_seed",) if f in factors))
    known = (*needed, "pretraining_seed")
    for factor in factors:
        if factor not in known:
            hint = did_you_mean(factor, known)
            raise ConfigError(f"config.factors.{factor} is none of {', '.join(known)}{hint}")
    for factor in given:
        values = factors.get(factor, ())
        if not isinstance(values, tuple | list) or not values or len(set(values)) < len(values):
            raise ConfigError(
                f"config.factors.{factor}={values!r} must be a tuple of one or more values, each "
                "once"
            )
    for factor in given:
        if factor in CONDITION[1:]:
            continue
        for value in factors[factor]:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"config.factors.{factor} holds {value!r}, no whole number")
    encoders, runs = factors.get("pretraining_seed", (0,)), factors.get("replicate", (0,))
    if len(encoders) not in (1, len(runs)):
        raise ConfigError(
            f"config.factors.pretraining_seed={encoders!r}: give one value, by which all runs of "
            "an arm share an encoder, or one for each of config.factors.replicate"
        )
    for training in factors["training"]:
        if training not in TRAININGS:
            hint = did_you_mean(training, TRAININGS)
            raise ConfigError(f"config.factors.training holds {training!r}{hint}")
