"""The linear probe's classifier beside scikit-learn's, and in closed form."""

import numpy as np
import pytest

from geoseg_jax.probing import logistic

PENALTIES = (0.1, 0.003)


@pytest.fixture(scope="module")
def rows():
    """Correlated features of three classes, and shares of them that add up to 0 to 1."""
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(90, 4))
    features = hidden @ generator.normal(size=(4, 12)) + 0.2 * generator.normal(size=(90, 12))
    shares = generator.dirichlet(np.exp(1.5 * hidden[:, :3]).mean(0), 90)
    shares = shares * generator.uniform(0, 1, (90, 1)) + np.eye(3)[hidden[:, :3].argmax(1)] * 0.5
    shares /= 1.6
    shares[:5] = 0  # ignored
    return features, shares


def test_equals_scikit_learn(rows):
    from sklearn.linear_model import LogisticRegression

    features, shares = rows
    fits = logistic.fit_path(features, shares, PENALTIES, stop=1e-8)
    # Three copies of each row, one of each class, weighted with its share.
    copies, classes = np.repeat(features, 3, axis=0), np.tile(np.arange(3), 90)
    for penalty, fit in zip(PENALTIES, fits, strict=True):
        twin = LogisticRegression(C=1 / (penalty * shares.sum()), tol=1e-10, max_iter=20_000)
        twin.fit(copies, classes, shares.ravel())
        logits = fit.scores(features)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found = powers / powers.sum(1, keepdims=True)
        np.testing.assert_allclose(found, twin.predict_proba(features), atol=1e-4)
        np.testing.assert_allclose(fit.weights.T, twin.coef_, atol=1e-4)
        assert fit.gradient < 1e-6


def test_the_usual_stop_and_a_start_come_to_the_same(rows):
    features, shares = rows
    exact, usual = (next(logistic.fit_path(features, shares, [0.01], s)) for s in (1e-9, 1e-5))
    (again,) = logistic.fit_path(features, shares, [0.01], start=usual)
    for fit in (usual, again):
        np.testing.assert_allclose(fit.weights, exact.weights, atol=2e-3)
        assert fit.gradient < logistic.LARGEST_GRADIENT


def test_without_information_the_bias_is_the_log_of_the_shares():
    targets = np.array([[0.75, 0.25], [0.75, 0.25]])
    (fit,) = logistic.fit_path(np.zeros((2, 3)), targets, [0.1])
    assert fit.bias[0] - fit.bias[1] == pytest.approx(np.log(3), abs=1e-4)
    assert not fit.weights.any()
    with pytest.raises(ValueError, match="no row has a target"):
        next(logistic.fit_path(np.zeros((2, 3)), np.zeros((2, 2)), [0.1]))
