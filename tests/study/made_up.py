"""Rows of a made-up study with effects that are known."""

import itertools
import zlib

import numpy as np

CONDITION = {"decoder": "unet", "resolution": "96x32", "encoder": "resnet18"}
CLASSES = ("road", "sky")


def row(arm: str, miou: float, labels: int = 8, subset: int = 0, seed: int = 0, **others) -> dict:
    """One run that is done."""
    training, pretraining = others.pop("training", "fine_tuned"), others.pop("pretraining_seed", 0)
    cell = f"{arm}-{training}-{labels}-{subset}-{seed}-{pretraining}"
    factors = {"arm": arm, "labels": labels, "training": training, **CONDITION}
    factors |= {"subset": subset, "seed": seed, "pretraining_seed": pretraining}
    ending = {"status": "done", "miou": miou, "seconds": 12.5, "error": ""}
    return {"cell": cell, **factors, **ending} | others


def failed(**factors) -> dict:
    """One that ended in an error."""
    return row(miou=np.nan, **factors) | {"status": "failed", "error": "loss is nan at step 7"}


def study(
    effects: dict[str, float],
    seed: int = 0,
    labels=(8, 16),
    trainings=("fine_tuned",),
    subsets: int = 1,
    seeds: int = 3,
    noise: float = 0.01,
    subset_noise: float = 0.0,
) -> list[dict]:
    """Rows with miou = 0.3 + 0.05 log2(labels) + the arm's effect + what runs and subsets add.

    noise: standard deviation of a run of its own. subset_noise: of what a subset does to an arm.
    """

    def gauss(*what) -> float:
        return np.random.default_rng([seed, zlib.crc32(repr(what).encode())]).standard_normal()

    rows = []
    for training, count, arm, subset, s in itertools.product(
        trainings, labels, effects, range(subsets), range(seeds)
    ):
        shared = 0.02 * gauss("shared", subset, s)
        own = noise * gauss(training, count, arm, subset, s)
        own += subset_noise * gauss("subset", arm, subset)
        miou = 0.3 + 0.05 * np.log2(count or 367) + effects[arm] + shared + own
        curve = [(step, float(miou * step / 60)) for step in (20, 40, 60)]
        ious = {
            f"iou/{name}": float(miou + d) for name, d in zip(CLASSES, (0.2, -0.2), strict=True)
        }
        rows.append(row(arm, float(miou), count, subset, s, training=training, curve=curve, **ious))
    return rows
