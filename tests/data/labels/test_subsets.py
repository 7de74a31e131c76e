"""Few labels: the same lists everywhere and for ever, nested."""

import itertools
import pathlib
import subprocess
import sys

import pytest

from geoseg_jax.data.labels import subsets
from geoseg_jax.data.labels.subsets import Subset, choose
from geoseg_jax.data.source import DataError, drive_of, files_of, moment_of
from tests.data.fabricate import NumberedSource

NAMES = [f"{n:06d}_10" for n in range(200)]
# (subset, seed) -> the first four of the 200 names of KITTI semantics.
RECORDED = {(0, 0): (152, 162, 26, 68), (1, 0): (64, 31, 34, 161), (0, 1): (48, 125, 121, 106)}


@pytest.mark.parametrize("subset", [-1, 0, 1, 7])
@pytest.mark.parametrize("seed", [0, 3])
def test_nested(subset, seed):
    chosen = [choose(NAMES, count, subset, seed) for count in (8, 16, 32, 200)]
    for few, more in itertools.pairwise(chosen):
        assert few == more[: len(few)]
    assert sorted(chosen[-1]) == list(range(200))


def test_the_first_as_the_paper_takes_them():
    backwards = NAMES[::-1]
    assert [backwards[i] for i in choose(backwards, 16)] == NAMES[:16]


def test_the_lists_never_change():
    """Recorded: results are compared by these lists."""
    lists = {(s, seed): choose(NAMES, 4, s, seed) for s, seed in ((0, 0), (1, 0), (0, 1))}
    assert lists == RECORDED
    # A name's place depends on nothing but the names: not on the order that they come in.
    again = choose(NAMES[::-1], 4, 0, 0)
    assert [NAMES[::-1][i] for i in again] == [NAMES[i] for i in RECORDED[0, 0]]


def test_all_keep_their_order():
    assert choose(["b", "a"], 0, 5) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((201,), "config.data.labels=201: there are 200"),
        ((-1,), "config.data.labels=-1"),
        ((3, -2), "config.data.subset=-2"),
    ],
)
def test_bad_wishes(arguments, said):
    with pytest.raises(DataError, match=said):
        choose(NAMES, *arguments)
    with pytest.raises(DataError, match="twice"):
        choose(["a", "a"], 1)


def test_a_subset_is_a_source():
    source = NumberedSource(5)
    source.names, source.table = list("abcde"), "table"
    source.drive = lambda i: f"drive{i}"
    few = Subset(source, (3, 1))
    assert len(few) == 2
    assert few.names == ["d", "b"]
    assert few.table == "table"
    assert (few.describe(0), few.drive(1)) == ("number 3", "drive1")
    assert few[1]["depth"][0, 0] == 2
    assert few.fingerprint() != Subset(source, (1, 3)).fingerprint() != source.fingerprint()
    assert not hasattr(few, "nothing_like_it")


def test_a_subset_passes_nothing_on_with_an_index_of_its_own():
    source = NumberedSource(5)
    source.names, source.score = list("abcde"), lambda i: i
    source.moment = lambda i: f"moment{i}"
    source.label = lambda i: f"label{i}"
    few = Subset(source, (3, 1))
    assert (few.moment(0), few.label(1)) == ("moment3", "label1")
    assert not hasattr(few, "score")  # would be asked for 0 and answer for what is 3 here
    assert not hasattr(few, "table")
    del source.moment
    assert moment_of(few, 0) == few.describe(0)
    assert (drive_of(few, 0), files_of(few, 0)) == ("", {})


def test_the_command(tmp_path, capsys):
    path = tmp_path / "names.txt"
    path.write_text("# all of them\n" + "\n".join(NAMES) + "\n\n")
    assert subsets.main([str(path), "--labels=4", "--subset=0"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [NAMES[i] for i in choose(NAMES, 4, 0)]
    assert subsets.main([str(path), "--labels=900"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: config.data.labels=900")
    assert error.count("\n") == 1
    assert subsets.main([str(tmp_path / "no.txt"), "--labels=1"]) == 2


def test_the_command_from_outside(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    command = [sys.executable, "-m", "geoseg_jax.data.labels.subsets", str(path), "--labels=2"]
    root = pathlib.Path(__file__).resolve().parents[3]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert (done.stdout.split(), done.stderr) == (NAMES[:2], "")


def test_a_list_that_can_not_be_printed_is_one_line(tmp_path, capsys, monkeypatch):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert subsets.main([str(path), "--labels=2"]) == 2
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            full.close()  # what is left in the buffer
    assert capsys.readouterr().err.startswith("error: ")
