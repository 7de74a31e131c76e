"""What a finished cell tells of the data that it and its pre-training have seen."""

import json

import pytest

from geoseg_jax.data.reads import FILE, Reads, RunReads
from geoseg_jax.study import gather

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
        ([("P", Reads({"b": "h4"}, ("d1",)))], "pre-training saw 1 test drive"),
        (
            [("P", Reads(known=False))],
            "what its weights from elsewhere were trained on is not recorded",
        ),
    ],
)
def test_what_pretraining_has_seen(tmp_path, past, told):
    assert warning(tmp_path, past) == told


def test_what_every_arm_has_seen_is_told_apart(tmp_path):
    own = Reads({"a": "h3"}, ("d1", "d2"))
    told = "labels of training, in every arm, are of 1 test drive"
    assert warning(tmp_path, own=own) == told
    past = [("P", Reads({"b": "h1", "c": "h2"}, ("d1",)))]
    assert warning(tmp_path, past, own) == (
        f"pre-training saw 2 test pictures; pre-training saw 1 test drive; {told}"
    )


def test_a_drive_that_nobody_knows_may_have_been_seen(tmp_path):
    tested = TESTED._replace(without_drive=4)
    past = [("P", Reads({"b": "h4"}, ("d3",)))]
    assert warning(tmp_path, past, tested=tested) == (
        "the drive of 4 test pictures is unknown, which pre-training may have seen"
    )
    # Pictures of objects are of no drive.
    assert warning(tmp_path, [("P", Reads({"b": "h4"}))], tested=tested) == ""


def test_no_record_is_no_acquittal(tmp_path):
    told = "not recorded whether test pictures were seen before"
    assert gather.leakage_warning(tmp_path) == told
    (tmp_path / "manifest.json").write_text('{"data": {}}')
    assert gather.leakage_warning(tmp_path) == told
