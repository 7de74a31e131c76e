import jax
import jax.numpy as jnp
import numpy as np
from skimage import metrics as skimage_metrics

from geoseg_jax.ops import photometric
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
A, B = RANDOM.random((2, 12, 16, 3), np.float32)


def test_ssim_matches_scikit_image():
    with jax.enable_x64(True):
        got = photometric.ssim(A.astype(np.float64), B.astype(np.float64))
    _, wanted = skimage_metrics.structural_similarity(
        A.astype(np.float64), B.astype(np.float64), win_size=3, data_range=1, full=True,
        channel_axis=-1, use_sample_covariance=False,
    )  # fmt: skip
    # The border is mirrored in another way there: without repeating the outermost pixel here.
    np.testing.assert_allclose(got[1:-1, 1:-1], wanted[1:-1, 1:-1], atol=1e-10)


def test_ssim_by_hand_at_the_mirrored_corner():
    a, b = np.zeros((2, 2, 1), np.float32), np.zeros((2, 2, 1), np.float32)
    a[0, 0], b[0, 0], b[1, 1] = 1, 1, 1
    # The window of (0, 0) mirrors to [d c d; b a b; d c d] = a once, b twice, c twice, d 4 times.
    mean_a, mean_b = 1 / 9, 5 / 9
    variance_a, variance_b = 1 / 9 - mean_a**2, 5 / 9 - mean_b**2
    covariance = 1 / 9 - mean_a * mean_b
    wanted = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    wanted /= (mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)
    np.testing.assert_allclose(photometric.ssim(a, b)[0, 0, 0], wanted, rtol=1e-5)


def test_bounds_and_equal_pictures():
    similarity = photometric.ssim(A, B)
    assert similarity.shape == A.shape
    assert (np.abs(similarity) <= 1 + 1e-5).all()
    np.testing.assert_allclose(photometric.ssim(A, A), 1, atol=1e-5)
    np.testing.assert_allclose(photometric.photometric_error(A, A), 0, atol=1e-5)
    error = photometric.photometric_error(A, B)
    assert error.shape == (12, 16)
    assert ((error >= 0) & (error <= 1)).all()


def test_error_of_even_pictures_by_hand():
    black, white = np.zeros((4, 4, 3), np.float32), np.ones((4, 4, 3), np.float32)
    # SSIM of two even pictures is C1 / (1 + C1).
    dissimilarity = (1 - 1e-4 / (1 + 1e-4)) / 2
    np.testing.assert_allclose(
        photometric.photometric_error(black, white), 0.85 * dissimilarity + 0.15, rtol=1e-5
    )
    np.testing.assert_allclose(photometric.photometric_error(black, white, 0.0), 1, rtol=1e-6)


def test_gradient_matches_finite_differences():
    with jax.enable_x64(True):
        a, b = RANDOM.random((2, 3, 4, 2))
        total = jax.jit(lambda a: photometric.photometric_error(a, b).sum())
        wanted = transforms.numeric_gradient(total, a)
        np.testing.assert_allclose(grad(total)(jnp.asarray(a)), wanted, atol=1e-6)


def test_gradient_of_equal_and_even_pictures_is_finite():
    for picture in (A, np.zeros_like(A)):
        gradient = grad(lambda a, b=picture: photometric.photometric_error(a, b).sum())(picture)
        assert np.isfinite(gradient).all()


def test_minimum_prefers_valid_views():
    errors = jnp.array([0.5, 0.1, 0.3])[:, None, None] * jnp.ones((3, 1, 4))
    valid = jnp.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], bool)[:, None]
    error, any_valid = photometric.minimum_reprojection(errors, valid)
    np.testing.assert_allclose(error[0], [0.1, 0.3, 0.3, 0.1])
    np.testing.assert_array_equal(any_valid[0], [True, True, True, False])
    gradient = grad(lambda e: photometric.minimum_reprojection(e, valid)[0].sum())(errors)
    wanted = [[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 1, 0]]
    np.testing.assert_array_equal(gradient[:, 0], wanted)


def test_equal_errors_send_the_derivative_to_one_view():
    errors = jnp.ones((2, 1, 1))
    gradient = grad(
        lambda e: photometric.minimum_reprojection(e, jnp.ones((2, 1, 1), bool))[0].sum()
    )(errors)
    np.testing.assert_array_equal(gradient[:, 0, 0], [1, 0])


def test_automask_by_hand():
    error = jnp.array([[0.2, 0.4, 0.1, 0.3]])
    any_valid = jnp.array([[True, True, False, True]])
    identity = jnp.array([[[0.3, 0.3, 0.3, 0.3]], [[0.5, 0.9, 0.9, 0.9]]])
    combined, mask = photometric.automask(error, any_valid, identity)
    np.testing.assert_allclose(combined[0], [0.2, 0.3, 0.3, 0.3])
    np.testing.assert_array_equal(mask[0], [True, False, False, False])  # a tie moves nothing
    by_error, by_identity = grad(
        lambda e, i: photometric.automask(e, any_valid, i)[0].sum(), argnums=(0, 1)
    )(error, identity)
    np.testing.assert_array_equal(by_error[0], [1, 0, 0, 0])
    np.testing.assert_array_equal(by_identity, 0)


def test_same_under_transformations():
    a, b = RANDOM.random((2, 8, 6, 7, 3), np.float32)
    transforms.check_transforms(photometric.ssim, a, b, tolerance=1e-4)
    transforms.check_transforms(photometric.photometric_error, a, b, tolerance=1e-4)
    errors, identity = RANDOM.random((2, 8, 3, 6, 7), np.float32)
    valid = RANDOM.random((8, 3, 6, 7)) < 0.5

    def combine(errors, valid, identity):
        error, any_valid = photometric.minimum_reprojection(errors, valid)
        return error, any_valid, *photometric.automask(error, any_valid, identity)

    transforms.check_transforms(combine, errors, valid, identity)
