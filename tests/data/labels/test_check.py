"""All labels are looked at before anything is trained."""

import logging

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data import pictures
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels import check as label_check
from geoseg_jax.data.labels.check import check_labels
from geoseg_jax.data.labels.segmentation import Item, LabelledPictures
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.labels.table import IGNORE, label_table
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate_labels as fabricate

COUNT = 12
GOOD = fabricate.ids((0, 1, 2))


@pytest.fixture
def root(tmp_path):
    names = [f"{n:02d}" for n in range(COUNT)]
    fabricate.folder(tmp_path, names)
    (tmp_path / "train.txt").write_text("\n".join(names[:8]))
    (tmp_path / "val.txt").write_text("\n".join(names[8:]))
    return tmp_path


def data(root, /, check_labels=True, **changes):
    settings = {"name": "folder", "root": str(root), "height": 6, "width": 10}
    settings |= {"train_split": "", "eval_split": "", **changes}
    return make_data(ConfigDict({"data": settings}), check_labels=check_labels)


BAD = {
    "unknown": (np.where(GOOD == 1, 77, GOOD), "label id 77 is not in the table"),
    "deep": (GOOD.astype(np.uint16) * 300, "this one has 1 of 16 bits"),
    "coloured": (np.full((*GOOD.shape, 3), 9, np.uint8), "have a colour that the class list lacks"),
    "small": (GOOD[:-1], "the label is 20x11 and its picture 20x12"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("number", [5, 10])  # one that trains, one that evaluates
def test_a_bad_label_is_found_at_the_start(root, kind, number):
    label, said = BAD[kind]
    path = fabricate.write_label(root / f"labels/{number:02d}.png", label)
    with pytest.raises(BadRecord, match=said) as caught:
        data(root)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(data(root, check_labels=False).train) == 8  # as where nothing is trained


def test_only_what_was_chosen_is_looked_at(root):
    fabricate.write_label(root / "labels/05.png", BAD["small"][0])
    assert len(data(root, labels=4).train) == 4
    with pytest.raises(BadRecord, match=r"05\.png"):
        data(root, labels=8)


def test_a_share_may_be_bad_where_it_trains(root, caplog):
    fabricate.write_label(root / "labels/05.png", BAD["small"][0])
    with caplog.at_level(logging.WARNING):
        assert len(data(root, bad_share=0.2).train) == 8
    assert "labels to train on: " in caplog.text
    assert "05.png: the label is 20x11" in caplog.text
    fabricate.write_label(root / "labels/06.png", BAD["unknown"][0])
    with pytest.raises(BadRecord, match=r"/05\.png.* \(2 of 8 labels to train on can't be used\)"):
        data(root, bad_share=0.2)
    assert len(data(root, bad_share=0.3).train) == 8
    (root / "labels/10.png").write_bytes(b"")
    with pytest.raises(BadRecord, match=r"/10\.png"):  # an evaluation is of all
        data(root, bad_share=0.9)


def test_pictures_are_not_read_for_it(root, monkeypatch):
    monkeypatch.delattr(pictures, "read_picture")
    assert len(data(root).train) == 8  # would raise AttributeError


def test_a_subset_looks_at_its_own(root):
    items = [Item(n, root / f"images/{n}.jpg", root / f"labels/{n}.png") for n in ("00", "01")]
    source = LabelledPictures(items, label_table("camvid11"), height=6, width=10)
    items[0].label.unlink()
    check_labels(Subset(source, [1]), "labels")
    with pytest.raises(BadRecord, match=r"00\.png: No such file"):
        check_labels(Subset(source, [1, 0]), "labels")


def test_many_faults_are_counted_and_some_shown(caplog):
    class Source:
        def __len__(self):
            return 50

        def check(self, index):
            if index % 2:
                raise BadRecord(f"fault {index}")

    with caplog.at_level(logging.WARNING), pytest.raises(BadRecord, match=r"^fault 1 \(25 of 50"):
        check_labels(Source(), "labels")
    assert len(caplog.messages) == label_check._SHOWN + 1
    assert caplog.messages[-1] == "labels: and 17 more"


@pytest.mark.parametrize("split", ["train", "evaluate"])
def test_labels_of_nothing_but_ignored_pixels_are_refused(root, split):
    for number in range(8) if split == "train" else range(8, COUNT):
        fabricate.write_label(root / f"labels/{number:02d}.png", np.full_like(GOOD, IGNORE))
    with pytest.raises(DataError, match=rf"all pixels of the \d labels to {split}.* are ignored"):
        data(root)


def test_mostly_ignored_labels_are_told(root, caplog):
    for number in range(5):
        fabricate.write_label(root / f"labels/{number:02d}.png", np.full_like(GOOD, IGNORE))
    with caplog.at_level(logging.WARNING):
        assert len(data(root).train) == 8
    assert "labels to train on: 75 % of the pixels are ignored by the table" in caplog.text
    assert "labels to train on: 5 of 8 have no pixel of any class" in caplog.text


def test_a_damaged_picture_is_found_with_its_label(root):
    path = root / "images/05.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8))
    content = path.read_bytes()
    scan = content.index(b"\xff\xda") + 14
    path.write_bytes(content[:scan] + content[-20:])
    with pytest.raises(BadRecord, match=r"05\.jpg: the picture is damaged"):
        data(root)
