"""True flow at another size, against closed forms and loops."""

import numpy as np
import pytest

from geoseg_jax.data import pictures
from geoseg_jax.data.flow import maps as flow_maps

H, W = 37, 53
RNG = np.random.default_rng(0)
# Half as large, odd, anisotropic, larger by a whole and by a broken factor.
SIZES = [(18, 26), (12, 20), (20, 90), (111, 159), (50, 71)]


def places(size):
    """The centres of the pixels of a picture of the old size that was resized, in old pixels."""
    y, x = (np.indices(size).astype(float)[i] for i in (0, 1))
    return (x + 0.5) * W / size[1] - 0.5, (y + 0.5) * H / size[0] - 0.5


def affine(x, y):
    """A flow in pixels of the old size, at places in them; it turns, zooms and shears."""
    return np.stack([3 + 0.11 * x - 0.07 * y, -2 + 0.05 * x + 0.13 * y], axis=-1)


def dense():
    flow = affine(*places((H, W))).astype(np.float32)
    return {"flow": flow, "flow_valid": np.ones((H, W), bool), "flow_visible": flow[..., 0] > 4}


def sparse(share=0.1):
    return dense() | {"flow_valid": RNG.random((H, W)) < share}


@pytest.mark.parametrize("size", SIZES)
def test_an_affine_flow_remains_one(size):
    resized = flow_maps.resize(dense(), *size)
    x, y = places(size)
    known = resized["flow_valid"]
    inside = (x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)
    np.testing.assert_array_equal(known, inside)
    expected = affine(x, y) * [size[1] / W, size[0] / H]
    np.testing.assert_allclose(resized["flow"][known], expected[known], atol=1e-4)
    assert not resized["flow"][~known].any()
    assert resized["flow"].dtype == np.float32


@pytest.mark.parametrize("size", SIZES)
def test_what_is_seen_goes_with_its_picture(size):
    resized = flow_maps.resize(dense(), *size)
    x, y = places(size)
    u, known = affine(x, y)[..., 0], resized["flow_valid"]
    # The border of what is seen lies at u = 4, which changes by at most .18 a pixel.
    assert resized["flow_visible"][known & (u > 4.1)].all()
    assert not resized["flow_visible"][~known | (u < 3.9)].any()


@pytest.mark.parametrize("size", SIZES)
def test_sparse_against_a_loop(size):
    maps = sparse()
    maps["flow_visible"] &= maps["flow_valid"]
    resized = flow_maps.resize(maps, *size)
    flow, nearest = np.zeros((*size, 2)), np.full(size, np.inf)
    for y, x in zip(*np.nonzero(maps["flow_valid"]), strict=True):
        place = ((y + 0.5) / H * size[0], (x + 0.5) / W * size[1])
        cell = tuple(map(int, place))
        away = sum((p - (c + 0.5)) ** 2 for p, c in zip(place, cell, strict=True))
        if away <= nearest[cell] + 1e-9:
            nearest[cell] = away
            flow[cell] = maps["flow"][y, x] * [size[1] / W, size[0] / H]
            assert resized["flow_valid"][cell]  # wherever there was a measurement
    np.testing.assert_array_equal(resized["flow_valid"], np.isfinite(nearest))
    np.testing.assert_allclose(resized["flow"], flow, rtol=1e-6)
    # The vector is that of a place half a new pixel away at most, along each side.
    ratio = (size[1] / W) / (size[0] / H)
    gap = np.abs(resized["flow"] - affine(*places(size)) * [size[1] / W, size[0] / H])
    most = np.array([0.11 + 0.07 * ratio, 0.05 / ratio + 0.13]) / 2
    assert (gap <= most + 1e-5)[resized["flow_valid"]].all()


def test_gaps_keep_more_than_the_nearest_pixel_and_nothing_else():
    """Whatever the nearest pixel gives is among what is kept, half a picture's ties included."""
    size = (H // 3, W // 2)
    maps = sparse(0.3)
    maps["flow"] = RNG.normal(size=(H, W, 2)).astype(np.float32)
    scale = np.float32([size[1] / W, size[0] / H])
    resized = flow_maps.resize(maps, *size)
    rows, columns = (
        pictures.cells(np.arange(new), new, old) for old, new in zip((H, W), size, strict=True)
    )
    looked_at = maps["flow_valid"][rows[:, None], columns]
    there = maps["flow"][rows[:, None], columns] * scale
    np.testing.assert_array_equal(resized["flow"][looked_at], there[looked_at])
    assert resized["flow_valid"].sum() > 1.5 * looked_at.sum()
    measured = {tuple(v) for v in maps["flow"][maps["flow_valid"]] * scale}
    assert {tuple(v) for v in resized["flow"][resized["flow_valid"]]} <= measured


def test_the_same_size_is_left_alone_and_nothing_known_stays_so():
    maps = sparse()
    for key, value in flow_maps.resize(maps, H, W).items():
        np.testing.assert_array_equal(value, maps[key])
    unknown = flow_maps.resize(dense() | {"flow_valid": np.zeros((H, W), bool)}, 9, 90)
    assert not unknown["flow_valid"].any()
    assert not unknown["flow"].any()


def test_ties_of_half_the_size_go_to_the_lower_right():
    flow = np.arange(32, dtype=np.float32).reshape(4, 4, 2)
    known = np.ones((4, 4), bool)
    known[3, 3] = False
    half = flow_maps.resize({"flow": flow, "flow_valid": known}, 2, 2)
    assert half["flow_valid"].all()
    np.testing.assert_array_equal(half["flow"][..., 0] * 2, [[10, 14], [26, 28]])


def test_what_was_enlarged_once_stays_dense():
    """An enlargement leaves the outermost pixels unknown, which is no gap."""
    once = flow_maps.resize(dense(), 74, 106)
    assert not once["flow_valid"].all()
    size = (111, 159)
    twice = flow_maps.resize(once, *size)
    assert twice["flow_valid"].mean() > 0.9
    known = twice["flow_valid"]
    expected = affine(*places(size)) * [size[1] / W, size[0] / H]
    np.testing.assert_allclose(twice["flow"][known], expected[known], atol=1e-3)
    # A frame around a gap, or two islands, are not.
    for hole in (np.s_[10:20, 10:20], np.s_[10:20, :]):
        given = dense()
        given["flow_valid"][hole] = False
        assert flow_maps.resize(given, 74, 106)["flow_valid"].mean() < 0.3
