"""Where compiled programs are kept: nothing is compiled here."""

import pathlib

import jax
import pytest

from geoseg_jax.training.compile_cache import SETTING, keep_compiled

NAMES = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """The environment of a user without settings, whose cache folder is tmp_path."""
    before = {name: getattr(jax.config, name) for name in NAMES}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in (SETTING, *map(str.upper, NAMES)):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_users_cache_folder_of_a_bounded_size(settings, tmp_path):
    line = keep_compiled()
    folder = tmp_path / "geoseg_jax" / "compiled"
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert jax.config.jax_compilation_cache_max_size == 2 * 2**30
    assert str(folder) in line
    assert SETTING in line
    assert not folder.exists()  # not before there is something to keep


@pytest.mark.parametrize(
    ("given", "said"), [("", "not kept"), ("/elsewhere", "kept in /elsewhere")]
)
def test_the_users_own_setting_stays(settings, given, said):
    settings.setenv(SETTING, given)
    before = [getattr(jax.config, name) for name in NAMES]
    assert said in keep_compiled()
    assert [getattr(jax.config, name) for name in NAMES] == before


def test_the_users_own_limit_stays(settings):
    settings.setenv("JAX_COMPILATION_CACHE_MAX_SIZE", "1000")
    before = jax.config.jax_compilation_cache_max_size
    keep_compiled()
    assert jax.config.jax_compilation_cache_max_size == before


def test_a_folder_that_can_not_be_made_is_said(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    before = jax.config.jax_compilation_cache_dir
    assert "can't be written" in keep_compiled()
    assert jax.config.jax_compilation_cache_dir == before
    assert pathlib.Path(tmp_path / "file").is_file()
