import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import matching
from tests.ops import transforms

HEIGHT, WIDTH = 48, 80


def texture(height, width, seed=0):
    """Blurred noise, [height, width, 3] in [0, 1]: every window its own."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), 0.8)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def half_and_whole():
    """A scene from afar, its middle from half the distance, and the true flow to and fro."""
    whole = texture(2 * HEIGHT, 2 * WIDTH)
    far = cv2.resize(whole, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    near = whole[HEIGHT // 2 : -HEIGHT // 2, WIDTH // 2 : -WIDTH // 2]
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    nearer = np.stack((x + 0.5 - WIDTH / 2, y + 0.5 - HEIGHT / 2), axis=-1)
    return far, near, nearer, -nearer / 2


def search(first, second, **options):
    flow, trusted = jax.jit(lambda a, b: matching.trusted_matches(a, b, **options))(first, second)
    return np.asarray(flow), np.asarray(trusted)


def test_a_shift_longer_than_things_are_large_is_found():
    scene = texture(28, 91)
    first, second = scene[:24, 31:], scene[4:, :60]
    shift = np.array([31, -4])
    flow, trusted = search(first, second)
    y, x = np.mgrid[:24, :60]
    # Windows whose content is whole in both pictures, and whose neighbours' are.
    whole = (x >= 3) & (x + shift[0] <= 60 - 4) & (y >= 7) & (y <= 24 - 4)
    np.testing.assert_array_equal(flow[whole], np.broadcast_to(shift, (whole.sum(), 2)))
    assert trusted[whole].mean() > 0.85
    # What has left the picture is not trusted.
    assert trusted[:, 60 - 29 :].mean() < 0.01


def test_every_match_is_that_of_a_search_by_loops():
    height, width, size = 12, 14, 27
    scene = texture(height, width + 3)
    first, second = scene[:, 3:], scene[:, :-3]
    flow, trusted = search(first, second, zooms=(1.0,), patch=3, tolerance=0.0)

    def descriptors(picture):
        padded = np.pad(picture.astype(np.float64), [(1, 1), (1, 1), (0, 0)], mode="edge")
        found = np.zeros((height, width, size))
        for y in range(height):
            for x in range(width):
                window = padded[y : y + 3, x : x + 3]
                centred = window - window.mean((0, 1))
                found[y, x] = centred.ravel() / np.sqrt((centred**2).sum() + 0.02**2 * size)
        return found

    own, others = descriptors(first), descriptors(second)
    scores = np.einsum("abc,dec->abde", own, others)
    likeness = np.einsum("abc,dec->abde", own, own)
    good = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            row, column = np.unravel_index(scores[y, x].argmax(), (height, width))
            np.testing.assert_array_equal(flow[y, x], (column - x, row - y))
            rows, columns = np.mgrid[:height, :width]
            away = np.maximum(abs(rows - y), abs(columns - x)) > 2
            good[y, x] = scores[y, x].max() > 0.7
            good[y, x] &= likeness[y, x][away].max() < 0.9 * likeness[y, x, y, x]
            # The best match of the best match is the pixel itself.
            good[y, x] &= scores[:, :, row, column].argmax() == y * width + x
    # This texture changes in all directions: what is good is trusted if its fellows are.
    assert not (trusted & ~good).any()
    assert trusted.sum() > 0.6 * good.sum() > 0


def test_pictures_that_have_nothing_to_do_with_each_other_hardly_match():
    assert search(texture(32, 48), texture(32, 48, seed=1))[1].mean() < 0.01


def test_what_comes_nearer_is_found_by_reducing_the_other_picture():
    far, near, truth, _ = half_and_whole()
    flow, trusted = search(far, near)
    error = np.abs(flow - truth).max(axis=-1)
    assert trusted.sum() > 0.4 * far[..., 0].size / 4  # a quarter of it is seen in the other
    assert (error[trusted] < 1.5).mean() > 0.95
    # Whole pixels of the reduced picture: rounded, but neither way more than the other.
    np.testing.assert_allclose((flow - truth)[trusted & (error < 1.5)].mean(axis=0), 0, atol=0.1)
    assert search(far, near, zooms=(1.0,))[1].sum() < 0.1 * trusted.sum()


def test_the_search_back_finds_what_goes_away():
    far, near, nearer, away = half_and_whole()
    there, back = search(near, far), search(far, near)
    assert there[1].sum() < 0.2 * back[1].sum()
    flow, trusted = (np.asarray(x) for x in matching.filled_from_reverse(*there, *back))
    assert trusted.sum() > 0.9 * back[1].sum()
    assert (np.abs(flow - away).max(axis=-1)[trusted] < 1.5).mean() > 0.95
    flow, trusted = (np.asarray(x) for x in matching.filled_from_reverse(*back, *there))
    np.testing.assert_array_equal(flow[back[1]], back[0][back[1]])
    assert (np.abs(flow - nearer).max(axis=-1)[trusted] < 1.5).mean() > 0.95


def test_filling_by_hand():
    flow, reverse = np.zeros((2, 3, 4, 2), np.float32)
    trusted, reverse_trusted = np.zeros((2, 3, 4), bool)
    flow[0, 0], trusted[0, 0] = (2, 1), True
    reverse[1, 2], reverse_trusted[1, 2] = (-2.2, -0.9), True  # ends at (0, 0): known already
    reverse[2, 3], reverse_trusted[2, 3] = (-1.4, -0.6), True  # ends at (2, 1)
    reverse[0, 1], reverse_trusted[0, 1] = (-3, 0), True  # leaves the picture
    reverse[2, 0], reverse_trusted[2, 0] = (1, -1), False
    got, known = matching.filled_from_reverse(flow, trusted, reverse, reverse_trusted)
    wanted = np.zeros((3, 4), bool)
    wanted[0, 0] = wanted[1, 2] = True
    np.testing.assert_array_equal(known, wanted)
    np.testing.assert_array_equal(got[0, 0], (2, 1))
    np.testing.assert_allclose(got[1, 2], (1.4, 0.6))


def test_where_all_looks_alike_nothing_is_trusted():
    grey = np.full((24, 40, 3), 0.5, np.float32)
    assert not search(grey, grey)[1].any()
    stripes = np.tile(texture(1, 40), (24, 1, 1))  # along them nothing tells where
    assert not search(stripes, stripes)[1].any()
    pattern = np.tile(texture(8, 10), (3, 4, 1))  # nor among so many that are the same
    trusted = search(pattern, np.roll(pattern, 1, 1))[1]
    assert not trusted[4:-4, 4:-4].any()


def test_where_grey_values_hardly_change_nothing_is_trusted():
    first = texture(24, 40)
    second = np.roll(first, 3, 1)
    assert search(first, second)[1].mean() > 0.5
    assert not search(0.3 * first, 0.3 * second)[1].any()  # windows are alike all the same


def test_a_match_is_trusted_for_its_fellows():
    flow = np.zeros((5, 6, 2), np.float32)
    good = np.zeros((5, 6), bool)
    good[1:4, 1:4] = True
    flow[1:4, 1:4] = (7, -2)
    flow[1, 1], flow[3, 3] = (9, -4), (9.5, -2)  # as far apart as belongs together; too far
    got = np.asarray(matching._has_fellows(jnp.asarray(flow), jnp.asarray(good)))
    # Of the square's corners none has more than three neighbours that have a match.
    assert got[2, 2]
    assert got[1:4, 1:4].sum() == 5
    assert not got[3, 3]


def test_matches_have_no_gradient():
    def total(first):
        return matching.trusted_matches(first, first[:, ::-1])[0].sum()

    assert not np.asarray(jax.jit(jax.grad(total))(jnp.asarray(texture(8, 8)))).any()


def test_same_under_transformations():
    first = np.stack([texture(12, 16, seed) for seed in range(8)])
    second = np.roll(first, 5, 2)

    def kernel(a, b):
        lead = a.shape[:-3]
        run = matching.trusted_matches
        for _ in lead:
            run = jax.vmap(run)
        flow, trusted = run(a, b)
        return flow * trusted[..., None]

    transforms.check_transforms(kernel, first, second)


def test_bad_arguments_are_refused():
    a = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(ValueError, match="shapes"):
        matching.trusted_matches(a, a[1:])
    with pytest.raises(ValueError, match="patch=4"):
        matching.trusted_matches(a, a, patch=4)
    with pytest.raises(ValueError, match="zooms"):
        matching.trusted_matches(a, a, zooms=(1.0, 1.5))
