"""The file that comes back as it was, and the study that a page gets."""

import csv
import json
import math

import numpy as np
import pytest

from geoseg_jax.analysis import results
from tests.study import made_up
from tests.study.made_up import failed, row


def rows() -> list[dict]:
    found = made_up.study({"random": 0.0, "depth": 0.1})
    found[0]["error"] = 'a comma, a "quote"\nand lines'
    found[1] = failed(arm="random", seed=1)
    found[2]["iou/sky"] = math.nan
    return found


def test_what_is_written(tmp_path):
    """Every digit counts; what breaks a line doesn't."""
    path, written = tmp_path / "results.csv", rows()
    results.write_csv(path, written)
    with open(path, newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) == len(written)
    for row_, line in zip(written, lines, strict=True):
        for name in set(row_) - {"curve", "error"}:
            value = row_[name]
            missing = isinstance(value, float) and math.isnan(value)
            assert line[name] == ("" if missing else str(value)), name
    assert lines[0]["error"] == 'a comma, a "quote" and lines'
    assert [p.name for p in tmp_path.iterdir()] == ["results.csv"]


def test_a_file_comes_back_as_it_was(tmp_path):
    path = tmp_path / "results.csv"
    results.write_csv(path, rows())
    back = results.read_csv(path)
    again = tmp_path / "again.csv"
    results.write_csv(again, back)
    assert again.read_bytes() == path.read_bytes()
    assert type(back[0]["labels"]) is int
    found, expected = (results.assemble(r, "random")["overall"] for r in (back, rows()))
    assert found == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("cell,arm\na,b\n", "no column 'labels'; it must be a results.csv"),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        results.read_csv(tmp_path / "x.csv")


def test_the_columns(tmp_path):
    path = tmp_path / "results.csv"
    extra = row("depth", 0.5) | {"iou/sky": 0.25, "pixel_accuracy": np.float32(0.5), "command": "x"}
    results.write_csv(path, [extra, failed(arm="random")])
    header, first, second = path.read_text().splitlines()
    assert header == (
        "cell,arm,labels,training,decoder,resolution,encoder,subset,seed,pretraining_seed,status,"
        "miou,pixel_accuracy,iou/sky,seconds,revision,warning,error"
    )
    start = "depth-fine_tuned-8-0-0-0,depth,8,fine_tuned,unet,96x32,resnet18,0,0,0,done"
    assert first == f"{start},0.5,0.5,0.25,12.5,,,"
    assert second.endswith("failed,,,,12.5,,,loss is nan at step 7")


def test_a_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    results.write_csv(path, rows())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="miou must be a number, got 'high'"):
        results.write_csv(path, [row("depth", "high")])
    monkeypatch.setattr(results.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        results.write_csv(path, [row("depth", 0.5)])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["results.csv"]


def test_the_study():
    arms = [{"name": "depth", "label": "Depth"}]
    made = [r | {"warning": "seen" if r["arm"] == "depth" else ""} for r in rows()]
    study = results.assemble(made, "random", title="T", arms=arms)
    assert json.loads(json.dumps(study, allow_nan=False)) == study
    assert (study["title"], study["metric"], study["reference"]) == ("T", "mIoU", "random")
    assert study["factors"]["labels"] == [8, 16]
    assert study["factors"]["encoder"] == ["resnet18"]
    assert study["classes"] == ["road", "sky"]
    assert study["replicate_unit"] == "seed"
    assert study["rows"][1]["miou"] is None
    assert study["rows"][0]["curve"][0][0] == 20
    warnings = {group["arm"]: group["warning"] for group in study["groups"]}
    assert warnings == {"random": "", "depth": "seen"}
    assert {g["arm"] for g in study["class_gains"]} == {"depth"}
    assert study["panels"] == []
    assert len(study["answer"]) == 3
    assert (study["contrasts"], study["bound"], study["resampled"]) == ([], 0.0, None)
    assert study["encoders"] == {"random": 1, "depth": 1}
    depth = next(g for g in study["groups"] if g["arm"] == "depth")
    assert depth["steps"]["units"] == depth["n_pairs"]


def test_what_several_rows_say_is_said_once_and_of_how_many():
    rows = [row("random", 0.4, seed=s) for s in (0, 1)]
    rows += [row("depth", 0.5, seed=s, warning=w) for s, w in enumerate(("one; two", "two; odd"))]
    _, depth = results.assemble(rows, "random")["groups"]
    assert depth["warning"] == "one (1 of 2 runs); two; odd (1 of 2 runs)"


def test_what_is_true_of_some_labels_is_not_said_of_others():
    rows = [row(arm, 0.4, n) for arm in ("random", "depth") for n in (8, 64)]
    rows[3]["warning"] = "of 3 test drives"
    found = results.assemble(rows, "random")["groups"]
    warnings = {g["labels"]: g["warning"] for g in found if g["arm"] == "depth"}
    assert warnings == {8: "", 64: "of 3 test drives"}


def test_what_is_true_of_all_is_said_once():
    rows = [
        row(arm, 0.4, n, warning="of 1 test drive") for arm in ("random", "depth") for n in (8, 64)
    ]
    rows[3]["warning"] += "; 2 test pictures seen"
    found = results.assemble(rows, "random")
    assert found["caution"] == "of 1 test drive"
    assert [g["warning"] for g in found["groups"]] == ["", "", "", "2 test pictures seen"]
    assert found["answer"][-1].endswith("2 test pictures seen. Note on all arms: of 1 test drive.")


def test_all_labels_come_last():
    found = [row("random", 0.4, labels) for labels in (0, 64, 8)]
    assert results.assemble(found, "random")["factors"]["labels"] == [8, 64, 0]


def test_another_metric_and_contrasts():
    made = [r | {"paper_miou": r["miou"] / 2, "iou/road": 0.5} for r in made_up_whole()]
    study = results.assemble(made, "random", "paper_miou", contrasts=[("depth", "flow")], bound=0.1)
    assert study["metric"] == "mIoU per picture (the paper's)"
    assert study["overall"][0]["difference"] == pytest.approx(0.05, abs=0.01)
    (contrast,) = study["contrasts"]
    assert (contrast["arm"], contrast["other"]) == ("depth", "flow")
    assert contrast["difference"] == pytest.approx(0.03, abs=0.01)
    assert results.assemble(made, "random", "iou/road")["metric"] == "IoU of road"
    with pytest.raises(ValueError, match="did you mean 'paper_miou'"):
        results.assemble(made, "random", "paper_miuo")


def made_up_whole() -> list[dict]:
    return made_up.study({"random": 0.0, "depth": 0.1, "flow": 0.04}, seeds=5)


def test_a_study_has_nothing_else():
    with pytest.raises(ValueError, match="did you mean 'panels'"):
        results.assemble(rows(), "random", panel=[])


def test_plain():
    found = results.plain({1: (np.float32(0.5), math.inf), "a": np.arange(2), "b": [math.nan, 3]})
    assert found == {"1": [0.5, None], "a": [0, 1], "b": [None, 3]}
