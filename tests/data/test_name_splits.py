"""Lists of names: who trains and who is evaluated."""

import pytest

from geoseg_jax.data.name_splits import deal, held_out, split_names
from geoseg_jax.data.source import DataError

NAMES = list("abcdef")
NAMED = {"odd": ["a", "c", "e", "x"], "none": ["x"]}


def test_lists_and_their_rest():
    assert split_names(NAMES, "pool", "odd", NAMED) == (["b", "d", "f"], ["a", "c", "e"])
    assert split_names(NAMES, "odd", "rest", NAMED) == (["a", "c", "e"], NAMES)
    assert split_names(NAMES, "pool", "train", NAMED) == (NAMES, NAMES)


def test_a_file_keeps_its_order(tmp_path):
    (tmp_path / "names.txt").write_text("f\n b # second\n\nf\n")
    assert split_names(NAMES, str(tmp_path / "names.txt"), "odd", NAMED)[0] == ["f", "b"]
    (tmp_path / "names.txt").write_text("# none\n")
    with pytest.raises(DataError, match=r"names\.txt: the file holds no name"):
        split_names(NAMES, "pool", str(tmp_path / "names.txt"), NAMED)


def test_a_file_of_the_folder_is_strict(tmp_path):
    """What came with a data set may be there in parts; what somebody wrote is a wish."""
    files = {"mine": tmp_path / "mine.txt", "odd": tmp_path / "odd.txt"}
    files["mine"].write_text("b.png\na\nb\n")
    files["odd"].write_text("a\nbe.jpg\n")
    assert split_names(NAMES, "pool", "mine", NAMED, files) == (list("cdef"), ["b", "a"])
    for where in ("odd", str(files["odd"])):
        with pytest.raises(
            DataError, match=r"/odd\.txt: no labelled .* name 'be\.jpg'; did .* 'b\.j'"
        ):
            split_names(["a", "b.j", "b"], "pool", where, {"odd": ["a"]}, files)
    with pytest.raises(DataError, match=r"train_split='mime' .* did you mean 'mine'"):
        split_names(NAMES, "mime", "odd", NAMED, {"mine": files["mine"]})


def test_unknown_and_empty():
    with pytest.raises(DataError, match=r"config.data.eval_split='od' .* did you mean 'odd'"):
        split_names(NAMES, "pool", "od", NAMED)
    with pytest.raises(DataError, match=r"eval_split='none': none of its pictures is there"):
        split_names(NAMES, "pool", "none", NAMED)


def test_held_out_by_hash():
    names = [f"{n}" for n in range(2000)]
    few, many = held_out(names, 0.1), held_out(names, 0.3)
    assert 150 < len(few) < 250
    assert set(few) <= set(many)
    assert held_out(["only one"], 1e-9) == ["only one"]
    # Recorded: other machines hold out the same.
    assert few[:4] == ["9", "39", "49", "51"]


def test_folds_have_nearly_one_size_and_whole_groups():
    names = [f"n{i}" for i in range(10)]
    alone = deal(names, [""] * 10, 4)
    assert sorted(map(alone.count, range(4))) == [2, 2, 3, 3]
    assert deal(names[::-1], [""] * 10, 4)[::-1] == alone  # whatever their order
    # By hand: of 5, 3, 1 and 1 the five stand alone, and the ones join neither before the three.
    groups = ["a"] * 5 + ["b"] * 3 + ["", ""]
    dealt = deal(names, groups, 3)
    assert dealt == [0] * 5 + [1] * 3 + [2] * 2
    with pytest.raises(DataError, match="folds=5 is more than there is to deal"):
        deal(names, groups, 5)
