"""Trackers: what each holds afterwards, read from its files; one that fails or is missing."""

import importlib.util
import json
import struct
import sys
import time
import types

import jax
import numpy as np
import pytest

from geoseg_jax.config.check import check
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training import loop, trackers, writers
from geoseg_jax.training.monitor import TrainingError
from tests import tiny

TRAINED = {"loss": 1.5, "learning_rate": 0.1, "data_wait_share": 0.25, "bad_frames": 2}
JUDGED = {"miou": 0.5, "iou/road": float("nan"), "iou/bush+tree": 0.25}
HPARAMS = {"train.steps": 3, "model.encoder": "tiny"}


def write(names, workdir, starts=(0, 2)):
    """A run of two starts at these tools; returns what was said."""
    said = []
    for step in starts:
        for writer in trackers.open_all(names, workdir, step, said.append):
            if not step:
                writer.write_hparams(HPARAMS)
            writer.write_scalars(step + 1, TRAINED)
            writer.write_scalars(step + 1, JUDGED)
            writer.write_images(step + 1, {"input": np.full((2, 8, 6, 3), 9, np.uint8)})
            writer.close()
    return said


def events(file):
    """The events in a file: each is its length, a checksum, itself and a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    content = file.read_bytes()
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + size])
        content = content[16 + size :]


def test_tensorboard_has_groups_and_hyper_parameters(tmp_path):
    (said,) = write(["tensorboard"], tmp_path, starts=[0])
    assert said.startswith(f"tensorboard: tensorboard --logdir {tmp_path}")
    found = [e for file in sorted(tmp_path.glob("events.*")) for e in events(file)]
    values = [(e.step, v.tag, v) for e in found for v in e.summary.value]
    first = {tag: v for step, tag, v in values if step == 1}
    assert set(first) == {
        *("train/loss", "train/learning_rate", "data/data_wait_share", "data/bad_frames"),
        *("eval/miou", "eval/iou/road", "eval/iou/bush_tree", "eval/input"),
    }
    assert first["train/loss"].simple_value == 1.5
    assert first["eval/miou"].simple_value == 0.5
    (start,) = [v for _, tag, v in values if tag.endswith("session_start_info")]  # once
    assert b"model.encoder" in start.metadata.plugin_data.content


def leveldb_records(content):
    """The records of a log in LevelDB's format, after wandb's own seven bytes: blocks of 32 KiB, in
    which each piece of a record has a checksum, its length and whether more of it follows.
    """
    at, record = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # the rest of a block, too small for a piece
            at += 32768 - at % 32768
            continue
        size, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        record += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield record
            record = b""


def test_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs the extra 'wandb'")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    said = write(["wandb"], tmp_path, starts=[0])
    (run_id,) = json.loads((tmp_path / "trackers.json").read_text()).values()
    assert said == [f"wandb: offline, wandb sync {tmp_path}/wandb/offline-run-*-{run_id}"]
    history, config = {}, {}
    (file,) = tmp_path.glob(f"wandb/offline-run-*/run-{run_id}.wandb")
    records, deadline = [], time.monotonic() + 60
    while not any(record.HasField("exit") for record in records):  # its service writes by itself
        assert time.monotonic() < deadline
        records = [Record.FromString(record) for record in leveldb_records(file.read_bytes())]
    for record in records:
        history |= {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
        config |= {i.key: i.value_json for i in record.config.update}
    assert history["_step"] == "1"
    assert float(history["train/loss"]) == 1.5
    assert float(history["eval/miou"]) == 0.5
    assert history["eval/input/count"] == "2"
    assert json.loads(config["train.steps"]) == 3


def test_mlflow_in_a_local_folder(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(None)
    (said, _) = write(["mlflow"], tmp_path)
    (run_id,) = json.loads((tmp_path / "trackers.json").read_text()).values()
    assert said == f"mlflow: mlflow ui --backend-store-uri file://{tmp_path}/store, run {run_id}"
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.steps": "3", "model.encoder": "tiny"}
    assert [m.step for m in client.get_metric_history(run_id, "train/loss")] == [1, 3]
    assert run.data.metrics["data/bad_frames"] == 2
    assert run.data.metrics["eval/iou/bush_tree"] == 0.25
    assert [f.path for f in client.list_artifacts(run_id, "pictures")] == [
        "pictures/00000001.png",
        "pictures/00000003.png",
    ]
    (writer,) = trackers.open_all(["mlflow"], tmp_path, 3, print)
    assert client.get_run(run_id).info.status == "RUNNING"
    writer.fail()
    assert client.get_run(run_id).info.status == "FAILED"


def test_clus_writer_is_opened_where_tensorflow_is(tmp_path, monkeypatch):
    """A stand-in: TensorFlow is not among what the tests need."""
    seen = []

    class SummaryWriter(writers.SilentWriter):
        def __init__(self, folder):
            seen.append(folder)

        def write_scalars(self, step, scalars):
            seen.append((step, scalars))

    module = types.ModuleType("clu.metric_writers")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "clu.metric_writers", module)
    monkeypatch.setattr(sys.modules["clu"], "metric_writers", module, raising=False)
    (writer,) = trackers.open_all(["clu"], tmp_path, 0, print)
    writer.write_scalars(1, JUDGED)
    assert seen[0] == str(tmp_path)
    assert seen[1][1]["eval/miou"] == 0.5


@pytest.mark.parametrize("name", ["wandb", "mlflow", "clu"])
def test_a_missing_package_is_one_line_at_the_start(name, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    missing = trackers.TOOLS[name].modules[0]
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == missing else find(n))
    config, data = tiny.make_config(train__writers=(name,)), tiny.make_data()
    with pytest.raises(ConfigError, match=rf"{name}' needs {missing}, .* pip install") as error:
        loop.run(config, tmp_path / "w", tiny.TinyTask(), data)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [(("wandbb",), "did you mean 'wandb'"), (("tensorboard", "clu"), "the same events")],
)
def test_writers_that_can_not_be(chosen, message):
    with pytest.raises(ConfigError, match=rf"config.train.writers=.*{message}"):
        check(tiny.make_config(train__writers=chosen), skip=("task", "model", "data"))


class Failing(writers.SilentWriter):
    def write_scalars(self, step, scalars):
        raise ConnectionError("no answer\nfrom the server")


def test_a_run_outlives_a_tool_that_fails(tmp_path, monkeypatch, capsys):
    tool = trackers.Tool(("json",), "", lambda *_: trackers.Opened(Failing(), "nowhere"))
    monkeypatch.setitem(trackers.TOOLS, "mlflow", tool)
    config = tiny.make_config(train__steps=4, train__writers=("mlflow", "tensorboard"))
    one = jax.devices()[:1]
    result = loop.run(config, tmp_path, tiny.TinyTask(holds=()), tiny.make_data(), one)
    assert result.step == 4
    said = capsys.readouterr().out
    assert said.count("mlflow is written to no more") == 1
    assert "ConnectionError: no answer from the server" in said
    assert list(tmp_path.glob("events.*"))


def test_a_tool_is_told_that_an_error_has_ended_the_run(tmp_path, monkeypatch):
    told = []

    class Told(writers.SilentWriter):
        def fail(self):
            told.append("failed")

        def close(self):
            told.append("closed")

    tool = trackers.Tool(("json",), "", lambda *_: trackers.Opened(Told(), "nowhere"))
    monkeypatch.setitem(trackers.TOOLS, "mlflow", tool)
    config = tiny.make_config(train__steps=4, train__writers=("mlflow",))
    poisoned = tiny.TinyTask(poison=3, holds=())
    one = jax.devices()[:1]
    with pytest.raises(TrainingError):
        loop.run(config, tmp_path, poisoned, tiny.make_data(), one)
    assert told == ["failed"]


def test_a_tool_that_can_not_be_opened_is_one_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no key\nconfigured")

    monkeypatch.setitem(trackers.TOOLS, "wandb", trackers.Tool(("json",), "", refuse))
    with pytest.raises(ConfigError, match=r"wandb can't be opened \(RuntimeError: no key conf"):
        trackers.open_all(["wandb"], tmp_path, 0, print)
    said = []  # a run that goes on does so without it, in the same run there the next time
    (tmp_path / "trackers.json").write_text('{"wandb": "x1"}')
    (writer,) = trackers.open_all(["wandb", "tensorboard"], tmp_path, 4, said.append)
    writer.write_scalars(5, TRAINED)
    assert said[0].startswith("wandb can't be opened (RuntimeError: no key configured): it is not")
    assert json.loads((tmp_path / "trackers.json").read_text()) == {"wandb": "x1"}
