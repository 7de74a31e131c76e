import pytest

from geoseg_jax.data.kitti.splits import eigen_test_drives, split_frames
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from geoseg_jax.data.source import DataError
from tests.data import fabricate

KEY = "config.data.train_split"


@pytest.fixture
def tree(tmp_path):
    fabricate.write_drive(tmp_path, 1, frames=range(3))
    fabricate.write_drive(tmp_path, 2, frames=range(5, 7))  # one of Eigen's test drives
    return KittiTree(tmp_path)


def test_eigen_has_28_test_drives():
    drives = eigen_test_drives()
    assert len(drives) == 28
    dates = [drive.split("/")[0] for drive in drives]
    assert [dates.count(date) for date in sorted(set(dates))] == [21, 1, 1, 3, 2]
    assert "2011_09_26/2011_09_26_drive_0117_sync" in drives
    assert "2011_10_03/2011_10_03_drive_0047_sync" in drives
    assert "2011_09_26/2011_09_26_drive_0001_sync" not in drives


def test_eigen_train_and_test_share_no_drive(tree):
    train = split_frames(tree, "eigen_train", KEY)
    test = split_frames(tree, "eigen_test", KEY)
    one, two = fabricate.drive_name(1), fabricate.drive_name(2)
    assert train == [Frame(one, n, side) for n in range(3) for side in "lr"]
    assert test == [Frame(two, n, "l") for n in (5, 6)]
    assert len(split_frames(tree, "all", KEY)) == 10


def test_drives_by_name(tree):
    both = split_frames(tree, "drive:2011_09_26_drive_0001_sync, 2011_09_26_drive_0002", KEY)
    assert both == split_frames(tree, "all", KEY)
    with pytest.raises(DataError, match=r"did you mean '2011_09_26_drive_0002_sync'"):
        split_frames(tree, "drive:2011_09_26_drive_0003_sync", KEY)


def test_community_file(tree, tmp_path):
    drive = fabricate.drive_name(1)
    path = tmp_path / "files.txt"
    path.write_text(f"# ours\n{drive} 2 l\n\n{drive} 0000000001 r  # padded\n")
    assert split_frames(tree, str(path), KEY) == [Frame(drive, 2, "l"), Frame(drive, 1, "r")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{drive} 17 l", r"files.txt:2: '.* 0000000017 l' names no frame under"),
        ("{drive} 00 l", r"files.txt:2: '.* 0000000000 l' is in line 1 too"),
        ("2011_09_26/2011_09_26_drive_0009_sync 1 l", r"files.txt:2: .* names no frame"),
        ("{drive} 1", r"files.txt:2: .* is not `DRIVE FRAME l\|r`"),
        ("{drive} one l", r"files.txt:2: .* is not"),
        ("{drive} 1 left", r"files.txt:2: .* is not"),
        ("{drive} 1 l extra", r"files.txt:2: .* is not"),
    ],
)
def test_bad_lines_are_named(tree, tmp_path, line, message):
    drive = fabricate.drive_name(1)
    path = tmp_path / "files.txt"
    path.write_text(f"{drive} 0 l\n" + line.format(drive=drive) + "\n")
    with pytest.raises(DataError, match=message) as caught:
        split_frames(tree, str(path), KEY)
    assert "\n" not in str(caught.value)


def test_empty_file_and_unknown_name(tree, tmp_path):
    path = tmp_path / "files.txt"
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="names no frame"):
        split_frames(tree, str(path), KEY)
    with pytest.raises(DataError, match=r"config.data.train_split='eigen_trian' .* did you mean"):
        split_frames(tree, "eigen_trian", KEY)
