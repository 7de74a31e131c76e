"""Which frames of KITTI raw to use: built-in splits by drive, and the community's split files."""

import pathlib
import re

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import plain_path, read_lines

# The 28 test drives of Eigen, Puhrsch, Fergus: Depth Map Prediction from a Single Image using a
# Multi-Scale Deep Network, NIPS 2014. Date -> numbers of the drives.
EIGEN_TEST = {
    "2011_09_26": (
        *(2, 9, 13, 20, 23, 27, 29, 36, 46, 48, 52),
        *(56, 59, 64, 84, 86, 93, 96, 101, 106, 117),
    ),
    "2011_09_28": (2,),
    "2011_09_29": (71,),
    "2011_09_30": (16, 18, 27),
    "2011_10_03": (27, 47),
}
NAMES = ("eigen_train", "eigen_test", "all")


def eigen_test_drives() -> frozenset[str]:
    """Returns the names of Eigen's test drives, as `2011_09_26/2011_09_26_drive_0002_sync`."""
    return frozenset(
        f"{date}/{date}_drive_{number:04d}_sync"
        for date, numbers in EIGEN_TEST.items()
        for number in numbers
    )


def split_frames(tree: KittiTree, split: str, key: str) -> list[Frame]:
    """Lists the frames of a split, sorted by drive and number (a file: in the order of its lines).

    split: `eigen_train`, every frame of both cameras of the drives that Eigen doesn't test on;
    `eigen_test`, every left frame of those that he does (his own 697 of them come with the
    community's file); `all`; `drive:NAME[,NAME]`; or the path of a file with `DRIVE FRAME l|r` a
    line. key: the configuration key to name in errors. Raises DataError for an unknown name, a
    drive or frame that isn't there, and a malformed line.
    """
    test = eigen_test_drives()
    if split == "eigen_train":
        return _frames(tree, [drive for drive in tree.drives if drive not in test], "lr")
    if split == "eigen_test":
        return _frames(tree, [drive for drive in tree.drives if drive in test], "l")
    if split == "all":
        return _frames(tree, tree.drives, "lr")
    if split.startswith("drive:"):
        names = split.removeprefix("drive:").split(",")
        return _frames(tree, [_find_drive(tree, name.strip(), key) for name in names], "lr")
    if not pathlib.Path(split).expanduser().is_file():
        raise DataError(
            f"{key}={split!r} is neither one of {', '.join(NAMES)}, drive:NAME nor a file"
            f"{did_you_mean(split, NAMES)}"
        )
    return _read_file(tree, pathlib.Path(split).expanduser())


def _frames(tree: KittiTree, drives: list[str], sides: str) -> list[Frame]:
    frames = [
        Frame(drive, number, side)
        for drive in drives
        for side in sides
        for number in tree.pictures(drive, side)
    ]
    return sorted(set(frames))


def _find_drive(tree: KittiTree, name: str, key: str) -> str:
    """Finds a drive by its name, with or without `_sync` and date."""
    for drive in tree.drives:
        short = drive.split("/")[1]
        if name in (drive, short, short.removesuffix("_sync")):
            return drive
    shorts = [drive.split("/")[1] for drive in tree.drives]
    hint = did_you_mean(name, shorts) or f"; it holds {len(shorts)} drives"
    raise DataError(f"{key}: no drive {name!r} under {tree.root}{hint}")


def read_frames(path: pathlib.Path) -> list[tuple[int, Frame]]:
    """Reads the frames that a file names, `DRIVE FRAME l|r` a line, each with its line's number.

    What follows a # is a comment. Raises DataError for a malformed line and a file without any.
    """
    frames = []
    for number, line in read_lines(path):
        match = re.fullmatch(r"(\S+)\s+([0-9]{1,10})\s+([lr])", line)
        if match is None:
            raise DataError(
                f"{path}:{number}: {line!r} is not `DRIVE FRAME l|r`, for example "
                "`2011_09_26/2011_09_26_drive_0001_sync 5 l`; correct the line"
            )
        frames.append((number, Frame(plain_path(match[1]).strip("/"), int(match[2]), match[3])))
    if not frames:
        raise DataError(f"{path}: the split file names no frame; add lines `DRIVE FRAME l|r`")
    return frames


def _read_file(tree: KittiTree, path: pathlib.Path) -> list[Frame]:
    frames = read_frames(path)
    drives = set(tree.drives)
    lines: dict[Frame, int] = {}
    for number, frame in frames:
        if (first := lines.setdefault(frame, number)) != number:
            raise DataError(
                f"{path}:{number}: '{frame}' is in line {first} too; remove one of them"
            )
        if frame.drive not in drives or frame not in tree:
            raise DataError(
                f"{path}:{number}: '{frame}' names no frame under {tree.root}; get the drive, or "
                "make a split of what is there by python -m geoseg_jax.data.kitti.frames FILE"
            )
    return [frame for _, frame in frames]
