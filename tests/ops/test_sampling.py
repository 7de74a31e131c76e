import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from geoseg_jax.ops import sampling
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random((7, 9, 3), np.float32)


def positions(low, high, shape=(5, 6), random=RANDOM):
    return random.uniform(low, high, (*shape, 2)).astype(np.float32)


def test_value_by_hand():
    image = jnp.array([[0.0, 1.0], [2.0, 4.0]])[..., None]
    xy = jnp.array([[[0.5, 0.5], [0.25, 0.0], [1.0, 1.0]]])
    values, valid = sampling.bilinear_sample(image, xy)
    np.testing.assert_allclose(values[0, :, 0], [1.75, 0.25, 4.0])
    assert valid.all()


@pytest.mark.filterwarnings("error")
def test_the_grid_of_numpys_own_type():
    grid = sampling.pixel_grid(2, 3, np.dtype(np.float64))
    assert grid.tolist() == [[[0, 0], [1, 0], [2, 0]], [[0, 1], [1, 1], [2, 1]]]


def test_matches_scipy_inside_and_clamped():
    xy = positions(-4, 13)
    values, valid = sampling.bilinear_sample(IMAGE, xy)
    for channel in range(3):
        wanted = ndimage.map_coordinates(
            IMAGE[..., channel], [xy[..., 1], xy[..., 0]], order=1, mode="nearest"
        )
        np.testing.assert_allclose(values[..., channel], wanted, atol=1e-6)
    inside = (xy >= 0).all(-1) & (xy[..., 0] <= 8) & (xy[..., 1] <= 6)
    np.testing.assert_array_equal(valid, inside)
    assert inside.any()
    assert not inside.all()


@pytest.mark.parametrize(
    ("border", "flag"), [("clamp", cv2.BORDER_REPLICATE), ("zero", cv2.BORDER_CONSTANT)]
)
def test_matches_opencv(border, flag):
    xy = np.round(positions(-3, 11) * 32) / 32  # OpenCV rounds to 1/32 of a pixel
    values, _ = sampling.bilinear_sample(IMAGE, xy, border=border)
    wanted = cv2.remap(IMAGE, xy, None, cv2.INTER_LINEAR, borderMode=flag, borderValue=0)
    np.testing.assert_allclose(values, wanted, atol=1e-6)


def test_identity_and_whole_shift_are_exact():
    image, valid = sampling.warp_with_flow(IMAGE, jnp.zeros((7, 9, 2)))
    np.testing.assert_array_equal(image, IMAGE)
    assert valid.all()
    image, valid = sampling.warp_with_flow(
        IMAGE, jnp.broadcast_to(jnp.array([2.0, -1.0]), (7, 9, 2))
    )
    np.testing.assert_array_equal(image[1:, :-2], IMAGE[:-1, 2:])
    assert valid[1:, :-2].all()
    assert not valid[0].any()
    assert not valid[:, -2:].any()


def test_gradient_at_whole_pixels_is_that_of_the_next_cell():
    def value(x, y):
        return sampling.bilinear_sample(IMAGE, jnp.array([x, y])[None, None])[0][0, 0, 0]

    along_x, along_y = grad(value, argnums=(0, 1))(3.0, 2.0)
    np.testing.assert_allclose(along_x, IMAGE[2, 4, 0] - IMAGE[2, 3, 0], atol=1e-6)
    np.testing.assert_allclose(along_y, IMAGE[3, 3, 0] - IMAGE[2, 3, 0], atol=1e-6)
    # At the ends too: all of the slope of the first cell, and of the last one.
    first, last = grad(value)(0.0, 2.0), grad(value)(8.0, 2.0)
    np.testing.assert_allclose(first, IMAGE[2, 1, 0] - IMAGE[2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(last, IMAGE[2, 8, 0] - IMAGE[2, 7, 0], atol=1e-6)


@pytest.mark.parametrize("border", ["clamp", "zero"])
def test_gradients_match_finite_differences(border):
    random = np.random.default_rng(1)
    with jax.enable_x64(True):
        image = random.random((4, 5, 2))
        xy = random.uniform(-2, 6, (3, 3, 2))
        weights = random.random((3, 3, 2))

        @jax.jit
        def total(image, xy):
            return (sampling.bilinear_sample(image, xy, border=border)[0] * weights).sum()

        by_image, by_xy = jax.jit(jax.grad(total, argnums=(0, 1)))(image, xy)
        wanted = transforms.numeric_gradient(lambda i: total(i, xy), image)
        np.testing.assert_allclose(by_image, wanted, atol=1e-8)
        wanted = transforms.numeric_gradient(lambda p: total(image, p), xy)
        np.testing.assert_allclose(by_xy, wanted, atol=1e-8)
        assert np.abs(wanted).max() > 0.1


@pytest.mark.parametrize("border", ["clamp", "zero"])
def test_any_position_is_finite_in_value_and_gradient(border):
    bad = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9], np.float32)
    xy = np.stack([np.stack([bad, np.full(6, 2)], -1), np.stack([np.full(6, 2), bad], -1)])
    xy = jnp.asarray(xy, jnp.float32)
    values, valid = sampling.bilinear_sample(IMAGE, xy, border=border)
    assert np.isfinite(values).all()
    assert not valid.any()
    gradient = grad(lambda p: sampling.bilinear_sample(IMAGE, p, border=border)[0].sum())(xy)
    assert np.isfinite(gradient).all()
    assert (gradient[0, :, 0] == 0).all()
    assert (gradient[1, :, 1] == 0).all()


def test_one_pixel_picture():
    values, valid = sampling.bilinear_sample(IMAGE[:1, :1], jnp.array([[[0.0, 0.0], [0.4, 0.0]]]))
    np.testing.assert_allclose(values[0], IMAGE[0, 0][None].repeat(2, 0))
    np.testing.assert_array_equal(valid[0], [True, False])


def test_unknown_border_and_wrong_axes_are_refused():
    with pytest.raises(ValueError, match="'mirror'"):
        sampling.bilinear_sample(IMAGE, jnp.zeros((2, 2, 2)), border="mirror")
    with pytest.raises(ValueError, match=r"\[2, 2, 3\]"):
        sampling.bilinear_sample(IMAGE, jnp.zeros((2, 2, 3)))


def test_resize_by_hand_and_against_opencv():
    doubled = sampling.resize_bilinear(jnp.array([0.0, 1.0])[None, :, None], 1, 4)
    np.testing.assert_allclose(doubled[0, :, 0], [0, 0.25, 0.75, 1], atol=1e-7)
    for height, width in ((14, 18), (21, 11), (3, 4), (7, 9)):
        got = sampling.resize_bilinear(IMAGE, height, width)
        wanted = cv2.resize(IMAGE, (width, height), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int32, bool])
def test_whole_numbers_are_resized_as_float32(dtype):
    doubled = sampling.resize_bilinear(jnp.array([0, 1], dtype)[None, :, None], 1, 4)
    np.testing.assert_array_equal(doubled[0, :, 0], [0, 0.25, 0.75, 1])
    assert doubled.dtype == jnp.float32


def test_aligned_corners():
    """Halfway between corners that stay; and torch.nn.functional.interpolate's values, recorded."""
    doubled = sampling.resize_bilinear(
        jnp.array([[0.0, 1.0], [2.0, 3.0]])[..., None], 3, 3, align_corners=True
    )
    np.testing.assert_allclose(doubled[..., 0], [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]], atol=1e-6)
    image = np.array([[1.0, 4.0, 2.0], [0.0, 3.0, 8.0]], np.float32)[..., None]
    one = sampling.resize_bilinear(jnp.asarray(image), 1, 2, align_corners=True)
    np.testing.assert_allclose(one[..., 0], [[1, 2]], atol=1e-6)
    recorded = [
        [1.0, 3.0, 3.3333332538604736, 2.0],
        [0.5, 2.5, 4.0, 5.0],
        [0.0, 2.0, 4.6666669845581055, 8.0],
    ]
    ours = sampling.resize_bilinear(jnp.asarray(image), 3, 4, align_corners=True)
    np.testing.assert_allclose(ours[..., 0], recorded, atol=1e-5)


def test_same_under_transformations():
    images, xy = RANDOM.random((8, 7, 9, 3), np.float32), positions(-2, 10, (8, 5, 6))
    transforms.check_transforms(sampling.bilinear_sample, images, xy)
    flow = RANDOM.normal(size=(8, 7, 9, 2)).astype(np.float32)
    transforms.check_transforms(sampling.warp_with_flow, images, flow)
    transforms.check_transforms(lambda i: sampling.resize_bilinear(i, 5, 13), images)


def test_resize_each_gives_every_map_its_own_size():
    generator = np.random.default_rng(3)
    maps = generator.normal(size=(3, 5, 7, 2)).astype(np.float32)
    sizes = np.asarray([[8, 11], [5, 7], [3, 20]], np.int32)
    resized = jax.jit(lambda m, s: sampling.resize_each(m, s, 8, 20))(maps, sizes)
    assert resized.shape == (3, 8, 20, 2)
    for one, (height, width), map_in in zip(resized, sizes, maps, strict=True):
        expected = sampling.resize_bilinear(jnp.asarray(map_in), int(height), int(width))
        np.testing.assert_allclose(one[:height, :width], expected, atol=1e-5)


def test_resize_each_is_opencvs_linear_resize():
    picture = np.random.default_rng(4).normal(size=(6, 9)).astype(np.float32)
    resized = sampling.resize_each(picture[None, ..., None], np.asarray([[13, 31]]), 13, 31)
    expected = cv2.resize(picture, (31, 13), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resized[0, ..., 0], expected, atol=1e-4)
