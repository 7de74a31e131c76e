"""Cross-entropy against scikit-learn, SciPy and values by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from geoseg_jax.ops import cross_entropy as ce


def example():
    generator = np.random.default_rng(0)
    logits = 3 * generator.normal(size=(2, 3, 4, 5)).astype(np.float32)
    label = generator.integers(0, 5, (2, 3, 4)).astype(np.uint8)
    label[0, 0] = 255
    return logits, label


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_against_the_definition(smoothing):
    logits, label = example()
    losses, valid = jax.jit(lambda a, b: ce.cross_entropy(a, b, smoothing=smoothing))(logits, label)
    logs = scipy.special.log_softmax(logits.astype(np.float64), axis=-1)
    target = np.full(logits.shape, smoothing / 5)
    true = np.where(label < 5, label, 0)[..., None]
    np.put_along_axis(target, true, 1 - smoothing + smoothing / 5, axis=-1)
    expected = np.where(label < 5, -(target * logs).sum(axis=-1), 0)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(valid, label < 5)


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


def test_weighted_mean_is_pytorchs():
    logits, label = example()
    weights = jnp.asarray([0.5, 1.0, 2.0, 0.0, 3.0])
    losses, valid = ce.cross_entropy(logits, label)
    each = ce.class_weights_of(label, weights)
    assert not np.any(np.asarray(each)[~np.asarray(valid)])
    flat, known = np.asarray(losses).ravel(), label.ravel() < 5
    w = np.asarray(weights)[label.ravel()[known]]
    expected = (flat[known] * w).sum() / w.sum()
    np.testing.assert_allclose(ce.weighted_mean(losses, each), expected, rtol=1e-6)
    # The same from torch.nn.functional.cross_entropy(weight=..., ignore_index=255), where it is.
    torch = pytest.importorskip("torch")
    planes = torch.tensor(np.moveaxis(logits, -1, 1))
    truth = torch.tensor(label.astype(np.int64))
    other = torch.nn.functional.cross_entropy(
        planes, truth, weight=torch.tensor(np.asarray(weights)), ignore_index=255
    )
    np.testing.assert_allclose(ce.weighted_mean(losses, each), other, rtol=1e-5)


def test_no_labelled_pixel_gives_zero():
    label = jnp.full((2, 2), 255, jnp.uint8)
    losses, valid = ce.cross_entropy(jnp.ones((2, 2, 3)), label)
    assert ce.weighted_mean(losses, valid.astype(jnp.float32)) == 0


def test_shapes_that_do_not_fit_are_shown():
    with pytest.raises(ValueError, match=r"\[2, 3, 5\] and labels \[2, 4\]"):
        ce.cross_entropy(jnp.zeros((2, 3, 5)), jnp.zeros((2, 4), jnp.uint8))
