"""Pictures and labels as a source."""

import pickle
import unicodedata
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from geoseg_jax.core.batch import check_record
from geoseg_jax.data import pictures, walk
from geoseg_jax.data.labels.segmentation import Item, LabelledPictures, find_items
from geoseg_jax.data.labels.table import IGNORE, colour, label_table
from geoseg_jax.data.own_pictures import OwnPictures
from geoseg_jax.data.pipeline import eval_batches, train_batches
from geoseg_jax.data.source import BadRecord, DataError, Source
from tests import paper_code
from tests.data import fabricate as fabricate_pictures
from tests.data import fabricate_labels as fabricate
from tests.models.test_recorded import digest

TABLE = label_table("camvid11")


@pytest.fixture
def items(tmp_path):
    """Three pictures, the second larger than the others."""
    found = []
    for n, (height, width) in enumerate(((12, 20), (16, 24), (12, 20))):
        image = fabricate.write_image(tmp_path / f"i/{n}.png", n, height, width)
        label = fabricate.ids(range(12), n, height, width)
        path = fabricate.write_label(tmp_path / f"l/{n}.png", label)
        found.append(Item(f"set/{n}", image, path, f"drive{n}"))
    return found


def make(items, **changes):
    return LabelledPictures(items, TABLE, **{"height": 6, "width": 10, **changes})


def test_records_to_train_on(items):
    source = make(items)
    assert isinstance(source, Source)
    for i in range(3):
        record = source[i]
        check_record(record, source.describe(i))
        assert record["image"].shape == (6, 10, 3)
        assert record["label"].shape == (6, 10)
        assert record["label_size"].tolist() == [6, 10]
    assert source.names == ["set/0", "set/1", "set/2"]
    assert source.drive(1) == "drive1"
    assert source.original(1) == (16, 24)
    assert dict(source.files(0)) == {"set/0": items[0].image, "set/0 label": items[0].label}


def test_full_labels_are_padded_and_never_resized(items):
    source = make(items, full_labels=True)
    for i, item in enumerate(items):
        record = source[i]
        check_record(record, source.describe(i))
        height, width = record["label_size"]
        assert (height, width) == source.original(i)
        assert record["label"].shape == (16, 24)
        expected = fabricate.ids(range(12), i, height, width)
        expected[expected == 11] = IGNORE
        np.testing.assert_array_equal(record["label"][:height, :width], expected, str(item))
        assert (record["label"][height:] == IGNORE).all()
        assert (record["label"][:, width:] == IGNORE).all()


def test_bicubic_pictures_are_those_of_the_public_code(tmp_path):
    image, label = paper_code.write_pictures(tmp_path)
    source = LabelledPictures(
        [Item("a", image, label)],
        label_table("cityscapes34"),
        height=6,
        width=10,
        picture_resize="bicubic",
    )
    # Mean, mean square and one value of what its reader gave; see tests/paper_code.py.
    recorded = [0.5051416272918383, 0.2562650421377823, 0.5058823823928833]
    np.testing.assert_allclose(digest(source[0]["image"] / 255), recorded, rtol=1e-6)


@pytest.mark.parametrize("full", [False, True])
def test_a_label_alone_without_its_picture(items, full, monkeypatch):
    source = make(items, full_labels=full)
    records = [source[i] for i in range(3)]
    monkeypatch.delattr(pictures, "read_picture")
    for i, record in enumerate(records):
        height, width = record["label_size"]
        np.testing.assert_array_equal(source.label(i), record["label"][:height, :width])


def test_batches_of_both_kinds(items):
    batch = next(train_batches(make(items), batch_size=4, seed=0))
    assert batch["label"].shape == (4, 6, 10)
    (batch,) = eval_batches(make(items, full_labels=True), batch_size=4)
    assert batch["label"].shape == (4, 16, 24)
    assert batch["mask"].tolist() == [True, True, True, False]


def test_an_unreadable_label_names_itself(items):
    items[1].label.unlink()
    with pytest.raises(BadRecord, match=r"l/1\.png: No such file"):
        make(items)[1]


def test_fingerprint_tells_what_changed(items):
    source = make(items)
    before = source.fingerprint()
    assert pickle.loads(pickle.dumps(source)).fingerprint() == before
    others = [make(items[:2]), make(items, height=8), make(items, full_labels=True)]
    found = {before, *(other.fingerprint() for other in others)}
    fabricate.write_label(items[0].label, fabricate.ids(range(12), 9))
    found.add(make(items).fingerprint())
    assert len(found) == 5


def test_pairs_and_what_is_left_out(tmp_path):
    for name in ("b.png", "a.jpg", "deep/er/c.JPG", "notes.txt", ".hidden.png"):
        fabricate.write_image(tmp_path / "i" / name.replace("txt", "png"))
    for name in ("a", "deep/er/c", "d"):
        fabricate.write_image(tmp_path / "l" / f"{name}_x.png")
    items, left_out = find_items(
        walk.by_name(tmp_path / "i"), walk.by_name(tmp_path / "l", "_x"), {"a": "drive"}
    )
    assert [(item.name, item.drive) for item in items] == [("a", "drive"), ("deep/er/c", "")]
    assert left_out == {
        "hidden file": 1,
        "picture without a label": 2,
        "label without a picture": 1,
    }
    assert walk.by_name(tmp_path / "nowhere").paths == {}


def test_names_with_accents_are_paired_however_they_are_spelt(tmp_path):
    one, two = (unicodedata.normalize(way, "K\u00f6ln") for way in ("NFC", "NFD"))
    for picture, label in ((one, two), (two, one)):
        images = walk.Named({picture: tmp_path / "a.jpg", "b.c": tmp_path / "b"}, Counter())
        labels = walk.Named({label: tmp_path / "a.png", "b": tmp_path / "b"}, Counter())
        items, left_out = find_items(images, labels, {picture: "drive"})
        assert items == [Item(picture, tmp_path / "a.jpg", tmp_path / "a.png", "drive")]
        assert left_out == {"picture without a label": 1, "label without a picture": 1}


def test_settings_are_checked(items):
    with pytest.raises(DataError, match=r"picture_resize='cubic' is none of area, bicubic"):
        make(items, picture_resize="cubic")
    with pytest.raises(DataError, match=r"label_resize='cubic' is none of nearest, bicubic"):
        make(items, label_resize="cubic")
    with pytest.raises(DataError, match=r"label_crop='left' is none of none, bottom_right"):
        make(items, label_crop="left")


def test_colours_of_a_record_are_those_of_the_table(items):
    label = make(items)[0]["label"]
    picture = colour(label, TABLE)
    for train in np.unique(label):
        expected = (0, 0, 0) if train == IGNORE else TABLE.palette[train]
        assert (picture[label == train] == expected).all()


def test_labels_belong_to_the_upright_picture(tmp_path):
    """A telephone stores what it sees lying on its side and says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image, label = tmp_path / "i" / "a.jpg", fabricate.ids(range(12), 0, 20, 12)
    image.parent.mkdir()
    Image.fromarray(fabricate_pictures.picture(0, 12, 20)).save(image, exif=exif)
    path = fabricate.write_label(tmp_path / "a.png", label)
    source = make([Item("a", image, path)], full_labels=True, height=20, width=12)
    source.check(0)
    assert source.original(0) == source.label(0).shape == source[0]["label"].shape == (20, 12)
    own = OwnPictures(image.parent, height=20, width=12)
    assert own[0]["label_size"].tolist() == [20, 12]
    fabricate.write_label(path, np.ascontiguousarray(label.T))
    with pytest.raises(BadRecord, match="the label is 20x12 and its picture 12x20"):
        source.check(0)
