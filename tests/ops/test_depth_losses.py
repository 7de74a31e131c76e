"""Depth losses against values by hand, loops in numpy, the papers' other forms and differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import depth_losses

RNG = np.random.default_rng(0)
SHAPE = (2, 6, 7)
PREDICTED = RNG.uniform(1, 9, SHAPE).astype(np.float32)
VALID = RNG.random(SHAPE) < 0.7
VALID[0, 1, 2] = True
TRUTH = np.where(VALID, RNG.uniform(1, 9, SHAPE), 0).astype(np.float32)
PER_IMAGE = (
    depth_losses.scale_invariant_log,
    depth_losses.scale_invariant_log_root,
    depth_losses.gradient_matching,
)
MAPS = (depth_losses.absolute_error, depth_losses.berhu)


def total(loss, predicted, truth, valid):
    """One number of any of the losses."""
    return loss(predicted, truth, valid).sum()


@jax.jit
def all_totals(predicted, truth, valid):
    """Value and gradient of every loss, in one program."""
    return [
        jax.value_and_grad(lambda p, loss=loss: total(loss, p, truth, valid))(predicted)
        for loss in (*MAPS, *PER_IMAGE)
    ]


def log_difference(image):
    return np.log(PREDICTED[image][VALID[image]]) - np.log(TRUTH[image][VALID[image]])


FOCUS = (0.0, 0.5, 0.85, 1.0)


@jax.jit
def per_image(predicted, truth, valid):
    """{name: [B]} of the losses that compare pixels with each other, and of means."""
    found = {"matching": depth_losses.gradient_matching(predicted, truth, valid, scales=3)}
    for focus in FOCUS:
        found[f"square {focus}"] = depth_losses.scale_invariant_log(predicted, truth, valid, focus)
        root = depth_losses.scale_invariant_log_root(predicted, truth, valid, focus)
        found[f"root {focus}"] = root
    return found


@jax.jit
def absolute(predicted, truth, valid):
    error = depth_losses.absolute_error(predicted, truth, valid)
    means = depth_losses.masked_mean(error + 7.0, valid)
    return error, means, depth_losses.mean_over_images(means, valid)


@jax.jit
def berhu(predicted, truth, valid):
    """The map, and the slope at each pixel."""
    value, pull_back = jax.vjp(lambda p: depth_losses.berhu(p, truth, valid), predicted)
    return value, pull_back(jnp.ones_like(value))[0]


def test_absolute_error_and_means_by_hand():
    predicted = np.array([[[2.0, 9.0], [5.0, 1.0]]] * 2, np.float32)
    truth = np.array([[[3.0, 0.0], [2.0, 0.0]]] * 2, np.float32)
    valid = np.array([[[True, False], [True, False]], [[False] * 2] * 2])
    error, means, mean = absolute(predicted, truth, valid)
    np.testing.assert_array_equal(error, [[[1, 0], [3, 0]], [[0, 0], [0, 0]]])
    np.testing.assert_array_equal(means, [9, 0])
    # An image without a measurement is not an image without an error.
    assert mean == 9
    assert absolute(predicted, truth, np.zeros_like(valid))[2] == 0


def test_berhu_by_hand_and_smooth_at_its_threshold():
    truth = np.full((1, 1, 5), 20, np.float32)
    valid = np.array([[[True, True, True, True, False]]])
    # c = 10 / 5: 10 lies beyond it, (100 + 4) / 4; the invalid 480 m don't move it.
    value, slope = berhu(np.array([[[30, 21, 18.01, 17.99, 500]]], np.float32), truth, valid)
    np.testing.assert_allclose(value[0, 0], [26, 1, 1.99, 2.010025, 0], rtol=1e-5)
    np.testing.assert_allclose(slope[0, 0], [5, 1, -1, -1.005, 0], rtol=1e-4)
    value, slope = berhu(truth, truth, valid)
    assert not value.any()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("focus", FOCUS)
def test_scale_invariant_log_is_equation_4(focus):
    got = per_image(PREDICTED, TRUTH, VALID)
    for image in range(SHAPE[0]):
        d = log_difference(image)
        expected = (d**2).sum() / d.size - focus * d.sum() ** 2 / d.size**2
        assert got[f"square {focus}"][image] == pytest.approx(expected, rel=1e-5)
        assert got[f"root {focus}"][image] == pytest.approx(10 * np.sqrt(expected), rel=1e-5)


def test_with_the_scale_free_it_compares_all_pairs_of_pixels():
    """Equation 2 of Eigen et al.: half the mean square over all pairs of pixels."""
    for image, got in enumerate(per_image(PREDICTED, TRUTH, VALID)["square 1.0"]):
        d = log_difference(image)
        pairs = [(a - b) ** 2 for a, b in itertools.product(d, d)]
        assert got == pytest.approx(np.mean(pairs) / 2, rel=1e-5)


def test_gradient_matching_against_a_loop():
    for image, got in enumerate(per_image(PREDICTED, TRUTH, VALID)["matching"]):
        expected = 0.0
        for step in (1, 2, 4):
            p, t, v = (a[image, ::step, ::step] for a in (PREDICTED, TRUTH, VALID))
            found = 0.0
            for y, x in zip(*np.nonzero(v), strict=True):
                for y2, x2 in ((y + 1, x), (y, x + 1)):
                    if y2 < v.shape[0] and x2 < v.shape[1] and v[y2, x2]:
                        there, here = (np.log(p[at] / t[at]) for at in ((y2, x2), (y, x)))
                        found += abs(there - here)
            expected += found / max(v.sum(), 1)
        assert got == pytest.approx(expected, rel=1e-4)


def test_a_common_factor_is_forgiven_where_it_should_be():
    got = per_image(np.where(VALID, TRUTH * 3, 1), TRUTH, VALID)
    np.testing.assert_allclose([*got["matching"], *got["square 1.0"]], 0, atol=1e-4)
    np.testing.assert_allclose(got["square 0.5"], np.log(3) ** 2 / 2, rtol=1e-5)


def test_gradients_equal_finite_differences():
    y, x = 1, 2
    assert VALID[0, y, x]
    step = 3e-2
    up, down = PREDICTED.copy(), PREDICTED.copy()
    up[0, y, x] += step
    down[0, y, x] -= step
    values = [[float(value) for value, _ in all_totals(p, TRUTH, VALID)] for p in (up, down)]
    slopes = [float(g[0, y, x]) for _, g in all_totals(PREDICTED, TRUTH, VALID)]
    np.testing.assert_allclose(np.subtract(*values) / (2 * step), slopes, rtol=0.02, atol=2e-3)


def test_what_is_not_measured_gives_neither_value_nor_gradient():
    other = np.where(VALID, PREDICTED, 77).astype(np.float32)
    nothing = np.zeros(SHAPE, bool)
    results = (
        all_totals(PREDICTED, TRUTH, VALID),
        all_totals(other, np.where(VALID, TRUTH, -1).astype(np.float32), VALID),
        all_totals(PREDICTED, TRUTH, nothing),
        all_totals(np.where(VALID, TRUTH, 5).astype(np.float32), TRUTH, VALID),
    )
    for (value, gradient), (same, _), (none, no_slope), (perfect, flat) in zip(
        *results, strict=True
    ):
        assert value == pytest.approx(float(same), rel=1e-6)
        assert value > 0
        assert not np.asarray(gradient)[~VALID].any()
        assert np.asarray(gradient)[VALID].any()
        assert none == 0
        assert not np.asarray(no_slope).any()
        assert perfect == pytest.approx(0, abs=1e-4)
        assert np.isfinite(flat).all()


def test_a_depth_that_is_no_number_has_no_loss():
    for value, _ in all_totals(np.full(SHAPE, np.nan, np.float32), TRUTH, VALID):
        assert np.isnan(value)
