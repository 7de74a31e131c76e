"""A folder of pictures: what is found, what is judged, and what is said where nothing is left."""

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.data import factory, picture_folder
from geoseg_jax.data.fixed_views import FixedViews
from geoseg_jax.data.pipeline import eval_batches, train_batches
from geoseg_jax.data.source import BadRecord, DataError, files_of
from geoseg_jax.data.transforms import Augmentation, augmentation

DRIVE = "2011_09_26_drive_0001"


@pytest.fixture
def root(tmp_path):
    """Forty pictures of several sizes in two folders, one of them a drive of KITTI, and others."""
    rng = np.random.default_rng(0)
    for i in range(40):
        folder = tmp_path / ("a/b" if i % 2 else f"2011_09_26/{DRIVE}_sync/image_02/data")
        folder.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, (20 + i, 60 - i, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i:03d}.{'png' if i % 2 else 'JPEG'}"), picture)
    (tmp_path / "a/notes.txt").write_text("no picture")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash/x.png").write_bytes(b"")
    return tmp_path


def config(root, **changes):
    data = {"name": "pictures", "root": str(root), "train_split": "", "eval_split": "held_out"}
    data |= {"height": 16, "width": 24, "held_out": 0.2, "truth": "none", "flip": True}
    return ConfigDict(data | changes)


def names(source):
    return [source.describe(i) for i in range(len(source))]


def test_every_picture_is_either_trained_on_or_judged(root):
    train, judged = picture_folder.make(config(root))
    assert len(train) + len(judged) == 40
    assert not set(names(train)) & set(names(judged))
    assert 2 <= len(judged) <= 14
    # The same ones when others are added.
    cv2.imwrite(str(root / "a/b/999.png"), np.zeros((8, 8, 3), np.uint8))
    more, still = picture_folder.make(config(root))
    assert set(names(judged)) - set(names(still)) == set()
    assert len(more) + len(still) == 41


def test_records_are_rgb_of_the_size_asked_for(root):
    train, judged = picture_folder.make(config(root, eval_split="a/*"))
    record = judged[0]
    assert record.keys() == {"image"}
    assert record["image"].shape == (16, 24, 3)
    # 001.png is 21 x 59: no window is drawn, the middle is taken.
    whole = cv2.imread(str(root / "a/b/001.png"))[..., ::-1]
    assert abs(record["image"].mean() - whole.mean()) < 8
    assert {train[i]["image"].shape for i in range(len(train))} == {(16, 24, 3)}


def test_random_windows_see_the_whole_picture(root):
    data = config(root, train_split="a/*", eval_split="2011*", crop_area=(0.2, 1.0))
    train, judged = picture_folder.make(data)
    assert train[0]["image"].shape == (21, 59, 3)
    assert judged[0]["image"].shape == (16, 24, 3)
    batches = train_batches(train, batch_size=4, seed=0, augment=augmentation(data))
    batch = next(batches)
    assert batch["image"].shape == (4, 16, 24, 3)
    batches.close()


def test_folders_are_held_out_whole(root):
    train, judged = picture_folder.make(config(root, eval_split="held_out_folders", held_out=0.01))
    folders = [{name.rpartition("/")[0] for name in names(s)} for s in (train, judged)]
    assert len(folders[0]) == len(folders[1]) == 1
    assert folders[0] != folders[1]


def test_what_a_picture_comes_from_is_known(root):
    _, judged = picture_folder.make(config(root, train_split="a/*", eval_split="2011*"))
    assert judged.drive(0) == DRIVE
    name, path = next(iter(files_of(judged, 0).items()))
    assert name == judged.describe(0)
    assert path.is_file()
    other, _ = picture_folder.make(config(root, train_split="a/*", eval_split="2011*"))
    assert other.drive(0) == ""
    assert other.fingerprint() != judged.fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "train/*"}, r"train_split='train/\*' matches none of the 40"),
        ({"eval_split": "val"}, "eval_split='val' matches none"),
        ({"eval_split": "*"}, "takes all 40 pictures"),
    ],
)
def test_what_cannot_be_used_is_named(root, changes, message):
    with pytest.raises(DataError, match=message):
        picture_folder.make(config(**{"root": root} | changes))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no picture"):
        picture_folder.make(config(tmp_path))


def test_a_broken_picture_is_a_bad_record(root):
    _, judged = picture_folder.make(config(root, eval_split="a/*"))
    path = next(iter(files_of(judged, 3).values()))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadRecord, match=path.name):
        judged[3]


def test_pairs_of_windows_are_judged_on_the_same_ones_every_time(root):
    data = config(root, crop_area=(0.2, 1.0), crop_views=2)
    made = factory.make_data(ConfigDict({"data": data}))
    assert isinstance(made.eval, FixedViews)
    first, again = (next(eval_batches(made.eval, batch_size=4)) for _ in range(2))
    assert first["sources"].shape == (4, 1, 16, 24, 3)
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
    assert (first["image"] != first["sources"][:, 0]).any(axis=(1, 2, 3)).all()
    assert made.eval.drive(0) in ("", DRIVE)
    other = FixedViews(made.eval.source, Augmentation(crop_area=(0.5, 1.0), size=(16, 24)))
    assert other.fingerprint() != made.eval.fingerprint()
