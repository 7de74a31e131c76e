"""Polygons as pixels: by hand, against closed forms, and against pycocotools and Pillow."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from geoseg_jax.data.annotations import rle
from geoseg_jax.data.annotations.drawing import (
    Mask,
    Shape,
    circle,
    draw,
    fill_polygon,
    rectangle,
)

HEIGHT, WIDTH = 23, 31
POLYGONS = {
    "square": [(3, 2), (9, 2), (9, 6), (3, 6)],
    "triangle": [(2.3, 1.7), (27.9, 8.2), (9.4, 20.6)],
    "star": [(15, 1), (24, 20), (2, 8), (28, 8), (6, 20)],
}
# What pycocotools 2.0.11 makes of them on 23 rows and 31 columns, as its compressed runs.
PYCOCOTOOLS = {
    "square": "W24c0000000000h?",
    "triangle": "W23d02O2M3M2N3N1N00O1O2O0O1O101N1O100O2N100O1O2O0Oe2",
    "star": "]21f0001O0DO22KO61H180E1<MF2`00INJ052KN34802NCN70I0>2JNE2;0C1<NG18OJO60MO21:O10d2",
}


def filled(points, height=HEIGHT, width=WIDTH):
    whole = np.zeros((height, width), bool)
    inside, top, left = fill_polygon(np.array(points, float), height, width)
    whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return whole


def random_polygons(count=200):
    """Stars around the middle of 160x160, and the length of their outlines."""
    generator = np.random.default_rng(0)
    for _ in range(count):
        corners = int(generator.integers(5, 12))
        angle = (np.arange(corners) + 0.8 * generator.random(corners)) * 2 * np.pi / corners
        radius = 20 + 40 * generator.random(corners)
        points = 80 + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        yield points, np.linalg.norm(points - np.roll(points, -1, 0), axis=1).sum()


def test_centres_inside_by_hand():
    # Borders between pixels: exactly these. Moved by half a pixel: centres on the left and upper
    # side are in, those on the right and lower side are not.
    for shift in (0.0, 0.25, 0.5):
        whole = np.zeros((HEIGHT, WIDTH), bool)
        whole[2:6, 3:9] = True
        np.testing.assert_array_equal(filled(np.array(POLYGONS["square"]) + shift), whole)
    assert not filled(np.array(POLYGONS["square"]) + 0.51)[2].any()


def test_every_centre_against_half_planes():
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    sides = []
    points = POLYGONS["triangle"]
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        sides.append((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0)
    np.testing.assert_array_equal(filled(points), np.all(sides, axis=0))


def test_what_shares_an_edge_shares_no_pixel_and_leaves_none_out():
    corners = np.array([(0, 0), (31, 0), (31, 23), (0, 23)], float)
    middle = np.array([13.5, 8.5])  # a centre
    parts = [filled([corners[i], corners[(i + 1) % 4], middle]) for i in range(4)]
    assert np.all(np.sum(parts, axis=0) == 1)


@pytest.mark.parametrize("name", POLYGONS)
def test_as_pycocotools_but_for_single_pixels_of_the_outline(name):
    theirs = rle.coco_mask(PYCOCOTOOLS[name], HEIGHT, WIDTH)
    different = (filled(POLYGONS[name]) != theirs).sum()
    assert different == {"square": 0, "triangle": 6, "star": 5}[name]


def test_area_is_without_bias_and_that_of_pillow_is_not():
    ours, pillows = [], []
    for points, outline in random_polygons():
        x, y = points.T
        area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
        picture = Image.new("1", (160, 160))
        ImageDraw.Draw(picture).polygon([tuple(p) for p in points], outline=1, fill=1)
        ours.append((filled(points, 160, 160).sum() - area) / outline)
        pillows.append((np.asarray(picture).sum() - area) / outline)
    assert abs(np.mean(ours)) < 0.005  # pixels' width of outline; pycocotools 2.0.11: 0.001
    assert np.max(np.abs(ours)) < 0.1
    assert 0.3 < np.mean(pillows) < 0.34


def test_live_pycocotools_on_many_polygons():
    theirs = pytest.importorskip("pycocotools.mask")
    for points, outline in random_polygons(50):
        runs = theirs.merge(theirs.frPyObjects([points.ravel().tolist()], 160, 160))
        other = rle.coco_mask(runs["counts"].decode(), 160, 160)
        np.testing.assert_array_equal(other, theirs.decode(runs) > 0)
        assert (filled(points, 160, 160) != other).sum() < 0.15 * outline


def test_holes_and_what_lies_outside():
    # A ring drawn as one outline with a bridge, as tools without holes have it.
    ring = [(2, 2), (20, 2), (20, 18), (2, 18), (2, 2), (6, 6), (6, 14), (16, 14), (16, 6), (6, 6)]
    assert filled(ring).sum() == 18 * 16 - 10 * 8
    around = [(-100, -50), (400, -50), (400, 300), (-100, 300)]
    assert filled(around).all()
    assert not filled(np.array(around) + 1000).any()
    for nothing in ([], [(1, 1)], [(1, 1), (9, 9)], [(1, 1), (5, 5), (9, 9)]):
        assert not filled(np.reshape(nothing, (-1, 2))).any()


def test_many_crossings_are_done_in_parts(monkeypatch):
    points = np.random.default_rng(1).random((300, 2)) * 20
    whole = filled(points)
    monkeypatch.setattr("geoseg_jax.data.annotations.drawing._CROSSINGS", 50)
    np.testing.assert_array_equal(filled(points), whole)


def test_circles_and_rectangles_have_their_area():
    x, y = np.meshgrid(np.arange(40) + 0.5, np.arange(40) + 0.5)
    expected = (x - 20.3) ** 2 + (y - 17.8) ** 2 < 12.2**2
    np.testing.assert_array_equal(filled(circle(20.3, 17.8, 12.2), 40, 40), expected)
    assert filled(rectangle(9, 6, 3, 2)).sum() == 24


def test_later_shapes_lie_on_earlier_ones_and_parts_are_a_union():
    big, small = rectangle(0, 0, 10, 10), rectangle(4, 4, 8, 8)
    label, contested, _ = draw([Shape(1, [big]), Shape(2, [small])], (12, 12), 0)
    assert [(label == i).sum() for i in range(3)] == [44, 84, 16]
    assert contested == 16
    label, contested, _ = draw([Shape(1, [big, small])], (12, 12), 255)
    assert [(label == i).sum() for i in (1, 255)] == [100, 44]
    assert contested == 0


def test_masks_are_placed_and_cut_off():
    whole = Mask(np.ones((4, 6), bool), -2, 9)
    label, _, _ = draw([Shape(3, [whole])], (12, 12), 0)
    assert np.argwhere(label == 3).tolist() == [[r, c] for r in (0, 1) for c in (9, 10, 11)]
    for top, left in ((50, 0), (0, 50), (-50, 0)):
        assert not draw([Shape(3, [whole._replace(top=top, left=left)])], (12, 12), 0)[0].any()


def test_shapes_that_cover_no_pixel_are_told():
    big, outside, tiny = rectangle(0, 0, 9, 9), rectangle(50, 50, 60, 60), rectangle(1, 1, 1.4, 1.4)
    shapes = [Shape(1, [outside]), Shape(2, [tiny, big]), Shape(3, [tiny]), Shape(1, [])]
    shapes.append(Shape(1, [Mask(np.zeros((4, 4), bool))]))
    assert draw(shapes, (12, 12), 0)[2] == [False, True, False, False, False]
