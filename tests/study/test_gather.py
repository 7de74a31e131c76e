"""What a finished cell tells of the data that it and its pre-training have seen."""

import json
import math

import pytest

from geoseg_jax.data.provenance.reads import FILE, Reads, RunReads
from geoseg_jax.study import gather, records
from tests.study.tiny_study import plan

TESTED = Reads({"x": "h1", "y": "h2"}, ("d1",))
OWN = Reads({"a": "h3"}, ("d2",))


def warning(folder, past=(), own=OWN, tested=TESTED) -> str:
    run = RunReads(own, tested, tuple(past))
    (folder / FILE).write_text(json.dumps(run.as_json()))
    return gather.leakage_warning(folder)


@pytest.mark.parametrize(
    ("past", "told"),
    [
        ([], ""),
        ([("P", Reads({"b": "h4"}, ("d3",)))], ""),
        ([("P", Reads({"b": "h2"}, ("d3",)))], "pre-training saw 1 test picture"),
        ([("P", Reads({"b": "h4"}, ("d1",)))], "pre-training saw 1 test recording"),
        (
            [("P", Reads(known=False))],
            "no record of what its weights from elsewhere were trained on",
        ),
    ],
)
def test_what_pretraining_has_seen(tmp_path, past, told):
    assert warning(tmp_path, past) == told


def test_what_every_arm_has_seen_is_told_apart(tmp_path):
    own = Reads({"a": "h3"}, ("d1", "d2"))
    told = "in every arm, training and test pictures share 1 test recording"
    assert warning(tmp_path, own=own) == told
    past = [("P", Reads({"b": "h1", "c": "h2"}, ("d1",)))]
    assert warning(tmp_path, past, own) == (
        f"pre-training saw 2 test pictures; pre-training saw 1 test recording; {told}"
    )


def test_a_drive_that_nobody_knows_may_have_been_seen(tmp_path):
    tested = TESTED._replace(without_drive=4)
    past = [("P", Reads({"b": "h4"}, ("d3",)))]
    assert warning(tmp_path, past, tested=tested) == (
        "test pictures of unknown recordings may be of those that pre-training saw"
    )
    # Pictures of objects are of no drive.
    assert warning(tmp_path, [("P", Reads({"b": "h4"}))], tested=tested) == ""


def test_weights_with_the_statistics_of_an_untrained_network_are_told_of(tmp_path):
    parents = [{"source": "x.pth", "untrained_statistics": "20 of 20 batch norms are so"}]
    (tmp_path / "manifest.json").write_text(json.dumps({"data": {}, "parents": parents}))
    told = "of its weights, 20 of 20 batch norms are so"
    assert gather.leakage_warning(tmp_path).endswith(told)
    # Computed anew, they don't matter.
    provenance = {"data": {}, "parents": parents, "calibration": {"layers": 20}}
    (tmp_path / "manifest.json").write_text(json.dumps(provenance))
    assert told not in gather.leakage_warning(tmp_path)


def test_no_record_is_no_acquittal(tmp_path):
    told = "no record of whether test pictures were seen in pre-training"
    assert gather.leakage_warning(tmp_path) == told
    (tmp_path / "manifest.json").write_text('{"data": {}}')
    assert gather.leakage_warning(tmp_path) == told


def test_a_run_by_other_code_than_the_references_is_warned_of(tmp_path):
    made = plan(tmp_path)
    for number, cell in enumerate(made.cells):
        revision = ("b" if number == 1 else "a") * 40 + ("-dirty" if number == 4 else "")
        _finish(cell, revision)
    rows = gather.rows(made, "random")
    assert [made.cells[n].factors["arm"] for n in (1, 4)] == ["inpainting", "inpainting"]
    told = [row["warning"].rpartition("; ")[2] for row in rows]
    assert told[1] == f"run by other code than random ({'b' * 12}, jax 1, not {'a' * 12}, jax 1)"
    assert told[4].endswith(f"({'a' * 12} and changes, jax 1, not {'a' * 12}, jax 1)")
    assert not any("other code" in text for n, text in enumerate(told) if n not in (1, 4))
    assert rows[0]["revision"] == f"{'a' * 12}, jax 1"


def _finish(cell, revision, **scores):
    cell.workdir.mkdir(parents=True)
    split = {"size": 8, "sha256": "s"}
    provenance = {"data": {"train": split, "eval": split}, "git_revision": revision}
    provenance |= {"versions": {"jax": "1", "geoseg_jax": "0.1"}}
    (cell.workdir / "manifest.json").write_text(json.dumps(provenance))
    (cell.workdir / "eval.json").write_text(json.dumps({"miou": 0.5} | scores))
    curve = [{"step": s, "miou": s / 10, **scores} for s in (1, 2)]
    lines = [json.dumps(line) for line in (*curve, {"step": 3, "loss": 1.0})]
    (cell.workdir / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    records.write(cell.workdir, records.Record(records.DONE, 1.0, ""))


def test_every_score_reaches_the_rows_and_the_curve_is_the_metrics(tmp_path):
    made = plan(tmp_path)
    paper = {"paper_miou": 0.4, "paper_pixel_accuracy": 0.6, "miou_all_classes": 0.3}
    for cell in made.cells:
        _finish(cell, "a" * 40, **paper, category_miou=0.7, eval_images=9, **{"iou/road": None})
    rows = gather.rows(made, "random", "paper_miou")
    for row in rows:
        assert paper.items() <= row.items()
        assert (row["category_miou"], row["miou"]) == (0.7, 0.5)
        assert math.isnan(row["iou/road"])
        assert "eval_images" not in row
        assert row["curve"] == [(1, 0.4), (2, 0.4)]
    assert gather.rows(made, "random")[0]["curve"] == [(1, 0.1), (2, 0.2)]


def test_a_metric_that_no_run_has(tmp_path):
    made = plan(tmp_path)
    _finish(made.cells[0], "a" * 40, paper_pixel_accuracy=0.5)
    with pytest.raises(ValueError, match=r"eval\.json, which has miou, paper_pixel_accuracy;"):
        gather.rows(made, "random", "pixel_accuracy")


def test_what_a_cell_started_from(tmp_path):
    starts = {r["arm"]: r["start"] for r in gather.rows(plan(tmp_path), "random")}
    assert starts["random"] == ""
    assert starts["inpainting"].startswith("inpainting-tiny")
