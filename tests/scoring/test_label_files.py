"""Predictions as files: names, ids, colours and size, accepted by the benchmarks' own code."""

import cv2
import numpy as np
import pytest

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.data.source import DataError
from geoseg_jax.prediction.files import LabelFiles
from geoseg_jax.scoring import label_files as submission


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("aachen/aachen_000000_000019", "aachen/aachen_000000_000019.png"),
        ("berlin/berlin_000000_000019_leftImg8bit", "berlin/berlin_000000_000019.png"),
        ("000123_10", "000123_10.png"),
        ("my.holiday.01", "my.holiday.01.png"),
    ],
)
def test_names(tmp_path, name, file):
    path = submission.write_ids(tmp_path, name, np.zeros((2, 3), np.uint8), label_table("kitti"))
    assert path == tmp_path / "labels" / file
    assert path.is_file()


def test_cityscapes_label_ids_and_colours(tmp_path):
    train = np.array([[0, 13, 18], [255, 10, 8]], np.uint8)
    path = submission.write_ids(tmp_path, "a_000000_000019", train, label_table("cityscapes"))
    written = read(path)
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written, [[7, 26, 33], [0, 23, 21]])
    colours = LabelFiles(label_table("cityscapes")).colours(train, None)
    assert colours[0, 0].tolist() == [128, 64, 128]  # road
    assert colours[0, 1].tolist() == [0, 0, 142]  # car
    assert colours[1, 0].tolist() == [0, 0, 0]
    assert list(tmp_path.rglob("*partial*")) == []


def test_the_papers_34_outputs_are_label_ids(tmp_path):
    train = np.arange(34, dtype=np.uint8)[None]
    path = submission.write_ids(tmp_path, "a", train, label_table("cityscapes34"))
    np.testing.assert_array_equal(read(path), train)


def test_a_train_id_without_a_class_is_refused(tmp_path):
    with pytest.raises(ValueError, match="19"):
        submission.write_ids(
            tmp_path, "a", np.full((2, 2), 19, np.uint8), label_table("cityscapes")
        )
    assert not list(tmp_path.rglob("*.png"))


def test_cityscapesscripts_finds_them(tmp_path, monkeypatch):
    judge = pytest.importorskip(
        "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling",
        reason="cityscapesscripts is not installed",
    )
    table = label_table("cityscapes")
    wanted = submission.write_ids(
        tmp_path, "ulm/ulm_000003_000019", np.zeros((2, 2), np.uint8), table
    )
    submission.write_ids(tmp_path, "ulm/ulm_000004_000019", np.zeros((2, 2), np.uint8), table)
    monkeypatch.setattr(judge.args, "predictionPath", str(tmp_path / "labels"))
    monkeypatch.setattr(judge.args, "predictionWalk", None)
    found = judge.getPrediction(judge.args, "/gt/ulm_000003_000019_gtFine_labelIds.png")
    assert found == str(wanted)


@pytest.mark.parametrize(
    "name", ["../../X", "/abs/X", "a/../../X", "..", "", ".", "a\0b", "n" * 300, "a/" + "n" * 300]
)
def test_names_that_lead_out_of_the_folder_are_refused(name):
    with pytest.raises(DataError, match="is no name for a file below the folder of predictions"):
        submission.file_name(name)


@pytest.mark.parametrize("name", ["a", "aachen/aachen_000000_000019", "a b:c", "..a/b..", "größe"])
def test_names_that_people_have_are_kept(name):
    assert submission.file_name(name) == f"{name}.png"
