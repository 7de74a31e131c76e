"""How KITTI's cars moved: poses between frames of a drive from its GPS/IMU (folder `oxts`).

Geiger, Lenz, Stiller, Urtasun: Vision meets Robotics: The KITTI Dataset, IJRR 2013, sections on the
GPS/IMU and its calibration. Latitude and longitude are laid out flat by Mercator's projection,
scaled so that metres are metres where the target frame is.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.kitti.calibration import read_cameras, read_imu
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from geoseg_jax.data.source import BadRecord, DataError
from geoseg_jax.data.text_files import read_text

_EARTH_RADIUS = 6_378_137.0  # metres, of WGS 84 at the equator, as Mercator's projection takes it
_NUMBERS = 30  # in a record


class Fix(NamedTuple):
    """Where the GPS/IMU was and how it was turned: degrees, metres and radians.

    The unit's axes are x forward, y left, z up. yaw: 0 = east, counter-clockwise; pitch: positive =
    front down; roll: positive = left side up.
    """

    latitude: float
    longitude: float
    altitude: float
    roll: float
    pitch: float
    yaw: float


def read_fix(path: str | pathlib.Path) -> Fix:
    """Reads the place and attitude in one record of `oxts/data`.

    Raises BadRecord where the file is missing or not a line of 30 finite numbers.
    """
    try:
        values = [float(word) for word in read_text(path).split()]
    except (DataError, ValueError) as error:
        raise BadRecord(f"{path}: no GPS/IMU record ({error}); get the drive again") from error
    if len(values) != _NUMBERS or not np.isfinite(values[:6]).all():
        raise BadRecord(
            f"{path}: a GPS/IMU record has {_NUMBERS} finite numbers, this one {len(values)}; get "
            "the drive again"
        )
    return Fix(*values[:6])


def unit_motion(target: Fix, source: Fix) -> np.ndarray:
    """Returns the GPS/IMU's own pose [4, 4] float64 metres, unit at source <- unit at target."""
    scale = np.cos(np.radians(target.latitude))
    return np.linalg.inv(_world_from_unit(source, scale)) @ _world_from_unit(target, scale)


def _world_from_unit(fix: Fix, scale: float) -> np.ndarray:
    """Returns the pose [4, 4], world (x east, y north, z up) <- GPS/IMU unit."""
    east = np.radians(fix.longitude)
    north = np.log(np.tan(np.pi / 4 + np.radians(fix.latitude) / 2))
    pose = np.eye(4)
    pose[:3, :3] = _turn(2, fix.yaw) @ _turn(1, fix.pitch) @ _turn(0, fix.roll)
    pose[:3, 3] = scale * _EARTH_RADIUS * east, scale * _EARTH_RADIUS * north, fix.altitude
    return pose


def _turn(axis: int, angle: float) -> np.ndarray:
    """Returns the right-handed rotation [3, 3] by an angle about the axis x (0), y (1) or z (2)."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[a, a] = rotation[b, b] = np.cos(angle)
    rotation[b, a] = np.sin(angle)
    rotation[a, b] = -np.sin(angle)
    return rotation


class DrivePoses:
    """Poses between frames of the drives below a root.

    Each day's calibration is read when it is first asked for.
    """

    def __init__(self, tree: KittiTree):
        self._tree = tree
        self._mounts: dict[str, dict[str, np.ndarray]] = {}

    def __contains__(self, frame: Frame) -> bool:
        """Tells whether the frame has a record of the GPS/IMU."""
        return frame.number in self._tree.fixes(frame.drive)

    def content(self, frame: Frame) -> bytes:
        """Returns what a frame's pose is known from. Raises KeyError where there is none."""
        return self._path(frame).read_bytes()

    def _path(self, frame: Frame) -> pathlib.Path:
        """Returns the GPS/IMU record of a frame. Raises KeyError where there is none."""
        return self._tree.root / self._tree.fixes(frame.drive)[frame.number]

    def mount(self, date: str) -> dict[str, np.ndarray]:
        """Maps side -> pose [4, 4] metres, that camera <- GPS/IMU, of a recording day.

        Raises DataError where a calibration file is missing or malformed.
        """
        if date not in self._mounts:
            folder = self._tree.root / date
            self._mounts[date] = read_imu(folder, read_cameras(folder))
        return self._mounts[date]

    def between(self, target: Frame, source: Frame) -> np.ndarray:
        """Returns the pose [4, 4] float64 metres, camera at source <- camera at target.

        Raises BadRecord for a record that can't be read.
        """
        mount = self.mount(target.drive.split("/")[0])[target.side]
        return mount @ self._moved(target, source) @ np.linalg.inv(mount)

    def _moved(self, target: Frame, source: Frame) -> np.ndarray:
        """Does as `between`, for what the cameras are mounted on."""
        return unit_motion(read_fix(self._path(target)), read_fix(self._path(source)))
