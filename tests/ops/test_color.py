import colorsys
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import color
from tests.ops import transforms

RANGES = ("brightness", "contrast", "saturation", "hue", "probability")
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((4, 3, 5, 6, 3), np.float32)
jitter = jax.jit(color.color_jitter, static_argnames=RANGES)
NOTHING = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "probability": 1}


def test_no_ranges_or_no_probability_change_nothing():
    got = jitter(jax.random.key(0), IMAGES, **NOTHING)
    np.testing.assert_allclose(got, IMAGES, atol=1e-5)
    got = jitter(jax.random.key(0), IMAGES, probability=0.0)
    np.testing.assert_array_equal(got, IMAGES)


def test_brightness_is_one_factor_an_example_shared_by_its_views():
    dark = IMAGES / 2
    got = jitter(jax.random.key(1), dark, **{**NOTHING, "brightness": 0.5})
    factors = np.asarray(got / dark)
    spread = factors.max((1, 2, 3, 4)) - factors.min((1, 2, 3, 4))
    np.testing.assert_allclose(spread, 0, atol=1e-4)
    of_example = factors[:, 0, 0, 0, 0]
    assert len(np.unique(of_example.round(3))) == 4
    assert ((of_example >= 0.5) & (of_example <= 1.5)).all()


def test_contrast_and_saturation_keep_their_fixed_points():
    images = 0.25 + IMAGES / 2
    grey = images @ np.array(color.LUMA)
    got = jitter(jax.random.key(2), images, **{**NOTHING, "contrast": 0.3})
    mean = grey.mean((2, 3))[..., None, None, None]
    ratio = np.asarray((got - mean) / (images - mean))
    example = np.median(ratio, axis=(1, 2, 3, 4), keepdims=True)
    np.testing.assert_allclose(got, mean + example * (images - mean), atol=1e-4)
    got = jitter(jax.random.key(2), images, **{**NOTHING, "saturation": 0.3})
    np.testing.assert_allclose(got @ np.array(color.LUMA), grey, atol=1e-5)
    assert np.abs(got - images).max() > 0.01


def test_hue_matches_colorsys():
    colours = [RANDOM.random(3) for _ in range(20)]
    colours += [np.array(c, float) for c in ([0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1])]
    for turns in (0.1, -0.3, 0.5):
        got = color._turn_hue(*jnp.asarray(colours, jnp.float32).T, turns)
        for i, rgb in enumerate(colours):
            h, s, v = colorsys.rgb_to_hsv(*rgb)
            wanted = colorsys.hsv_to_rgb((h + turns) % 1, s, v)
            np.testing.assert_allclose([c[i] for c in got], wanted, atol=1e-5)


def test_probability_is_the_share_of_changed_examples():
    images = jnp.broadcast_to(IMAGES[0, 0, :1, :1] * 0.5 + 0.2, (400, 1, 1, 1, 3))
    changed = (jitter(jax.random.key(3), images) != images).any((1, 2, 3, 4))
    assert 0.4 < changed.mean() < 0.6


def test_bounds_dtype_and_finite_gradient():
    extreme = IMAGES.round()
    got = jitter(
        jax.random.key(4), extreme, brightness=1, contrast=1, saturation=1, hue=0.5, probability=1
    )
    assert ((got >= 0) & (got <= 1)).all()
    assert got.dtype == extreme.dtype
    gradient = jax.grad(lambda i: jitter(jax.random.key(4), i, probability=1).sum())
    assert np.isfinite(gradient(jnp.asarray(extreme))).all()


def test_keys_of_examples_decide_whatever_the_batch():
    keys = jax.random.split(jax.random.key(5), 4)
    whole = jitter(keys, IMAGES)
    parts = [jitter(k, i) for k, i in zip(keys, IMAGES, strict=True)]
    np.testing.assert_allclose(whole, np.stack(parts), atol=1e-6)
    old_style = jitter(jax.random.key_data(keys), IMAGES)
    np.testing.assert_array_equal(old_style, whole)


@pytest.mark.parametrize(
    ("name", "value"), [("hue", 0.6), ("brightness", -0.1), ("probability", 1.5)]
)
def test_bad_ranges_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        jitter(jax.random.key(0), IMAGES, **{name: value})


def test_same_under_transformations():
    data = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(6), 8)))
    images = RANDOM.random((8, 2, 4, 5, 3), np.float32)
    always = functools.partial(color.color_jitter, probability=1)
    transforms.check_transforms(always, data, images)


def test_grey_is_luma_in_all_channels():
    images = np.random.default_rng(4).uniform(0, 1, (2, 3, 4, 3)).astype(np.float32)
    grey = np.asarray(color.to_grey(images))
    expected = cv2.cvtColor(images.reshape(-1, 4, 3), cv2.COLOR_RGB2GRAY).reshape(2, 3, 4)
    np.testing.assert_allclose(grey, np.repeat(expected[..., None], 3, axis=-1), atol=1e-5)
