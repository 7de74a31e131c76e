import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import census
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
A, B = RANDOM.random((2, 8, 9, 3), np.float32)


@pytest.mark.parametrize("patch", [3, 7])
def test_against_loops(patch):
    got = census.census_distance(A, B, patch=patch)
    if patch == 7:  # UFlow's, and what is taken where none is asked for
        np.testing.assert_array_equal(got, census.census_distance(A, B))
    reach = range(-(patch // 2), patch // 2 + 1)
    grey = [255 * (p @ np.array([0.299, 0.587, 0.114])) for p in (A, B)]
    for y, x in [(3, 4), (0, 0), (7, 8), (0, 5)]:
        total = 0
        for dy in reach:
            for dx in reach:
                v, u = np.clip(y + dy, 0, 7), np.clip(x + dx, 0, 8)
                d = [g[v, u] - g[y, x] for g in grey]
                e = (d[0] / np.sqrt(0.81 + d[0] ** 2) - d[1] / np.sqrt(0.81 + d[1] ** 2)) ** 2
                total += e / (0.1 + e)
        np.testing.assert_allclose(got[y, x], total / (patch**2 - 1), rtol=1e-4, atol=1e-9)


def test_equal_pictures_and_brightness():
    np.testing.assert_allclose(census.census_distance(A, A), 0, atol=1e-12)
    np.testing.assert_allclose(census.census_distance(A / 2, A / 2 + 0.3), 0, atol=1e-3)
    distance = census.census_distance(A, 1 - A)
    assert ((distance >= 0) & (distance < 1)).all()
    assert distance.mean() > 0.9


def test_gradient_matches_finite_differences():
    with jax.enable_x64(True):
        a, b = RANDOM.random((2, 4, 4, 3)) / 50 + 0.5
        total = jax.jit(lambda a: census.census_distance(a, b, patch=3).sum())
        wanted = transforms.numeric_gradient(total, a, 1e-7)
        np.testing.assert_allclose(grad(total)(jnp.asarray(a)), wanted, rtol=1e-5, atol=1e-5)
    gradient = grad(lambda a: census.census_distance(a, A).sum())(A)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("patch", [0, 1, 4])
def test_bad_patches_are_refused(patch):
    with pytest.raises(ValueError, match=f"patch is {patch}"):
        census.census_distance(A, B, patch=patch)


def test_same_under_transformations():
    a, b = RANDOM.random((2, 8, 5, 6, 3), np.float32)
    distance = lambda a, b: census.census_distance(a, b, patch=3)  # noqa: E731
    transforms.check_transforms(distance, a, b, tolerance=1e-4)
