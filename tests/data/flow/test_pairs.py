"""KITTI flow, Middlebury and Flying Chairs as sources, and the constant map beside them."""

import pickle

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.flow.constant import cell_means
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate
from tests.data import fabricate_flow as flows

NUMBERS = ("000000", "000047", "000050", "000199")
KEYS = {"image", "sources", "flow", "flow_valid", "flow_size", "flow_visible", "constant_flow"}


def data(root, name="kitti_flow", /, **changes):
    settings = {
        "name": name,
        "root": str(root),
        "height": 6,
        "width": 10,
        "train_split": "pool",
        "eval_split": "fold1",
        "truth": "flow",
    }
    return make_data(ConfigDict({"data": {**settings, **changes}}))


@pytest.fixture
def root(tmp_path):
    return flows.kitti(tmp_path, NUMBERS)


def names(source):
    return [source.describe(i) for i in range(len(source))]


def test_kitti_at_its_own_size_padded(root):
    train, judged = data(root, eval_split="all", train_split="all")
    assert names(train) == names(judged) == [f"{n}_10" for n in NUMBERS]
    assert set(train[0]) == {"image", "sources"}  # from pictures alone: no truth is read
    record = pickle.loads(pickle.dumps(judged))[1]
    check_record(record, "kitti_flow")
    assert set(record) == KEYS
    assert record["flow"].shape == (12, 23, 2)
    assert record["flow_size"].tolist() == [12, 21]
    known = np.zeros((12, 23), bool)
    known[::2, :21] = True
    np.testing.assert_array_equal(record["flow_valid"], known)
    known[:3] = False
    np.testing.assert_array_equal(record["flow_visible"], known)
    vectors = flows.vectors(1, 12, 21)
    np.testing.assert_array_equal(record["flow"][::2, :21], vectors[::2])
    expected = cv2.resize(flows.picture(2 + 11, 12, 21), (10, 6), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(record["sources"][0], expected[..., ::-1])


def test_training_with_truth_has_the_pictures_size_and_no_needless_gap(root):
    train, _ = data(root, truth_in_training=True)
    record = train[0]
    check_record(record, "kitti_flow")
    # Even rows of 20x12 are known. Of each four pixels that meet in one of 10x6, as far from its
    # middle one as the other, the right one of the upper row remains.
    assert record["flow_valid"].all()
    np.testing.assert_array_equal(record["flow"], flows.vectors(0)[::2, 1::2] / 2)
    visible = np.zeros((6, 10), bool)
    visible[2:] = True  # the first three rows of the file are hidden
    np.testing.assert_array_equal(record["flow_visible"], visible)


def test_folds_leave_out_drives_that_evaluate(root):
    train, judged = data(root)
    assert names(judged) == ["000050_10"]
    # 000047 and 000050 are of one drive.
    assert names(train) == ["000000_10", "000199_10"]
    assert train.left_out == {"pair of a drive that evaluates": 1}
    assert judged.drive(0) == "2011_09_26_drive_0018"
    assert len(data(root, eval_split="train", train_split="fold3").eval) == 1


def test_without_noc_nothing_is_said_of_it_and_2012_is_found(tmp_path):
    root = flows.kitti(tmp_path, ["000000"], noc=False, folder="colored_0")
    (root / "training" / "colored_0" / "000001_10.png").write_bytes(b"")
    train, judged = data(root, eval_split="all", train_split="all")
    assert set(judged[0]) == KEYS - {"flow_visible"}
    assert train.left_out == {"pair without its second frame": 1}
    # A single pair has no mean but its own.
    assert (judged[0]["constant_flow"] == 0).all()


def test_middlebury_in_both_layouts(tmp_path):
    train, judged = data(
        flows.middlebury(tmp_path / "a"), "middlebury", train_split="all", eval_split="all"
    )
    assert names(train) == ["Dimetrodon", "RubberWhale"]
    np.testing.assert_array_equal(judged[1]["flow"], flows.vectors(1))
    folder = tmp_path / "b" / "pair"
    for i in (1, 2):
        flows.png(folder / f"whale{i}.png", flows.picture(i))
    flows.flo(folder / "gt.flo", flows.vectors(3))
    for root in (folder, folder.parent):
        judged = data(root, "middlebury", train_split="all", eval_split="all").eval
        assert names(judged) == ["pair"]


def test_chairs_by_the_official_split(tmp_path):
    root = flows.chairs(tmp_path)
    settings = {"train_split": "train", "eval_split": "val", "truth_in_training": True}
    train, judged = data(root, "flying_chairs", **settings, height=12, width=20)
    assert names(train) == ["00001", "00002", "00004"]
    assert names(judged) == ["00003"]
    np.testing.assert_array_equal(train[1]["image"], flows.picture(21))  # PPM is RGB
    np.testing.assert_array_equal(train[1]["flow"], flows.vectors(2))
    (root / "FlyingChairs_train_val.txt").write_text("1\n3\n")
    with pytest.raises(DataError, match=r"FlyingChairs_train_val.txt:2: '3' is neither"):
        data(root, "flying_chairs", **settings)


def test_the_constant_map_is_the_mean_of_the_others(root):
    _, judged = data(root, eval_split="all", height=12, width=20)
    maps = []
    for i in range(4):
        known = np.zeros((12, 20 + i), bool)
        known[::2] = True
        maps.append(cell_means(flows.vectors(i, 12, 20 + i), known, 12, 20)[0][::2])
    got = judged[2]["constant_flow"]
    np.testing.assert_allclose(got[::2], (maps[0] + maps[1] + maps[3]) / 3, atol=1e-5)
    # Odd rows are known nowhere: the nearest row stands for them.
    assert all(
        np.allclose(got[1, x], got[0, x]) or np.allclose(got[1, x], got[2, x]) for x in (3, 7)
    )


def test_a_pair_is_left_out_of_the_mean_by_what_it_is_and_not_by_its_name(root, tmp_path):
    """The benchmarks of 2012 and 2015 name other pairs alike; and one may lie under two names."""
    # The fifth, unlike any of `root`.
    numbers = [*(f"{n:06d}" for n in range(300, 304)), "000000"]
    other = flows.kitti(tmp_path / "2012", numbers, noc=False, folder="colored_0")
    for number in (10, 11):
        content = (root / "training" / "image_2" / f"000047_{number}.png").read_bytes()
        (other / "training" / "colored_0" / f"000303_{number}.png").write_bytes(content)
    # Its truth there is another, of which nothing was averaged.
    occ = other / "training" / "flow_occ" / "000303_10.png"
    flows.kitti_png(occ, flows.vectors(9, 12, 21), np.ones((12, 21), bool))
    (tmp_path / "list").write_text("000000_10\n000303_10\n")
    settings = {"train_split": "all", "eval_name": "kitti_flow", "eval_root": str(other)}
    settings["eval_split"] = str(tmp_path / "list")
    _, judged = data(root, height=12, width=20, **settings)
    assert names(judged) == ["000000_10", "000303_10"]
    maps = []
    for i in range(4):
        known = np.zeros((12, 20 + i), bool)
        known[::2] = True
        maps.append(cell_means(flows.vectors(i, 12, 20 + i), known, 12, 20)[0][::2])
    for i, averaged in ((0, maps), (1, [maps[0], *maps[2:]])):
        np.testing.assert_allclose(
            judged[i]["constant_flow"][::2], np.mean(averaged, axis=0), atol=1e-5
        )


def test_cell_means_by_hand():
    flow = np.zeros((2, 4, 2), np.float32)
    flow[0, :2, 0] = (2, 4)
    known = np.array([[True, True, False, False], [False] * 4])
    mean, filled = cell_means(flow, known, 1, 2)
    np.testing.assert_array_equal(filled, [[True, False]])
    np.testing.assert_allclose(mean[0, 0], (3 * 2 / 4, 0))


def test_trained_on_one_set_and_judged_on_another(root, tmp_path):
    raw = tmp_path / "raw"
    fabricate.write_drive(raw)
    changes = {"train_split": "all", "frames": (1,), "stereo": False, "eval_split": "all"}
    changes |= {"eval_name": "kitti_flow", "eval_root": str(root)}
    train, judged = data(raw, "kitti", **changes)
    assert train[0]["sources"].shape == (1, 6, 10, 3)
    assert len(judged) == 4
    assert set(judged[0]) == KEYS
    with pytest.raises(DataError, match=r"eval_root is empty; .*kitti_flow"):
        data(raw, "kitti", **{**changes, "eval_root": ""})
    with pytest.raises(DataError, match=r"truth='flow'.*eval_name='kitti_flow'"):
        data(raw, "kitti", **{**changes, "eval_name": "", "eval_split": "train", "truth": "flow"})


def test_faults_are_told_in_one_line(root, tmp_path):
    with pytest.raises(DataError, match=r"config.data.eval_split='fold9' .* did you mean 'fold"):
        data(root, eval_split="fold9")
    flows.png(root / "training" / "image_2" / "000000_11.png", flows.picture(0, 5, 5))
    train, _ = data(root)
    with pytest.raises(BadRecord, match=r"000000_11.png: 5x5 beside a first frame of 20x12"):
        train[0]
