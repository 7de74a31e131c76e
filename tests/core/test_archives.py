"""Zip archives are windows of their file, and no more than that."""

import io
import zipfile

import pytest

from geoseg_jax.core.archives import Archive, ArchiveError


def written(path, members, **settings):
    with zipfile.ZipFile(path, "w", **settings) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_members_are_what_was_stored(tmp_path):
    path = written(tmp_path / "a.zip", [("a", b"one"), ("b/c", b""), ("d", bytes(1000))])
    archive = Archive(path)
    assert archive.sizes() == {"a": 3, "b/c": 0, "d": 1000}
    assert [bytes(archive.read(name)) for name in archive.sizes()] == [b"one", b"", bytes(1000)]


def test_a_changed_byte_is_noticed(tmp_path):
    path = written(tmp_path / "a.zip", [("a", b"content")])
    path.write_bytes(path.read_bytes().replace(b"content", b"contend"))
    with pytest.raises(ArchiveError, match="'a' in it is damaged"):
        Archive(path).read("a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04", "not a zip file"),
        (b"PK\x05\x06" + bytes(8) + b"\xff\xff\xff\x7f" * 2 + bytes(2), "directory|[Bb]ad|corrupt"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, content, message):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        Archive(path)


def test_what_would_have_to_be_unpacked_is_refused(tmp_path):
    path = written(tmp_path / "a.zip", [("a", bytes(99))], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ArchiveError, match="'a' in it is compressed"):
        Archive(path)


def test_two_members_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = written(tmp_path / "a.zip", [("a", b"1"), ("a", b"2")])
    with pytest.raises(ArchiveError, match="two of its members are called 'a'"):
        Archive(path)


def test_numpys_archives_can_be_read(tmp_path):
    import numpy as np

    np.savez(tmp_path / "a.npz", x=np.arange(3))
    (name,) = Archive(tmp_path / "a.npz").sizes()
    found = np.load(io.BytesIO(Archive(tmp_path / "a.npz").read(name)))
    assert found.tolist() == [0, 1, 2]
