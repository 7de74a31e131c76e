"""Cross-entropy against PyTorch, SciPy, the paper's own code and values by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.ops import cross_entropy as ce
from tests import paper_code

WEIGHTS = np.array([0.5, 1.0, 2.0, 0.0, 3.0], np.float32)
# Smoothing, and whether classes are weighted -> what torch.nn.functional.cross_entropy of PyTorch
# 2.13.0 gave for `example` with ignore_index=255: the loss, the gradient's norm, and its value at
# example 1, pixel (0, 0), class 2.
PYTORCH = {
    (0.0, False): (4.237968444824219, 0.2672436833381653, 0.049145665019750595),
    (0.0, True): (3.497077703475952, 0.3328726589679718, 0.01854553446173668),
    (0.1, False): (4.167121410369873, 0.2503332793712616, 0.048145655542612076),
    (0.1, True): (3.4414613246917725, 0.3084701895713806, 0.020003387704491615),
    (0.3, False): (4.025426864624023, 0.21808688342571259, 0.04614565894007683),
    (0.3, True): (3.330228805541992, 0.2613014280796051, 0.02291908673942089),
}


def example():
    generator = np.random.default_rng(0)
    logits = 3 * generator.normal(size=(2, 3, 4, 5)).astype(np.float32)
    label = generator.integers(0, 5, (2, 3, 4)).astype(np.uint8)
    label[0, 0] = 255
    return logits, label


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_against_the_definition(smoothing):
    logits, label = example()
    losses, weights = jax.jit(lambda a, b: ce.cross_entropy(a, b, smoothing=smoothing))(
        logits, label
    )
    logs = scipy.special.log_softmax(logits.astype(np.float64), axis=-1)
    target = np.full(logits.shape, smoothing / 5)
    true = np.where(label < 5, label, 0)[..., None]
    np.put_along_axis(target, true, 1 - smoothing + smoothing / 5, axis=-1)
    expected = np.where(label < 5, -(target * logs).sum(axis=-1), 0)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(weights, label < 5)


def test_two_equal_scores_cost_the_logarithm_of_two():
    losses, _ = ce.cross_entropy(jnp.zeros((1, 2)), jnp.zeros(1, jnp.uint8))
    np.testing.assert_allclose(losses, np.log(2), rtol=1e-6)


def test_gradient_is_softmax_minus_target_and_zero_where_ignored():
    logits, label = example()
    gradient = jax.grad(lambda a: ce.cross_entropy(a, label)[0].sum())(jnp.asarray(logits))
    expected = scipy.special.softmax(logits, axis=-1) - np.eye(5)[np.where(label < 5, label, 0)]
    expected = np.where((label < 5)[..., None], expected, 0)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_scores_of_any_size_stay_finite():
    logits = jnp.asarray([[1e4, -1e4], [-1e30, 1e30]])
    label = jnp.asarray([1, 0], jnp.uint8)
    value, gradient = jax.value_and_grad(lambda a: ce.cross_entropy(a, label)[0].sum())(logits)
    assert jnp.isfinite(value)
    assert jnp.all(jnp.isfinite(gradient))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_are_pytorchs(smoothing, weighted):
    """With weights, those of the other classes count as well where labels are smoothed."""
    logits, label = example()
    settings = {"smoothing": smoothing, "class_weights": WEIGHTS if weighted else None}
    value, gradient = jax.jit(
        jax.value_and_grad(lambda a: ce.mean(*ce.cross_entropy(a, label, **settings)))
    )(jnp.asarray(logits))
    ours = (value, np.linalg.norm(gradient), gradient[1, 0, 0, 2])
    np.testing.assert_allclose(ours, PYTORCH[smoothing, weighted], rtol=1e-5)


def test_weights_are_those_of_the_true_classes():
    logits, label = example()
    _, weights = ce.cross_entropy(logits, label, class_weights=WEIGHTS)
    np.testing.assert_array_equal(weights, np.append(WEIGHTS, np.zeros(251))[label])


def test_the_papers_loss():
    """Recorded from its own code, which ignores the id 0; see tests/paper_code.py."""
    logits, ids = paper_code.scores()
    train_ids = label_table("cityscapes34").train_ids
    label = np.array([train_ids[i] for i in range(34)])[ids]
    np.testing.assert_allclose(
        ce.mean(*ce.cross_entropy(logits, label)), 3.7951550483703613, rtol=1e-6
    )


def test_no_labelled_pixel_gives_zero():
    label = jnp.full((2, 2), 255, jnp.uint8)
    assert ce.mean(*ce.cross_entropy(jnp.ones((2, 2, 3)), label, class_weights=jnp.ones(3))) == 0


def test_shapes_that_do_not_fit_are_shown():
    with pytest.raises(ValueError, match=r"\[2, 3, 5\] and labels \[2, 4\]"):
        ce.cross_entropy(jnp.zeros((2, 3, 5)), jnp.zeros((2, 4), jnp.uint8))
