"""Label tables against their sources, and the ways between ids."""

import pickle

import numpy as np
import pytest

from geoseg_jax.data.labels import table as labels
from geoseg_jax.data.labels.table import IGNORE, label_table
from geoseg_jax.data.labels.tables import nyu
from geoseg_jax.data.source import BadRecord, DataError

# What the paper's own reader makes of the ids 0 to 33, see tests/paper_code.py.
PAPERS_READER = (
    *(0, 0, 0, 0, 0, 0, 0, 7, 8, 0, 0, 11, 12, 13, 0, 0, 0, 17, 0, 19, 20, 21, 22, 23, 24, 25, 26),
    *(27, 28, 0, 0, 31, 32, 33),
)


@pytest.mark.parametrize("name", labels.TABLES)
def test_tables_hold_together(name):
    table = label_table(name)
    count = len(table.classes)
    assert table.name == name
    assert count == len(set(table.classes)) == len(table.palette) == len(table.file_ids)
    assert len(table.categories) in (0, count)
    assert set(table.train_ids.values()) <= {*range(count), IGNORE}
    assert all(len(c) == 3 and 0 <= min(c) <= max(c) <= 255 for c in table.palette)
    assert pickle.loads(pickle.dumps(table)) == table


@pytest.mark.parametrize("name", [n for n in labels.TABLES if n != "nyu13_from40"])
def test_there_and_back(name):
    table = label_table(name)
    ids = np.array([i for i in table.train_ids if i >= 0], np.int32)
    train = labels.to_train_ids(ids, table, "test")
    back = labels.to_file_ids(train, table)
    known = train != IGNORE
    np.testing.assert_array_equal(back[known], ids[known])
    assert set(back[~known].tolist()) <= {labels.void_id(table)}
    np.testing.assert_array_equal(labels.to_train_ids(back, table, "test"), train)


def test_cityscapes_as_its_own_scripts():
    theirs = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    table, paper = label_table("cityscapes19"), label_table("cityscapes34")
    assert len(table.train_ids) == len(paper.train_ids) == len(theirs)
    for label in theirs:
        train = label.trainId if label.trainId >= 0 else IGNORE
        assert table.train_ids[label.id] == train
        assert (train == IGNORE) == label.ignoreInEval
        rows = [(paper, label.id)] * (label.id >= 0) + [(table, train)] * (train != IGNORE)
        for ours, i in rows:
            got = ours.classes[i], ours.palette[i], ours.categories[i], ours.file_ids[i]
            assert got == (label.name, label.color, label.category, label.id)


def test_the_papers_table_ignores_what_the_paper_does():
    table, nineteen = label_table("cityscapes34"), label_table("cityscapes19")
    assert len(table.classes) == 34
    assert table.train_ids[-1] == IGNORE
    assert [table.train_ids[i] % IGNORE for i in range(34)] == list(PAPERS_READER)
    # Which classes count is tested by the numbers of the paper's code, in ops/test_confusion.py.
    names, others = ([t.classes[i] for i in t.paper_classes] for t in (table, nineteen))
    assert names == others


def test_nyu_as_its_own_mappings(shared_data):
    loadmat = pytest.importorskip("scipy.io").loadmat
    forty = loadmat(shared_data / "nyuv2_meta" / "classMapping40.mat", simplify_cells=True)
    mapping = loadmat(shared_data / "nyuv2_meta" / "class13Mapping.mat", simplify_cells=True)
    thirteen = mapping["classMapping13"]
    assert list(label_table("nyu40").classes) == list(forty["className"])
    assert list(label_table("nyu13").classes) == list(thirteen["classNames"])
    assert [row[2] for row in nyu.CLASSES40] == thirteen["labels13"].tolist()
    groups = ("ground", "structure", "furniture", "props")
    supers = [groups.index(c) + 1 for c in label_table("nyu40").categories]
    assert supers == forty["mapToNYUSuperClass"].tolist()


def test_nyu13_from_files_of_40():
    train = labels.to_train_ids(np.arange(41, dtype=np.uint8), label_table("nyu13_from40"), "x")
    table = label_table("nyu13")
    assert train[0] == IGNORE
    assert table.classes[train[1]] == "wall"
    assert table.classes[train[20]] == "floor"  # floor mat
    assert set(train[1:].tolist()) == set(range(13))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64])
def test_unknown_ids_are_named_with_the_known_ones(kind):
    ids = np.array([[0, 11], [12, 200]], kind)
    with pytest.raises(BadRecord, match=r"^/a\.png: label id 12, 200 .*camvid11.* 0 to 11;") as e:
        labels.to_train_ids(ids, label_table("camvid11"), "/a.png")
    assert "\n" not in str(e.value)


def test_negative_and_large_ids():
    table = label_table("cityscapes19")
    assert labels.to_train_ids(np.array([-1, 7]), table, "x").tolist() == [IGNORE, 0]
    with pytest.raises(BadRecord, match=r"-2, 1000 .*-1 to 33"):
        labels.to_train_ids(np.array([-2, 1000]), table, "x")


def test_colours():
    table = label_table("cityscapes19")
    picture = labels.colour(np.array([[0, 10], [255, 18]], np.uint8), table)
    expected = [[[128, 64, 128], [70, 130, 180]], [[0, 0, 0], [119, 11, 32]]]
    assert picture.dtype == np.uint8
    assert picture.tolist() == expected
    with pytest.raises(ValueError, match="19"):
        labels.colour(np.array([19], np.uint8), table)


def test_voc_colours_by_hand():
    # The first entries of the VOC colour map after its background.
    expected = ((128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert labels.voc_colours(4) == expected
    assert labels.voc_colours(40)[7] == (64, 0, 0)
    assert len(set(labels.voc_colours(40))) == 40


def test_names_of_tables():
    assert label_table("cityscapes") == label_table("cityscapes19")
    assert label_table("nyu").name == "nyu40"
    with pytest.raises(DataError, match=r"config\.data\.classes='camvid12'.*mean 'camvid11'"):
        label_table("camvid12")
    with pytest.raises(DataError, match=r"^--labels="):
        label_table("nothing like it", "--labels")
