"""What of a folder is data: links, hidden files, endings, and what is passed over, in numbers."""

import os
import subprocess

import pytest

from geoseg_jax.data import walk


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_endings_in_any_case_hidden_ones_never_and_the_rest_is_counted(tmp_path):
    touch(tmp_path, "b.PNG", "a/c.jpg", "a/d.JPEG", "notes.txt", "scan.tif", "old.TIF")
    touch(tmp_path, "._b.PNG", "a/.DS_Store", ".ipynb_checkpoints/b-checkpoint.png")
    found = walk.walk(tmp_path, walk.PICTURES)
    assert found.files == ["a/c.jpg", "a/d.JPEG", "b.PNG"]
    assert found.passed_over == {
        "hidden file": 2,
        "hidden folder": 1,
        ".tif file, a kind that is not read": 2,
    }
    told = walk.told(found.passed_over)
    assert "2 x hidden file" in told
    assert "1 x hidden folder" in told


def test_links_are_followed_and_those_that_lead_back_are_not(tmp_path):
    data, store = tmp_path / "data", tmp_path / "store"
    touch(data, "own/a.png")
    touch(store, "far/b.png", "c.png")
    os.symlink(store / "far", data / "linked")
    os.symlink(store / "c.png", data / "own/c.png")
    os.symlink(tmp_path / "nowhere.png", data / "own/gone.png")
    os.symlink("self.png", data / "own/self.png")
    os.symlink(data, data / "own/up")
    os.symlink(store, store / "far/up")  # holds `far`, from which it is reached
    found = walk.walk(data, (".png",))
    assert found.files == ["linked/b.png", "linked/up/c.png", "own/a.png", "own/c.png"]
    assert found.passed_over == {walk.LOOP: 2, walk.DANGLING: 2}


def test_a_pipe_is_no_picture(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert walk.walk(tmp_path, (".png",)) == ([], {walk.DEVICE: 1})


def test_names_less_their_suffix_and_two_of_one_name(tmp_path):
    touch(
        tmp_path, "x/a_label.png", "x/a_label.PNG", "x/a_colour.png", "x/_label.png", "b_label.jpg"
    )
    found = walk.by_name(tmp_path, "_label")
    assert list(found.paths) == ["b", "x/a"]
    assert found.passed_over == {walk.SAME_NAME: 1}
    assert walk.by_name(tmp_path / "nowhere").paths == {}


def test_names_that_are_no_unicode(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    touch(tmp_path, name)
    assert walk.walk(tmp_path, (".png",)).files == [name]


def test_a_tree_deeper_than_recursion_goes(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):  # step by step: no path is as long as the whole
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    touch(tmp_path, "a.png")
    try:
        assert walk.walk(tmp_path, (".png",)).files == ["a.png"]
    finally:  # pytest removes old folders by recursion, and would end by it
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_folders_that_cant_be_opened_are_counted(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "closed/b.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert walk.walk(tmp_path, (".png",)) == (["a.png"], {walk.CLOSED: 1})
    with pytest.raises(walk.DataError, match=r"closed: the folder can't be read \(Permission"):
        walk.walk(tmp_path / "closed", (".png",))
