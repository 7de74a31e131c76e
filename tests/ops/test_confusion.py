"""Confusion matrices against counts by hand and numpy, the paper's numbers against its own code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.ops import confusion
from geoseg_jax.training import sharding
from tests import paper_code


def maps(shape, classes, seed=0):
    """Predictions and labels with ignored pixels."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, shape).astype(np.uint8)
    label[generator.random(shape) < 0.2] = 255
    return generator.integers(0, classes, shape).astype(np.int32), label


def counted(predicted, label, classes):
    matrix = np.zeros((classes, classes), int)
    for p, t in zip(predicted.ravel(), label.ravel(), strict=True):
        if t != 255:
            matrix[t, p] += 1
    return matrix


def matrices(predicted, label, classes):
    """Without padding and without the row of ignored pixels."""
    size = jnp.broadcast_to(jnp.asarray(label.shape[-2:]), (*label.shape[:-2], 2))
    return confusion.confusion_and_ignored(predicted, label, size, classes)[..., :classes, :]


def test_by_hand():
    label = jnp.asarray([[0, 0, 1], [2, 255, 1]], jnp.uint8)
    predicted = jnp.asarray([[0, 1, 1], [0, 2, 1]])
    matrix = matrices(predicted, label, 3)
    assert matrix.dtype == jnp.int32
    np.testing.assert_array_equal(matrix, [[1, 1, 0], [0, 2, 0], [1, 0, 0]])
    size = jnp.asarray([2, 3])
    with_ignored = confusion.confusion_and_ignored(predicted, label, size, 3)
    np.testing.assert_array_equal(with_ignored, [[1, 1, 0], [0, 2, 0], [1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int16])
def test_leading_dimensions_and_dtypes(dtype):
    predicted, label = maps((2, 3, 8, 9), 5)
    matrix = jax.jit(matrices, static_argnums=2)(predicted.astype(dtype), label, 5)
    assert matrix.shape == (2, 3, 5, 5)
    for i in np.ndindex(2, 3):
        np.testing.assert_array_equal(matrix[i], counted(predicted[i], label[i], 5))


def test_exact_for_large_pictures():
    """Above 2^24 counts float32 stops counting by ones."""
    label = jnp.zeros((1, 4097, 4097), jnp.uint8)
    matrix = jax.jit(matrices, static_argnums=2)(label, label, 2)
    assert int(matrix[0, 0, 0]) == 4097**2 > 2**24


def test_predictions_without_a_class_are_not_counted():
    label = jnp.zeros((2, 2), jnp.uint8)
    predicted = jnp.asarray([[-1, 3], [0, 255]])
    np.testing.assert_array_equal(matrices(predicted, label, 3).sum(), 1)


def test_labels_below_zero_are_ignored():
    label = jnp.asarray([[-1, -2], [-128, 1]], jnp.int8)
    np.testing.assert_array_equal(matrices(jnp.ones((2, 2), jnp.uint8), label, 2), [[0, 0], [0, 1]])


def test_padding_is_not_counted():
    predicted, label = maps((2, 6, 7), 4)
    size = np.array([[6, 7], [4, 5]], np.int32)
    matrix = confusion.confusion_and_ignored(predicted, label, size, 4)
    assert matrix.sum((1, 2)).tolist() == [42, 20]
    np.testing.assert_array_equal(matrix[1, :4], counted(predicted[1, :4, :5], label[1, :4, :5], 4))


def test_divided_over_devices_without_an_exchange():
    predicted, label = maps((8, 6, 7), 4)
    mesh = sharding.make_mesh()
    function = jax.jit(lambda p, t: matrices(p, t, 4))
    arrays = sharding.to_devices({"p": predicted, "t": label}, mesh)
    np.testing.assert_array_equal(function(arrays["p"], arrays["t"]), matrices(predicted, label, 4))
    compiled = function.lower(arrays["p"], arrays["t"]).compile().as_text()
    assert "all-gather" not in compiled
    assert "all-reduce" not in compiled


# Mean IoU and pixel accuracy by the paper's own function, see tests/paper_code.py.
RECORDED = {
    "all": (0.60701299, 1.3227273),
    "terrain nowhere, cars only predicted": (0.4271991, 1.3413462),
    "bicycles alone": (np.nan, 0.7890625),
    "nineteen": (0.61161255, 0.7734375),
}


def papers(case, name):
    """Our numbers with the table of that name, from label ids."""
    predicted, truth = paper_code.label_pair(case)
    table = label_table(name)
    lookup = np.array([table.train_ids[i] for i in paper_code.ALL])
    if name == "cityscapes34":
        answer, unlabelled = predicted, table.classes.index("unlabeled")
    else:
        answer, unlabelled = lookup[predicted], None
    matrix = confusion.confusion_and_ignored(
        jnp.asarray(answer, jnp.int32),
        jnp.asarray(lookup[truth], jnp.uint8),
        jnp.asarray(truth.shape),
        len(table.classes),
    )
    return confusion.paper_numbers(matrix, table.paper_classes, unlabelled)


@pytest.mark.parametrize("case", RECORDED)
def test_the_papers_numbers_are_those_of_its_own_code(case):
    np.testing.assert_allclose(papers(case, "cityscapes34"), RECORDED[case], rtol=1e-6)


def test_nineteen_outputs_have_the_same_numbers_where_nothing_is_unlabelled():
    np.testing.assert_allclose(papers("nineteen", "cityscapes19"), RECORDED["nineteen"], rtol=1e-6)


def paper_by_loop(predicted, label, chosen, unlabelled):
    """One image by the rule in words: pixels equal, pixels of either, class by class."""
    ious = []
    for c in chosen:
        either = (predicted == c) | (label == c)
        if either.any():
            ious.append(((predicted == c) & (label == c)).sum() / either.sum())
    hits = (predicted == label).sum()
    if unlabelled is not None:
        hits += ((label == 255) & (predicted == unlabelled)).sum()
    return np.mean(ious), hits / (label != 255).sum()


@pytest.mark.parametrize("unlabelled", [None, 0])
def test_paper_numbers(unlabelled):
    chosen = (1, 3, 4, 6)
    predicted, label = maps((3, 9, 10), 7)
    label[label == 0] = 255
    predicted[1][predicted[1] == 3] = 0
    label[1][label[1] == 3] = 255  # class 3 is nowhere in the second image
    label[2][label[2] == 4] = 1  # and class 4 only predicted in the third
    size = np.full((3, 2), (9, 10))
    matrix = confusion.confusion_and_ignored(predicted, label, size, 7)
    miou, accuracy = confusion.paper_numbers(matrix, chosen, unlabelled)
    for i in range(3):
        expected = paper_by_loop(predicted[i], label[i], chosen, unlabelled)
        np.testing.assert_allclose((miou[i], accuracy[i]), expected, rtol=1e-6)


def test_paper_union_holds_predictions_on_ignored_pixels():
    label = jnp.asarray([[1, 1, 255, 255]], jnp.uint8)
    predicted = jnp.asarray([[1, 1, 1, 1]])
    matrix = confusion.confusion_and_ignored(predicted, label, jnp.asarray([1, 4]), 2)
    miou, accuracy = confusion.paper_numbers(matrix, (1,))
    assert (float(miou), float(accuracy)) == (0.5, 1.0)


def test_paper_sums_leave_out_masked_and_undefined_images():
    label = np.full((4, 1, 4), 255, np.uint8)
    label[0] = [[1, 1, 0, 0]]
    label[1] = [[0, 0, 0, 0]]  # no chosen class
    label[3] = [[1, 1, 1, 1]]  # masked
    predicted = np.zeros((4, 1, 4), np.int32)
    predicted[0] = [[1, 0, 0, 0]]
    size = np.full((4, 2), (1, 4))
    matrix = confusion.confusion_and_ignored(predicted, label, size, 2)
    sums = confusion.paper_sums(matrix, jnp.asarray([True, True, True, False]), (1,))
    assert {name: float(value) for name, value in sums.items()} == {
        "paper_miou": 0.5,
        "paper_miou_images": 1,
        "paper_pixel_accuracy": 1.75,
        "paper_pixel_accuracy_images": 2,
    }
