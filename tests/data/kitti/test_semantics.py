"""KITTI semantics: pairs by name, folds, drives, and the paper's rest."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data.factory import make_data
from geoseg_jax.data.kitti import drives_2015 as kitti_2015_drives
from geoseg_jax.data.kitti.semantics import _of_other_drives, fold
from geoseg_jax.data.labels.segmentation import Item
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.provenance.leakage import between
from geoseg_jax.data.provenance.reads import reads_of
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate_labels as fabricate

NUMBERS = (0, 1, 2, 60, 120, 199)


def data(root, /, **changes):
    settings = {
        "name": "kitti_semantics",
        "root": str(root),
        "height": 6,
        "width": 10,
        "train_split": "pool",
        "eval_split": "fold1",
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.fixture
def root(tmp_path):
    return fabricate.kitti_semantics(tmp_path, NUMBERS)


def test_folds_are_four_blocks_of_all():
    assert [name for k in range(4) for name in fold(k)] == [f"{n:06d}_10" for n in range(200)]
    assert fold(1)[0] == "000050_10"


def test_folds_and_their_pool(root):
    train, evaluation = data(root)
    assert evaluation.names == ["000060_10"]
    assert train.names == [f"{n:06d}_10" for n in (0, 1, 2, 120, 199)]


@pytest.mark.parametrize(
    ("fold_", "left_out"), [(0, (50, 51, 52, 53)), (1, (47, 48, 49)), (2, (150,)), (3, (149,))]
)
def test_no_drive_is_on_both_sides(tmp_path, fold_, left_out):
    """Borders of folds cut drives: what is beyond them neither trains nor evaluates."""
    border = range(46, 55) if fold_ < 2 else range(148, 156)
    root = fabricate.kitti_semantics(tmp_path, border)
    train, evaluation = data(root, eval_split=f"fold{fold_}")
    drives = [{s.drive(i) for i in range(len(s))} - {""} for s in (train, evaluation)]
    assert drives[0]
    assert drives[1]
    assert not drives[0] & drives[1]
    judged = [f"{n:06d}_10" for n in border if f"{n:06d}_10" in fold(fold_)]
    dropped = [f"{n:06d}_10" for n in left_out]
    assert evaluation.names == judged
    assert sorted({*train.names, *judged, *dropped}) == [f"{n:06d}_10" for n in border]
    assert len(train) + len(judged) + len(dropped) == len(border)
    assert train.left_out == {"picture of a drive that evaluates": len(dropped)}
    assert evaluation.left_out == {}


def test_no_fold_shares_a_known_drive_with_its_pool():
    known = kitti_2015_drives.drives()
    items = [Item(f"{n:06d}_10", None, None, known.get(n, "")) for n in range(200)]
    sizes = []
    for k in range(4):
        judged = [item for item in items if item.name in fold(k)]
        pool, count = _of_other_drives([i for i in items if i not in judged], judged)
        assert not {i.drive for i in pool} & {i.drive for i in judged} - {""}
        sizes.append((len(pool), count))
    assert sizes == [(146, 4), (147, 3), (149, 1), (149, 1)]


def test_the_rest_and_a_file_of_ones_own_are_as_they_are(tmp_path):
    root = fabricate.kitti_semantics(tmp_path, range(46, 55))
    train, evaluation = data(root, eval_split="rest", labels=4)
    assert (len(train), len(evaluation), train.left_out) == (4, 5, {})
    shared = between([("", reads_of(train))], reads_of(evaluation))
    assert shared.metrics() == {
        "leakage_shared_files": 0.0,
        "leakage_shared_drives": 1.0,
        "leakage_unknown_ancestors": 0.0,
        "leakage_unknown_drives": 0.0,
    }
    (tmp_path / "mine.txt").write_text("000051_10\n000054_10\n")
    train, _ = data(root, train_split=str(tmp_path / "mine.txt"), eval_split="fold0")
    assert train.names == ["000051_10", "000054_10"]
    train, _ = data(root, eval_split=str(tmp_path / "mine.txt"))
    assert train.names == ["000046_10"]


def test_the_rest_as_in_the_paper(root):
    train, evaluation = data(root, eval_split="rest", labels=2)
    assert train.names == ["000000_10", "000001_10"]
    assert evaluation.names == [f"{n:06d}_10" for n in (2, 60, 120, 199)]


def test_the_training_pictures_only_when_told(root, caplog):
    train, evaluation = data(root, eval_split="train", labels=3, subset=0)
    assert sorted(train.names) == sorted(evaluation.names)
    assert "EVALUATING ON 3 OF THE 3 TRAINING PICTURES" in caplog.text


def test_files_of_names(root, tmp_path):
    (tmp_path / "mine.txt").write_text("000120_10\n000002_10  # a comment\n")
    train, evaluation = data(root, train_split=str(tmp_path / "mine.txt"), eval_split="fold0")
    assert train.names == ["000120_10", "000002_10"]
    assert len(evaluation) == 3
    (tmp_path / "mine.txt").write_text("000121_10\n")
    with pytest.raises(DataError, match=r"mine\.txt: no labelled picture .*'000121_10'; did you"):
        data(root, eval_split=str(tmp_path / "mine.txt"))


def test_tables(root):
    nineteen, paper = data(root).train[1], data(root, classes="cityscapes34").train[1]
    ids = fabricate.ids((4, 7, 8, 11, 21, 23, 26), 1)[1::2, 1::2]
    assert (paper["label"] == np.where(ids == 4, IGNORE, ids)).all()
    assert set(np.unique(nineteen["label"])) <= {0, 1, 2, 8, 10, 13, IGNORE}


def test_drives_where_known(root):
    train = data(root).train
    assert [train.drive(i) for i in range(5)] == [
        *("", "", "2011_09_26_drive_0005", "2011_09_26_drive_0059", "2011_10_03_drive_0047")
    ]
    numbers = [number for pairs in kitti_2015_drives.FRAMES.values() for number, _ in pairs]
    assert len(numbers) == len(set(numbers)) == len(kitti_2015_drives.drives()) == 142
    assert 0 <= min(numbers) <= max(numbers) < 200


def test_what_is_left_out_is_counted(root):
    (root / "training/semantic/000001_10.png").unlink()
    fabricate.write_image(root / "training/image_2/000001_11.png")  # the next moment: no label
    train = data(root).train
    assert train.left_out == {"picture without a label": 1}
    assert "000001_10" not in train.names


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eval_split": "fold4"}, r"eval_split='fold4' .* did you mean 'fold"),
        ({"eval_split": "fold3", "train_split": "fold2 "}, r"train_split='fold2 '"),
        ({"labels": 50}, r"config.data.labels=50: there are 5 labelled"),
        ({"eval_split": "rest"}, r"eval_split='rest': no labelled picture .*config.data.labels"),
        ({"classes": "cityscapes18"}, r"classes='cityscapes18' .* did you mean 'cityscapes19'"),
    ],
)
def test_bad_values_are_named(root, changes, said):
    with pytest.raises(DataError, match=said) as caught:
        data(root, **changes)
    assert "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"holds no picture with a label; looked for ROOT/training"):
        data(tmp_path)


def test_the_real_ones(shared_data):
    """The pictures of the sample are the bottom right corners of the originals."""
    root = shared_data / "kitti_semantics"
    settings = {"eval_split": "train", "height": 96, "width": 320}
    with pytest.raises(BadRecord, match=r"the label is 1242x375 and its picture 1224x370"):
        data(root, **settings)
    train, evaluation = data(root, **settings, label_crop="bottom_right")
    assert len(train) == 3
    record = evaluation[2]
    assert record["label"].shape == (370, 1224) == evaluation.original(2)
    names = [evaluation.table.classes[i] for i in np.unique(record["label"]) if i != IGNORE]
    assert {"road", "car", "rider", "bicycle", "traffic light"} <= set(names)
    # The sky is bright and the road is dark: labels and pictures belong together.
    label, grey = train[0]["label"], train[0]["image"].mean(axis=-1)
    assert grey[label == 10].mean() > 2 * grey[label == 13].mean()
