import pathlib

import pytest

from geoseg_jax import labels, prepare, score, weights
from geoseg_jax.config import files
from geoseg_jax.config.check import check
from geoseg_jax.core import places
from geoseg_jax.core.places import check_local
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.interop import reading
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.prediction import networks, run
from geoseg_jax.probing import sources


@pytest.mark.parametrize("given", ["gs://b/run", "s3://b", "https://h/x", pathlib.Path("gs://b")])
def test_an_address_is_no_folder(given):
    with pytest.raises(ConfigError, match=r"--workdir=\w+://.* is an address.*mount"):
        check_local(given, "--workdir")


AT = "gs://bucket/x"


@pytest.mark.parametrize(
    ("main", "arguments", "named"),
    [
        (labels.main, [AT, "--out=o"], "SOURCE"),
        (labels.main, [".", f"--out={AT}"], "--out"),
        (score.main, [AT, "."], "PREDICTIONS"),
        (score.main, [".", AT], "LABELS"),
        (weights.main, [AT, "--out=o"], "SOURCE"),
        (weights.main, [".", f"--out={AT}"], "--out"),
        (prepare.main, ["configs/depth_kitti.py:mono", f"--out={AT}"], "--out"),
        (
            prepare.main,
            ["configs/depth_kitti.py:mono", "--set", f"root={AT}", "--out=o"],
            "config.data.root",
        ),
    ],
)
def test_commands_name_what_may_not_be_an_address(
    main, arguments, named, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {named}={AT} is an address")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_library_and_settings_name_it_too():
    for load in (networks.load_encoder, networks.load_segmenter, networks.load_depth):
        with pytest.raises(ConfigError, match=f"={AT} is an address"):
            load(AT)
    with pytest.raises(ConfigError, match=f"--encoders={AT} is an address"):
        sources.load([f"mine={AT}"])
    config = files.load("configs/quickstart.py")
    with config.unlocked():
        config.init_from = AT
    with pytest.raises(ConfigError, match=f"config.init_from={AT} is an address"):
        check(config)


@pytest.mark.parametrize("given", ["runs/a", "/runs/a:b", "C:/runs", "~/x", pathlib.Path("a")])
def test_folders_pass(given):
    check_local(given, "--workdir")


def test_a_study_in_place_of_a_run_is_told(tmp_path):
    assert places.runs_inside(tmp_path) == ""
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no run: .*; it holds a study: .*/pretraining/NAME"):
        run.read_config(tmp_path)
    with pytest.raises(WeightsError, match="it holds a study"):
        reading.read_weights(tmp_path)
