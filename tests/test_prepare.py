"""Packs: what comes out is what went in, once; stopped, divided or damaged, it is noticed."""

import json
import pathlib
import shutil

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax import prepare
from geoseg_jax.core.batch import check_record
from geoseg_jax.data import pictures
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.kitti.raw import KittiSource
from geoseg_jax.data.kitti.tree import KittiTree
from geoseg_jax.data.packs import packed
from geoseg_jax.data.pipeline import train_batches
from geoseg_jax.data.provenance.reads import reads_of
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.transforms import augmentation
from tests.data import fabricate, fabricate_classes, fabricate_flow

HEIGHT, WIDTH = 32, 64
CONFIG = pathlib.Path(__file__).resolve().parent.parent / "configs" / "depth_kitti.py"


def through_jpeg(picture):
    content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def kitti_config(root, /, views="mono_stereo", **changes):
    config = prepare.load_config(f"{CONFIG}:{views}", [f"root={root}"])
    config.data.update({"height": HEIGHT, "width": WIDTH, **changes})
    return config


def pack_of(root, /, views="mono_stereo", **changes):
    """The config that trains on a pack of kitti_config's data."""
    changes = {"name": "packed", "root": str(root), **changes}
    return kitti_config(root, views, **changes)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A KITTI tree of two drives and the pack of it, made in one piece."""
    folder = tmp_path_factory.mktemp("packs")
    root = folder / "kitti"
    fabricate.write_drive(root, 1, frames=range(6))
    drive = fabricate.write_drive(root, 2, frames=range(3), scans=(0, 2))
    for path in drive.glob("image_0?/data/*.png"):  # not the pictures of the other drive
        assert cv2.imwrite(str(path), cv2.imread(str(path))[:, ::-1])
    assert prepare.prepare(kitti_config(root), folder / "pack")
    return root, folder / "pack"


def test_records_come_back_with_every_picture_kept_once(folders):
    root, pack = folders
    given, found = make_data(kitti_config(root)), make_data(pack_of(pack))
    seen = set()
    for before, after in zip(given, found, strict=True):
        assert len(before) == len(after)
        assert before.left_out == after.left_out
        for i in range(len(before)):
            expected, record = before[i], after[i]
            check_record(record, after.describe(i))
            assert record.keys() == expected.keys()
            shown = {"image": through_jpeg(expected["image"])}
            shown["sources"] = np.stack([*map(through_jpeg, expected["sources"])])
            for key, value in (expected | shown).items():
                np.testing.assert_array_equal(record[key], value, err_msg=key)
            assert after.describe(i) == before.describe(i)
            seen |= {p.tobytes() for p in (expected["image"], *expected["sources"])}
        assert reads_of(after) == reads_of(before)  # a pack hides no leakage
    import tensorflow_datasets as tfds

    frames = tfds.data_source("frames", split="records", data_dir=pack)
    assert len(frames) == len(seen) == 12 + 6 - 1  # the partner that no record asks for
    assert frames[0]["image"].shape == (HEIGHT, WIDTH, 3)


def test_training_sees_what_a_folder_prepared_likewise_shows(folders, tmp_path):
    root, pack = folders
    small = tmp_path / "small"
    for path in sorted((root / fabricate.drive_name(1)).glob("image_0?/data/*.png")):
        copy = small / path.relative_to(root).with_suffix(".jpg")
        copy.parent.mkdir(parents=True, exist_ok=True)
        picture = pictures.resize(cv2.imread(str(path)), HEIGHT, WIDTH)
        cv2.imwrite(str(copy), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    text = fabricate.cam_to_cam(HEIGHT, WIDTH)
    (small / fabricate.DATE / "calib_cam_to_cam.txt").write_text(text)
    train = make_data(pack_of(pack)).train
    tree = KittiTree(small)
    targets = make_data(kitti_config(root)).train.targets
    folder = KittiSource(tree, targets, height=HEIGHT, width=WIDTH)
    settings = {"batch_size": 8, "seed": 3, "augment": augmentation({"flip": True})}
    ones, others = (next(train_batches(source, **settings)) for source in (train, folder))
    for key in ("image", "sources", "id"):
        np.testing.assert_array_equal(ones[key], others[key])


def test_stopped_divided_and_in_several_processes_it_is_the_same_pack(folders, tmp_path):
    root, pack = folders
    digests = packed.read_pack(pack)["digests"]
    out, parts = tmp_path / "pack", tmp_path / "pack.parts"
    given = {"part_size": 3, "keep_parts": True}
    assert not prepare.prepare(kitti_config(root), out, shard=(1, 2), **given)
    made = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.npz")}
    assert set(made) == {"train-000001.npz", "eval-000000.npz"}
    (parts / "train-000001.npz").unlink()  # as if stopped before it
    (parts / ".train-000001.npz.17").write_bytes(b"half")
    assert prepare.prepare(kitti_config(root), out, workers=2, **given)
    assert (parts / "eval-000000.npz").stat().st_mtime_ns == made["eval-000000.npz"]
    assert packed.read_pack(out)["digests"] == digests
    assert prepare.prepare(kitti_config(root), out)  # there already
    with pytest.raises(DataError, match=r"holds another pack \(quality: 95 -> 80\)"):
        prepare.prepare(kitti_config(root), out, quality=80)
    shutil.rmtree(out)
    with pytest.raises(DataError, match=r"another preparation \(quality: 95 -> 80\); choose"):
        prepare.prepare(kitti_config(root), out, quality=80, part_size=3)
    content = (parts / "train-000000.npz").read_bytes()
    (parts / "train-000000.npz").write_bytes(content[:900] + b"\0" + content[901:])
    with pytest.raises(DataError, match=r"train-000000.npz: it is damaged .*; delete it"):
        prepare.prepare(kitti_config(root), out, part_size=3)
    assert not out.exists()


def test_damage_is_found(folders, tmp_path):
    _, pack = folders
    copy = tmp_path / "copy"
    shutil.copytree(pack, copy)
    assert packed.verify(copy) == {"frames": 17, "arrays": 6, "train": 8, "eval": 2}
    (file,) = (copy / "frames/1.0.0").glob("*array_record*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"copy/frames"):
        packed.verify(copy)
    shutil.copy(next((pack / "frames/1.0.0").glob("*array_record*")), file)
    listed = json.loads((copy / "pack.json").read_text())
    listed["digests"]["eval"] = "0"
    (copy / "pack.json").write_text(json.dumps(listed))
    with pytest.raises(DataError, match=r"eval does not hold what pack.json says \(2 entries"):
        packed.verify(copy)


def test_fewer_views_than_were_packed(folders):
    _, pack = folders
    stereo, mono = (make_data(pack_of(pack, views)).train[2] for views in ("stereo", "mono"))
    both = make_data(pack_of(pack)).train[2]
    np.testing.assert_array_equal(stereo["sources"], both["sources"][2:])
    np.testing.assert_array_equal(mono["sources"], both["sources"][:2])
    np.testing.assert_array_equal(mono["stereo_pose"], np.eye(4))
    np.testing.assert_array_equal(stereo["stereo_pose"], both["stereo_pose"])
    prints = {make_data(pack_of(pack, v)).train.fingerprint() for v in ("stereo", "mono")}
    assert len(prints) == 2


def test_poses_follow_the_views_of_a_pack(folders, tmp_path):
    root = tmp_path / "kitti"
    fabricate.write_drive(root, frames=range(4), scans=(1, 2))
    fabricate.write_fixes(root, {n: fabricate.fix(longitude=n * 1e-5) for n in range(4)})
    views = "mono_stereo,poses=given"
    assert prepare.prepare(kitti_config(root, views, eval_split="train"), tmp_path / "pack")
    given = make_data(kitti_config(root, views, eval_split="train")).train[0]["source_poses"]
    both, mono = (
        make_data(pack_of(tmp_path / "pack", f"{v},poses=given")).train[0]["source_poses"]
        for v in ("mono_stereo", "mono")
    )
    np.testing.assert_array_equal(both, given)
    np.testing.assert_array_equal(mono, given[:2])
    assert np.abs(given[:, :3, 3]).max(axis=1).tolist() == pytest.approx(
        [1.11, 1.11, 0.53], rel=0.01
    )
    with pytest.raises(DataError, match=r"poses=True: the records of .* were packed without poses"):
        make_data(pack_of(folders[1], "mono_stereo,poses=given"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "."}, r"config.data.root='/.*' is no pack; make one by python -m"),
        ({"root": "pyproject.toml"}, r"root='.*pyproject.toml' is no pack; make one by python -m"),
        ({"height": 96}, r"height=96 and width=64: .* is a pack of 32x64"),
        ({"frames": (-2, 2)}, r"frames=\(-2, 2\), stereo=True: .* \[-1, 1, 'stereo'\] alone"),
        ({"truth": "flow"}, r"truth='flow': the eval records of .* were packed without it"),
    ],
)
def test_a_pack_that_does_not_fit_is_refused(folders, changes, message):
    with pytest.raises(DataError, match=message):
        make_data(pack_of(folders[1], **changes))


def test_a_pack_without_views_has_none_to_train_on(folders, tmp_path):
    root, _ = folders
    single = {"frames": (), "stereo": False, "truth": "none"}
    config = kitti_config(root, **single)
    single_pictures = prepare.load_config("configs/reconstruct_kitti.py:tiny")
    config.task, config.model = single_pictures.task, single_pictures.model
    assert prepare.prepare(config, tmp_path / "pack")
    train = make_data(pack_of(tmp_path / "pack", **single)).train
    assert train[0]["sources"].shape == (0, HEIGHT, WIDTH, 3)
    for views, said in (("mono", r"frames=\(-1, 1\), stereo=False"), ("stereo", "stereo=True")):
        with pytest.raises(DataError, match=said + r": .*pack was packed without any; prepare it"):
            make_data(pack_of(tmp_path / "pack", views, truth="none"))


def test_pairs_keep_their_second_frame_though_no_setting_asks_for_it(tmp_path):
    root = fabricate_flow.middlebury(tmp_path / "pairs")
    data = {"name": "middlebury", "root": str(root), "train_split": "all", "eval_split": "all"}
    data |= {"height": 6, "width": 10, "truth": "none"}
    train = {"steps": 1, "batch_size": 1, "eval_batch_size": 1}
    optimizer = {"name": "sgd", "learning_rate": 0.1}
    config = ConfigDict({"seed": 0, "data": data, "optimizer": optimizer, "train": train})
    assert prepare.prepare(config, tmp_path / "pack")
    found = pack_of(tmp_path / "pack", height=6, width=10, frames=(1,), stereo=False, truth="none")
    assert make_data(found).train[0]["sources"].shape == (1, 6, 10, 3)


def test_pictures_of_classes_keep_what_random_windows_need(tmp_path):
    root = fabricate_classes.write_class_folder(tmp_path / "train_and_val")
    fabricate_classes.write_class_folder(root, "val", 2)
    (root / "train/n02/n02_1.JPEG").write_bytes(b"\xff\xd8 cut short")
    data = {"name": "class_folder", "root": str(root), "truth": "none", "bad_share": 0.0}
    data |= {"train_split": "train", "eval_split": "val", "height": 8, "width": 8}
    data |= {"crop_area": (0.3, 1.0), "crop_views": 2, "flip": True}
    optimizer = {"name": "sgd", "learning_rate": 0.1}
    train = {"steps": 1, "batch_size": 1, "eval_batch_size": 1}
    config = ConfigDict({"seed": 0, "data": data, "optimizer": optimizer, "train": train})
    with pytest.raises(DataError, match=r"train: 1 of 9 records can't be read, .*n02_1.JPEG"):
        prepare.prepare(ConfigDict(config.to_dict()), tmp_path / "pack", height=10, width=10)
    shutil.rmtree(tmp_path / "pack.parts")
    config.data.bad_share = 0.2
    out = tmp_path / "pack"
    assert prepare.prepare(ConfigDict(config.to_dict()), out, height=10, width=10)
    given = make_data(
        ConfigDict({"data": data | {"fit": "cover", "height": 10, "width": 10, "crop_views": 1}})
    )
    config.data.update({"name": "packed", "root": str(out), "crop_views": 1})
    found = make_data(config)
    assert found.train.categories == given.train.categories == ("n01", "n02", "n10")
    assert found.train.left_out == {"unreadable": 1}
    assert len(found.train) == 8
    np.testing.assert_array_equal(found.train[4]["image"], through_jpeg(given.train[5]["image"]))
    assert found.train[4]["image"].shape == (10, 13, 3)
    assert [found.eval[i]["category"] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    assert found.eval[0]["image"].shape == (8, 8, 3)
    config.data.crop_views = 2
    batch = next(
        train_batches(found.train, batch_size=8, seed=0, augment=augmentation(config.data))
    )
    assert batch["sources"].shape == (8, 1, 8, 8, 3)
    with pytest.raises(BadRecord):
        given.train[4]


def test_the_command(folders, tmp_path, capsys):
    _, pack = folders
    assert prepare.main(["--out", str(pack), "--verify"]) == 0
    assert "17 frames, 6 arrays, 8 train, 2 eval" in capsys.readouterr().out
    arguments = ["--out", str(tmp_path / "p"), "--height=32", "--width=64", f"{CONFIG}:stereo"]
    for wrong, said in (
        (
            ["--set", "rot=x"],
            "'data.rot' is not a setting of this config; did you mean 'data.root'",
        ),
        (["--set", "root=/nowhere"], "config.data.root='/nowhere' is not there"),
        (["--quality=0"], "--quality=0 must lie between 1 and 100"),
        (["--set", "name=camvid"], "config.data.name='camvid' can't be packed; known: "),
    ):
        assert prepare.main([*arguments, *wrong]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    with pytest.raises(SystemExit):
        prepare.main([*arguments, "--shard=4/4"])
    assert "'4/4' must be i/n with i from 0 to n - 1" in capsys.readouterr().err


def test_the_options_of_a_config_are_listed(tmp_path, capsys):
    out = tmp_path / "pack"
    assert prepare.main(["configs/depth_kitti.py:help", f"--out={out}"]) == 0
    assert "ground_truth=auto" in capsys.readouterr().out
    assert not out.exists()
