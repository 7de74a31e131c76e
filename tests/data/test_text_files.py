"""Lists as people write them, on every system."""

import unicodedata

import pytest

from geoseg_jax.data.name_splits import read_names
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import Spellings, read_lines, read_text

TEXT = "p0\nimg#1 \n# a comment\n\np2 # another\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_ends_of_lines_are_no_part_of_names(tmp_path, encoding, end):
    path = tmp_path / "val.txt"
    path.write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert read_lines(path) == [(1, "p0"), (2, "img#1"), (5, "p2")]
    assert read_names(path) == ["p0", "img#1", "p2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Straße\n".encode("latin-1"), r"a.txt: it is no text in UTF-8; save it as UTF-8"),
        (b"p0\0\np1\n", r"a.txt: it is no text \(it holds zero bytes\)"),
        (b"\xff\xfep", r"a.txt: it is no text in UTF-16-LE"),
        (None, r"a.txt: it can't be read \(No such file"),
    ],
)
def test_what_is_no_text_is_told_plainly(tmp_path, content, message):
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(path)


def test_names_are_found_however_they_are_written():
    composed, split = (unicodedata.normalize(form, "é/café") for form in ("NFC", "NFD"))
    names = ["a/1", "b.c", split]
    find = Spellings(names).find
    assert find("a/1") == find("a\\1.png") == find("./a/1.jpg") == "a/1"
    assert find("b.c") == find("b.c.png") == "b.c"
    assert find(composed) == find(composed + ".png") == find(split) == split
    assert find("1") is None
    assert Spellings(["é"]).find(unicodedata.normalize("NFD", "é")) == "é"
