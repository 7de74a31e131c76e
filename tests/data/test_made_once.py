"""Folders that are made once: whole or not there."""

import os

import pytest

from geoseg_jax.data.made_once import default_cache_dir, made_once
from geoseg_jax.data.source import DataError


def test_it_is_made_once_and_kept(tmp_path):
    calls = []

    def make(folder):
        calls.append(folder.name)
        folder.mkdir()
        (folder / "file").write_text("content")

    folders = {made_once(tmp_path / "cache", "name", make, "the set") for _ in range(2)}
    assert folders == {tmp_path / "cache" / "name"}
    assert len(calls) == 1
    assert "partial" in calls[0]
    assert (tmp_path / "cache" / "name" / "file").read_text() == "content"


def test_what_fails_leaves_nothing(tmp_path):
    def make(folder):
        folder.mkdir()
        raise DataError("no such frame")

    with pytest.raises(DataError, match="no such frame"):
        made_once(tmp_path, "name", make, "the set")
    assert [path.name for path in tmp_path.iterdir()] == [".name.lock"]


def test_the_default_folder_follows_xdg(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(default_cache_dir()) == "/somewhere/geoseg_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(default_cache_dir()) == os.path.join("/home/me", ".cache", "geoseg_jax")
