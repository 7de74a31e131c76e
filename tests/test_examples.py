"""The examples run as their texts say: found by entry points, in a run and in a study.

Nothing is installed: what an installation would write down lies on the path instead.
"""

import json
import pathlib
import sys
import tomllib

import jax
import pytest
from ml_collections import ConfigDict

from geoseg_jax.config import files
from geoseg_jax.config.check import check
from geoseg_jax.core.plugins import Registry
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.readers import READERS
from geoseg_jax.data.source import DataError
from geoseg_jax.study.plan import make_plan
from geoseg_jax.tasks import TASKS
from geoseg_jax.training import loop
from tests.data import fabricate_labels
from tests.study.tiny_study import study

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


def install(path: pathlib.Path, name: str, version: str, points: dict) -> None:
    """Writes what pip leaves of a package in site-packages, its code excepted."""
    info = path / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[{group}]\n{k} = {v}\n" for group, ps in points.items() for k, v in ps.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """All examples, by what their pyproject.toml declares; they are forgotten afterwards."""
    before = set(sys.modules)
    for file in sorted(EXAMPLES.glob("*/pyproject.toml")):
        project = tomllib.loads(file.read_text())["project"]
        install(tmp_path, project["name"], project["version"], project["entry-points"])
        monkeypatch.syspath_prepend(file.parent)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in set(sys.modules) - before:
        if str(EXAMPLES) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def root(tmp_path):
    """Four pictures to train on and two to judge, as the reader's example wants them."""
    lines = []
    for number in range(6):
        picture, label = f"pictures/{number}.png", f"labels/{number}.png"
        fabricate_labels.write_pair(
            tmp_path / "set" / picture, tmp_path / "set" / label, range(11), number
        )
        lines.append(f"{'train' if number < 4 else 'val'},{picture},{label}")
    (tmp_path / "set/pictures.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "set"


def csv_settings(root):
    splits = {"train_split": "train", "eval_split": "val"}
    return {"name": "csv", "root": str(root), "classes": "camvid11"} | splits


def test_a_run_trains_a_task_of_elsewhere_by_a_reader_of_elsewhere(installed, root, tmp_path):
    config = files.load(f"{EXAMPLES}/task_colourisation/colourise_synthetic.py:smoke")
    config.data = ConfigDict(csv_settings(root) | {"height": 32, "width": 32, "truth": "none"})
    config.model.update({"encoder": "tiny", "decoder_channels": (4, 4, 8, 8, 8)})
    config.train.update({"steps": 2, "batch_size": 2, "eval_batch_size": 2, "log_every": 1})
    config.train.update({"eval_every": 0, "checkpoint_every": 0, "pictures_every": 0})
    loop.run(config, tmp_path / "w", devices=jax.devices()[:1])
    numbers = json.loads((tmp_path / "w/eval.json").read_text())
    assert numbers["eval_images"] == 2
    assert 0 < numbers["l1_constant"] < numbers["l1"] < 1  # after two steps


def test_a_reader_of_elsewhere_has_few_labels_too(installed, root):
    config = files.load("configs/segment_folder.py:resolution=32x32,labels=2")
    config.data.update(csv_settings(root))
    check(config)
    data = make_data(config)
    assert data.train.names == ["pictures/0.png", "pictures/1.png"]
    assert data.eval.names == ["pictures/4.png", "pictures/5.png"]
    config.data.root = "/nowhere"
    with pytest.raises(DataError, match=r"root='/nowhere' is not there; .*SPLIT,PICTURE,LABEL"):
        make_data(config)


def test_a_study_takes_both(installed, root, tmp_path):
    arm = {"name": "colours", "config": f"{EXAMPLES}/task_colourisation/colourise_synthetic.py"}
    data = csv_settings(root) | {"scale": ()}
    made = study(
        arms=({"name": "random"}, arm),
        target={"config": "configs/segment_folder.py", "set": {"data": data}},
        factors=study()["factors"] | {"labels": (2, 4)},
    )
    plan = make_plan(made, tmp_path)
    assert {job.config.task.name for job in plan.pretrainings} == {"colourisation"}
    assert {cell.config.data.name for cell in plan.cells} == {"csv"}
    for job in (*plan.pretrainings, *plan.cells):
        check(job.config)


def test_registries_hold_what_is_installed_and_no_more(installed):
    assert "csv" in READERS
    assert "colourisation" in TASKS
    assert list(READERS)[-1] == "csv"
    assert len(READERS) == len(list(READERS))


def test_without_an_installation_there_is_no_such_name():
    assert "csv" not in READERS
    assert "colourisation" not in TASKS


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ({"ours": "json:dumps"}, "ours = 'json:dumps' of test.group: that name is taken"),
        ({"new": "no_such_module:X"}, "new = 'no_such_module:X' of test.group can't be loaded"),
        ({"new": "json:no_such_name"}, "correct or uninstall the package"),
    ],
)
def test_what_is_declared_wrongly_is_named(points, said, tmp_path, monkeypatch):
    install(tmp_path, "other", "1.0", {"test.group": points})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=said):
        dict(Registry("test.group", {"ours": 1}))
