"""Computes the reported numbers from the confusion matrix of a whole split.

Rows are true classes, columns predicted ones. IoU is true positives / (true positives + false
positives + false negatives), as in PASCAL VOC and Cityscapes. A number that has no value is nan,
which JSON files hold as null (writers.finite):
- iou/<class>: for a class that occurs neither in the truth nor in the prediction;
- miou, mean_accuracy, category_miou: where nothing is left to average over;
- pixel_accuracy, frequency_weighted_iou: where no pixel has a true class.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from geoseg_jax.data.labels.table import IGNORE, LabelTable

PAPER = ("paper_miou", "paper_pixel_accuracy")


def summarise(sums: Mapping[str, Any], table: LabelTable) -> dict[str, float]:
    """Computes a split's numbers from its totals: `scores`, and `paper_means` where added up.

    sums: 'confusion', int [C, C], and perhaps what geoseg_jax.ops.confusion.paper_sums gives.
    """
    paper = paper_means(sums) if PAPER[0] in sums else {}
    return scores(sums["confusion"], table) | paper


def scores(matrix: np.ndarray, table: LabelTable) -> dict[str, float]:
    """Computes the numbers of a split.

    A class of the table that no file id stands for in the truth (the paper's 34 outputs have such)
    is no class to be judged: pixels predicted as it are false negatives of their true class.

    Args:
      matrix: counts [C, C] by true and predicted class. It may have a column more, for pixels that
        were predicted as something else or nothing: false negatives as well.
      table: names the C classes, and their categories if it has any.

    Returns:
      miou: the mean of the IoUs of the classes that occur in truth or prediction, which is what
        cityscapesscripts reports.
      miou_all_classes: the mean over all classes, absent ones counted as 0.
      pixel_accuracy: the share of pixels that are right.
      mean_accuracy: the mean over the classes in the truth of the share of their pixels that are
        right.
      frequency_weighted_iou: IoUs weighted by the share of pixels that the class truly has.
      category_miou: as miou, over the categories of the table; only where it has some.
      iou/<class> for each class, category_iou/<category> for each category.

    Raises:
      ValueError: for a matrix that doesn't fit the table.
    """
    matrix = _checked(matrix, table)
    judged = judged_classes(table)
    truth = matrix[judged]
    correct = truth[range(len(judged)), judged]
    in_truth, in_prediction = truth.sum(1), truth[:, judged].sum(0)
    iou = divide(correct, in_truth + in_prediction - correct)
    pixels = truth.sum()
    numbers = {
        "miou": _mean(iou),
        "miou_all_classes": float(np.nan_to_num(iou).mean()),
        "pixel_accuracy": float(divide(correct.sum(), pixels)),
        "mean_accuracy": _mean(divide(correct, in_truth)),
        "frequency_weighted_iou": float(divide((in_truth * np.nan_to_num(iou)).sum(), pixels)),
    }
    categories = _category_ious(matrix, table, judged)
    if categories:
        numbers["category_miou"] = _mean(np.array(list(categories.values())))
    numbers |= {f"iou/{table.classes[c]}": float(v) for c, v in zip(judged, iou, strict=True)}
    return numbers | {f"category_iou/{name}": value for name, value in categories.items()}


def judged_classes(table: LabelTable) -> list[int]:
    """Lists the train ids that the truth may hold, in order."""
    return sorted(set(table.train_ids.values()) - {IGNORE})


def paper_means(sums: Mapping[str, float]) -> dict[str, float]:
    """Divides what geoseg_jax.ops.confusion.paper_sums adds up over images; nan without one.

    sums: the totals of a split; other entries are passed over.
    """
    return {name: float(divide(sums[name], sums[f"{name}_images"])) for name in PAPER}


def _checked(matrix: np.ndarray, table: LabelTable) -> np.ndarray:
    """Converts to 64 bits: the products of the weighted IoU are large, as are whole data sets."""
    matrix, count = np.asarray(matrix), len(table.classes)
    if matrix.shape not in ((count, count), (count, count + 1)):
        raise ValueError(
            f"the confusion matrix must be [{count}, {count}] or [{count}, {count + 1}] for the "
            f"{count} classes of {table.name}, got {list(matrix.shape)}"
        )
    return matrix.astype(np.int64)


def _category_ious(matrix: np.ndarray, table: LabelTable, judged: list[int]) -> dict[str, float]:
    """Computes IoU by category: any class of a pixel's category is right."""
    members: dict[str, list[int]] = {}
    for c in judged if table.categories else ():
        members.setdefault(table.categories[c], []).append(c)
    ious = {}
    for name, inside in members.items():
        correct = matrix[np.ix_(inside, inside)].sum()
        union = matrix[inside].sum() + matrix[np.ix_(judged, inside)].sum() - correct
        ious[name] = float(divide(correct, union))
    return ious


def divide(above: Any, below: Any) -> np.ndarray:
    """Divides in float64, with 0 / 0 = nan."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def _mean(values: np.ndarray) -> float:
    """Averages those that are numbers; nan without one."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan
