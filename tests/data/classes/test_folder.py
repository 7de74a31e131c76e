"""Folders of classes in every layout they come in, up to batches of random windows."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data import crops
from geoseg_jax.data.classes import folder as class_folder
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.fit import Fit
from geoseg_jax.data.pipeline import eval_batches, train_batches
from geoseg_jax.data.provenance.leakage import between
from geoseg_jax.data.provenance.reads import reads_of
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.transforms import augmentation
from tests.data import fabricate_classes
from tests.data.fabricate_classes import CLASSES


def config(root, /, **changes):
    data = {
        "name": "class_folder",
        "root": str(root),
        "truth": "none",
        "height": 8,
        "width": 12,
        "crop_area": (0.3, 1.0),
        "train_split": "train",
        "eval_split": "val",
        "flip": True,
    }
    return ConfigDict({"data": {**data, **changes}})


@pytest.fixture
def root(tmp_path):
    fabricate_classes.write_class_folder(tmp_path)
    return fabricate_classes.write_class_folder(tmp_path, "val", 2)


def test_to_train_the_whole_picture_and_to_judge_its_middle(root):
    (root / "words.txt").write_text("n01\tfish, Carassius\nn02\tfrog\n")
    train, judged = make_data(config(root))
    assert train.categories == judged.categories == CLASSES
    assert train.words == ("fish", "frog", "n10")
    assert [train.category(i) for i in range(9)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert train.describe(4) == "train/n02/n02_1.JPEG"
    assert train[4]["image"].shape == (22, 31, 3)
    for source in (train, judged):
        for i in range(len(source)):
            record = source[i]
            check_record(record, source.describe(i))
            assert record["category"] == source.category(i)
    whole = fabricate_classes.as_rgb((root / judged.describe(5)).read_bytes())
    window = crops.central_window(whole.shape[:2], 8, 12, 0.875)
    np.testing.assert_array_equal(judged[5]["image"], crops.cut(whole, window, 8, 12))


def test_batches_of_pictures_of_any_size(root):
    settings = config(root, crop_views=2).data
    train, judged = make_data(ConfigDict({"data": settings}))
    batch = next(train_batches(train, batch_size=9, seed=0, augment=augmentation(settings)))
    assert batch["image"].shape == (9, 8, 12, 3)
    assert batch["sources"].shape == (9, 1, 8, 12, 3)
    assert sorted(batch["category"].tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    (batch,) = eval_batches(judged, batch_size=8)
    assert batch["image"].shape == (8, 8, 12, 3)
    assert batch["mask"].sum() == 6
    plain, _ = make_data(config(root, crop_area=()))
    assert plain[0]["image"].shape == (8, 12, 3)
    covers, also = make_data(config(root, fit="cover"))
    assert {covers[i]["image"].shape[:2] for i in range(3)} == {(8, 12), (9, 12), (10, 12)}
    assert also[0]["image"].shape == (8, 12, 3)


@pytest.mark.parametrize("layout", ["list", "numbers", "kaggle", "tiny_imagenet", "in the names"])
def test_pictures_that_are_not_in_folders_of_their_class(root, layout, tmp_path):
    names = {"b.JPEG": "n10", "a.JPEG": "n02"}
    if layout == "in the names":
        names = {"n10_5.JPEG": "n10", "n02_7.JPEG": "n02"}
    folder = root / "flat" / ("images" if layout == "tiny_imagenet" else "")
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(fabricate_classes.jpeg(7))
    lines = {
        "list": "# NAME CLASS\na.JPEG n02\nb.JPEG n10\n",
        "numbers": "a.JPEG 1\nb.JPEG 2\n",
        "kaggle": "ImageId,PredictionString\na,n02 1 2 3 4\nb,n10 0 0 1 1 n10 2 2 3 3\n",
        "tiny_imagenet": "a.JPEG\tn02\t0\t0\t62\t57\nb.JPEG\tn10\t4\t0\t60\t55\n",
    }
    list_file = tmp_path / "list.txt"
    list_file.write_text(lines.get(layout, ""))
    listed = str(list_file) if layout in lines else ""
    _, judged = make_data(config(root, eval_split="flat", eval_list=listed))
    found = {judged.describe(i).split("/")[-1]: judged.category(i) for i in range(len(judged))}
    assert found == {name: CLASSES.index(c) for name, c in names.items()}


def test_a_share_is_held_out_of_one_folder(tmp_path):
    root = fabricate_classes.write_class_folder(tmp_path, ".", each=20)
    data = make_data(config(root, train_split=".", eval_split="held_out", held_out=0.25))
    names = [{source.describe(i) for i in range(len(source))} for source in data]
    assert len(names[0] | names[1]) == 60 == len(names[0]) + len(names[1])
    assert 6 < len(names[1]) < 25
    assert data.train.categories == data.eval.categories == CLASSES
    shared = between([("", reads_of(data.train))], reads_of(data.eval))
    assert not shared.files
    assert shared.without_drive == 0


def test_the_fingerprint_follows_names_classes_and_sizes(root, tmp_path):
    first, judged = (source.fingerprint() for source in make_data(config(root)))
    assert first == make_data(config(root)).train.fingerprint() != judged
    (root / "train/n10/n10_1.JPEG").write_bytes(fabricate_classes.jpeg(3, 9, 9))
    assert make_data(config(root)).train.fingerprint() != first


def test_the_fingerprint_follows_each_pictures_class(root):
    names = sorted(path.relative_to(root).as_posix() for path in (root / "train").rglob("*.JPEG"))
    prints = set()
    for classes in (("a", "b"), ("b", "a")):
        listed = {name: classes[i % 2] for i, name in enumerate(names)}
        prints.add(
            class_folder.ClassFolder(root, listed, ("a", "b"), Fit("cover", 8, 8)).fingerprint()
        )
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_split": "trian"},
            r"train_split='trian': no picture in a folder of .*trian; looked",
        ),
        ({"eval_split": "test"}, r"eval_split='test': no picture below .*test; .*'held_out'"),
        ({"eval_split": "odd"}, r"odd/n03: 'n03' is no class of the .*; did you mean 'n"),
        ({"eval_split": "flat"}, r"flat/x.JPEG: its class is unknown; write .*val.txt"),
        ({"eval_split": "flat", "eval_list": "/no"}, r"eval_list='/no': no such file"),
    ],
)
def test_what_is_wrong_is_named(root, changes, message):
    fabricate_classes.write_class_folder(root, "odd", 1, ("n01", "n03"))
    (root / "flat").mkdir()
    (root / "flat/x.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=message) as caught:
        make_data(config(root, **changes))
    assert "\n" not in str(caught.value)


def test_lists_are_checked(root, tmp_path):
    path = tmp_path / "val.txt"
    path.write_text("a.JPEG n01\nb.JPEG n04\n")
    with pytest.raises(DataError, match=r"val.txt:2: 'n04' is no class"):
        class_folder.read_list(path, CLASSES)
    path.write_text(f"a.JPEG {'9' * 5000}\n")  # more digits than Python reads
    with pytest.raises(DataError, match=r"val.txt:1: '9+.*' is no class"):
        class_folder.read_list(path, CLASSES)
    path.write_text("a.JPEG 1\n")
    assert class_folder.read_list(path, CLASSES) == {"a": CLASSES[1]}
    path.write_text("n01_0.JPEG n01\n")
    with pytest.raises(DataError, match=r"val.txt: it has no line for .*val/n01/n01_1.JPEG"):
        make_data(config(root, eval_list=str(path)))
    (root / "val/n01/n01_0.JPEG").write_bytes(b"\xff\xd8no end")
    with pytest.raises(BadRecord, match=r"n01_0.JPEG: the picture is cut short"):
        make_data(config(root)).eval[0]


def test_the_real_sample(shared_data):
    data = make_data(config(shared_data / "tiny_imagenet_100", height=64, width=64))
    assert len(data.train.categories) == 100
    assert len(data.train) == 9000
    assert len(data.eval) == 1000
    assert data.train[17]["image"].shape == (64, 64, 3)
    assert data.eval.describe(0) == "val/n01443537/n01443537_18.JPEG"
    assert data.eval.category(0) == data.train.categories.index("n01443537")


def test_hidden_folders_are_no_classes_and_what_is_left_out_is_told(root):
    (root / "train/.ipynb_checkpoints").mkdir()
    (root / "train/.ipynb_checkpoints/n01_0-checkpoint.JPEG").write_bytes(fabricate_classes.jpeg(1))
    (root / "train/n01/._n01_0.JPEG").write_bytes(b"attributes of a Mac")
    (root / "train/lonely.JPEG").write_bytes(fabricate_classes.jpeg(1))
    (root / "train/n99").mkdir()
    train, _ = make_data(config(root))
    assert train.categories == CLASSES
    assert len(train) == 9
    assert train.left_out == {
        "hidden file": 1,
        "hidden folder": 1,
        "picture in no folder of a class": 1,
        "folder of a class without a picture": 1,
    }


def test_a_list_names_pictures_by_their_folders(root, tmp_path):
    for site in ("a", "b"):
        (root / f"flat/site_{site}").mkdir(parents=True)
        (root / f"flat/site_{site}/1.JPEG").write_bytes(fabricate_classes.jpeg(7))
    list_file = tmp_path / "list.txt"
    list_file.write_bytes("\ufeffsite_a\\1.JPEG n02\r\nflat/site_b/1.JPEG n10\r\n".encode())
    settings = config(root, eval_split="flat", eval_list=str(list_file))
    _, judged = make_data(settings)
    found = {judged.describe(i): judged.categories[judged.category(i)] for i in range(2)}
    assert found == {"flat/site_a/1.JPEG": "n02", "flat/site_b/1.JPEG": "n10"}
    list_file.write_text("1.JPEG n02\n")
    with pytest.raises(DataError, match=r"'1' may be flat/site_a/1.JPEG or flat/site_b/1.JPEG"):
        make_data(settings)
    list_file.write_text("site_a/1 n02\nsite_a/1 n10\n")
    with pytest.raises(DataError, match=r"list.txt:2: 'site_a/1' is 'n02' in another line"):
        make_data(settings)
