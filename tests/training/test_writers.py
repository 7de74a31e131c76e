"""Lines, pictures and events of a run."""

import json

import cv2
import numpy as np
import pytest

from geoseg_jax.core.json_files import FileError
from geoseg_jax.training import writers


def test_json_lines(tmp_path):
    writer = writers.JsonLinesWriter(tmp_path / "m.jsonl")
    writer.write_scalars(3, {"loss": 0.1, "images": 7, "bad": float("nan")})
    writer.close()
    assert json.loads((tmp_path / "m.jsonl").read_text()) == {
        "step": 3,
        "loss": 0.1,
        "images": 7,
        "bad": None,
    }


def test_truncation_drops_what_is_done_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    train = [json.dumps({"step": s, "learning_rate": 1.0}) for s in (2, 4, 6)]
    evaluation = json.dumps({"step": 4, "abs_rel": 0.5})
    path.write_text("\n".join([train[0], train[1], evaluation, train[2], '{"step": 8, "lo']))
    writers.truncate_metrics(tmp_path, 4)
    assert path.read_text().splitlines() == [train[0], train[1], evaluation]
    writers.truncate_metrics(tmp_path, 4, evaluation_due=True)
    assert path.read_text() == f"{train[0]}\n{train[1]}\n"
    writers.truncate_metrics(tmp_path, 0)
    assert path.read_text() == ""
    writers.truncate_metrics(tmp_path / "missing", 4)
    path.write_text(f"{train[0]}\n[]\n{train[1]}\n")
    with pytest.raises(FileError, match=r"metrics.jsonl is damaged: line 2 .* is no JSON object"):
        writers.truncate_metrics(tmp_path, 4)


def test_pictures_are_rgb_and_side_by_side(tmp_path):
    red = np.zeros((2, 5, 6, 3), np.uint8)
    red[..., 0] = 255
    green = np.zeros((2, 4, 3, 3), np.uint8)
    green[..., 1] = 255
    writers.PictureWriter(tmp_path).write_images(7, {"red": red, "green": green})
    assert [p.name for p in tmp_path.iterdir()] == ["00000007.png"]
    page = cv2.cvtColor(cv2.imread(str(tmp_path / "00000007.png")), cv2.COLOR_BGR2RGB)
    assert page.shape == (18 + 2 * (5 + 4), 6 + 4 + 3 + 4, 3)
    np.testing.assert_array_equal(page[18:23, :6], red[0])
    np.testing.assert_array_equal(page[18 + 9 : 18 + 13, 10:13], green[1])


def test_what_is_said_once_does_not_make_the_rows_higher():
    rows, once = np.zeros((3, 5, 6, 3), np.uint8), np.full((1, 12, 2, 3), 7, np.uint8)
    page = writers.sheet({"rows": rows, "once": once})
    assert page.shape == (18 + 3 * (5 + 4), 6 + 4 + 2 + 4, 3)
    np.testing.assert_array_equal(page[18:30, 10:12], once[0])
    assert (page[30:, 10:12] == 255).all()
    np.testing.assert_array_equal(page[18 + 2 * 9 : 18 + 2 * 9 + 5, :6], rows[2])
    # It may be higher than all of them.
    assert writers.sheet({"rows": rows[:2], "once": once.repeat(3, 1)}).shape[0] == 18 + 36 + 4


def test_several_writers_and_event_files(tmp_path):
    class Noting(writers.SilentWriter):
        def __init__(self):
            self.seen = []

        def write_scalars(self, step, scalars):
            self.seen.append((step, scalars))

    noting = Noting()
    writer = writers.MultiWriter([noting, writers.TensorBoardWriter(tmp_path), noting])
    writer.write_scalars(1, {"loss": 2.0})
    writer.write_images(1, {"a": np.zeros((1, 2, 2, 3), np.uint8)})
    writer.close()
    assert noting.seen == [(1, {"loss": 2.0})] * 2
    events = list(tmp_path.glob("events.out.tfevents.*"))
    assert len(events) == 1
    assert b"loss" in events[0].read_bytes()


def test_numbers_that_json_holds():
    given = {"a": 1.5, "b": float("nan"), "c": float("-inf"), "d": 7, "e": np.float32(0.5)}
    held = writers.finite(given)
    assert held == {"a": 1.5, "b": None, "c": None, "d": 7, "e": 0.5}
    # What a run that goes on has read back.
    assert writers.finite(held) == held


def test_terminal_line_of_an_evaluation_leaves_the_single_classes_out():
    scalars = {"miou": 0.5, "iou/road": 0.9, "iou/sky": None, "pixel_accuracy": None}
    line = writers.describe(50, 1000, scalars)
    assert line == "step   50/1000  evaluation: miou 0.5  pixel_accuracy nan"


def test_terminal_line():
    scalars = {
        "loss": 0.25,
        "examples_per_second": 12.34,
        "seconds_left": 200.0,
        "data_wait_share": 0.05,
        "bad_frames": 2,
    }
    assert writers.describe(50, 1000, scalars) == (
        "step   50/1000  loss 0.25000  12.3 examples/s  3 min 20 s left  waiting for data 5 %"
        "  2 unreadable frames replaced"
    )
    assert writers.describe(50, 1000, {"abs_rel": 0.12345}).endswith("evaluation: abs_rel 0.1235")
