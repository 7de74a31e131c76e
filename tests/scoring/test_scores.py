"""Scores against values by hand, scikit-learn and the rules for what is absent."""

import math

import numpy as np
import pytest

from geoseg_jax.data.labels.table import LabelTable, label_table
from geoseg_jax.scoring.scores import paper_means, scores, summarise
from tests import paper_code

THREE = LabelTable(
    name="three",
    classes=("sky", "road", "car"),
    palette=((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    train_ids={0: 0, 1: 1, 2: 2, 9: 255},
    file_ids=(0, 1, 2),
    categories=("far", "near", "near"),
)


def test_by_hand():
    result = scores(np.array([[3, 1, 0], [0, 4, 2], [1, 0, 5]]), THREE)
    expected = {
        "iou/sky": 3 / 5,
        "iou/road": 4 / 7,
        "iou/car": 5 / 8,
        "miou": (3 / 5 + 4 / 7 + 5 / 8) / 3,
        "miou_all_classes": (3 / 5 + 4 / 7 + 5 / 8) / 3,
        "pixel_accuracy": 12 / 16,
        "mean_accuracy": (3 / 4 + 4 / 6 + 5 / 6) / 3,
        "frequency_weighted_iou": (4 * 3 / 5 + 6 * 4 / 7 + 6 * 5 / 8) / 16,
        "category_iou/far": 3 / 5,
        "category_iou/near": 11 / 13,
        "category_miou": (3 / 5 + 11 / 13) / 2,
    }
    assert result == pytest.approx(expected)
    assert all(type(value) is float for value in result.values())


def test_absent_classes():
    """In neither: nan and left out. Only predicted: 0 and counted. Only in truth: likewise."""
    result = scores(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]), THREE)
    assert (result["iou/sky"], result["iou/road"]) == (3 / 4, 0)
    assert math.isnan(result["iou/car"])
    assert result["miou"] == pytest.approx(3 / 8)
    assert result["miou_all_classes"] == pytest.approx(3 / 12)
    assert result["mean_accuracy"] == 3 / 4


def test_nothing_at_all():
    result = scores(np.zeros((3, 3), int), THREE)
    assert result.pop("miou_all_classes") == 0
    assert all(math.isnan(value) for value in result.values())


def test_predictions_of_nothing_are_false_negatives():
    result = scores(np.array([[3, 1, 0, 4], [0, 4, 0, 0], [0, 0, 5, 5]]), THREE)
    assert result["iou/sky"] == 3 / 8
    assert result["iou/car"] == 1 / 2
    assert result["pixel_accuracy"] == 12 / 22
    assert result["category_iou/near"] == 9 / 15


def test_classes_that_the_truth_never_holds_are_not_judged():
    """The paper's 34 outputs are judged by the same 19 classes as any other network's."""
    narrow, wide = label_table("cityscapes19"), label_table("cityscapes34")
    matrix = np.random.default_rng(0).integers(0, 1000, (19, 20))
    ids = np.array(narrow.file_ids)
    spread = np.zeros((34, 34), int)
    spread[np.ix_(ids, ids)] = matrix[:, :19]
    spread[ids, 0] = matrix[:, 19]
    assert scores(spread, wide) == pytest.approx(scores(matrix, narrow))


@pytest.mark.parametrize("seed", range(3))
def test_equals_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    generator = np.random.default_rng(seed)
    table = label_table("camvid11")
    truth = generator.integers(0, 9, 4000)  # classes 9 and 10 are absent from the truth
    predicted = np.where(generator.random(4000) < 0.6, truth, generator.integers(0, 10, 4000))
    matrix = np.zeros((11, 11), int)
    np.add.at(matrix, (truth, predicted), 1)
    result = scores(matrix, table)
    every = metrics.jaccard_score(truth, predicted, labels=range(11), average=None, zero_division=0)
    ours = np.array([result[f"iou/{name}"] for name in table.classes])
    np.testing.assert_allclose(np.nan_to_num(ours), every, atol=1e-12)
    macro = metrics.jaccard_score(truth, predicted, average="macro")  # those that occur
    weighted = metrics.jaccard_score(truth, predicted, average="weighted", zero_division=0)
    assert result["miou"] == pytest.approx(macro, abs=1e-12)
    assert result["frequency_weighted_iou"] == pytest.approx(weighted, abs=1e-12)
    assert result["miou_all_classes"] == pytest.approx(every.mean(), abs=1e-12)
    assert result["pixel_accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    recalls = metrics.recall_score(truth, predicted, labels=range(9), average="macro")
    assert result["mean_accuracy"] == pytest.approx(recalls)


def test_equals_the_public_codes_numbers_on_cityscapes():
    """Recorded from its own metrics, see tests/paper_code.py."""
    predicted, truth = paper_code.train_id_pairs()
    known = truth < 19
    matrix = np.zeros((19, 19), int)
    np.add.at(matrix, (truth[known], predicted[known]), 1)
    result = scores(matrix, label_table("cityscapes19"))
    names = ("pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "miou")
    recorded = (0.6349598517603459, 0.635515709383613, 0.4755264169135608, 0.4485322512654694)
    np.testing.assert_allclose([result[name] for name in names], recorded, rtol=1e-12)


def test_counts_of_a_whole_data_set():
    """2975 pictures of 2048x1024 are more than 32 bits hold."""
    pixels = 2975 * 2048 * 1024
    matrix = np.diag([pixels, 2 * pixels, 3 * pixels]) + np.array([[0, pixels, 0]] + 2 * [[0] * 3])
    result = scores(matrix, THREE)
    assert result["frequency_weighted_iou"] == pytest.approx((2 / 2 + 2 * 2 / 3 + 3) / 7)
    assert result["iou/sky"] == 1 / 2


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (4, 3), (9,)])
def test_refuses_a_matrix_of_other_classes(shape):
    with pytest.raises(ValueError, match="the 3 classes of three"):
        scores(np.zeros(shape, int), THREE)


def test_paper_means():
    sums = {
        "paper_miou": 3.0,
        "paper_miou_images": 4.0,
        "paper_pixel_accuracy": 0.0,
        "paper_pixel_accuracy_images": 0.0,
        "other": 1.0,
    }
    means = paper_means(sums)
    assert means["paper_miou"] == 0.75
    assert math.isnan(means["paper_pixel_accuracy"])


def test_summarise():
    matrix = np.eye(3, dtype=np.int64)
    assert summarise({"confusion": matrix, "images": 2}, THREE) == scores(matrix, THREE)
    paper = {"paper_miou": 1.0, "paper_pixel_accuracy": 1.5}
    sums = {"confusion": matrix, **paper, **{f"{name}_images": 2.0 for name in paper}}
    result = summarise(sums, THREE)
    assert (result["paper_miou"], result["paper_pixel_accuracy"]) == (0.5, 0.75)
    assert result["miou"] == 1
