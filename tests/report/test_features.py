"""CKA against its definition with whole kernel matrices; PCA against SVD."""

import math

import numpy as np
import pytest

from geoseg_jax.report import features
from geoseg_jax.report.features import linear_cka


def random(n: int, c: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n, c)).astype(np.float32)


def hsic_unbiased(k: np.ndarray, m: np.ndarray) -> float:
    """Song et al.'s, by sums over all that are different: a U-statistic."""
    n, total = len(k), 0.0
    for i in range(n):
        for j in set(range(n)) - {i}:
            total += k[i, j] * m[i, j] / (n * (n - 1))
            for q in set(range(n)) - {i, j}:
                total -= 2 * k[i, j] * m[i, q] / (n * (n - 1) * (n - 2))
                for r in set(range(n)) - {i, j, q}:
                    total += k[i, j] * m[q, r] / (n * (n - 1) * (n - 2) * (n - 3))
    return total


@pytest.mark.parametrize(("n", "c", "d"), [(7, 3, 2), (7, 20, 30), (7, 3, 40)])
def test_by_its_definition(n, c, d):
    x = random(n, c).astype(float)
    y = random(n, d, 1) + (x @ random(c, d, 2))
    k, m = x @ x.T, y @ y.T
    expected = hsic_unbiased(k, m) / math.sqrt(hsic_unbiased(k, k) * hsic_unbiased(m, m))
    assert linear_cka(x, y) == pytest.approx(expected)


def test_rotations_scales_and_shifts_change_nothing():
    x, y = random(40, 6), random(40, 9, 1)
    rotation = np.linalg.qr(random(6, 6, 2))[0]
    expected = linear_cka(x, y)
    assert linear_cka(-5 * x @ rotation + 100, y) == pytest.approx(expected, rel=1e-4)
    assert linear_cka(y, x) == pytest.approx(expected)
    assert linear_cka(x, 3 * x @ rotation - 1) == pytest.approx(1)
    assert linear_cka(x, x @ np.diag([50, 1, 1, 1, 1, 1])) < 0.9


def test_noise_is_not_alike():
    """Twice as many channels as places, unrelated."""
    pairs = [(random(50, 100, 2 * s), random(50, 100, 2 * s + 1)) for s in range(20)]
    assert np.mean([linear_cka(x, y) for x, y in pairs]) == pytest.approx(0, abs=0.02)


def test_the_matrix():
    three = {"a": random(60, 5), "b": random(60, 8, 1), "c": 2 * random(60, 5)}
    matrix = np.array(features.cka_matrix(three))
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), 1)
    assert matrix[0, 2] == pytest.approx(1)
    assert matrix[1, 0] == linear_cka(three["b"], three["a"])


def test_features_that_do_not_vary():
    """0.1 in 7 places has a mean that is a little off."""
    for value in (1.0, 0.1):
        constant = np.full((7, 3), value)
        assert math.isnan(linear_cka(constant, random(7, 3)))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (random(5, 3), random(6, 3), "got 5 and 6"),
        (random(3, 3), random(3, 3), "4 or more places"),
        (random(5, 3) * np.nan, random(5, 3), "finite"),
        (random(5, 3)[0], random(5, 3), r"\[3\]"),
    ],
)
def test_what_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        linear_cka(x, y)


def test_pictures_are_the_main_directions():
    maps = random(24, 10).reshape(2, 3, 4, 10) * np.linspace(1, 9, 10)
    shown = features.pca_pictures(maps, clip=0)
    assert (shown.shape, shown.dtype) == ((2, 3, 4, 3), np.uint8)
    flat = maps.reshape(24, 10) - maps.reshape(24, 10).mean(0)
    left, sizes, _ = np.linalg.svd(flat, full_matrices=False)
    for colour in range(3):
        projected = left[:, colour] * sizes[colour]
        correlation = np.corrcoef(projected, shown[..., colour].ravel())[0, 1]
        assert abs(correlation) == pytest.approx(1, abs=1e-4)
        assert (shown[..., colour].min(), shown[..., colour].max()) == (0, 255)


def test_pictures_do_not_depend_on_a_sign():
    maps = random(24, 10).reshape(1, 4, 6, 10)
    shown = features.pca_pictures(maps)
    np.testing.assert_array_equal(shown, features.pca_pictures(maps * 7 + 3))
    np.testing.assert_array_equal(shown[:, ::-1], features.pca_pictures(maps[:, ::-1]))


def test_pictures_of_little():
    """No variation, and one channel alone: grey where there is no direction."""
    assert (features.pca_pictures(np.full((1, 7, 1, 5), 0.1)) == 128).all()
    shown = features.pca_pictures(np.arange(4.0).reshape(1, 2, 2, 1), clip=0)
    np.testing.assert_array_equal(shown[..., 0], [[[0, 85], [170, 255]]])
    assert (shown[..., 1:] == 128).all()


def test_a_few_far_off_values_do_not_hide_the_rest():
    """199 places go from 0 to 1, one is at 1000."""
    maps = np.append(np.linspace(0, 1, 199), 1000.0).reshape(1, 10, 20, 1)
    shown = features.pca_pictures(maps)[..., 0].ravel()
    assert len(np.unique(shown)) > 150
    mostly_same = np.append(np.zeros(199), 1.0).reshape(1, 10, 20, 1)
    assert np.unique(features.pca_pictures(mostly_same)[..., 0]).tolist() == [0, 255]


def test_pictures_that_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4, 3\)"):
        features.pca_pictures(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="50"):
        features.pca_pictures(np.zeros((1, 4, 4, 3)), clip=50)
