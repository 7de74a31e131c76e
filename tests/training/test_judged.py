"""Pictures one by one: each once for every batch size and device count, and by their recordings."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from geoseg_jax.data import pipeline
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.data.source import DataError
from geoseg_jax.training import judged, sharding, steps
from geoseg_jax.training.evaluation import evaluate

DRIVES = ("2011_09_26_drive_0005_sync", "2011_09_26_drive_0005", "", None, "b", "b", "b")


class Pictures:
    """Seven records; that of record i is a matrix full of i + 1."""

    table = label_table("synthetic_street")

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return {"category": np.int32(index + 1)}

    def describe(self, index):
        return f"picture {index}"

    def drive(self, index):
        return DRIVES[index]


def _evaluate(variables, batch):
    del variables
    rows = jnp.broadcast_to(batch["category"][:, None, None], (len(batch["category"]), 2, 2))
    kept = jnp.where(batch["mask"], batch["id"], -1)
    total = jnp.sum(jnp.where(batch["mask"], batch["category"], 0))
    return {"sum": total, "each/confusion": rows, "each/id": kept}


def _keep(folder, count, recordings=None):
    """The file of a run that was judged on so many pictures, and its mIoU."""
    matrices = np.random.default_rng(0).integers(0, 90, (count, 2, 2)) + 60 * np.eye(2, dtype=int)
    names = [f"picture {i}" for i in range(count)]
    arrays = {"pictures": names, "recordings": recordings or [""] * count}
    with open(folder / judged.FILE, "wb") as file:
        np.savez(file, matrices=matrices, classes=np.arange(2), **arrays)
    return matrices, _miou(matrices.sum(0))


def _miou(m):
    return np.mean(np.diag(m) / (m.sum(0) + m.sum(1) - np.diag(m)))


def test_few_pictures_come_with_the_interval_of_scipys_bootstrap(tmp_path):
    matrices, miou = _keep(tmp_path, 12)
    found = judged.few(tmp_path, miou)
    error = scipy.stats.bootstrap(
        (np.arange(12),),
        lambda i: _miou(matrices[i].sum(0)),
        vectorized=False,
        n_resamples=4000,
        rng=np.random.default_rng(1),
        method="basic",
    ).standard_error
    half = scipy.stats.t.ppf(0.975, 11) * error * np.sqrt(12 / 11)
    assert found["judged_pictures"] == 12
    assert (found["miou_low"] + found["miou_high"]) / 2 == pytest.approx(miou)
    assert found["miou_high"] - miou == pytest.approx(half, rel=0.08)
    line = judged.warn_of_few(found, miou, folds=5)
    assert line.startswith(f"only 12 pictures judged: mIoU {100 * miou:.1f} % (95 % interval over")
    assert line.endswith("label more, or let each judge once: config.data.fold=0 to 4, or a study")
    assert judged.warn_of_few(found, miou, folds=0).endswith("; label more")


def test_many_pictures_need_no_warning_and_few_recordings_allow_no_interval(tmp_path):
    assert judged.few(tmp_path, 0.5) == {}
    _, miou = _keep(tmp_path, 50)
    assert judged.few(tmp_path, miou) == {}
    assert judged.warn_of_few({}, miou, 5) == ""
    _, miou = _keep(tmp_path, 12, ["a", "b", "c"] * 4)
    found = judged.few(tmp_path, miou)
    assert np.isnan(found["miou_low"])
    assert "too few, or of too few recordings, for an" in judged.warn_of_few(found, miou, 0)


@pytest.mark.parametrize(("batch_size", "devices"), [(1, 1), (3, 3), (3, 1), (8, 4), (16, 8)])
def test_every_picture_once_in_its_order(tmp_path, batch_size, devices):
    mesh = sharding.make_mesh(jax.devices()[:devices])
    batches = pipeline.eval_batches(Pictures(), batch_size=batch_size)
    no_stop = steps.stop_flags(0, mesh)
    step = steps.make_eval_step(SimpleNamespace(evaluate=_evaluate), mesh)
    totals = evaluate(step, {}, batches, mesh, lambda: no_stop, print)
    assert totals["sum"] == 28
    judged.keep(tmp_path, totals, Pictures())
    found = judged.read(tmp_path)
    assert found.pictures.tolist() == [f"picture {i}" for i in range(7)]
    assert found.matrices[:, 1, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    drive = "2011_09_26_drive_0005"
    assert found.recordings.tolist() == [drive, drive, "", "picture 3", "b", "b", "b"]
    assert found.classes.tolist() == list(range(len(Pictures.table.classes)))
    assert [path.name for path in tmp_path.iterdir()] == [judged.FILE]


@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 5], [0, 1, 2, 3, 4, 6, -1]])
def test_a_picture_that_is_missing_or_there_twice(tmp_path, ids):
    totals = {"each/id": np.array(ids), "each/confusion": np.zeros((len(ids), 2, 2), int)}
    with pytest.raises(ValueError, match="expected 7 pictures, each judged once"):
        judged.keep(tmp_path, totals, Pictures())
    assert judged.read(tmp_path) is None


def test_other_tasks_keep_nothing(tmp_path):
    judged.keep(tmp_path, {"images": 7}, Pictures())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no such thing", b"PK\x03\x04 cut off"])
def test_a_file_that_is_broken(tmp_path, content):
    (tmp_path / judged.FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"judged\.npz: it can't be read"):
        judged.read(tmp_path)
