"""Labelled pictures of one's own, indexed or in colour."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.config import files
from geoseg_jax.config.check import check
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate_labels as fabricate

NAMES = [f"day{n % 2}/{n:02d}" for n in range(12)]


def data(root, /, **changes):
    settings = {
        "name": "folder",
        "root": str(root),
        "height": 6,
        "width": 10,
        "train_split": "",
        "eval_split": "",
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.fixture
def root(tmp_path):
    return fabricate.folder(tmp_path, NAMES)


def test_a_share_is_held_out_by_name(root):
    train, evaluation = data(root, eval_split="held_out", held_out=0.5)
    assert sorted([*train.names, *evaluation.names]) == sorted(NAMES)
    before = set(evaluation.names)
    assert 1 <= len(before) < 12
    fabricate.folder(root, ["day0/new", "day1/newer"])
    # More pictures move none from one side to the other.
    more = set(data(root, eval_split="held_out", held_out=0.5).eval.names)
    assert before <= more <= before | {"day0/new", "day1/newer"}


def test_without_a_list_every_picture_judges_once(root):
    parts = [data(root, folds=4, fold=fold) for fold in range(4)]
    for train, evaluation in parts:
        assert (len(evaluation), train.folds, evaluation.folds) == (3, 4, 4)
        assert sorted([*train.names, *evaluation.names]) == sorted(NAMES)
    assert sorted(name for part in parts for name in part.eval.names) == sorted(NAMES)
    few = data(root, folds=4, fold=1, labels=3, subset=0)
    assert (len(few.train), few.eval.names) == (3, parts[1].eval.names)


def test_recordings_within_an_export_s_splits(tmp_path):
    fabricate.folder(tmp_path, ["train/a/1", "valid/a/2", "train/b/1", "val2017/c", "test1/d"])
    train, judged = data(tmp_path, folds=2)
    drives = {part.drive(i) for part in (train, judged) for i in range(len(part))}
    assert drives == {"a", "b", "test1", ""}


def test_a_recording_is_on_one_side(root, caplog):
    for number, count in enumerate((5, 1, 1)):
        fabricate.folder(root, [f"trip{number}/{n}" for n in range(count)])
    sides = [data(root, folds=5, fold=fold) for fold in range(5)]
    recordings = [{part.eval.drive(i) for i in range(len(part.eval))} for part in sides]
    assert sorted(map(sorted, recordings)) == [
        *(["day0"], ["day1"], ["trip0"], ["trip1"], ["trip2"]),
    ]
    assert "too few" not in caplog.text
    assert "nothing says" not in caplog.text
    # Of fewer recordings than folds the frames are parted, and the log says so.
    assert len(data(root, folds=6, fold=0).eval) in (3, 4)
    assert "of 5 recordings (folders below images/), too few" in caplog.text


@pytest.mark.parametrize("folders", [("all",), ("train", "valid")])
def test_pictures_of_one_folder_or_split_are_of_unknown_recordings(tmp_path, caplog, folders):
    fabricate.folder(tmp_path, [f"{folders[n % len(folders)]}/{n}" for n in range(5)])
    with caplog.at_level("INFO", logger="absl"):
        train, _ = data(tmp_path)
    assert (train.drive(0), train.folds) == ("", 5)
    assert "too few" not in caplog.text
    assert "nothing says of which recordings they are" in caplog.text
    with pytest.raises(DataError, match="folds=6 is more than there is to deal: 5 labelled"):
        data(tmp_path, folds=6, fold=5)


@pytest.mark.parametrize(
    "splits", [*({"folds": 4, "fold": k} for k in range(4)), {"eval_split": "held_out"},
               {"eval_split": "held_out", "held_out": 1e-9}, {"folds": 5, "inner_fold": (1, 3)}]
)  # fmt: skip
def test_versions_of_one_picture_stay_together(tmp_path, splits):
    names = [f"road{n}_jpg.rf.{version * 8}" for n in range(6) for version in "aB7"]
    fabricate.folder(tmp_path, names)
    train, judged = data(tmp_path, **splits)
    sides = [{name.partition(".")[0] for name in side.names} for side in (train, judged)]
    assert all(sides)
    assert not sides[0] & sides[1]
    if "inner_fold" not in splits:
        assert len(train) + len(judged) == len(names)


@pytest.mark.parametrize("listed", ["val", "train", ""])
def test_versions_of_a_picture_that_judges_do_not_train(tmp_path, caplog, listed):
    names = [f"road{n}_jpg.rf.{version * 8}" for n in range(6) for version in "aB7"]
    fabricate.folder(tmp_path, names)
    settings = {} if listed else {"eval_split": "rest", "labels": 4}
    if listed:
        (tmp_path / f"{listed}.txt").write_text("".join(f"{name}\n" for name in names[:6:3]))
    train, judged = data(tmp_path, **settings)
    sides = [{name.partition(".")[0] for name in side.names} for side in (train, judged)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert ("4 pictures are other versions" in caplog.text) == (listed == "val")


def test_lists_that_part_versions_are_told(tmp_path, caplog):
    names = [f"road{n}_jpg.rf.{version * 8}" for n in range(3) for version in "ab"]
    fabricate.folder(tmp_path, names)
    for listed, part in (("train", names[::2]), ("val", names[1:2])):
        (tmp_path / f"{listed}.txt").write_text("".join(f"{name}\n" for name in part))
    data(tmp_path)
    assert "EVALUATING ON 1 OF THE 3 TRAINING PICTURES, OR OTHER VERSIONS" in caplog.text


def test_fewer_pictures_than_folds_judge_one_by_one(tmp_path, caplog):
    fabricate.folder(tmp_path, ["a", "b"])
    sides = [data(tmp_path, fold=fold) for fold in range(2)]
    assert sorted(name for part in sides for name in part.eval.names) == ["a", "b"]
    assert [(len(part.train), part.train.folds) for part in sides] == [(1, 2), (1, 2)]
    assert "folds=5: there are 2 labelled pictures, so there are 2 folds" in caplog.text


def test_a_fold_that_is_not_there():
    config = files.load("configs/segment_folder.py")
    config.data.fold = 5
    with pytest.raises(
        ConfigError, match=r"config\.data\.fold=5 must be below config\.data\.folds=5"
    ):
        check(config)


def test_lists_in_the_folder(root):
    (root / "train.txt").write_text("day0/00\nday1/03.jpg\n")
    (root / "val.txt").write_text("day0/02\n")
    train, evaluation = data(root)
    assert train.names == ["day0/00", "day1/03"]
    assert evaluation.names == ["day0/02"]
    assert (train.folds, evaluation.folds) == (0, 0)
    assert len(data(root, train_split="pool").train) == 11
    assert len(data(root, eval_split="rest").eval) == 10


def test_a_name_in_a_list_that_is_not_there(root):
    (root / "train.txt").write_text("day0/00\nday1/30.jpg\n")
    with pytest.raises(
        DataError, match=r"/train\.txt: no .* name 'day1/30\.jpg'; did you mean 'da"
    ):
        data(root)
    (root / "train.txt").write_text("day0/00\n")
    (root / "notes.txt").write_text("not a list of names\n")  # and nobody asks for it
    assert len(data(root).train) == 1
    assert len(data(root).eval) == 11  # all that train.txt doesn't name


def test_indexed_grey_and_with_a_palette(root):
    train = data(root).train
    before = [train[i]["label"] for i in range(len(train))]
    for item in train.items:
        fabricate.write_palette(item.label, fabricate.ids((0, 1, 2), NAMES.index(item.name)))
    for i, label in enumerate(before):
        np.testing.assert_array_equal(data(root).train[i]["label"], label)


def test_in_colour(root):
    train = data(root).train
    before = train[0]["label"]
    assert set(np.unique(before)) == {0, 1, IGNORE}
    palette = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 0)], np.uint8)
    ids = fabricate.ids((0, 1, 2), NAMES.index(train.names[0]))
    fabricate.write_label(train.items[0].label, palette[ids])
    np.testing.assert_array_equal(data(root).train[0]["label"], before)
    fabricate.write_label(train.items[0].label, palette[ids] + np.uint8(3))
    with pytest.raises(BadRecord, match="have a colour that the class list lacks, the first"):
        data(root).train[0]


def test_classes_by_a_table_or_another_list(root, tmp_path):
    assert data(root, classes="camvid11").train.table.name == "camvid11"
    (tmp_path / "others.csv").write_text("a,1,1,1\nb,2,2,2\nc,3,3,3\n")
    assert data(root, classes=str(tmp_path / "others.csv")).train.table.classes == ("a", "b", "c")


def test_labels_without_pictures_are_counted(root):
    (root / "images" / f"{NAMES[3]}.jpg").unlink()
    assert data(root).train.left_out == {"label without a picture": 1}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train_split": "trian"}, r"config.data.train_split='trian' is neither one of pool"),
        ({"classes": "/nowhere.txt"}, r"/nowhere.txt: it can't be read"),
    ],
)
def test_bad_values_are_named(root, changes, said):
    with pytest.raises(DataError, match=said):
        data(root, **changes)


def test_an_empty_folder_and_one_without_a_class_list(root, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty' holds no picture with a label; looked for"):
        data(tmp_path / "empty")
    (root / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"holds no class list; write .*/classes.txt with `name r"):
        data(root)
