"""Rendered sets on disk: equal to the source, whole or absent, made once."""

import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from geoseg_jax.data.source import DataError
from geoseg_jax.data.synthetic.cache import cached_source
from geoseg_jax.data.synthetic.source import ObjectSource, SyntheticSource

MAKE = """
import sys
from geoseg_jax.data.synthetic.cache import cached_source
from geoseg_jax.data.synthetic.source import SyntheticSource
source = SyntheticSource("room", {size}, 0, 24, 40)
cached = cached_source(source, {folder!r}, workers=2)
print(len(cached), cached[3]["image"].sum())
print([m for m in ("tensorflow", "jax", "flax") if m in sys.modules])
"""


def start(folder, size):
    code = MAKE.format(size=size, folder=str(folder))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def visible(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize(
    "source",
    [SyntheticSource("street", 5, 0, 24, 40), ObjectSource(5, 0, 16, 16)],
    ids=["street", "objects"],
)
def test_cached_records_equal_rendered_ones(source, tmp_path):
    cached = cached_source(source, tmp_path, workers=2)
    assert len(cached) == 5
    for i in (4, 0, 2):
        rendered, read = source[i], cached[i]
        assert rendered.keys() == read.keys()
        for key, value in rendered.items():
            assert read[key].dtype == value.dtype, key
            np.testing.assert_array_equal(read[key], value, err_msg=key)
    read["image"][...] = 0  # its own copy
    assert cached[2]["image"].any()
    assert cached.fingerprint() == source.fingerprint()
    assert cached.describe(1) == source.describe(1)
    assert cached.left_out == {}
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(cached))[1]["image"], cached[1]["image"]
    )
    with pytest.raises(IndexError, match="record 5"):
        cached[5]


def test_a_set_is_rendered_once_and_parameters_keep_sets_apart(tmp_path):
    source = SyntheticSource("room", 2, 0, 24, 40)
    folder = cached_source(source, tmp_path, workers=1).folder
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = cached_source(source, tmp_path, workers=1)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    np.testing.assert_array_equal(again.poses(1), source.poses(1))
    cached_source(SyntheticSource("room", 2, 1, 24, 40), tmp_path, workers=1)
    assert len(visible(tmp_path)) == 2


def test_a_killed_rendering_leaves_nothing_that_passes_for_a_set(tmp_path):
    process = start(tmp_path, size=400)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*partial*/*")):
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(tmp_path.glob(".*partial*"))
    assert visible(tmp_path) == []
    # The next one, of the same parameters, is not hindered and clears what is left.
    source = SyntheticSource("room", 400, 0, 24, 40)
    other = SyntheticSource("room", 4, 0, 24, 40)
    left = next(tmp_path.glob(".*partial*"))
    left.rename(left.with_name(left.name.replace(*(
        f"room_{s.fingerprint()[:20]}" for s in (source, other)
    ))))  # fmt: skip
    cached = cached_source(other, tmp_path, workers=2)
    assert not list(tmp_path.glob(".*partial*"))
    np.testing.assert_array_equal(cached[3]["image"], other[3]["image"])


def test_several_processes_at_once_make_one_whole_set(tmp_path):
    processes = [start(tmp_path, size=6) for _ in range(3)]
    expected = SyntheticSource("room", 6, 0, 24, 40)[3]["image"].sum()
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert out.splitlines() == [f"6 {expected}", "[]"]  # and no tensorflow, no jax
    assert len(visible(tmp_path)) == 1
    assert not list(tmp_path.glob(".*partial*"))


def test_a_damaged_set_is_named_with_the_remedy(tmp_path):
    source = SyntheticSource("room", 2, 0, 24, 40)
    folder = cached_source(source, tmp_path, workers=1).folder
    (folder / "dataset_info.json").unlink()
    with pytest.raises(DataError, match=f"{folder.name}.*delete it"):
        cached_source(source, tmp_path)


def test_a_worker_that_fails_is_reported_and_nothing_is_left(tmp_path, monkeypatch):
    source = SyntheticSource("room", 2, 0, 24, 40)
    monkeypatch.setitem(source.parameters, "height", 1)
    with pytest.raises(DataError, match=r"record 0 failed.*height"):
        cached_source(source, tmp_path, workers=1)
    assert visible(tmp_path) == []
    assert not list(tmp_path.glob(".*partial*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"config\.data\.cache_dir"):
        cached_source(SyntheticSource("room", 2, 0, 24, 40), tmp_path / "file")
