"""The command that holds a published list of frames against what is there."""

import pytest

from geoseg_jax.data.kitti import frames as kitti_frames
from geoseg_jax.data.kitti.splits import split_frames
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from tests.data import fabricate

ONE, GONE = fabricate.drive_name(1), fabricate.drive_name(9)


@pytest.fixture
def root(tmp_path):
    fabricate.write_drive(tmp_path / "kitti", 1, frames=range(3), scans=(1,))
    return tmp_path / "kitti"


def listed(tmp_path, *lines):
    path = tmp_path / "test_files.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_what_is_missing_is_told_and_the_rest_written(root, tmp_path, capsys):
    lines = [f"{ONE} 0000000001 l", f"{ONE} 7 l", f"{ONE} 2 r", f"{GONE} 1 l", f"{GONE} 2 l"]
    path, out = listed(tmp_path, *lines), tmp_path / "there.txt"
    assert kitti_frames.main([path, f"--root={root}"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"2 of 5 frames are under {root}",
        "1 of these have a velodyne scan, 0 improved ground truth",
        f"missing: {ONE}, 1 of 3 frames: 7 l",
        f"missing: {GONE}, the whole drive, 2 frames",
    ]
    assert kitti_frames.main([path, f"--root={root}", f"--out={out}"]) == 0
    assert f"use --config.data.eval_split={out}" in capsys.readouterr().out
    found = split_frames(KittiTree(root), str(out), "config.data.eval_split")
    assert found == [Frame(ONE, 1, "l"), Frame(ONE, 2, "r")]
    assert out.read_text().startswith("# 2 of the 5 frames of test_files.txt\n")


def test_a_complete_list_needs_no_split(root, tmp_path, capsys):
    path = listed(tmp_path, f"{ONE} 1 l", f"{ONE} 2 l")
    assert kitti_frames.main([path, f"--root={root}"]) == 0
    assert "missing" not in capsys.readouterr().out


def test_many_missing_frames_are_counted(root, tmp_path, capsys):
    path = listed(tmp_path, *(f"{ONE} {n} l" for n in range(1, 14)))
    assert kitti_frames.main([path, f"--root={root}"]) == 1
    assert "11 of 13 frames: 3 l, 4 l, 5 l, 6 l, 7 l, 8 l, 9 l, 10 l and 3 more" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("lines", "root_name", "said"),
    [
        (("drive one",), "kitti", "test_files.txt:1: 'drive one' is not `DRIVE FRAME l|r`"),
        ((f"{GONE} 1 l",), "kitti", "none of its 1 frames is under"),
        ((f"{ONE} 1 l",), "nowhere", "--root="),
    ],
)
def test_errors_are_one_line(root, tmp_path, capsys, lines, root_name, said):
    del root
    path = listed(tmp_path, *lines)
    arguments = [path, f"--root={tmp_path / root_name}", f"--out={tmp_path / 'out.txt'}"]
    assert kitti_frames.main(arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.txt").exists()
