"""Random and central windows against values by hand, distributions and a picture of coordinates."""

import pickle

import cv2
import numpy as np
import pytest

from geoseg_jax.core.batch import check_record
from geoseg_jax.data import crops
from geoseg_jax.data.source import DataError
from geoseg_jax.data.transforms import Augmentation, augmentation


def generator(seed=0):
    return np.random.default_rng(seed)


def coordinates(height, width):
    """A picture whose first channel is its row, the second its column; float, so not rounded."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack((rows, columns, 0 * rows), axis=-1)


def test_shares_and_ratios_are_drawn_evenly():
    draw = generator()
    windows = np.array([crops.random_window((900, 900), draw, (0.2, 0.5)) for _ in range(4000)])
    tops, lefts, heights, widths = windows.T
    assert (windows >= 0).all()
    assert (tops + heights <= 900).all()
    assert (lefts + widths <= 900).all()
    share = heights * widths / 900**2
    assert share.min() == pytest.approx(0.2, abs=2e-3)
    assert share.max() == pytest.approx(0.5, abs=2e-3)
    # Every share in the range is as likely, and so is the logarithm of every ratio.
    np.testing.assert_allclose(
        np.quantile(share, [0.25, 0.5, 0.75]), [0.275, 0.35, 0.425], atol=9e-3
    )
    log = np.log(widths / heights) / np.log(4 / 3)
    np.testing.assert_allclose(np.quantile(log, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.06)
    # The window lies anywhere: its place as a share of its room is even.
    np.testing.assert_allclose(
        np.quantile(tops / (900 - heights), [0.25, 0.75]), [0.25, 0.75], atol=0.04
    )


def test_where_no_window_fits_it_is_the_middle():
    # Of a picture 1:16 no share above a half has a ratio within 3:4 to 4:3.
    assert crops.random_window((10, 160), generator(), (0.6, 1.0)) == (0, 73, 10, 13)
    assert crops.random_window((160, 10), generator(), (0.6, 1.0)) == (73, 0, 13, 10)
    assert crops.random_window((1, 1), generator(), (1.0, 1.0)) == (0, 0, 1, 1)


def test_the_middle_is_that_of_the_resized_picture():
    # 500x400 to short side 256 is 320x256; its middle 224x224 is 350x350 of the original.
    assert crops.central_window((400, 500), 224, 224, 0.875) == (25, 75, 350, 350)
    picture = coordinates(400, 500)
    small = cv2.resize(picture, (320, 256), interpolation=cv2.INTER_AREA)[16:240, 48:272]
    once = crops.cut(picture, crops.central_window((400, 500), 224, 224, 0.875), 224, 224)
    np.testing.assert_allclose(once, small, atol=0.35)  # of pixels 1.56 wide
    assert crops.central_window((64, 64), 64, 64, 1.0) == (0, 0, 64, 64)
    assert crops.central_window((100, 400), 32, 64, 1.0) == (0, 100, 100, 200)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((500, 400), (280, 224)), ((400, 500), (224, 280)), ((90, 300), (90, 300))],
)
def test_covering_keeps_proportions_and_never_enlarges(size, expected):
    assert crops.cover(coordinates(*size), 224, 224).shape[:2] == expected


def test_views_are_windows_drawn_and_flipped_each_on_its_own():
    record = {
        "image": generator().integers(0, 256, (40, 60, 3), np.uint8),
        "category": np.array(7, np.int32),
    }
    change = pickle.loads(
        pickle.dumps(Augmentation(True, crop_area=(0.2, 1.0), size=(16, 24), views=3))
    )
    first, again = (change(record, generator(5)) for _ in range(2))
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
    check_record(first, "cropped")
    assert first["image"].shape == (16, 24, 3)
    assert first["sources"].shape == (2, 16, 24, 3)
    assert first["category"] == 7
    views = np.concatenate((first["image"][None], first["sources"]))
    assert len({view.tobytes() for view in views}) == 3
    ramp = {"image": np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 3, -1).repeat(40, 0)}
    several = [change(ramp, generator(seed)) for seed in range(40)]
    turned = np.array(
        [[v[0, 0, 0] > v[0, -1, 0] for v in (r["image"], *r["sources"])] for r in several]
    )
    assert (turned.mean(0) > 0.25).all()
    assert (turned.mean(0) < 0.75).all()
    assert len({tuple(row) for row in turned}) > 4  # not all of a record alike


def test_what_comes_from_settings():
    data = {"flip": True, "height": 16, "width": 24, "crop_area": [0.08, 1], "crop_views": 2}
    assert augmentation(data) == Augmentation(True, (), (), (0.08, 1), (16, 24), 2)
    assert augmentation(data | {"crop_area": ()}) == Augmentation(True)


def test_a_record_with_more_geometry_is_refused():
    record = {"image": np.zeros((4, 4, 3), np.uint8), "depth": np.zeros((4, 4), np.float32)}
    with pytest.raises(DataError, match=r"these records hold depth .*crop_area=\(\)"):
        crops.random_resized_crop(record, generator(), (4, 4), (0.5, 1.0))
