"""Predictions of a checkpoint: files at the pictures' own size that score as the evaluation did."""

import json

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import predict, score
from geoseg_jax.config import settings
from geoseg_jax.core import json_files
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.prediction import run
from geoseg_jax.tasks import make_task
from geoseg_jax.training import checkpoints
from geoseg_jax.training.state import TrainState
from tests.data.fabricate import picture
from tests.test_configs import get_config

RECORDING = {"train": "0006R0", "val": "0016E5"}
# The pictures' own sizes; the network sees 32x32.
SIZES = [(40, 56), (45, 50), (40, 56), (33, 70), (40, 56)]


def make_camvid(root):
    """Pictures and labels in CamVid's layout."""
    for split, count in (("train", 2), ("val", len(SIZES))):
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for i, size in enumerate(SIZES[:count]):
            name = f"{RECORDING[split]}_{i:06d}.png"
            cv2.imwrite(str(root / split / name), picture(i, *size))
            labels = np.random.default_rng(i).integers(0, 12, size).astype(np.uint8)
            cv2.imwrite(str(root / f"{split}annot" / name), labels)
    return root


def random_variables(task, batch, seed):
    """Without compiling the initialisation; statistics are positive, as variances must be."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(task.init, jax.random.key(0), batch)

    def draw(shape):
        return jnp.asarray(generator.normal(0, 0.3, shape.shape), shape.dtype)

    variables = jax.tree.map(draw, shapes)
    return variables | {"batch_stats": jax.tree.map(jnp.abs, variables["batch_stats"])}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


def make_run(folder):
    """A run of a tiny network that was never trained, with checkpoints 3 (the best) and 5."""
    config = get_config("segment_camvid", "encoder=tiny,decoder=linear,resolution=32x32")
    config.data.root = str(make_camvid(folder / "data"))
    config.model.probe_stages = (4, 8)
    task = make_task(config, make_data(config))
    batch = {"image": jnp.zeros((1, 32, 32, 3), jnp.uint8)}
    manager = checkpoints.Checkpoints(folder / "run" / "checkpoints")
    best = {"step": 3, "value": 0.5}
    for step in (3, 5):
        variables = random_variables(task, batch, seed=step)
        state = TrainState(jnp.asarray(step), **variables, opt_state={"count": jnp.zeros(())})
        meta = {"config": settings.plain(config), "data": "", "best": best}
        manager.save(step, state, meta, best=3)
    manager.close()
    json_files.write_json(folder / "run" / "config.json", settings.plain(config))
    return folder / "run"


@pytest.fixture(scope="module")
def predicted(workdir, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert predict.predict(workdir, out, batch_size=2, say=lambda text: None) == len(SIZES)
    return out


def labels_in(folder):
    paths = sorted((folder / "labels").rglob("*.png"))
    return {path.stem: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths}


def test_files_have_the_pictures_own_size(predicted):
    found = labels_in(predicted)
    assert [array.shape for array in found.values()] == SIZES
    assert all(array.dtype == np.uint8 and array.max() < 11 for array in found.values())
    assert len({int(i) for array in found.values() for i in np.unique(array)}) > 1
    colours = cv2.imread(str(predicted / "colour" / "0016E5_000001.png"))[..., ::-1]
    table = label_table("camvid")
    np.testing.assert_array_equal(colours, np.array(table.palette)[found["0016E5_000001"]])


def test_what_they_were_made_with(predicted, workdir):
    papers = json.loads((predicted / "predictions.json").read_text())
    assert papers["step"] == 5
    assert papers["pictures"] == len(SIZES)
    assert papers["labels"] == "camvid11"
    assert len(papers["parameters_sha256"]) == 64
    assert papers["workdir"] == str(workdir)


def test_labels_that_are_no_predictions_are_left_as_they_are(workdir, tmp_path, capsys):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0016E5_000000.png").write_bytes(b"drawn by hand")
    assert predict.main(["--workdir", str(workdir), "--out", str(tmp_path)]) == 1
    assert "its labels/ holds files that are no predictions" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["labels", "0016E5_000000.png"]
    (tmp_path / run.BEGUN).touch()  # of one that was killed
    assert predict.main(["--workdir", str(workdir), "--out", str(tmp_path)]) == 0
    assert len(labels_in(tmp_path)) == len(SIZES)
    assert not (tmp_path / run.BEGUN).exists()


def test_files_score_as_the_evaluation_did(predicted, workdir):
    config = run.read_config(workdir)
    data = make_data(config)
    task = make_task(config, data)
    variables = checkpoints.read_variables(workdir / "checkpoints" / "5")
    batch = next(iter(pipeline.eval_batches(data.eval, batch_size=len(SIZES))))
    sums = jax.jit(task.evaluate)(variables, batch)
    evaluation = task.summarise({name: np.asarray(value) for name, value in sums.items()})
    scored = score.score_folders(
        predicted / "labels", workdir.parent / "data" / "valannot", data.eval.table
    )
    common = {name: evaluation[name] for name in scored.numbers}
    assert scored.numbers == pytest.approx(common, abs=1e-12, nan_ok=True)
    assert 0 < scored.numbers["pixel_accuracy"] < 0.5


def test_pictures_of_ones_own(predicted, workdir, tmp_path):
    """A folder of the same pictures gives the same labels, without the run's data."""
    pictures = workdir.parent / "data" / "val"
    out = tmp_path / "out"
    arguments = ["--workdir", str(workdir), "--out", str(out), "--images", str(pictures)]
    assert predict.main([*arguments, "--root", "/nowhere", "--batch_size=2"]) == 0
    ours = labels_in(out)
    assert ours.keys() == labels_in(predicted).keys()
    for name, array in labels_in(predicted).items():
        np.testing.assert_array_equal(ours[name], array)


def test_a_split_and_the_best_step(workdir, tmp_path):
    predict.predict(workdir, tmp_path, split="train", step="best", say=lambda text: None)
    papers = json.loads((tmp_path / "predictions.json").read_text())
    assert (papers["step"], papers["of"], papers["pictures"]) == (3, "train split", 2)
    # Labels to train on are as small as the network's pictures; predictions are not.
    assert [array.shape for array in labels_in(tmp_path).values()] == SIZES[:2]
    chosen = checkpoints.choose(workdir, "3", "--step=3")
    assert chosen == workdir / "checkpoints" / "3"


def no_run(folder, workdir):
    return ["--workdir", str(folder)], "holds no run"


def no_checkpoint(folder, workdir):
    (folder / "config.json").write_text((workdir / "config.json").read_text())
    return ["--workdir", str(folder)], "no checkpoint yet"


def no_such_step(folder, workdir):
    return ["--workdir", str(workdir), "--step=4"], "choose latest, 3, 5"


def no_pictures(folder, workdir):
    return ["--workdir", str(workdir), "--images", str(folder)], "no picture in it"


def no_folder(folder, workdir):
    return ["--workdir", str(workdir), "--images", str(folder / "none")], "no such folder"


def two_of_one_name(folder, workdir):
    for ending in ("jpg", "png"):
        cv2.imwrite(str(folder / f"a.{ending}"), picture(0))
    return ["--workdir", str(workdir), "--images", str(folder)], "a.jpg and a.png"


def cut_short(folder, workdir):
    cv2.imwrite(str(folder / "a.png"), picture(0))
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:200])
    return ["--workdir", str(workdir), "--images", str(folder)], "cut short"


def no_data(folder, workdir):
    return ["--workdir", str(workdir), "--root", str(folder / "none")], "is not there"


def another_task(folder, workdir):
    content = json.loads((workdir / "config.json").read_text())
    other = settings.plain(get_config("reconstruct_kitti", "tiny"))
    content |= {name: other[name] for name in ("task", "model", "transfer")}
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "checkpoints").symlink_to(workdir / "checkpoints")
    return ["--workdir", str(folder)], "config.task.name='reconstruction' predicts nothing"


def no_batch(folder, workdir):
    return ["--workdir", str(workdir), "--batch_size=0"], "--batch_size=0 must be at least 1"


BAD = [no_run, no_checkpoint, no_such_step, no_pictures, no_folder, two_of_one_name, cut_short]
BAD += [no_data, another_task, no_batch]


@pytest.mark.parametrize("make", BAD)
def test_bad_input(workdir, tmp_path, capsys, make):
    (tmp_path / "in").mkdir()
    arguments, part = make(tmp_path / "in", workdir)
    assert predict.main([*arguments, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert part in error
    assert not (tmp_path / "out" / "predictions.json").exists()
