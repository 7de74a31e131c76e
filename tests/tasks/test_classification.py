"""The classification task against values by hand and scikit-learn, with either kind of encoder."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.synthetic.source import ObjectSource
from geoseg_jax.ops.ranking import rank
from geoseg_jax.presets import classification as presets
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import category_pictures, classification
from tests.models.weights import randomise
from tests.one_step import assert_equal_on_eight_devices

NAMES = ("ball", "box", "car", "chair", "table", "tree", "house")
SIZE = 32


def make(encoder="tiny", **changes):
    config = build(presets.PRESET, encoder, "test")
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    source = SimpleNamespace(categories=NAMES)
    return classification.make(config, SimpleNamespace(train=source, eval=source))


def batch(count=8, seed=0):
    generator = np.random.default_rng(seed)
    return {
        "image": generator.integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8),
        "category": generator.integers(0, len(NAMES), count).astype(np.int32),
        "id": np.arange(count, dtype=np.int32),
        "mask": np.arange(count) < count - 1,
    }


def judged(logits, category, mask=None):
    category = np.asarray(category, np.int32)
    mask = np.ones(len(category), bool) if mask is None else mask
    sums = jax.jit(classification.judge)(jnp.asarray(logits, jnp.float32), category, mask)
    return {name: np.asarray(value) for name, value in sums.items()}


def test_ranks_by_hand():
    logits = jnp.asarray([[3, 1, 2.0], [1, 1, 1], [jnp.nan] * 3, [-jnp.inf, 0, jnp.inf]])
    ranks = jax.jit(jax.vmap(rank, (None, 1), 1))(logits, jnp.tile(jnp.arange(3), (4, 1)))
    np.testing.assert_array_equal(ranks, [[0, 2, 1], [0, 1, 2], [3, 3, 3], [2, 1, 0]])
    # As top_k has it, ties included.
    draw = jax.random.randint(jax.random.key(0), (50, 9), 0, 4).astype(jnp.float32)
    order = np.asarray(jax.lax.top_k(draw, 9)[1])
    category = np.arange(50) % 9
    np.testing.assert_array_equal(
        jax.jit(rank)(draw, jnp.asarray(category)),
        [list(o).index(c) for o, c in zip(order, category, strict=True)],
    )


def test_accuracies_equal_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(1)
    logits, category = generator.normal(size=(90, 12)), generator.integers(0, 12, 90)
    category[:40] = 3
    mask = np.arange(90) < 77
    numbers = classification.summarise(judged(logits, category, mask))
    logits, category = logits[mask], category[mask]
    answer = logits.argmax(1)
    assert numbers["eval_images"] == 77
    assert numbers["top1"] == pytest.approx(metrics.accuracy_score(category, answer))
    top5 = metrics.top_k_accuracy_score(category, logits, k=5, labels=range(12))
    assert numbers["top5"] == pytest.approx(top5)
    recall = metrics.balanced_accuracy_score(category, answer)
    assert numbers["mean_class_accuracy"] == pytest.approx(recall)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = metrics.log_loss(category, chances, labels=range(12))
    assert numbers["cross_entropy"] == pytest.approx(expected, rel=1e-5)
    # What a constant answer scores: the split's own frequencies, from the most frequent class on.
    counts = np.bincount(category, minlength=12)
    constant = np.log(np.maximum(counts, 1e-9) / 77)[None].repeat(77, 0)
    same = classification.summarise(judged(constant, category))
    for name in ("top1", "top5", "cross_entropy"):
        assert numbers[f"{name}_constant"] == pytest.approx(same[name], rel=1e-5), name


def test_a_network_that_says_nothing_is_right_about_class_0_alone():
    numbers = classification.summarise(judged(np.zeros((4, 7)), [0, 1, 2, 6]))
    assert numbers["top1"] == 0.25
    assert numbers["top5"] == 0.75
    assert classification.summarise(judged(np.full((2, 7), np.nan), [0, 1]))["top5"] == 0


@pytest.fixture(scope="module")
def tiny():
    task = make()
    return task, randomise(jax.eval_shape(task.init, jax.random.key(0), batch()))


def test_the_smoothed_loss_of_no_answer_is_the_logarithm_of_the_classes(tiny):
    task, variables = tiny
    variables = variables | {"params": variables["params"] | {"head": {"dense": {
        "kernel": jnp.zeros_like(variables["params"]["head"]["dense"]["kernel"]),
        "bias": jnp.zeros(len(NAMES)),
    }}}}  # fmt: skip
    value, aux = jax.jit(task.loss)(variables, jax.random.key(1), batch(), 0.0)
    np.testing.assert_allclose(value, np.log(len(NAMES)), rtol=1e-5)
    assert set(aux.terms) == {"cross_entropy", "training_accuracy"}
    assert set(variables["params"]) == {"encoder", "head"}


def test_evaluation_leaves_padding_out_and_pictures_tell_right_from_wrong(tiny):
    task, variables = tiny
    examples = batch()
    sums = jax.jit(task.evaluate)(variables, examples)
    assert sums["images"] == 7 == int(sums["counts"].sum())
    np.testing.assert_array_equal(
        sums["counts"], np.bincount(examples["category"][:7], minlength=len(NAMES))
    )
    shown = jax.jit(task.visualise)(variables, examples)
    assert {picture.shape for picture in shown.values()} == {examples["image"].shape}
    strips = category_pictures.name_strips(NAMES, 64)
    assert strips.any(axis=(1, 2)).all()
    images = jnp.full((2, 48, 64, 3), 100, jnp.uint8)
    panel = np.asarray(category_pictures.panel(images, np.array([0, 1]), np.array([0, 2]), strips))
    np.testing.assert_array_equal(panel[0, :13], panel[0, -13:])  # the same word on the same light
    np.testing.assert_array_equal((panel[1, -13:] == 0).all(-1), strips[2])
    np.testing.assert_array_equal(panel[1, -1, -1], category_pictures.WRONG)
    assert (panel[:, 13:-13] == 100).all()


def test_eight_devices_equal_one():
    assert_equal_on_eight_devices(make("tiny", task__jitter__probability=1.0), batch())


def test_a_frozen_encoder_gets_no_gradient_and_keeps_its_statistics(tiny):
    _, variables = tiny
    task, examples = make(transfer__frozen=("encoder",)), batch()

    def step(params):
        return task.loss({**variables, "params": params}, jax.random.key(1), examples, 0.0)

    gradients, aux = jax.jit(jax.grad(step, has_aux=True))(variables["params"])
    assert not any(np.any(g) for g in jax.tree.leaves(gradients["encoder"]))
    assert any(np.any(g) for g in jax.tree.leaves(gradients["head"]))
    assert jax.tree.all(jax.tree.map(np.array_equal, aux.batch_stats, variables["batch_stats"]))


def test_data_without_or_with_other_categories_is_refused():
    config = build(presets.PRESET, "tiny", "test")

    def data(train, judged):
        sources = (SimpleNamespace(**({"categories": c} if c else {})) for c in (train, judged))
        return SimpleNamespace(**dict(zip(("train", "eval"), sources, strict=True)))

    with pytest.raises(ValueError, match=r"needs pictures with categories; set config.data.name"):
        classification.make(config, data((), ()))
    with pytest.raises(ValueError, match=r"other classes than config.data.train_split \(b, c\)"):
        classification.make(config, data(("a", "b"), ("a", "c")))
    assert classification.make(config, data(NAMES, NAMES))
    assert ObjectSource(2).categories
