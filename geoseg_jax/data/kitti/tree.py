"""Where the files of KITTI raw lie in its original layout, listed folder by folder, each once."""

import os
import pathlib
import re
from collections import Counter
from typing import NamedTuple

from geoseg_jax.data import walk
from geoseg_jax.data.kitti.calibration import SIDES, Cameras, read_cameras
from geoseg_jax.data.source import DataError

LAYOUT = "ROOT/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png (or .jpg)"
HOW_TO_GET = (
    "get the synced+rectified drives and the calibration files from "
    "https://www.cvlibs.net/datasets/kitti/raw_data.php and unpack them into one folder"
)
_DATE = re.compile(r"\d{4}_\d{2}_\d{2}")
_DRIVE = re.compile(r"\d{4}_\d{2}_\d{2}_drive_\d{4}_sync")  # _extract is not rectified
# Where the improved ground truth may have been unpacked; `{drive}` is without its date.
_IMPROVED = (
    "{date}/{drive}",
    "{drive}",
    "train/{drive}",
    "val/{drive}",
    "data_depth_annotated/train/{drive}",
    "data_depth_annotated/val/{drive}",
)


class Frame(NamedTuple):
    """One picture: the drive with its date (`2011_09_26/2011_09_26_drive_0001_sync`) and side."""

    drive: str
    number: int
    side: str  # 'l': image_02, 'r': image_03

    def __str__(self) -> str:
        return f"{self.drive} {self.number:010d} {self.side}"


class KittiTree:
    """The files below one root. Folders are listed when first asked for and then remembered.

    key: the setting to name in errors.
    Raises DataError where the root isn't there or holds no drive.
    """

    layout, how_to_get = LAYOUT, HOW_TO_GET

    def __init__(self, root: str | pathlib.Path, key: str = "config.data.root"):
        self.root = pathlib.Path(root).expanduser()
        self.passed_over: Counter[str] = Counter()  # in what was listed so far
        self._listed: dict[str, dict[int, str]] = {}
        self.drives = sorted(self._find_drives())
        if not self.drives:
            state = "holds no drive" if self.root.is_dir() else "is not there"
            where = f"{key}={str(root)!r}"
            raise DataError(f"{where} {state}; looked for {self.layout}; {self.how_to_get}")

    def cameras(self, date: str) -> Cameras:
        """Reads the cameras of a day, the folder of its drives. Raises as `read_cameras`."""
        return read_cameras(self.root / date)

    def recording(self, drive: str) -> str:
        """Returns the drive without its date's folder, e.g. `2011_09_26_drive_0001`."""
        return drive.split("/")[-1].removesuffix("_sync")

    def pictures(self, drive: str, side: str) -> dict[int, str]:
        """Maps frame number -> file name relative to the root; PNG where there is also a JPEG."""
        return self._list(f"{drive}/image_{SIDES[side]}/data", (".jpg", ".jpeg", ".png"))

    def scans(self, drive: str) -> dict[int, str]:
        """Returns frame number -> velodyne scan, relative to the root."""
        return self._list(f"{drive}/velodyne_points/data", (".bin",))

    def fixes(self, drive: str) -> dict[int, str]:
        """Returns frame number -> record of the GPS/IMU, relative to the root."""
        return self._list(f"{drive}/oxts/data", (".txt",))

    def improved(self, drive: str, side: str) -> dict[int, str]:
        """Maps frame number -> improved ground truth (data_depth_annotated) below the root."""
        date, name = drive.split("/")
        for place in _IMPROVED:
            folder = place.format(date=date, drive=name)
            found = self._list(f"{folder}/proj_depth/groundtruth/image_{SIDES[side]}", (".png",))
            if found:
                return found
        return {}

    def path(self, frame: Frame) -> pathlib.Path:
        """Returns the picture file of a frame. Raises KeyError where there is none."""
        return self.root / self.pictures(frame.drive, frame.side)[frame.number]

    def __contains__(self, frame: Frame) -> bool:
        return frame.number in self.pictures(frame.drive, frame.side)

    def _find_drives(self) -> list[str]:
        return [
            f"{date}/{drive}"
            for date in folders(self.root, _DATE)
            for drive in folders(self.root / date, _DRIVE)
        ]

    def _list(self, folder: str, endings: tuple[str, ...]) -> dict[int, str]:
        if folder in self._listed:
            return self._listed[folder]
        found = {}
        # Sorted by name, so that .png comes after .jpg and wins.
        inside = walk.list_folder(self.root / folder, endings)
        self.passed_over += inside.passed_over
        for name in inside.files:
            stem = os.path.splitext(name)[0]
            if stem.isdecimal():
                found[int(stem)] = f"{folder}/{name}"
        self._listed[folder] = found
        return found


def folders(parent: pathlib.Path, pattern: re.Pattern[str]) -> list[str]:
    """Lists the names of the folders in `parent` that match; none where it isn't there."""
    return [name for name in walk.list_folder(parent).folders if pattern.fullmatch(name)]
