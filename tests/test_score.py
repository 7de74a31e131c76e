"""Scores of folders of label PNGs: the same as cityscapesscripts', by any naming, and bad input."""

import argparse
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from geoseg_jax import score
from geoseg_jax.data.labels.table import TABLES, label_table, to_file_ids
from geoseg_jax.scoring import folders

KNOWN = np.arange(34)  # label ids of Cityscapes that pictures hold
FRAMES = ("aachen_000000_000019", "aachen_000001_000019", "ulm_000003_000019")


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)
    return path


def ids(seed, height=16, width=24, among=KNOWN):
    return np.random.default_rng(seed).choice(among, (height, width)).astype(np.uint8)


def worsened(truth, seed):
    """A prediction that is right in most places, ignored ids and all others among the rest."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(truth.shape) < 0.7, truth, ids(seed, *truth.shape))


def make_folders(root, frames=FRAMES, nested=True, sizes=((16, 24),)):
    """PREDICTIONS (flat) and LABELS as Cityscapes has them, with files that don't matter."""
    for number, frame in enumerate(frames):
        folder = root / "labels" / (frame.split("_")[0] if nested else "")
        truth = ids(number, *sizes[number % len(sizes)])
        write(folder / f"{frame}_gtFine_labelIds.png", truth)
        write(folder / f"{frame}_gtFine_color.png", np.zeros((4, 4, 3), np.uint8))
        write(root / "predictions" / f"{frame}_pred.png", worsened(truth, 50 + number))
    return root / "predictions", root / "labels"


def run(*arguments):
    """Exit code and what was written to standard error, of the command in this process."""
    return score.main([str(a) for a in arguments])


def cityscapesscripts(predictions, labels, monkeypatch):
    """The judge's own numbers: class scores, category scores, and their averages."""
    pytest.importorskip("cityscapesscripts", reason="cityscapesscripts is not installed")
    # The module looks at these when it is imported, and later takes folders from them.
    for name in ("CITYSCAPES_DATASET", "CITYSCAPES_RESULTS", "CITYSCAPES_EXPORT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["evaluate"])
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as judge

    settings = argparse.Namespace(**vars(judge.args))
    # Scores of instances need files of instances, and functions that numpy no longer has.
    settings.evalInstLevelScore = settings.JSONOutput = False
    settings.quiet = True
    files = ([str(path) for path in paths] for paths in (predictions, labels))
    return judge.evaluateImgLists(*files, settings)


def assert_equal(numbers, judged):
    """Class and category IoU and their means; nan where the judge has nan."""
    ours = {n: numbers.get(f"iou/{n}", np.nan) for n in judged["classScores"]}
    assert ours == pytest.approx(judged["classScores"], abs=1e-6, nan_ok=True)
    ours = {n: numbers.get(f"category_iou/{n}", np.nan) for n in judged["categoryScores"]}
    assert ours == pytest.approx(judged["categoryScores"], abs=1e-6, nan_ok=True)
    assert numbers["miou"] == pytest.approx(judged["averageScoreClasses"], abs=1e-6)
    assert numbers["category_miou"] == pytest.approx(judged["averageScoreCategories"], abs=1e-6)


def write_pairs(root, among):
    """Paths of predictions and labels of FRAMES that hold these ids."""
    for number, frame in enumerate(FRAMES):
        truth = ids(number, among=among)
        label = write(root / "labels" / f"{frame}_gtFine_labelIds.png", truth)
        guess = np.where(ids(9, among=[0, 1]) > 0, truth, ids(number + 9, among=among))
        yield write(root / "predictions" / f"{frame}.png", guess), label


def test_equals_what_cityscapesscripts_gave(tmp_path):
    """Recorded with version 2.3.0, for where it isn't installed."""
    list(write_pairs(tmp_path, KNOWN))
    table = label_table("cityscapes19")
    numbers = folders.score_folders(tmp_path / "predictions", tmp_path / "labels", table).numbers
    recorded = {
        "miou": 0.4835548970132704,
        "category_miou": 0.49448793763311866,
        "iou/road": 0.425,
        "iou/pole": 0.4897959183673469,
        "iou/bicycle": 0.5238095238095238,
        "category_iou/flat": 0.4457831325301205,
        "category_iou/human": 0.5285714285714286,
        "category_iou/vehicle": 0.5139442231075697,
    }
    assert {name: numbers[name] for name in recorded} == pytest.approx(recorded, abs=1e-12)


@pytest.mark.parametrize("among", [KNOWN, [0, 7, 8, 9, 21, 26], [7, 11, 29]])
def test_equals_cityscapesscripts(tmp_path, monkeypatch, among):
    judged = cityscapesscripts(*zip(*write_pairs(tmp_path, among), strict=True), monkeypatch)
    for name in ("cityscapes19", "cityscapes34"):
        table = label_table(name)
        scored = folders.score_folders(tmp_path / "predictions", tmp_path / "labels", table)
        assert_equal(scored.numbers, judged)


def test_equals_cityscapesscripts_on_real_labels(tmp_path, monkeypatch, shared_data):
    labels = sorted((shared_data / "cityscapes").rglob("*_gtFine_labelIds.png"))
    assert labels
    predictions = []
    for path in labels:
        moved = np.roll(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 40, axis=1)
        predictions.append(write(tmp_path / path.name.replace("_gtFine_labelIds", ""), moved))
    judged = cityscapesscripts(predictions, labels, monkeypatch)
    scored = folders.score_folders(tmp_path, shared_data / "cityscapes", label_table("cityscapes"))
    assert scored.images == len(labels)
    assert 0.2 < scored.numbers["miou"] < 0.95
    assert_equal(scored.numbers, judged)


def test_equals_cityscapesscripts_on_kitti(tmp_path, monkeypatch, shared_data):
    folder = shared_data / "kitti_semantics" / "training" / "semantic"
    labels = sorted(folder.glob("*.png"))
    predictions = [
        write(tmp_path / p.name, np.roll(cv2.imread(str(p), cv2.IMREAD_UNCHANGED), 9, axis=0))
        for p in labels
    ]
    # The judge wants names of Cityscapes to find instances, which it isn't asked for here.
    judged = cityscapesscripts(predictions, labels, monkeypatch)
    scored = folders.score_folders(tmp_path, folder, label_table("kitti"))
    assert_equal(scored.numbers, judged)


def test_the_command_writes_json(tmp_path):
    predictions, labels = make_folders(tmp_path, sizes=((16, 24), (10, 12)))
    file = tmp_path / "scores.json"
    command = [sys.executable, "-m", "geoseg_jax.score", str(predictions), str(labels)]
    done = subprocess.run(
        [*command, "--labels=cityscapes", "--json", str(file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(file.read_text())
    assert result["images"] == 3
    assert result["labels"] == "cityscapes19"
    keys = {"miou", "pixel_accuracy", "category_miou", "iou/road", "iou/bicycle", "mean_accuracy"}
    assert keys <= result.keys()
    assert 0.3 < result["miou"] < 0.9
    assert "traffic light" in done.stdout
    assert f"{100 * result['miou']:.2f}" in done.stdout
    assert list(tmp_path.glob("*.partial*")) == []


def test_a_class_that_is_nowhere_is_null(tmp_path):
    truth = np.full((4, 4), 7, np.uint8)
    write(tmp_path / "p" / "a.png", truth)
    write(tmp_path / "l" / "a.png", truth)
    assert run(tmp_path / "p", tmp_path / "l", "--json", tmp_path / "s.json") == 0
    result = json.loads((tmp_path / "s.json").read_text())
    assert result["iou/car"] is None
    assert result["miou"] == 1


@pytest.mark.parametrize(("name", "among"), [("camvid", range(12)), ("nyu40", range(41))])
def test_other_tables_by_name(tmp_path, name, among):
    among = np.array(among)
    for number, path in enumerate(("one.png", "deep/one.png", "deep/two.png")):
        write(tmp_path / "l" / path, ids(number, among=among))
        write(tmp_path / "p" / path, ids(number, among=among))
    scored = folders.score_folders(tmp_path / "p", tmp_path / "l", label_table(name))
    assert scored.images == 3
    assert scored.numbers["miou"] == 1


def test_predictions_of_merged_classes(tmp_path):
    """Labels of NYU's 40 classes, predictions of the 13, as geoseg_jax.predict writes them."""
    table = label_table("nyu13_from40")
    truth = ids(3, among=np.arange(41))
    write(tmp_path / "l" / "a.png", truth)
    merged = np.array([table.train_ids[i] for i in range(41)], np.uint8)[truth]
    write(tmp_path / "p" / "a.png", to_file_ids(merged, table))
    scored = folders.score_folders(tmp_path / "p", tmp_path / "l", table)
    assert scored.numbers["miou"] == scored.numbers["pixel_accuracy"] == 1
    for other in TABLES:
        if other != "nyu13_from40":
            assert folders.prediction_table(label_table(other)) == label_table(other)


def test_a_class_list_of_ones_own(tmp_path):
    (tmp_path / "classes.txt").write_text("3 cat 255 0 0\n5 dog 0 255 0\n")
    write(tmp_path / "l" / "a.png", np.array([[3, 3, 5, 5]], np.uint8))
    write(tmp_path / "p" / "a.png", np.array([[3, 5, 5, 5]], np.uint8))
    file = tmp_path / "s.json"
    labels = f"--labels={tmp_path / 'classes.txt'}"
    assert run(tmp_path / "p", tmp_path / "l", labels, "--json", file) == 0
    result = json.loads(file.read_text())
    assert (result["iou/cat"], result["iou/dog"]) == pytest.approx((1 / 2, 2 / 3))
    assert "category_miou" not in result


def test_names_of_pairs(tmp_path):
    """Flat predictions for nested labels, other frames beside them, colours beside label ids."""
    predictions, labels = make_folders(tmp_path)
    write(predictions / "bonn_000000_000019.png", ids(1))
    write(predictions / f"{FRAMES[0]}_labelIds.png", ids(0))
    pairs = folders.match(predictions, labels).pairs
    assert [pair.name for pair in pairs] == sorted(FRAMES)
    assert pairs[0].prediction.name == f"{FRAMES[0]}_labelIds.png"
    assert all(pair.label.name == f"{pair.name}_gtFine_labelIds.png" for pair in pairs)


@pytest.mark.parametrize("frames", [FRAMES, ("a", "deep/b", "c")])
def test_a_part_of_the_labels(tmp_path, capsys, frames):
    """As for a fold: only what has a prediction, when that is asked for."""
    suffix = "_gtFine_labelIds" if frames is FRAMES else ""
    for number, frame in enumerate(frames):
        write(tmp_path / "l" / f"{frame}{suffix}.png", ids(number))
    for number, frame in enumerate(frames[:2]):
        write(tmp_path / "p" / f"{frame}.png", ids(number))
    file = tmp_path / "s.json"
    assert run(tmp_path / "p", tmp_path / "l", "--json", file) == 1
    assert "--partial" in capsys.readouterr().err
    assert run(tmp_path / "p", tmp_path / "l", "--json", file, "--partial") == 0
    result = json.loads(file.read_text())
    assert (result["images"], result["images_without_prediction"]) == (2, 1)
    assert result["miou"] == 1
    (tmp_path / "none").mkdir()
    write(tmp_path / "none" / "x.png", ids(0))
    assert run(tmp_path / "none", tmp_path / "l", "--partial") == 1
    assert "3 of 3 labels have no prediction" in capsys.readouterr().err


def test_same_name_in_other_folders(tmp_path):
    write(tmp_path / "l" / "000000_10.png", ids(0))
    wanted = write(tmp_path / "p" / "run" / "000000_10.png", ids(1))
    assert [pair.prediction for pair in folders.match(tmp_path / "p", tmp_path / "l").pairs] == [
        wanted
    ]


def test_predictions_inside_the_labels_folder(tmp_path):
    write(tmp_path / "a.png", ids(0))
    write(tmp_path / "predictions" / "a.png", ids(1))
    pairs = folders.match(tmp_path / "predictions", tmp_path).pairs
    assert [pair.label for pair in pairs] == [tmp_path / "a.png"]


def bad_size(predictions, labels):
    write(predictions / f"{FRAMES[1]}_pred.png", ids(0, 5, 6))
    return [f"{FRAMES[1]}_pred.png is 6x5 and its label", "24x16"]


def bad_depth(predictions, labels):
    write(predictions / f"{FRAMES[0]}_pred.png", ids(0).astype(np.uint16))
    return [f"{FRAMES[0]}_pred.png", "16 bits"]


def bad_channels(predictions, labels):
    write(predictions / f"{FRAMES[0]}_pred.png", np.zeros((16, 24, 3), np.uint8))
    return [f"{FRAMES[0]}_pred.png", "has 3 of 8 bits"]


def bad_id(predictions, labels):
    write(predictions / f"{FRAMES[0]}_pred.png", np.full((16, 24), 77, np.uint8))
    return [f"{FRAMES[0]}_pred.png", "label id 77", "--labels"]


def bad_truth(predictions, labels):
    path = labels / "ulm" / f"{FRAMES[2]}_gtFine_labelIds.png"
    write(path, np.full((16, 24), 200, np.uint8))
    return [path.name, "label id 200"]


def cut_short(predictions, labels):
    path = predictions / f"{FRAMES[2]}_pred.png"
    path.write_bytes(path.read_bytes()[:-30])
    return [path.name, "cut short"]


def missing(predictions, labels):
    for frame in FRAMES[:2]:
        (predictions / f"{frame}_pred.png").unlink()
    return ["2 of 3 labels have no prediction", *FRAMES[:2]]


def twice(predictions, labels):
    write(predictions / "more" / f"{FRAMES[0]}.png", ids(0))
    return ["several predictions", f"{FRAMES[0]}.png", f"{FRAMES[0]}_pred.png"]


def label_twice(predictions, labels):
    write(labels / "coarse" / f"{FRAMES[0]}_gtCoarse_labelIds.png", ids(0))
    return ["two labels for one prediction", "gtCoarse", "gtFine"]


def empty(predictions, labels):
    for path in predictions.glob("*"):
        path.unlink()
    return [f"PREDICTIONS={predictions}", "no PNG"]


def not_there(predictions, labels):
    empty(predictions, labels)
    predictions.rmdir()
    return [f"PREDICTIONS={predictions}", "no such folder"]


BAD = [bad_size, bad_depth, bad_channels, bad_id, bad_truth, cut_short, missing, twice]
BAD += [label_twice, empty, not_there]


@pytest.mark.parametrize("spoil", BAD)
def test_bad_input(tmp_path, capsys, spoil):
    predictions, labels = make_folders(tmp_path)
    parts = spoil(predictions, labels)
    file = tmp_path / "scores.json"
    assert run(predictions, labels, "--json", file) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    for part in parts:
        assert part in error
    assert not file.exists()


def test_ones_own_labels_are_read_by_the_list_beside_them(tmp_path):
    truth = ids(0, among=[0, 1, 7])
    write(tmp_path / "mine" / "labels" / "a.png", truth)
    write(tmp_path / "p" / "a.png", truth)
    names = [f"kind{i} {i} 0 0" for i in range(8)]
    (tmp_path / "mine" / "classes.txt").write_text("\n".join(names) + "\n")
    file = tmp_path / "scores.json"
    assert run(tmp_path / "p", tmp_path / "mine" / "labels", "--json", file) == 0
    assert json.loads(file.read_text())["iou/kind7"] == 1
    write(tmp_path / "mine" / "labels" / "trip" / "a.png", truth)
    assert run(tmp_path / "p", tmp_path / "mine" / "labels" / "trip", "--json", file) == 0
    assert json.loads(file.read_text())["iou/kind7"] == 1
    (tmp_path / "mine" / "labels" / "trip" / "a.png").unlink()
    assert run(tmp_path / "p", tmp_path / "mine" / "labels", "--labels=kitti", "--json", file) == 0
    assert "iou/kind7" not in json.loads(file.read_text())


def test_names_of_classes_are_no_markup(tmp_path, capsys):
    (tmp_path / "classes.txt").write_text(
        "0 [bold]car[/bold] 9 0 0\n1 a[/x] 0 9 0\n2 :car: 0 0 9\n"
    )
    write(tmp_path / "labels" / "a.png", np.array([[0, 1, 2, 2]], np.uint8))
    assert run(tmp_path / "labels", tmp_path / "labels") == 0
    printed = capsys.readouterr().out
    for name in ("[bold]car[/bold]", "a[/x]", ":car:"):
        assert name in printed


def test_bad_arguments(tmp_path, capsys):
    folders = make_folders(tmp_path)
    assert run(*folders, "--labels=cityscape") == 1
    assert "cityscapes19" in capsys.readouterr().err
    assert run(*folders, "--json", tmp_path / "none" / "s.json") == 1
    assert "its folder does not exist" in capsys.readouterr().err


def test_train_ids_are_remarked(tmp_path, capsys):
    truth = ids(0, among=[7, 11, 26])
    write(tmp_path / "l" / "a.png", truth)
    write(tmp_path / "p" / "a.png", np.where(truth == 7, 0, 2).astype(np.uint8))
    assert run(tmp_path / "p", tmp_path / "l") == 0
    assert "train ids" in capsys.readouterr().err


def test_endings_in_capitals_links_and_hidden_files(tmp_path, capsys):
    """What training reads as a label is judged; nothing is passed over without a word."""
    for folder, right in (("l", True), ("store", False)):
        write(tmp_path / folder / "a.png", ids(0))
        write(tmp_path / folder / "deep" / "b.png", ids(0) if right else 0 * ids(0) + 7)
    (tmp_path / "l/deep/b.png").rename(tmp_path / "l/deep/b.PNG")
    (tmp_path / "l/._a.png").write_bytes(b"attributes of a Mac")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.png").symlink_to(tmp_path / "store/a.png")
    (tmp_path / "p/deep").symlink_to(tmp_path / "store/deep")
    file = tmp_path / "s.json"
    assert run(tmp_path / "p", tmp_path / "l", "--json", file) == 0
    result = json.loads(file.read_text())
    assert result["images"] == 2
    assert result["pixel_accuracy"] < 1
    assert "left out: 1 x hidden file" in capsys.readouterr().out


def test_labels_of_nothing_but_ignored_pixels_are_refused(tmp_path, capsys):
    write(tmp_path / "l" / "a.png", np.zeros((4, 6), np.uint8))  # unlabelled
    write(tmp_path / "p" / "a.png", np.full((4, 6), 7, np.uint8))
    assert run(tmp_path / "p", tmp_path / "l") == 1
    assert "all 24 pixels of the labels are ignored by cityscapes19" in capsys.readouterr().err


def test_pairs_are_counted_in_parts(monkeypatch):
    """OpenCV's counts are float32: of pictures with more pixels than that holds they are summed."""
    first, second = (np.random.default_rng(i).integers(0, 256, (41, 53), np.uint8) for i in (0, 1))
    expected = np.zeros((256, 256), np.int64)
    np.add.at(expected, (first, second), 1)
    for most in (folders._EXACT, 1000):
        monkeypatch.setattr(folders, "_EXACT", most)
        np.testing.assert_array_equal(folders.count_pairs(first, second), expected)
