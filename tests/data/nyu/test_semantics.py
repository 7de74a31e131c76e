import pathlib
import pickle
import threading

import cv2
import h5py
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.data.labels.tables import nyu894
from geoseg_jax.data.nyu import folder as nyu_folder
from geoseg_jax.data.nyu import semantics as nyu
from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.data.nyu.mat import MatFile
from geoseg_jax.data.nyu.semantics import NyuMat
from geoseg_jax.data.source import BadRecord, DataError
from tests.data.fabricate_nyu import HEIGHT, WIDTH, frame, write_mat

SIZE = (HEIGHT // 2, WIDTH // 2)


@pytest.fixture
def path(tmp_path):
    return write_mat(tmp_path / "nyu_depth_v2_labeled.mat")


def source(path, split="all", table="nyu40", full=False):
    return NyuMat(path, split, label_table(table), *SIZE, full)


def config(path, train="train", evaluation="test", **more):
    return ConfigDict(
        {
            "root": str(path),
            "height": HEIGHT,
            "width": WIDTH,
            "train_split": train,
            "eval_split": evaluation,
            **more,
        }
    )


def test_frames_stand_upright(path):
    mat = MatFile(path)
    assert (mat.count, mat.size, mat.numbers) == (4, (HEIGHT, WIDTH), (3, 4, 9, 1449))
    for place, number in enumerate(mat.numbers):
        expected = frame(number)
        np.testing.assert_array_equal(mat.image(place), expected["images"])
        np.testing.assert_array_equal(mat.labels(place), expected["labels"])
        np.testing.assert_array_equal(mat.depth(place), expected["depths"])


@pytest.mark.parametrize("table", ["nyu40", "nyu13"])
def test_records_in_training_and_evaluation(path, table):
    training, evaluation = source(path, table=table), source(path, table=table, full=True)
    classes = nyu894.classes40()
    for index in range(4):
        record, judged = training[index], evaluation[index]
        check_record(record, "training")
        check_record(judged, "evaluation")
        np.testing.assert_array_equal(training.label(index), record["label"])
        np.testing.assert_array_equal(evaluation.label(index), judged["label"])
        assert record["image"].shape == (*SIZE, 3)
        np.testing.assert_array_equal(record["image"], judged["image"])
        assert (record["label_size"].tolist(), judged["label_size"].tolist()) == (
            list(SIZE),
            [HEIGHT, WIDTH],
        )
        raw = frame(MatFile(path).numbers[index])["labels"]
        of40 = np.array(classes)[raw]
        if table == "nyu40":
            np.testing.assert_array_equal(judged["label"], np.where(of40, of40 - 1, 255))
        else:
            assert judged["label"][of40 > 0].max() < 13
            assert (judged["label"][raw == 0] == 255).all()
        # Blocks of four by four: halved by nearest neighbour, every second pixel.
        np.testing.assert_array_equal(record["label"], judged["label"][::2, ::2])


def test_what_a_frame_is_called_and_where_it_comes_from(path, tmp_path):
    known = source(path)
    assert known.names == ["0003", "0004", "0009", "1449"]
    assert known.describe(2) == "nyu_depth_v2_labeled.mat frame 0009"
    assert known.drive(3) == "kitchen_0144"
    assert known.files(3) == (("nyuv2 1449", None),)
    assert known.original(0) == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(known.depth(1), frame(4)["depths"])
    unknown = source(write_mat(tmp_path / "part.mat", scenes=False, listed=False))
    assert unknown.names == ["0001", "0002", "0003", "0004"]
    assert unknown.drive(3) == ""
    assert unknown.files(3) == (("part.mat 0004", None),)


def test_splits(path):
    assert source(path, "train").names == ["0003", "0004"]
    assert source(path, "test").names == ["0009", "1449"]
    assert source(path, ["1449", "0003"])[0]["label"].shape == SIZE
    with pytest.raises(DataError, match="there is no frame 0005 in the file"):
        source(path, ["0005"])
    with pytest.raises(DataError, match="split='val' is none of train, test, all"):
        source(path, "val")


def test_make(path, tmp_path):
    train, evaluation = nyu.make(config(path))
    assert (train.names, evaluation.names) == (["0003", "0004"], ["0009", "1449"])
    assert evaluation[0]["label"].shape == (HEIGHT, WIDTH)
    assert train.table.name == "nyu40"
    by_folder, resized = nyu.make(config(tmp_path, classes="nyu13", eval_labels="resized"))
    assert by_folder.names == train.names
    assert resized.table.name == "nyu13"
    (tmp_path / "names.txt").write_text("1449\n")
    chosen, judged = nyu.make(config(path, "pool", str(tmp_path / "names.txt")))
    assert (chosen.names, judged.names) == (["0003", "0004", "0009"], ["1449"])


def test_a_part_of_the_data_set(tmp_path):
    part = write_mat(tmp_path / "part.mat", (58, 96, 286))
    with pytest.raises(DataError, match=r"eval_split='test': .*3 of the 1449 frames, none of them"):
        nyu.make(config(part))
    train, evaluation = nyu.make(config(part, "train", "rest"))
    assert train.names == evaluation.names == ["0058", "0096", "0286"]
    train, evaluation = nyu.make(config(part, "pool", "held_out"))
    assert sorted(train.names + evaluation.names) == ["0058", "0096", "0286"]
    unlisted = write_mat(tmp_path / "other.mat", (58, 96, 286), listed=False)
    with pytest.raises(DataError, match=r"train_split='train'.*no other_frames.txt with their"):
        nyu.make(config(unlisted, "train", "held_out"))
    assert len(nyu.make(config(unlisted, "pool", "held_out"))[0]) == 2
    (tmp_path / "other_frames.txt").write_text("58 96 2000")
    with pytest.raises(DataError, match=r"other_frames.txt: it must hold 3 different numbers"):
        MatFile(unlisted)


def test_the_file_travels_closed_and_is_read_by_many(path):
    whole = source(path)
    expected = [whole[i]["image"] for i in range(4)]
    copy = pickle.loads(pickle.dumps(whole))
    assert copy._mat._file is None
    assert copy.fingerprint() == whole.fingerprint()
    wrong = []

    def work(index):
        for _ in range(20):
            if not np.array_equal(copy[index]["image"], expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i % 4,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_fingerprint_sees_frames_classes_and_content(path, tmp_path):
    prints = {source(path).fingerprint(), source(path, "train").fingerprint()}
    prints |= {source(path, table="nyu13").fingerprint(), source(path, full=True).fingerprint()}
    with h5py.File(path, "r+") as file:
        file["labels"][0] = 7
    prints.add(source(path).fingerprint())
    assert len(prints) == 5


def spoil(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def replace(name, value):
    def change(file):
        del file[name]
        if value is not None:
            file[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replace("labels", None), r"there is no `labels` in the file, only depths, images, names"),
        (replace("images", None), r"there is no `images`"),
        (
            replace("labels", np.zeros((4, HEIGHT, WIDTH), np.uint16)),
            r"`labels` is uint16 \[4, 24, 32\] beside images \[4, 3, 32, 24\], expected integer",
        ),
        (
            replace("labels", np.zeros((4, WIDTH, HEIGHT))),
            r"`labels` is float64 .*expected integer \[N, W, H\]",
        ),
        (
            replace("images", np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)),
            r"`images` is uint8 \[4, 24",
        ),
        (replace("depths", np.zeros((3, WIDTH, HEIGHT))), r"`depths` is float64 \[3, 32, 24\]"),
        (replace("names", np.zeros(13)), r"`names` has 13 entries, .*made of 894"),
        (replace("scenes", np.zeros(13)), r"`scenes` has 13 entries for 4 frames"),
    ],
)
def test_a_file_made_differently_is_refused(path, change, said):
    spoil(path, change)
    with pytest.raises(DataError, match=said) as error:
        source(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_that_are_none(tmp_path, path):
    content = path.read_bytes()
    bad = tmp_path / "bad.mat"
    for written, said in (
        (b"MATLAB 5.0 MAT-file" + bytes(600), r"a file of MATLAB 5, not of 7.3"),
        (b"hello" * 300, r"no HDF5 file, which a .mat of MATLAB 7.3 is \(1500 bytes\)"),
        (content[:700], r"bad.mat: .*cut short|bad.mat: no HDF5 file"),
        (content[: len(content) // 2], r"the file is cut short or damaged"),
        (b"", r"no HDF5 file"),
    ):
        bad.write_bytes(written)
        with pytest.raises(DataError, match=said):
            MatFile(bad)
    with pytest.raises(DataError, match=r"none.mat: No such file"):
        MatFile(tmp_path / "none.mat")


def test_bad_frames_are_records_that_may_be_skipped(path):
    spoil(path, lambda file: file["labels"].__setitem__(2, 895))
    whole = source(path)
    assert whole[1]["label"].shape == SIZE
    with pytest.raises(
        BadRecord, match=r"frame 3 has a label 895 or 895, which is none of 0 to 894"
    ):
        whole[2]
    with pytest.raises(BadRecord, match=r"frame 3 has a label 895"):
        whole.check(2)
    whole.check(1)
    with h5py.File(path) as file:
        place = file["images"].id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 20)
    with pytest.raises(BadRecord, match=r"images of frame 1 can't be read"):
        source(path)[0]


def test_depth_is_asked_for_only_where_it_is(path):
    spoil(path, replace("depths", None))
    whole = source(path)
    assert whole[0]["image"].any()
    with pytest.raises(DataError, match=r"no `depths` in the file"):
        whole.depth(0)


def test_roots(tmp_path):
    with pytest.raises(DataError, match=r"holds no picture with a label; looked for ROOT/nyu"):
        nyu.find(str(tmp_path))
    (tmp_path / "nyu_depth_v2_labeled_a.mat").touch()
    assert nyu.find(str(tmp_path)).name == "nyu_depth_v2_labeled_a.mat"
    (tmp_path / "nyu_depth_v2_labeled_b.mat").touch()
    with pytest.raises(DataError, match=r"labeled_a.mat, nyu_depth_v2_labeled_b.mat; name one"):
        nyu.find(str(tmp_path))
    (tmp_path / nyu.FILE).touch()
    assert nyu.find(str(tmp_path)).name == nyu.FILE
    with pytest.raises(DataError, match="NYUv2 has nyu40 and nyu13"):
        nyu._lookup(label_table("camvid11"))


def test_the_tables_are_those_of_the_data_set(shared_data):
    from scipy import io

    folder = shared_data / "nyuv2_meta"
    splits = io.loadmat(folder / "splits.mat")
    assert nyu_split.train_numbers() == splits["trainNdxs"].ravel().tolist()
    assert nyu_split.test_numbers() == splits["testNdxs"].ravel().tolist()
    classes = io.loadmat(folder / "classMapping40.mat")
    assert nyu894.classes40() == (0, *classes["mapClass"].ravel().tolist())
    names = [str(name[0]) for name in classes["className"].ravel()]
    assert label_table("nyu40").classes == tuple(names)
    thirteen = io.loadmat(folder / "class13Mapping.mat")["classMapping13"][0, 0]
    lookup = nyu._lookup(label_table("nyu13"))
    of40 = np.array(nyu894.classes40()[1:])
    np.testing.assert_array_equal(lookup[1:], thirteen["labels13"].ravel()[of40 - 1] - 1)


@pytest.mark.parametrize("table", ["nyu40", "nyu13"])
def test_the_file_agrees_with_the_folder(shared_data, table):
    """The same frames, halved: labels and depth by every second pixel."""
    small = shared_data / "nyuv2_320x240"
    path = pathlib.Path(shared_data / "nyuv2_meta" / "nyu_depth_v2_labeled_mini6.mat")
    ours = NyuMat(path, "train", label_table(table), 240, 320, full_labels=True)
    settings = config(small, "train", "train", classes=table, eval_labels="resized")
    settings.height, settings.width = 240, 320
    theirs, _ = nyu_folder.make(settings)
    assert len(ours) == 6
    for index, name in enumerate(ours.names):
        record, other = ours[index], theirs[theirs.names.index(name)]
        assert record["label"].shape == (480, 640)
        np.testing.assert_array_equal(record["label"][::2, ::2], other["label"])
        difference = record["image"].astype(int) - other["image"]
        assert np.abs(difference).mean() < 4  # theirs are JPEG
        coarse = cv2.imread(str(small / "depths_u8" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(ours.depth(index)[::2, ::2], (coarse + 0.5) / 25.5, atol=1e-5)
