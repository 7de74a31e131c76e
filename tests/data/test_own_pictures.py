"""Pictures of one's own: every way to name them, their names and order."""

import cv2
import numpy as np
import pytest

from geoseg_jax.data.own_pictures import OwnPictures
from geoseg_jax.data.source import DataError
from tests.data.fabricate_video import write_file


@pytest.fixture
def folder(tmp_path):
    """a/2.png, a/10.png, b/1.jpg, c.png, v.mp4 of three frames; a number as its brightness."""
    for name in ("a/2.png", "a/10.png", "b/1.jpg", "c.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bright = int(path.stem) if path.stem.isdigit() else 200
        cv2.imwrite(str(path), np.full((20, 30, 3), 10 * bright % 256, np.uint8))
    write_file(tmp_path / "in" / "v.mp4", 3)
    return tmp_path / "in"


def own(places, **options):
    return OwnPictures(places, height=8, width=12, **options)


def test_names_and_order(folder, tmp_path):
    cache = {"cache_dir": str(tmp_path / "cache")}
    frames = ["000000", "000001", "000002"]
    assert own(folder / "c.png").names == ["c"]
    assert own(folder / "a").names == ["2", "10"]
    assert own(folder / "v.mp4", **cache).names == frames
    assert own(str(folder / "a" / "*.png")).names == ["2", "10"]
    assert own(str(folder / "**" / "*0.png")).names == ["10"]
    several = own([folder / "c.png", folder / "a", folder / "v.mp4"], **cache)
    assert several.names == [*(f"v/{frame}" for frame in frames), "c", "a/2", "a/10"]
    whole = own(folder, **cache)
    assert whole.names == [*(f"v/{frame}" for frame in frames), "c", "a/2", "a/10", "b/1"]
    rows = [(row.name, len(row.paths), row.rate) for row in whole.rows]
    assert rows == [("v", 3, 10.0), ("in", 1, None), ("a", 2, None), ("b", 1, None)]
    rates = [row.rate for row in own(folder, rate=5.0, **cache).rows]
    assert rates == [10.0, 5.0, 5.0, 5.0]  # a video knows its own


def test_places_above_where_one_stands(folder, monkeypatch):
    monkeypatch.chdir(folder / "a")
    assert own(["../b/1.jpg", "2.png"]).names == ["a/2", "b/1"]


def test_digits_that_are_no_numbers(folder):
    cv2.imwrite(str(folder / "a" / "5²7.png"), np.zeros((20, 30, 3), np.uint8))
    assert own(folder / "a").names == ["2", "5²7", "10"]


def test_records(folder):
    source = own(folder / "a")
    record = source[0]
    assert (record["image"].shape, record["label_size"].tolist()) == ((8, 12, 3), [20, 30])
    assert record["image"].max() == 20
    assert source.whole(0).shape == (20, 30, 3)


def test_pairs_are_of_one_folder(folder, tmp_path):
    source = own([folder / "a", folder / "b", folder / "c.png"], pairs=True)
    assert source.names == ["a/2"]
    record = source[0]
    assert (record["image"].max(), record["sources"].max()) == (20, 100)
    assert record["sources"].shape == (1, 8, 12, 3)
    cv2.imwrite(str(folder / "a" / "3.png"), np.zeros((20, 31, 3), np.uint8))
    with pytest.raises(DataError, match=r"2\.png and 3\.png differ in size"):
        _ = own(folder / "a", pairs=True)[0]
    with pytest.raises(DataError, match="flow is of two pictures"):
        own(folder / "c.png", pairs=True)


def test_a_video_and_a_folder_of_one_name(folder, tmp_path):
    (folder / "v").mkdir()
    cv2.imwrite(str(folder / "v" / "first.png"), np.zeros((20, 30, 3), np.uint8))
    assert len(own(folder, cache_dir=str(tmp_path / "cache")).rows) == 5
    with pytest.raises(DataError, match="2 videos or folders of frames are called v,"):
        own(folder, rate=5.0, cache_dir=str(tmp_path / "cache"))


def test_what_is_refused(folder):
    (folder / "notes.txt").write_text("x")
    (folder / "empty").mkdir()
    cv2.imwrite(str(folder / "c.jpg"), np.zeros((4, 4, 3), np.uint8))
    bad = {
        "no such folder or file": folder / "none",
        "nothing matches": str(folder / "*.tif"),
        "neither a picture nor a video": folder / "notes.txt",
        "no picture in it or below": folder / "empty",
        r"c\.jpg and c\.png would have the same prediction": str(folder / "c.*"),
    }
    for message, places in bad.items():
        with pytest.raises(DataError, match=message):
            own(places)
