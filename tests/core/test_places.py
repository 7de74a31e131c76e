import pathlib

import pytest

from geoseg_jax.core.places import check_local
from geoseg_jax.core.setting import ConfigError


@pytest.mark.parametrize("given", ["gs://b/run", "s3://b", "https://h/x", pathlib.Path("gs://b")])
def test_an_address_is_no_folder(given):
    with pytest.raises(ConfigError, match=r"--workdir=.* is an address.*mount"):
        check_local(given, "--workdir")


@pytest.mark.parametrize("given", ["runs/a", "/runs/a:b", "C:/runs", "~/x", pathlib.Path("a")])
def test_folders_pass(given):
    check_local(given, "--workdir")
