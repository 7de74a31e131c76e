"""Nearest neighbours beside scikit-learn's, and by hand."""

import numpy as np

from geoseg_jax.probing import nearest


def test_equals_scikit_learn(monkeypatch):
    from sklearn.neighbors import KNeighborsRegressor

    monkeypatch.setattr(nearest, "_BLOCK", 7)
    generator = np.random.default_rng(0)
    known, queries = generator.normal(size=(40, 6)), generator.normal(size=(17, 6))
    targets = generator.dirichlet(np.ones(3), 40)
    counts = (20, 5, 1)
    for k, found in zip(counts, nearest.votes(known, targets, queries, counts), strict=True):
        twin = KNeighborsRegressor(k, metric="cosine", algorithm="brute").fit(known, targets)
        np.testing.assert_allclose(found, twin.predict(queries), atol=1e-12)


def test_by_hand_and_with_fewer_rows_than_neighbours():
    known, targets = np.array([[1.0, 0], [0, 2], [-1, 0]]), np.eye(3)
    one, every = nearest.votes(known, targets, np.array([[3.0, 1]]), (1, 50))
    np.testing.assert_allclose(one, [[1, 0, 0]])
    np.testing.assert_allclose(every, [[1 / 3] * 3])
