import json
import pathlib
import shutil
import threading
from typing import NamedTuple

import pytest

from geoseg_jax.data.constant import WithConstantDepth
from geoseg_jax.data.kitti.raw import KittiSource
from geoseg_jax.data.kitti.splits import split_frames
from geoseg_jax.data.kitti.tree import KittiTree
from geoseg_jax.data.provenance import reads
from geoseg_jax.data.provenance.reads import (
    Reads,
    Recorder,
    RunReads,
    quick_hash,
    read_run,
    reads_of,
)
from geoseg_jax.data.source import DataError
from geoseg_jax.data.synthetic.source import SyntheticSource
from tests.data.fabricate import NumberedSource, drive_name, write_drive


class Files:
    """A source that tells its files and drives, and holds no record."""

    def __init__(self, files: dict[str, pathlib.Path | None], drives: tuple[str, ...]):
        self._files, self._drives = list(files.items()), drives

    def __len__(self):
        return len(self._files)

    def files(self, index):
        return (self._files[index],)

    def drive(self, index):
        return self._drives[index]


class Data(NamedTuple):
    train: Files
    eval: Files


def write(folder, contents):
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


@pytest.mark.parametrize("size", [0, 1, 1 << 12, 1 << 16, 300_001])
def test_the_hash_sees_size_and_content(tmp_path, size):
    path = tmp_path / "a.png"
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    path.write_bytes(content)
    first = quick_hash(path)
    assert len(first) == 32
    (tmp_path / "b.jpg").write_bytes(content)
    assert quick_hash(tmp_path / "b.jpg") == first  # whatever it is called
    path.write_bytes(content + b"\0")
    assert quick_hash(path) != first
    for place in (0, size // 2, size - 1) if size else ():
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert quick_hash(path) != first


def test_a_missing_file_has_no_hash(tmp_path):
    assert quick_hash(tmp_path / "none") == ""


def test_kitti_tells_its_pictures_and_drives(tmp_path):
    write_drive(tmp_path, 1, range(4), scans=range(4))
    tree = KittiTree(tmp_path)
    source = KittiSource(tree, split_frames(tree, "all", "test"), height=8, width=16)
    found = reads_of(source)
    assert found.drives == ("2011_09_26_drive_0001",)
    assert found.without_drive == 0
    folder = drive_name(1)
    expected = {f"{folder}/image_0{c}/data/{f:010d}.png" for c in (2, 3) for f in range(4)}
    assert found.files.keys() == expected
    assert all(found.files[n] == quick_hash(tmp_path / n) for n in expected)
    target = source.targets[0]
    names = [name for name, _ in source.files(0)]
    assert names[0].endswith(f"{target.number:010d}.png")
    assert len(names) == 4  # itself, two neighbours, its partner


def test_the_evaluation_of_kitti_has_no_more_files_than_there_are(tmp_path):
    write_drive(tmp_path, 1, range(2), scans=range(2))
    tree = KittiTree(tmp_path)
    frames = split_frames(tree, "all", "test")
    settings = {"height": 8, "width": 16}
    source = KittiSource(tree, frames, **settings, with_depth=True, needs_neighbours=False)
    with_constant = WithConstantDepth(source, source, **settings, limit=5)
    assert reads_of(with_constant) == reads_of(source)
    assert len(reads_of(source).files) == 4


def test_rendered_records_are_known_by_their_names():
    ones = reads_of(SyntheticSource("street", 3, 0, 16, 32))
    larger = reads_of(SyntheticSource("street", 2, 0, 32, 64, (), False))
    others = reads_of(SyntheticSource("street", 3, 1, 16, 32))
    assert ones.drives == ()
    assert set(larger.files.values()) < set(ones.files.values())  # the same worlds
    assert not set(others.files.values()) & set(ones.files.values())


def test_a_source_that_tells_nothing():
    assert reads_of(NumberedSource(3)) == Reads({}, (), 3)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("2011_09_26/2011_09_26_drive_0001_sync", "2011_09_26_drive_0001"),
        ("2011_09_26_drive_0001_extract", "2011_09_26_drive_0001"),
        ("2011_09_26_drive_0001", "2011_09_26_drive_0001"),
        ("kitchen_0004", "kitchen_0004"),
        ("", ""),
    ],
)
def test_drives_are_spelt_alike(name, plain):
    assert reads.plain_drive(name) == plain


@pytest.fixture
def run(tmp_path):
    """A folder as a finished run leaves it, and its data."""
    paths = write(tmp_path / "data", {"a": b"1", "b": b"2", "c": b"3"})
    train = Files({"a": paths["a"], "b": paths["b"]}, ("d1", "d2"))
    data = Data(train, Files({"c": paths["c"], "x": tmp_path / "no"}, ("d3", "")))
    folder = tmp_path / "run"
    recorder = Recorder(data, folder / "files.json", "s1")
    recorder.finish()
    manifest = {"data": {"sha256": "s1", "files": recorder.entry()}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder, data


def test_what_was_recorded_is_read_again(run):
    folder, data = run
    found = read_run(folder)
    assert found == read_run(folder / "manifest.json") == read_run(folder / "files.json")
    assert found == RunReads(reads_of(data.train), reads_of(data.eval))
    assert found.eval.files["x"] == ""
    assert found.eval.without_drive == 1


def test_a_run_that_goes_on_does_not_hash_again(run):
    folder, data = run
    before = read_run(folder)
    for path in (folder.parent / "data").iterdir():
        path.write_bytes(b"changed")
    assert Recorder(data, folder / "files.json", "s1").finish() == before
    assert Recorder(data, folder / "files.json", "s2").finish() != before
    (folder / "files.json").write_text("{")
    assert Recorder(data, folder / "files.json", "s2").finish() is not None
    assert read_run(folder / "files.json").train.files["a"] == quick_hash(folder.parent / "data/a")


def test_a_run_that_begins_anew_from_others_is_recorded_anew(run, tmp_path):
    folder, data = run
    path = tmp_path / "second" / "files.json"
    Recorder(data, path, "s1", [folder]).finish()
    names = lambda: [name for name, _ in read_run(path).ancestors]  # noqa: E731
    assert names() == [str(folder)]
    Recorder(data, path, "s1", [tmp_path / "resnet18.pth"]).finish()
    assert names() == [str(tmp_path / "resnet18.pth")]
    Recorder(data, path, "s1").finish()
    assert names() == []
    path.write_text("[]")
    assert Recorder(data, path, "s1").finish() is not None


def test_ancestors_come_with_the_record(run, tmp_path):
    folder, data = run
    second = tmp_path / "second"
    sources = [folder / "checkpoints" / "12", tmp_path / "resnet18.pth"]
    Recorder(data, second / "files.json", "s1", sources).finish()
    expected = [(str(sources[0]), reads_of(data.train)), (str(sources[1]), Reads(known=False))]
    assert list(read_run(second).ancestors) == expected
    shutil.rmtree(folder)  # nobody needs it any more
    assert reads.ancestry([second]) == (*expected, (str(second), reads_of(data.train)))
    # Weights that lie beside a record were not made by that run.
    assert reads.ancestry([second / "weights.pth"])[0][1] == Reads(known=False)


def test_stopping_leaves_no_half_a_record(tmp_path):
    class Slow(Files):
        def files(self, index):
            asked.set()
            go.wait(5)
            return super().files(index)

    asked, go = threading.Event(), threading.Event()
    slow = Slow({"a": None, "b": None}, ("", ""))
    recorder = Recorder(Data(slow, slow), tmp_path / "files.json", "s")
    asked.wait(5)
    recorder._stopped.set()
    go.set()
    recorder.stop()
    assert recorder.finish() is None
    assert not list(tmp_path.iterdir())


def test_a_record_that_can_not_be_written_costs_nothing_else(tmp_path):
    (tmp_path / "file").write_text("")
    data = Data(Files({}, ()), Files({}, ()))
    assert Recorder(data, tmp_path / "file" / "files.json", "s").finish() is None


def test_bad_records_are_named(run, tmp_path):
    folder, _ = run
    with pytest.raises(DataError, match=r"empty: no manifest.json; name the folder of a run"):
        read_run(tmp_path / "empty")
    (folder / "files.json").write_text((folder / "files.json").read_text() + " ")
    with pytest.raises(DataError, match=r"files.json has changed since, which .*manifest.json"):
        read_run(folder)
    (folder / "files.json").unlink()
    with pytest.raises(DataError, match=r"files.json is not there, which .*manifest.json names"):
        read_run(folder)
    (folder / "manifest.json").write_text('{"data": {}}')
    with pytest.raises(DataError, match=r"manifest.json: it names no files.json"):
        read_run(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest.json: it can't be read"):
        read_run(folder)
    (folder / "files.json").write_text("{}")
    with pytest.raises(DataError, match=r"files.json: no record of files \(KeyError"):
        read_run(folder / "files.json")
