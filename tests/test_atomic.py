"""A file is there whole or not at all."""

import os

import pytest

from geoseg_jax import atomic


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
