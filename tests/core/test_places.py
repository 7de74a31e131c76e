import pathlib

import pytest

from geoseg_jax.core import places
from geoseg_jax.core.places import check_local
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.interop import reading
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.prediction import run


@pytest.mark.parametrize("given", ["gs://b/run", "s3://b", "https://h/x", pathlib.Path("gs://b")])
def test_an_address_is_no_folder(given):
    with pytest.raises(ConfigError, match=r"--workdir=.* is an address.*mount"):
        check_local(given, "--workdir")


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
