"""Checks what a study's config says, before anything is planned, and expands its arms' starts.

A network that is said to have learned from depth may owe what it is worth to the ImageNet weights
that it started from. So the start is a factor: an arm's `start` names one, or several.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from geoseg_jax.analysis import metrics
from geoseg_jax.analysis.units import CONDITION
from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.near_miss import did_you_mean

RANDOM = "random"  # no start at all, as is an arm that has neither a pre-training nor weights
TRAININGS = ("fine_tuned", "frozen")
MEASURES = ("images", "encoder_images", "flops", "steps")
# What each means, for docs/settings.md.
NEEDED = {
    "title": "name of the study, on its page",
    "question": "what it asks, on its page",
    "arms": "ways to get an encoder, see below",
    "reference": "the arm that all others are compared with",
    "budget": f"of each pre-training: measure, one of {', '.join(MEASURES)}; and amount",
    "target": "the segmentation of all cells: config, root, and what is set in it (set)",
    "factors": "what cells differ in: labels (0: all), training (fine_tuned, frozen), decoder, "
    "resolution, encoder, each a tuple of values; and replicate, or subset, seed and "
    "pretraining_seed",
}
OPTIONAL = {
    "pretraining": "settings of all pre-trainings that have them",
    "panels": "judged pictures that the page shows of every arm",
    "keep_checkpoints": "whether cells keep theirs; pre-trainings do",
    "roots": "where data and weights lie, by the names that arms and target give them",
    "without": "arms to leave out",
    "declared": "settings of the target in which arms may differ",
    "goal": "a score, such as 0.3: in how many steps do arms reach it? 0.0: not asked",
    "metric": "the score that is compared; miou unless told",
    "contrasts": "pairs of arms that are compared beside the reference, named beforehand",
    "equivalence": "arms are level where they differ by less, such as 0.01; 0.0: not asked",
    "spread": "standard deviation of paired differences, if known: the dry run then tells points",
    "sweep": "learning rates to be tried first, see below",
    "trial": "whether runs are too short to learn anything, which the page then says first",
}
SWEEP_KEYS = {
    "learning_rate": "of the target; (): none is tried",
    "pretraining": "multiples of each pre-training's own; (): none is tried",
    "labels": "labelled pictures to try with",
    "replicates": "subsets to try with, none of the study's",
    "folds": "parts of these labels, one of which judges",
}
KEYS = NEEDED | OPTIONAL
ARM_KEYS = {
    "name": "of a-z, 0-9 and _",
    "label": "its name on the page",
    "config": "of its pre-training, FILE.py:OPTIONS; without one, or weights: random weights",
    "set": "settings of that config",
    "root": "name of its data's place in roots",
    "eval_root": "likewise of the data that judge its pre-training",
    "weights": "in place of config: name of a place in roots, or a path",
    "start": "the arm whose encoder its pre-training starts from, or several, an arm each",
    "target": "settings of its cells alone, each declared",
}


def expand(study: Mapping[str, Any]) -> dict[str, Any]:
    """Makes one arm for each start of an arm that has several.

    start=("random", "imagenet") makes two arms of depth: `depth`, from random weights, and
    `depth_from_imagenet`, labelled 'Depth, from ImageNet' where that arm is labelled so. What is
    expanded already stays as it is.

    Args:
      study: its config as plain data.

    Raises:
      ConfigError: for no start in a tuple, or the same one twice.
    """
    if "arms" not in study:  # which `check` refuses
        return dict(study)
    given = study["arms"]
    labels = {arm["name"]: arm.get("label", arm["name"]) for arm in given if arm.get("name")}
    nothing = {RANDOM} - labels.keys() | {
        a["name"] for a in given if a.get("name") and is_random(a)
    }
    arms = []
    for arm in given:
        start = arm.get("start", "")
        starts = (start,) if isinstance(start, str) else start
        if not starts or len(set(starts)) < len(starts):
            raise ConfigError(
                f"arm {arm.get('name')!r} has start={tuple(starts)!r}: list one or more, each once"
            )
        for one in starts:
            if one in nothing:
                arms.append({key: value for key, value in arm.items() if key != "start"})
            elif isinstance(start, str):
                arms.append(arm)
            else:
                label = f"{arm.get('label', arm['name'])}, from {labels.get(one, one)}"
                name = f"{arm['name']}_from_{one}"
                arms.append({**arm, "name": name, "label": label, "start": one})
    return {**study, "arms": arms}


def check(study: Mapping[str, Any]) -> None:
    """Refuses a study that can't be planned.

    Args:
      study: its config as plain data, each arm with one start (see `expand`).

    Raises:
      ConfigError: naming the key, its value and the remedy.
    """
    _check_keys(study, KEYS, "config.")
    for key in NEEDED:
        if key not in study:
            raise ConfigError(f"a study needs config.{key}; see configs/study_quick.py")
    for number, arm in enumerate(study["arms"]):
        if not arm.get("name"):
            raise ConfigError(f"config.arms[{number}] needs a name: {dict(arm)}")
    names = [arm["name"] for arm in study["arms"]]
    left_out = study.get("without", ())
    for name in left_out:
        _check_name("config.without", name, names)
    for arm in study["arms"]:
        _check_arm(study, arm, names)
        _check_start(study, arm, names)
    there = [name for name in names if name not in left_out]
    _check_name("config.reference", study["reference"], there)
    _check_share(study, "goal", "a score, such as 0.3")
    _check_share(study, "spread", "the standard deviation of paired differences, such as 0.02")
    _check_share(study, "equivalence", "a difference of the metric, such as 0.01 for one point")
    _check_comparisons(study, names)
    _check_budget(study["budget"])
    _check_factors(study["factors"])
    if study.get("sweep"):
        _check_sweep(study["sweep"], study["factors"])


def _check_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}{key} is not a study setting{did_you_mean(key, known)}")


def _check_name(where: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise ConfigError(f"{where} names {name!r}, which is not an arm{did_you_mean(name, names)}")


def _check_choice(where: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = did_you_mean(value, known)
        raise ConfigError(f"{where}={value!r} must be one of {', '.join(known)}{hint}")


def _check_share(study: Mapping[str, Any], key: str, what: str) -> None:
    value = study.get(key, 0.0)
    if not (isinstance(value, float) and 0 <= value < 1):
        raise ConfigError(f"config.{key}={value!r} must be {what}, below 1.0; 0.0 means none")


def _check_comparisons(study: Mapping[str, Any], names: list[str]) -> None:
    metric = study.get("metric", "miou")
    if not metrics.known(metric):
        raise ConfigError(
            f"config.metric={metric!r} is not a segmentation score"
            f"{did_you_mean(metric, metrics.NAMES)}; choose from {', '.join(metrics.NAMES)}, "
            "iou/CLASS and category_iou/CATEGORY"
        )
    seen = set()
    for pair in study.get("contrasts", ()):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or pair[0] == pair[1]:
            raise ConfigError(f"config.contrasts holds {pair!r}, which is not a pair of two arms")
        for name in pair:
            _check_name("config.contrasts", name, names)
        if frozenset(pair) in seen:
            raise ConfigError(f"config.contrasts has {tuple(pair)!r} twice")
        seen.add(frozenset(pair))


def _check_budget(budget: Mapping[str, Any]) -> None:
    measure, amount = budget.get("measure"), budget.get("amount")
    _check_choice("config.budget.measure", measure, MEASURES)
    if measure == "steps" and amount is not None:
        raise ConfigError(
            f"config.budget.amount={amount!r} has no effect with measure='steps', where each "
            "pre-training has the steps of its own config; drop it, or choose another measure"
        )
    number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if measure != "steps" and not (number and 0 < amount < math.inf):
        raise ConfigError(f"config.budget.amount={amount!r} must be a number above 0")


def _check_sweep(sweep: Mapping[str, Any], factors: Mapping[str, Any]) -> None:
    _check_keys(sweep, SWEEP_KEYS, "config.sweep.")
    for key in ("learning_rate", "pretraining"):
        rates = sweep.get(key, ())
        numbers = all(isinstance(r, float) and 0 < r < math.inf for r in rates)
        if not numbers or len(set(rates)) < len(rates) or len(rates) == 1:
            raise ConfigError(
                f"config.sweep.{key}={tuple(rates)!r} must be two or more learning rates (for "
                "pretraining, multiples of an arm's own), each once, or () for no sweep"
            )
    if not (sweep.get("learning_rate") or sweep.get("pretraining")):
        raise ConfigError("config.sweep has neither learning_rate nor pretraining: drop it")
    runs = sweep.get("replicates", ())
    used = {*factors.get("replicate", ()), *factors.get("subset", ())}
    if not runs or not all(type(k) is int and k >= 0 for k in runs) or used & set(runs):
        raise ConfigError(
            f"config.sweep.replicates={tuple(runs)!r} must be subsets that config.factors doesn't "
            "have, such as (100, 101)"
        )
    labels, folds = sweep.get("labels"), sweep.get("folds", 4)
    if not (type(labels) is int and type(folds) is int and 2 <= folds <= labels):
        raise ConfigError(
            f"config.sweep.labels={labels!r} must be an integer and at least config.sweep.folds="
            f"{folds!r}, since one fold of the labels validates the others"
        )


def _check_arm(study: Mapping[str, Any], arm: Mapping[str, Any], names: list[str]) -> None:
    who = f"arm {arm['name']!r}"
    _check_keys(arm, ARM_KEYS, f"{who}: ")
    if not re.fullmatch(r"[a-z0-9_]+", arm["name"]) or names.count(arm["name"]) > 1:
        raise ConfigError(f"{who}: names must be unique and use only a-z, 0-9 and _; see `label`")
    labels = [other.get("label", other["name"]) for other in study["arms"]]
    if labels.count(arm.get("label", arm["name"])) > 1:
        raise ConfigError(f"{who}: another arm has the label {arm.get('label', arm['name'])!r} too")
    nothing = not (arm.get("config") or arm.get("weights"))
    if nothing and len(arm) > 1 + ("label" in arm):
        raise ConfigError(f"{who} has neither config nor weights, so it can only have a label")
    if arm.get("config") and arm.get("weights"):
        raise ConfigError(f"{who} has both config and weights: give one")
    if arm.get("start") and arm.get("weights"):
        raise ConfigError(f"{who} has both weights and start: give one")
    for key in settings.flatten(arm.get("target", {})):
        if key not in study.get("declared", ()):
            raise ConfigError(
                f"{who} sets {key} for the target; add it to config.declared, so that the report "
                "says so, or drop it"
            )


def _check_start(study: Mapping[str, Any], arm: Mapping[str, Any], names: list[str]) -> None:
    left_out = study.get("without", ())
    if not arm.get("start") or arm["name"] in left_out:
        return
    before = study["arms"][: names.index(arm["name"])]
    there = [a["name"] for a in before if a["name"] not in left_out and not is_random(a)]
    if arm["start"] not in there:
        raise ConfigError(
            f"arm {arm['name']!r} starts from {arm['start']!r}, which is not an earlier arm with a "
            "config or weights; list that arm first, or leave this one out too (--config.without)"
        )


def is_random(arm: Mapping[str, Any]) -> bool:
    """Tells whether an arm has neither a pre-training nor weights from elsewhere."""
    return not (arm.get("config") or arm.get("weights"))


def _check_factors(factors: Mapping[str, Any]) -> None:
    pairs = ("replicate",) if "replicate" in factors else ("subset", "seed")
    needed = (*CONDITION, *pairs)
    given = (*needed, *(f for f in ("pretraining_seed",) if f in factors))
    known = (*needed, "pretraining_seed")
    _check_keys(factors, known, "config.factors.")
    for factor in given:
        values = factors.get(factor, ())
        if not isinstance(values, tuple | list) or not values or len(set(values)) < len(values):
            raise ConfigError(
                f"config.factors.{factor}={values!r} must be a tuple of distinct values"
            )
    for factor in given:
        if factor in CONDITION[1:]:
            continue
        for value in factors[factor]:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"config.factors.{factor} holds {value!r}; use integers")
    encoders, runs = factors.get("pretraining_seed", (0,)), factors.get("replicate", ())
    if runs and len(encoders) not in (1, len(runs)):
        raise ConfigError(
            f"config.factors.pretraining_seed={encoders!r} must be one value, for one encoder per "
            "arm, or one value for each of config.factors.replicate"
        )
    for training in factors["training"]:
        _check_choice("config.factors.training", training, TRAININGS)
