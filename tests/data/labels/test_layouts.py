"""ADE20K, Pascal VOC, Pascal Context and COCO-Stuff on tiny copies of their own layouts."""

import numpy as np
import pytest
import scipy.io
from ml_collections import ConfigDict

from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE, label_table
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate_annotations
from tests.data import fabricate_labels as fabricate

IDS = {"voc": (0, 1, 20, 255), "ade20k": (0, 1, 150), "coco_stuff": (0, 91, 181, 255, 11)}
IDS["pascal_context"] = (0, 2, 458, 459)
# The same, as train ids: by hand, from each data set's list.
TRAIN = {"voc": (0, 1, 20, 255), "ade20k": (255, 0, 149), "coco_stuff": (0, 80, 170, 255, 255)}
TRAIN["pascal_context"] = (255, 0, 58, 255)


def write_mat(path, label):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"LabelMap": label.astype(np.uint16)})


def label_of(name, seed):
    blocks = fabricate.ids(range(len(IDS[name])), seed)
    return np.array(IDS[name], np.uint16)[blocks], np.array(TRAIN[name], np.uint8)[blocks]


def make_set(root, name):
    """Two pictures to train on and one to judge, in the layout of the data set."""
    splits = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    folders = {"ade20k": ("training", "validation"), "coco_stuff": ("train2017", "val2017")}
    for number, (split, names) in enumerate(splits.items()):
        for seed, stem in enumerate(names):
            label = label_of(name, seed)[0]
            if name in folders:
                folder = folders[name][number]
                fabricate.write_image(root / "images" / folder / f"{stem}.jpg", seed)
                path = root / "annotations" / folder / f"{stem}.png"
                fabricate.write_label(path, label.astype(np.uint8))
                continue
            fabricate.write_image(root / "JPEGImages" / f"{stem}.jpg", seed)
            if name == "voc":
                path = root / "SegmentationClass" / f"{stem}.png"
                fabricate_annotations.write_voc(path, label.astype(np.uint8))
            else:
                write_mat(root / "trainval" / f"{stem}.mat", label)
        if name not in folders:
            kind = "Segmentation" if name == "voc" else "Main"
            (root / "ImageSets" / kind).mkdir(parents=True, exist_ok=True)
            (root / "ImageSets" / kind / f"{split}.txt").write_text("\n".join(names))
    return root


def data(root, name, /, **changes):
    splits = {"train_split": "train", "eval_split": "val"}
    settings = {"name": name, "root": str(root), "height": 6, "width": 10} | splits
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.mark.parametrize("name", IDS)
def test_splits_and_ids(name, tmp_path):
    train, evaluation = data(make_set(tmp_path, name), name)
    assert train.names == ["2007_000032", "2007_000039"]
    assert evaluation.names == ["2007_000033"]
    np.testing.assert_array_equal(evaluation[0]["label"], label_of(name, 0)[1])
    for i in range(2):
        train.check(i)
    assert train.table == label_table(name)
    assert [len(s) for s in data(tmp_path, name, eval_split="rest", labels=1)] == [1, 1]


@pytest.mark.parametrize("name", IDS)
def test_bad_splits_are_named(name, tmp_path):
    make_set(tmp_path, name)
    with pytest.raises(DataError, match=r"eval_split='vla' is (none|no list) of .*train"):
        data(tmp_path, name, eval_split="vla")
    with pytest.raises(DataError, match=r"config\.data\.train_split='\.\./train' is no"):
        data(tmp_path, name, train_split="../train")


def test_the_longer_list_of_voc(tmp_path):
    root = make_set(tmp_path, "voc")
    lists = root / "ImageSets/Segmentation"
    fabricate.write_image(root / "JPEGImages/2008_000002.jpg", 5)
    other = np.full((12, 20), 7, np.uint8)
    for stem in ("2008_000002", "2007_000032"):
        fabricate.write_label(root / f"SegmentationClassAug/{stem}.png", other)
    lines = [
        f"/JPEGImages/{s}.jpg /SegmentationClassAug/{s}.png"
        for s in ("2007_000032", "2008_000002", "2009_000001")
    ]
    (lists / "train_aug.txt").write_text("\n".join(lines))
    train = data(root, "voc", train_split="train_aug").train
    assert train.names == ["2007_000032", "2008_000002"]
    assert train.left_out == {"name of the list without any file": 1}
    assert train.items[0].label.parent.name == "SegmentationClass"  # its own has the borders
    assert set(np.unique(train[1]["label"])) == {7}


def test_the_numbers_of_pascal_context_are_compared_with_its_list(tmp_path):
    root = make_set(tmp_path, "pascal_context")
    (root / "labels.txt").write_text("1: accordion\n2: aeroplane\n458: wood\n")
    data(root, "pascal_context")
    (root / "labels.txt").write_text("1: aeroplane\n")
    with pytest.raises(DataError, match="'aeroplane' is number 1, in the release of 2014 2"):
        data(root, "pascal_context")


def test_a_mat_file_that_is_none(tmp_path):
    root = make_set(tmp_path, "pascal_context")
    path = root / "trainval/2007_000032.mat"
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(BadRecord, match=r"2007_000032\.mat: can't be read as a MATLAB file"):
        data(root, "pascal_context")
    scipy.io.savemat(path, {"other": np.zeros((2, 2))})
    with pytest.raises(BadRecord, match=r"2007_000032\.mat: holds no LabelMap"):
        data(root, "pascal_context")


def test_the_tables_say_what_their_data_sets_do():
    stuff, context = label_table("coco_stuff"), label_table("pascal_context")
    things = stuff.classes[: stuff.classes.index("banner")]
    assert (len(stuff.classes), len(things)) == (171, 80)
    assert stuff.file_ids[stuff.classes.index("stop sign")] == 12  # category 13
    assert stuff.train_ids[11] == IGNORE  # street sign
    assert (len(label_table("ade20k").classes), len(context.classes)) == (150, 59)
    # labels.txt is in the order of the alphabet.
    numbers = dict(zip(context.classes, context.file_ids, strict=True))
    assert sorted(numbers, key=numbers.get) == sorted(numbers)
    assert label_table("voc").palette[:3] == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
