"""Where pre-trainings start: from nothing, from another arm, or from weights from elsewhere.

A network that is said to have learned from depth may owe what it is worth to the ImageNet weights
that it started from. So the start is a factor: an arm's `start` names one, or several.
"""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study.check import is_random

RANDOM = "random"  # no start at all, as is an arm that has neither a pre-training nor weights


def expand(study: Mapping[str, Any]) -> dict[str, Any]:
    """The study with one arm for each start of an arm that has several.

    start=("random", "imagenet") makes two arms of depth: `depth`, from random weights, and
    `depth_from_imagenet`, labelled 'Depth, from ImageNet' where that arm is labelled so. What is
    expanded already stays as it is.

    Args:
      study: its config as plain data.

    Raises:
      ConfigError: for no start in a tuple, or the same one twice.
    """
    if "arms" not in study:  # which check.check tells of
        return dict(study)
    given = study["arms"]
    labels = {arm["name"]: arm.get("label", arm["name"]) for arm in given if arm.get("name")}
    nothing = {RANDOM} - labels.keys() | {
        a["name"] for a in given if a.get("name") and is_random(a)
    }
    arms = []
    for arm in given:
        start = arm.get("start", "")
        if isinstance(start, str):
            arms.append(_without_start(arm) if start in nothing else arm)
            continue
        if not start or len(set(start)) < len(start):
            raise ConfigError(
                f"arm {arm.get('name')!r} has start={tuple(start)!r}; needed are one or more, each "
                "once"
            )
        arms += [_without_start(arm) if s in nothing else _from(arm, s, labels) for s in start]
    return {**study, "arms": arms}


def _without_start(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arm.items() if key != "start"}


def _from(arm: Mapping[str, Any], start: str, labels: Mapping[str, str]) -> dict[str, Any]:
    label = f"{arm.get('label', arm['name'])}, from {labels.get(start, start)}"
    return {**arm, "name": f"{arm['name']}_from_{start}", "label": label, "start": start}
