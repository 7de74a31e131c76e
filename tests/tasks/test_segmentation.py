"""The segmentation task against values by hand and NumPy, for every head."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.presets import segmentation as presets
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import segmentation
from tests import test_configs as configs
from tests.models.weights import randomise

TABLE = label_table("camvid11")
CLASSES = len(TABLE.classes)
H, W, L_H, L_W = 36, 48, 50, 64


def make_config(**changes) -> ConfigDict:
    config = build(presets.PRESET, "encoder=tiny", "test")
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return config


class Labels:
    """A training set whose labels are given."""

    table = TABLE

    def __init__(self, *labels):
        self.labels = [np.asarray(label, np.uint8) for label in labels]

    def __len__(self):
        return len(self.labels)

    def label(self, index):
        return self.labels[index]


def make(**changes):
    data = SimpleNamespace(train=Labels())
    return segmentation.make(make_config(**changes), data)


def test_a_config_may_lack_what_is_optional():
    config = make_config()
    del config.transfer
    task = segmentation.make(config, SimpleNamespace(train=Labels()))
    assert task.frozen_kwargs == {"frozen": ()}


def batch(full=True, seed=0):
    generator = np.random.default_rng(seed)
    height, width = (L_H, L_W) if full else (H, W)
    label = generator.integers(0, CLASSES, (3, height, width)).astype(np.uint8)
    label[0, :5] = 255
    sizes = np.full((3, 2), (height, width), np.int32)
    if full:
        sizes[1] = (41, 60)
        label[1, 41:], label[1, :, 60:] = 255, 255
    return {
        "image": generator.integers(0, 256, (3, H, W, 3)).astype(np.uint8),
        "label": label,
        "label_size": sizes,
        "id": np.arange(3, dtype=np.int32),
        "mask": np.array([True, True, False]),
    }


def drawn(task, examples):
    """Variables of the task's network, which to initialise would have to be compiled."""
    return randomise(jax.eval_shape(task.init, jax.random.key(0), examples))


@pytest.fixture(scope="module")
def unet():
    task = make()
    return task, drawn(task, batch())


def test_the_loss_is_the_mean_cross_entropy_of_labelled_pixels(unet):
    task, variables = unet
    variables = jax.tree.map(jnp.zeros_like, variables)  # all logits 0
    value, aux = jax.jit(task.loss)(variables, jax.random.key(1), batch(full=False), 0.0)
    np.testing.assert_allclose(value, np.log(CLASSES), rtol=1e-5)
    assert set(aux.terms) == {"cross_entropy", "training_accuracy"}


def test_evaluation_counts_what_prediction_says(unet):
    task, variables = unet
    examples = batch()
    sums = jax.jit(task.evaluate)(variables, examples)
    answer = np.asarray(jax.jit(task.predict)(variables, examples)["label"])
    assert answer.shape == (3, L_H, L_W)
    expected = np.zeros((CLASSES, CLASSES), int)
    known = (examples["label"] < CLASSES) & examples["mask"][:, None, None]
    np.add.at(expected, (examples["label"][known], answer[known]), 1)
    np.testing.assert_array_equal(sums["confusion"], expected)
    assert sums["images"] == 2
    each = np.asarray(sums["each/confusion"])
    np.testing.assert_array_equal(each[:2].sum(0), expected)
    assert np.asarray(sums["each/id"]).tolist() == [0, 1, -1]
    numbers = task.summarise({k: np.asarray(v) for k, v in sums.items()})
    accuracy = np.trace(expected) / expected.sum()
    np.testing.assert_allclose(numbers["pixel_accuracy"], accuracy)


def test_a_label_of_another_size_is_answered_at_its_own_size(unet):
    task, variables = unet
    examples = batch()
    predict = jax.jit(task.predict)
    whole = np.asarray(predict(variables, examples)["label"])[1]
    alone = {k: v[1:2] for k, v in examples.items()}
    alone["label"] = alone["label"][:, :41, :60]
    np.testing.assert_array_equal(
        whole[:41, :60], np.asarray(predict(variables, alone)["label"])[0]
    )


@pytest.mark.parametrize("decoder", ["unet", "deeplabv3", "linear"])
def test_a_frozen_encoder_gets_no_gradient_and_keeps_its_statistics(decoder):
    task = make(model__decoder=decoder, transfer__frozen=("encoder",))
    examples = batch(full=False)
    variables = drawn(task, examples)
    assert ("decoder" in variables["params"]) == (decoder != "linear")

    def step(params):
        both = {**variables, "params": params}
        return task.loss(both, jax.random.key(1), examples, 0.0)

    gradients, aux = jax.jit(jax.grad(step, has_aux=True))(variables["params"])
    assert not any(np.any(g) for g in jax.tree.leaves(gradients["encoder"]))
    assert any(np.any(g) for g in jax.tree.leaves(gradients["head"]))
    same = jax.tree.map(
        np.array_equal, aux.batch_stats["encoder"], variables["batch_stats"]["encoder"]
    )
    assert jax.tree.all(same)


def test_fixed_statistics_leave_the_encoder_learning():
    # Hazard 2 of the public code: "frozen" was the evaluation mode of batch norm and nothing else.
    task = make(
        model__decoder="linear", transfer__frozen=("encoder",), transfer__freeze="statistics"
    )
    examples = batch(full=False)
    variables = drawn(task, examples)

    def step(params):
        return task.loss({**variables, "params": params}, jax.random.key(1), examples, 0.0)

    gradients, aux = jax.jit(jax.grad(step, has_aux=True))(variables["params"])
    assert all(np.any(g) for g in jax.tree.leaves(gradients["encoder"]["conv1"]))
    same = jax.tree.map(
        np.array_equal, aux.batch_stats["encoder"], variables["batch_stats"]["encoder"]
    )
    assert jax.tree.all(same)


def test_normalising_twice_is_another_input(unet):
    task, variables = unet
    examples = batch(full=False)
    once = jax.jit(task.evaluate)(variables, examples)["confusion"]
    twice = jax.jit(make(task__normalise_twice=True).evaluate)(variables, examples)["confusion"]
    assert np.any(np.asarray(once) != np.asarray(twice))


def test_class_weights_and_smoothing_reach_the_loss_together(unet):
    """With all logits 0 each class costs log C: the true one's weight, and the mean of all."""
    _, variables = unet
    weights = np.linspace(0.5, 3.0, CLASSES)
    task = make(task__class_weights=tuple(weights), task__label_smoothing=0.2)
    examples = batch(full=False)
    flat = jax.tree.map(jnp.zeros_like, variables)
    value, _ = jax.jit(task.loss)(flat, jax.random.key(1), examples, 0.0)
    true = weights[examples["label"][examples["label"] < CLASSES]]
    expected = np.log(CLASSES) * (0.8 * true + 0.2 * weights.mean()).sum() / true.sum()
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_public_codes_network_answers_at_the_pictures_size():
    config = configs.get_config("segment_cityscapes", "preset=paper_code,encoder=tiny")
    data = SimpleNamespace(train=SimpleNamespace(table=label_table("cityscapes19")))
    task = segmentation.make(config, data)
    variables = jax.eval_shape(task.init, jax.random.key(0), batch())
    decoder = variables["params"]["decoder"]
    assert "out" not in decoder
    assert "project" in decoder


def test_the_papers_numbers_come_from_the_same_pass():
    data = SimpleNamespace(train=SimpleNamespace(table=label_table("cityscapes34")))
    config = make_config(data__classes="cityscapes34")
    task = segmentation.make(config, data)
    examples = batch()
    variables = drawn(task, examples)
    shapes = jax.eval_shape(task.evaluate, variables, examples)
    numbers = task.summarise({k: np.ones(s.shape, s.dtype) for k, s in shapes.items()})
    papers = {"paper_miou", "paper_pixel_accuracy"}
    assert papers | {"miou", "miou_all_classes", "category_miou"} <= set(numbers)


def test_pictures(unet):
    task, variables = unet
    shown = jax.jit(task.visualise)(variables, batch())
    # jit sorts the names; the task's own order is for the sheet.
    assert set(shown) == {"input", "label", "prediction", "errors", "legend"}
    assert shown["errors"].shape == (3, H, W, 3)
    black = ~np.any(np.asarray(shown["errors"])[0], axis=-1)
    assert black[:3].all()  # no label there
    assert not black[8:].any()


def test_class_weights():
    # Class 0 on half of the first picture and all of the second, class 2 on half of the first.
    source = Labels([[0, 0, 2, 2]], [[0, 0, 0, 255]])
    frequency = segmentation.class_frequencies(source, 3)
    np.testing.assert_allclose(frequency, [5 / 7, 0, 2 / 4])
    weights = segmentation.class_weights(("median_frequency",), ("a", "b", "c"), source)
    median = (5 / 7 + 1 / 2) / 2
    np.testing.assert_allclose(weights, [median * 7 / 5, 0, median * 2], rtol=1e-6)
    roots = segmentation.class_weights(("root_median_frequency",), ("a", "b", "c"), source)
    np.testing.assert_allclose(roots, np.sqrt(weights), rtol=1e-6)
    assert segmentation.class_weights((), ("a", "b"), source) is None
    with pytest.raises(ValueError, match="has 1 numbers; the classes are 2: a, b"):
        segmentation.class_weights((1.0,), ("a", "b"), source)
