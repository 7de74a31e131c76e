"""Class lists of one's own: every form, and every mistake in one line."""

import pytest

from geoseg_jax.data.labels.class_list import read_class_list
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.source import DataError


def read(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8")
    return read_class_list(path)


@pytest.mark.parametrize(
    "text",
    [
        "cat 255 0 0\nguide dog 0 255 0\nvoid 0 0 0\n",
        "name,r,g,b\ncat,255,0,0\nguide dog,0,255,0\nvoid,0,0,0\n",
        "\ufeff# mine\n\ncat, 255, 0, 0\n'guide dog', 0, 255, 0  # he works\nVoid 0 0 0",
        "id name red green blue\n0 cat 255 0 0\n1 guide dog 0 255 0\n2 void 0 0 0\n",
    ],
)
def test_forms(tmp_path, text):
    table = read(tmp_path, text)
    assert table.classes == ("cat", "guide dog")
    assert table.palette == ((255, 0, 0), (0, 255, 0))
    assert table.train_ids == {0: 0, 1: 1, 2: IGNORE, 255: IGNORE}
    assert table.file_ids == (0, 1)
    assert table.colours == {(255, 0, 0): 0, (0, 255, 0): 1, (0, 0, 0): 2}


def test_ids_of_their_own(tmp_path):
    table = read(tmp_path, "7 road 1 1 1\n0 void 0 0 0\n3 3 3 3 3\n255 ignored 9 9 9\n")
    assert table.classes == ("road", "3")
    assert table.file_ids == (7, 3)
    assert table.train_ids == {7: 0, 0: IGNORE, 3: 1, 255: IGNORE}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no class"),
        ("void 0 0 0", "holds no class"),
        ("cat 255 0", r"classes.txt:1: 'cat 255 0' is not `name r g b`"),
        ("cat 256 0 0", r"classes.txt:1: 'cat 256 0 0' is not"),
        ("1 cat 1 2 3\ndog 4 5 6", r"classes.txt:2: 'dog 4 5 6': give all lines an id, or none"),
        ("cat 1 2 3\ncat 4 5 6", "the name 'cat' occurs twice"),
        ("cat 1 2 3\ndog 1 2 3", r"the colour \(1, 2, 3\) occurs twice"),
        ("1 cat 1 2 3\n1 dog 4 5 6", "the id 1 occurs twice"),
        ("255 cat 1 2 3", "ids go from 0 to 254"),
    ],
)
def test_mistakes(tmp_path, text, said):
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"no\.txt: it can't be read"):
        read_class_list(tmp_path / "no.txt")


def test_white_is_a_class_where_the_list_gives_no_ids(tmp_path):
    """Of masks of 0 and 255; with ids in the list 255 is ignored as ever."""
    path = tmp_path / "classes.txt"
    path.write_text("ground 0 0 0\nroad 255 255 255\n")
    assert read_class_list(path).train_ids == {0: 0, 1: 1, 255: 1}
    path.write_text("0 ground 0 0 0\n1 road 255 255 255\n")
    assert read_class_list(path).train_ids == {0: 0, 1: 1, 255: 255}
