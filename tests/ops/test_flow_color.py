import jax.numpy as jnp
import numpy as np

from geoseg_jax.ops.flow_color import color_wheel, flow_to_color


def colour(*vectors, longest=1.0):
    flow = jnp.asarray(vectors, jnp.float32)[None]
    return np.asarray(flow_to_color(flow, longest))[0]


def test_wheel_is_middleburys():
    wheel = np.round(color_wheel() * 255)
    assert wheel.shape == (55, 3)
    # Where each stretch begins, and the second hue of each: by the published loops.
    starts = {
        0: (255, 0, 0),
        1: (255, 17, 0),
        15: (255, 255, 0),
        16: (213, 255, 0),
        21: (0, 255, 0),
        25: (0, 255, 255),
        26: (0, 232, 255),
        36: (0, 0, 255),
        49: (255, 0, 255),
        54: (255, 0, 43),
    }
    for place, hue in starts.items():
        np.testing.assert_array_equal(wheel[place], hue, err_msg=str(place))


def test_directions_of_full_length():
    right, left, still = colour((1, 0), (-1, 0), (0, 0))
    np.testing.assert_allclose(right, [1, 0, 0], atol=1e-6)  # red
    assert left[0] < 0.2  # cyan to blue
    assert left[2] == 1
    np.testing.assert_allclose(still, 1)  # white
    down, up = colour((0, 1), (0, -1))
    assert down[0] == 1  # yellow
    assert down[1] > 0.8
    assert up[2] > 0.9  # magenta to blue


def test_length_is_saturation_and_more_is_dark():
    half, full, more = colour((0.5, 0), (1, 0), (2, 0))
    np.testing.assert_allclose(half, [1, 0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(more, 0.75 * full, atol=1e-6)
    scaled = colour((4, 0), longest=8.0)[0]
    np.testing.assert_allclose(scaled, half, atol=1e-6)


def test_nonsense_is_black():
    np.testing.assert_array_equal(colour((np.nan, 0), (0, np.inf)), 0)


def test_whole_numbers_have_the_same_colours():
    vectors = ((3, 1), (-2, 3), (1, -4))
    whole = flow_to_color(jnp.asarray(vectors)[None], 5.5)[0]
    np.testing.assert_array_equal(whole, colour(*vectors, longest=5.5))
