"""A file is there whole or not at all."""

import os

import pytest

from geoseg_jax.core import atomic


def test_what_was_written_is_there_as_it_was(tmp_path):
    text = "a,\r\nπ\n"
    atomic.write_text(tmp_path / "f.csv", text)
    assert (tmp_path / "f.csv").read_bytes() == text.encode()
    atomic.write_text(tmp_path / "f.csv", "new")
    assert (tmp_path / "f.csv").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["f.csv"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError("no space left on device")

    (tmp_path / "f").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(OSError, match="no space"):
            atomic.write_text(tmp_path / "f", "new")
    assert (tmp_path / "f").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_file_of_any_kind_takes_the_others_place_when_it_is_whole(tmp_path):
    path = tmp_path / "f.png"
    path.write_bytes(b"old")
    with atomic.replacing(path) as partial:
        partial.write_bytes(b"new")
        assert (partial.parent, path.read_bytes()) == (tmp_path, b"old")
    assert path.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]


def test_a_block_that_fails_changes_nothing(tmp_path):
    def half():
        with atomic.replacing(path) as partial:
            partial.write_bytes(b"half")
            raise KeyError

    path = tmp_path / "f.png"
    path.write_bytes(b"old")
    with pytest.raises(KeyError):
        half()
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]
