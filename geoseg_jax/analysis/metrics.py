"""Lists what a study may compare by: the numbers of a segmentation run's eval.json."""

from collections.abc import Iterable

from geoseg_jax.core.near_miss import did_you_mean

NAMES = {
    "miou": "mIoU",
    "miou_all_classes": "mIoU over all classes",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
    "category_miou": "category mIoU",
    "paper_miou": "mIoU per picture (the paper's)",
    "paper_pixel_accuracy": "pixel accuracy per picture (the paper's)",
}
"""Key -> what people read. All reach results.csv where a run has them; all are shares of 1, and of
all more is better."""
CLASS, CATEGORY = "iou/", "category_iou/"
ALWAYS = ("miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")
"""Given by every table of labels; the others need categories, or the paper's classes."""


def name(metric: str) -> str:
    """Gives the name that people read."""
    return NAMES.get(metric, metric.replace(CATEGORY, "IoU of ").replace(CLASS, "IoU of "))


def known(metric: str) -> bool:
    """Tells whether it may be one; a class or category is known once a run is judged."""
    return metric in NAMES or any(
        metric.startswith(kind) and metric != kind for kind in (CLASS, CATEGORY)
    )


def missing(metric: str, found: Iterable[str], where: str) -> str:
    """Writes the message for a metric that a run doesn't have.

    Args:
      found: the numbers that it has.
      where: the file that holds them.
    """
    there = [n for n in found if known(n)]
    hint = did_you_mean(metric, there)
    return f"config.metric={metric!r} is not a score in {where}, which has {', '.join(there)}{hint}"
