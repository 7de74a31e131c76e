import json

import pytest

from geoseg_jax.data.provenance import leakage
from geoseg_jax.data.provenance.leakage import Shared, between, compare
from geoseg_jax.data.provenance.reads import Reads, Recorder, RunReads
from tests.data.provenance.test_reads import Data, Files, write

NUMBERS = {
    "leakage_shared_files": 1.0,
    "leakage_shared_drives": 1.0,
    "leakage_unknown_ancestors": 0.0,
    "leakage_unknown_drives": 0.0,
}
PAST = Reads({"a": "h1", "b": "h2", "bad": ""}, ("d1", "d2"))


def test_files_by_content_and_drives_by_name():
    tested = Reads({"x": "h2", "y": "h3", "worse": ""}, ("d2", "d3"), 4)
    shared = between([("first", PAST)], tested)
    assert shared == Shared(("x",), ("d2",), (), 4)
    assert shared.metrics() == NUMBERS | {"leakage_unknown_drives": 4.0}
    (line,) = shared.describe("them")
    assert line == "LEAKAGE: the test split shares 1 picture and 1 recording with them: d2"


def test_nothing_shared_says_nothing():
    shared = between([("first", PAST)], Reads({"a": "h9"}, ("d9",)))
    assert not shared
    assert shared.describe("them") == []
    assert set(shared.metrics().values()) == {0.0}


def test_all_ancestors_count_and_the_unknown_are_named():
    weights = ("resnet18.pth", Reads(known=False))
    other = Reads({"c": "h7"}, ("d7",))
    tested = Reads({"x": "h7", "y": "h1"}, ("d1", "d7"))
    shared = between([weights, ("first", PAST), ("second", other)], tested)
    assert shared == Shared(("x", "y"), ("d1", "d7"), ("resnet18.pth",))
    assert shared.metrics()["leakage_unknown_ancestors"] == 1
    assert "what resnet18.pth was trained on is not recorded" in shared.describe("them")[-1]


def test_labels_that_are_alike_are_no_leak():
    """Two empty ones are; a picture whose name ends as theirs do is none of them."""
    past = Reads({"a": "h1", "a label": "empty", "b": "h2", "b label": "h3"})
    tested = Reads({"x": "h5", "x label": "empty", "sign label": "h2", "y": "h3"})
    assert between([("", past)], tested).files == ("sign label",)


def test_a_run_is_held_against_its_own_training_too():
    tested = Reads({"x": "h2", "y": "h3"}, ("d2", "d3"), 4)
    alone = RunReads(Reads({"a": "h3"}, ("d3",)), tested)
    assert leakage.of_run(alone).metrics() == NUMBERS | {"leakage_unknown_drives": 4.0}
    assert leakage.lines_of_run(alone) == [
        "LEAKAGE: the test split shares 1 picture and 1 recording with the run's own training split"
        ": d3",
        "note: 4 test pictures may be of a recording that was trained on (d3), as nobody said of "
        "which they are; in a folder of your own, images/RECORDING/NAME.jpg does",
    ]
    both = alone._replace(ancestors=(("first", PAST),))
    assert leakage.of_run(both) == Shared(("x", "y"), ("d2", "d3"), (), 4)
    assert [line.partition(" with ")[2] for line in leakage.lines_of_run(both)[:2]] == [
        "the training data of the pre-trained weights: d2",
        "the run's own training split: d3",
    ]
    # Where nobody knows a drive, as in a folder of pictures, the log needs no line about them.
    assert leakage.lines_of_run(RunReads(Reads({"a": "h9"}), tested)) == []


def test_the_end_of_a_video_that_was_trained_on_is_no_alarm():
    """As in the default use of configs/depth_video.py; what pre-training saw is one."""
    start, end = Reads({"v/1": "h1"}, ("v",)), Reads({"v/9": "h9"}, ("v",))
    (line,) = leakage.lines_of_run(RunReads(start, end))
    assert line.startswith(
        "note: the test split has other pictures of 1 recording in the run's own training split (v)"
    )
    (line,) = leakage.lines_of_run(RunReads(Reads({"a": "h3"}), end, (("P", start),)))
    assert line.startswith("LEAKAGE: the test split shares 0 pictures and 1 recording with the tr")


def test_only_a_tested_split_that_was_trained_on_is_a_leak():
    a = RunReads(PAST, Reads({"e": "h5"}, ("d5",)), (("first", Reads({"f": "h6"}, ("d6",))),))
    train_shared = RunReads(PAST, Reads({"x": "h9"}))
    assert not any(row.leak for row in compare(a, train_shared))
    both_test = RunReads(Reads(), Reads({"e": "h5"}, ("d5",)))
    rows = {(row.a, row.b): row for row in compare(a, both_test)}
    assert rows["eval", "eval"].shared
    assert not any(row.leak for row in rows.values())
    for tested in (Reads({"x": "h2"}), Reads({}, ("d1",)), Reads({"x": "h6"}), Reads({}, ("d6",))):
        assert any(row.leak for row in compare(a, RunReads(Reads(), tested)))


@pytest.fixture
def folders(tmp_path):
    """Two runs: `b` is tested on one of `a`'s drives, and on a copy of one of its files."""
    paths = write(tmp_path / "data", {"a": b"1", "b": b"2", "copy": b"2", "d": b"4"})
    a = Data(
        Files({"a": paths["a"], "b": paths["b"]}, ("d1", "d1")), Files({"d": paths["d"]}, ("d4",))
    )
    b = Data(
        Files({"d": paths["d"]}, ("d4",)), Files({"c": paths["copy"], "n": None}, ("d9", "d1"))
    )
    for name, data in (("A", a), ("B", b)):
        recorder = Recorder(data, tmp_path / name / "files.json", name)
        recorder.finish()
        manifest = {"data": {"files": recorder.entry()}}
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "A", tmp_path / "B"


def test_the_command(folders, tmp_path, capsys):
    a, b = map(str, folders)
    assert leakage.main([a, f"{b}/manifest.json", f"--json={tmp_path / 'result.json'}"]) == 1
    printed = capsys.readouterr().out
    assert "train       eval                   1              1  d1  <- LEAK" in printed
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["leak"]
    row = next(r for r in result["rows"] if (r["a"], r["b"]) == ("train", "eval"))
    assert (row["files"], row["drives"]) == (["c"], ["d1"])
    assert leakage.main([b, a]) == 1  # b was trained on what a is tested on
    assert leakage.main([a, a]) == 0
    capsys.readouterr()
    assert leakage.main([a, str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "name the folder of a run" in error


def test_a_result_that_can_not_be_written_is_one_line(folders, capsys):
    a, b = map(str, folders)
    assert leakage.main([a, b, "--json=/nonexistent/x.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "/nonexistent/x.json" in error
    assert error.count("\n") == 1


def test_watching_tells_at_once_and_gives_the_numbers(folders, tmp_path):
    a, _ = folders
    data = Data(Files({}, ()), Files({"c": tmp_path / "data/copy", "n": None}, ("d9", "d1")))
    said = []
    watch = leakage.Watch(data, tmp_path / "C", "C", [a], said.append)
    numbers, entry = watch.finish()
    assert numbers == NUMBERS
    assert entry["files"]["name"] == "files.json"
    assert len(entry["files"]["sha256"]) == 64
    assert said[:2] == [
        "train split: 0 files of 0 known recordings, 0 records of unknown ones",
        "test split: 2 files of 2 known recordings (d1, d9), 0 records of unknown ones",
    ]
    assert said[2].endswith(": d1")
    alone = leakage.Watch(data, tmp_path / "D", "D", [], said.append)
    assert alone.finish()[0] == dict.fromkeys(NUMBERS, 0.0)
    assert len(said) == 3
    own = leakage.Watch(Data(data.eval, data.eval), tmp_path / "E", "E", [], said.append)
    assert own.finish()[0] == NUMBERS | {"leakage_shared_files": 2.0, "leakage_shared_drives": 2.0}
    assert said[3].endswith("2 recordings with the run's own training split: d1, d9")


def test_a_record_that_failed_is_not_taken_for_no_leak(tmp_path):
    (tmp_path / "file").write_text("")
    data = Data(Files({}, ()), Files({}, ()))
    watch = leakage.Watch(data, tmp_path / "file", "F", [], print)
    assert watch.finish() == (dict.fromkeys(NUMBERS), {})
