"""KITTI raw calibration files: what they hold, and the matrices that follow from them.

Geiger, Lenz, Stiller, Urtasun: Vision meets Robotics: The KITTI Dataset, IJRR 2013, section on
sensor calibration. A point x of the velodyne's frame lies in rectified camera i's picture at

    y = P_rect_0i @ R_rect_00 @ (R | T)_velo_to_cam @ x,    P_rect_0i = K [I | t_i]

The coordinates of P_rect are taken to count from the centre of the top-left pixel, so K is used as
it is. Measured on drive 0001 against semi-global stereo matching: the share of scan points whose
depth is off by more than a tenth is 11.1 %; a row higher it is 11.7 %, a row lower 11.4 %, and a
row higher and a column to the left, as MATLAB's counting from one would have it, 12.0 %.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import read_text

CAM_TO_CAM = "calib_cam_to_cam.txt"
VELO_TO_CAM = "calib_velo_to_cam.txt"
IMU_TO_VELO = "calib_imu_to_velo.txt"
_LARGEST_SIDE = 1 << 16  # pixels
SIDES = {"l": "02", "r": "03"}  # the colour cameras
_REMEDY = "unpack DATE_calib.zip of KITTI raw again so that it lies in the folder of the date"


class Cameras(NamedTuple):
    """The rectified pair of colour cameras of one recording day."""

    size: tuple[int, int]  # height, width of the rectified pictures
    intrinsics: np.ndarray  # [3, 3] float64, pixels, the same for both
    positions: dict[str, np.ndarray]  # side -> t [3] metres: p_side = p_reference + t
    rectify: np.ndarray  # [4, 4]: rectified <- unrectified reference camera

    def pose(self, target: str) -> np.ndarray:
        """Returns the pose [4, 4] float64 metres, stereo partner <- target ('l' or 'r')."""
        partner = "r" if target == "l" else "l"
        pose = np.eye(4)
        pose[:3, 3] = self.positions[partner] - self.positions[target]
        return pose


def read_cameras(folder: pathlib.Path) -> Cameras:
    """Reads both colour cameras from `calib_cam_to_cam.txt` in the folder of a date.

    Raises DataError where the file or a key is missing or a line has the wrong count of numbers.
    """
    file = CalibrationFile(folder / CAM_TO_CAM)
    sizes = {side: file.numbers(f"S_rect_{camera}", 2) for side, camera in SIDES.items()}
    if any(sizes["l"] != sizes["r"]):
        raise file.error("S_rect of cameras 02 and 03 differ, so the pair isn't rectified")
    if min(sizes["l"]) < 1 or max(sizes["l"]) >= _LARGEST_SIDE:
        raise file.error(f"S_rect is {sizes['l'].tolist()}, which is no size of a picture")
    rectify = np.eye(4)
    rectify[:3, :3] = file.numbers("R_rect_00", 9).reshape(3, 3)
    width, height = map(int, sizes["l"])
    keys = {side: f"P_rect_{camera}" for side, camera in SIDES.items()}
    return rectified_pair(file, keys, (height, width), rectify)


def rectified_pair(
    file: "CalibrationFile", keys: dict[str, str], size: tuple[int, int], rectify: np.ndarray
) -> Cameras:
    """Returns the pair whose projections [3, 4] stand under `keys`, those of the sides 'l' and 'r'.

    size, rectify: see Cameras. Raises DataError as `read_cameras` does.
    """
    intrinsics, positions = {}, {}
    for side, key in keys.items():
        projection = file.numbers(key, 12).reshape(3, 4)
        if projection[0, 0] <= 0 or projection[1, 1] <= 0:
            raise file.error(f"{key} has no positive focal length")
        if projection[1, 0] or tuple(projection[2, :3]) != (0, 0, 1):
            raise file.error(f"{key} is no camera's: its rows must begin fx s cx, 0 fy cy, 0 0 1")
        intrinsics[side] = projection[:, :3]
        # The whole of K^-1 p, not p_x / f_x alone: the third entry of p isn't quite zero.
        positions[side] = np.linalg.solve(projection[:, :3], projection[:, 3])
    if not np.allclose(intrinsics["l"], intrinsics["r"], atol=1e-3):
        raise file.error(f"{keys['l']} and {keys['r']} differ, so the pair isn't rectified")
    return Cameras(size, intrinsics["l"], positions, rectify)


def read_velodyne(folder: pathlib.Path, cameras: Cameras) -> dict[str, np.ndarray]:
    """Reads per side the matrix [3, 4] float64: (u z, v z, z) of the picture <- velodyne point (x,
    1).

    z is metres along the optical axis of that camera. Raises DataError as `read_cameras` does.
    """
    return {
        side: cameras.intrinsics @ pose[:3]
        for side, pose in _from_rigid(cameras, _read_rigid(folder / VELO_TO_CAM)).items()
    }


def read_imu(folder: pathlib.Path, cameras: Cameras) -> dict[str, np.ndarray]:
    """Reads per side the pose [4, 4] float64 metres: rectified camera <- GPS/IMU.

    Raises DataError as `read_cameras` does, of `calib_imu_to_velo.txt` and `calib_velo_to_cam.txt`.
    """
    velodyne = _read_rigid(folder / IMU_TO_VELO)
    return _from_rigid(cameras, _read_rigid(folder / VELO_TO_CAM) @ velodyne)


def _from_rigid(cameras: Cameras, to_reference: np.ndarray) -> dict[str, np.ndarray]:
    """Composes per side rectified camera <- x [4, 4] from unrectified reference camera <- x."""
    poses = {}
    for side, position in cameras.positions.items():
        poses[side] = cameras.rectify @ to_reference
        poses[side][:3, 3] += position
    return poses


def _read_rigid(path: pathlib.Path) -> np.ndarray:
    """Returns the pose [4, 4] that a file of R and T holds.

    Raises DataError where R is no rotation.
    """
    file = CalibrationFile(path)
    pose = np.eye(4)
    pose[:3, :3] = rotation = file.numbers("R", 9).reshape(3, 3)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if not (off < 1e-2 and np.linalg.det(rotation) > 0):  # KITTI's own are within 1e-6
        raise DataError(f"{path}: R is no rotation; get the file again")
    pose[:3, 3] = file.numbers("T", 3)
    return pose


class CalibrationFile:
    """A text file of lines `KEY: NUMBERS`; `remedy` ends what is said of its faults.

    Raises DataError where it is missing.
    """

    def __init__(self, path: pathlib.Path, remedy: str = _REMEDY):
        self._path, self._remedy = path, remedy
        try:
            text = read_text(path)
        except DataError as error:
            raise DataError(f"{error}; {self._remedy}") from error
        self._lines: dict[str, tuple[int, str]] = {}  # key -> (line number, what follows the colon)
        for number, line in enumerate(text.split("\n"), start=1):
            key, colon, value = line.partition(":")
            if colon:  # calib_time has colons of its own; nothing asks for it
                self._lines[key.strip()] = (number, value)

    def numbers(self, key: str, count: int) -> np.ndarray:
        """Reads a key's float64 [count]. Raises DataError where it is missing or differs."""
        if key not in self._lines:
            raise self.error(f"no line `{key}:`")
        number, text = self._lines[key]
        words = text.split()
        try:
            values = np.array([float(word) for word in words])
        except ValueError as error:
            raise self.error(f"{key}: {error}", number) from error
        if len(words) != count or not np.isfinite(values).all():
            raise self.error(
                f"{key} has {len(words)} numbers, expected {count} finite ones", number
            )
        return values

    def error(self, what: str, line: int | None = None) -> DataError:
        """Returns what is wrong with the file, or with a line of it, and the remedy."""
        place = f"{self._path}:{line}" if line else str(self._path)
        return DataError(f"{place}: {what}; {self._remedy}")
