"""KITTI's odometry benchmark as a source of records: sequences of stereo pairs with poses.

Geiger, Lenz, Urtasun: Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite, CVPR
2012. The layout is that of its zips: sequences/NN with calib.txt and the pictures image_2 (left)
and image_3 of the colour cameras, or image_0 and image_1 of the grey ones; poses/NN.txt, of
sequences 00 to 10, with a line of 3x4 numbers a frame: camera 0 in it -> camera 0 in the first,
metres. There is no depth to be judged by.
"""

import pathlib
import re
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data import pictures
from geoseg_jax.data.cameras import misplaced
from geoseg_jax.data.kitti.calibration import CalibrationFile, Cameras, rectified_pair
from geoseg_jax.data.kitti.poses import DrivePoses
from geoseg_jax.data.kitti.raw import KittiSource
from geoseg_jax.data.kitti.tree import Frame, KittiTree, folders
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.source import DataError, left_out
from geoseg_jax.data.text_files import read_text

# The drives of KITTI raw that the sequences with poses were cut from, as the benchmark's
# development kit (readme.txt) has them; of the others it doesn't tell.
DRIVES = {
    "00": "2011_10_03_drive_0027",
    "01": "2011_10_03_drive_0042",
    "02": "2011_10_03_drive_0034",
    "03": "2011_09_26_drive_0067",
    "04": "2011_09_30_drive_0016",
    "05": "2011_09_30_drive_0018",
    "06": "2011_09_30_drive_0020",
    "07": "2011_09_30_drive_0027",
    "08": "2011_09_30_drive_0028",
    "09": "2011_09_30_drive_0033",
    "10": "2011_09_30_drive_0034",
}
_SEQUENCE = re.compile(r"\d{2}")
_COLOUR, _GREY = {"l": "2", "r": "3"}, {"l": "0", "r": "1"}  # side -> number of the camera
_NUMBERS = 12  # in a line of poses
_TURNED = 1e-3  # how far R R^T may be from the identity: files have seven digits
_CALIBRATION = "unpack data_odometry_calib.zip of the benchmark again"
_POSES = "unpack data_odometry_poses.zip again"


def make(data: ConfigDict) -> tuple[KittiSource, KittiSource]:
    """Makes the sources: both cameras' pictures to train on, the left ones to evaluate on.

    config.data: root, height, width, frames, stereo; train_split and eval_split: sequences and
    ranges of them, as in 00-08 or 09,10; poses: records carry source_poses; truth='none'.
    Raises DataError for a folder, sequence, calibration or file of poses that can't be used.
    """
    if data.get("truth", "depth") != "none":
        raise DataError(
            f"config.data.truth={data.get('truth', 'depth')!r}: the odometry benchmark has no "
            "depth; set it to 'none', and the run is judged by the views that its depth explains"
        )
    tree = OdometryTree(data.root)
    train = _source(tree, data, "train_split", "lr")
    judged = _source(tree, data, "eval_split", "l")
    train.left_out |= tree.passed_over
    return train, judged


def _source(tree: "OdometryTree", data: ConfigDict, name: str, sides: str) -> KittiSource:
    key = f"config.data.{name}"
    source = KittiSource(
        tree,
        sequence_frames(tree, data[name], key, sides),
        height=data.height,
        width=data.width,
        frames=tuple(data.frames),
        stereo=data.stereo,
        poses=data.get("poses", False),
        motion=OdometryPoses,
        ground_truth="velodyne",  # of which there is none
    )
    if len(source) == 0:
        raise DataError(
            f"{key}={data[name]!r}: no frame under {tree.root} has its views; left out: "
            f"{left_out(source)}; get more pictures, or ask for fewer views by "
            "config.data.frames and config.data.stereo"
        )
    return source


def sequence_frames(tree: "OdometryTree", split: str, key: str, sides: str) -> list[Frame]:
    """Lists the frames of a split's sequences, as `00-08` or `09,10`, of the given sides.

    key: the setting to name in errors. Raises DataError for what names no sequence, and a sequence
    that isn't there or has no left pictures.
    """
    sequences: set[str] = set()
    for word in split.split(","):
        match = re.fullmatch(r"\s*(\d{1,2})(?:-(\d{1,2}))?\s*", word)
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1) if match else ()
        if not numbers:
            raise DataError(
                f"{key}={split!r}: {word!r} names no sequences; write them as in 00-08 or 09,10"
            )
        sequences |= {f"{number:02d}" for number in numbers}
    for sequence in sorted(sequences):
        if not tree.pictures(sequence, "l"):
            raise DataError(
                f"{key}={split!r}: no picture in {tree.root / tree.folder(sequence, 'l')}; "
                f"sequences there: {', '.join(tree.drives)}; name those alone, or get "
                "data_odometry_color.zip (image_2, image_3) or data_odometry_gray.zip (image_0, "
                "image_1)"
            )
    return [
        Frame(sequence, number, side)
        for sequence in sorted(sequences)
        for number, side in sorted((n, s) for s in sides for n in tree.pictures(sequence, s))
    ]


class OdometryTree(KittiTree):
    """The files below one root, whose sequences stand for the drives, and days, of KITTI raw.

    The pictures are those of the colour cameras where any sequence has them, else the grey ones':
    never a mix. Raises as KittiTree does.
    """

    layout = "ROOT/sequences/00/image_2/000000.png (grey: image_0)"
    how_to_get = (
        "get the colour or grey pictures, the calibration files and the poses from "
        "https://www.cvlibs.net/datasets/kitti/eval_odometry.php and unpack them into one folder, "
        "in which ROOT is the folder dataset"
    )

    def __init__(self, root: str | pathlib.Path, key: str = "config.data.root"):
        self.numbers = _COLOUR  # side -> number of the camera
        super().__init__(root, key)
        if not any(self.pictures(sequence, "l") for sequence in self.drives):
            self.numbers = _GREY

    def folder(self, drive: str, side: str) -> str:
        """Tells where the pictures of a sequence lie, relative to the root."""
        return f"sequences/{drive}/image_{self.numbers[side]}"

    def pictures(self, drive: str, side: str) -> dict[int, str]:
        """Maps frame number -> file name relative to the root; PNG where there is also a JPEG."""
        return self._list(self.folder(drive, side), (".jpg", ".jpeg", ".png"))

    def cameras(self, date: str) -> Cameras:
        """Returns the pair of a sequence; its size is that of the first left picture.

        Raises DataError where calib.txt is missing or malformed, BadRecord for that picture.
        """
        file = CalibrationFile(self.root / f"sequences/{date}/calib.txt", _CALIBRATION)
        first = self.root / next(iter(self.pictures(date, "l").values()))
        keys = {side: f"P{number}" for side, number in self.numbers.items()}
        cameras = rectified_pair(file, keys, pictures.picture_size(first), np.eye(4))
        if problem := misplaced(cameras.intrinsics, cameras.size):
            raise file.error(problem)
        return cameras

    def recording(self, drive: str) -> str:
        """Returns the drive of KITTI raw that a sequence was cut from, '' where unknown."""
        return DRIVES.get(drive, "")

    def _find_drives(self) -> list[str]:
        return folders(self.root / "sequences", _SEQUENCE)


class OdometryPoses(DrivePoses):
    """Poses between frames of a sequence; its file is read when it is first asked for.

    Raises DataError where a file of poses is missing, malformed or shorter than its sequence.
    """

    def __init__(self, tree: OdometryTree):
        super().__init__(tree)
        self._read: dict[str, np.ndarray] = {}

    def __contains__(self, frame: Frame) -> bool:
        return frame.number < len(self._of(frame.drive))

    def content(self, frame: Frame) -> bytes:
        """Returns what a frame's pose is known from."""
        return self._of(frame.drive)[frame.number].astype("<f8").tobytes()

    def mount(self, date: str) -> dict[str, np.ndarray]:
        """Maps side -> pose [4, 4] metres, that camera <- camera 0, of a sequence."""
        if date not in self._mounts:
            self._mounts[date] = {side: np.eye(4) for side in ("l", "r")}
            for side, position in self._tree.cameras(date).positions.items():
                self._mounts[date][side][:3, 3] = position
        return self._mounts[date]

    def _moved(self, target: Frame, source: Frame) -> np.ndarray:
        """Returns camera 0 at source <- camera 0 at target [4, 4]."""
        poses = self._of(target.drive)
        return np.linalg.inv(poses[source.number]) @ poses[target.number]

    def _of(self, sequence: str) -> np.ndarray:
        if sequence not in self._read:
            path = self._tree.root / f"poses/{sequence}.txt"
            poses = read_poses(path)
            last = max(max(self._tree.pictures(sequence, side), default=0) for side in ("l", "r"))
            if last >= len(poses):
                raise DataError(
                    f"{path}: it has {len(poses)} poses, the sequence pictures up to {last:06d}; "
                    + _POSES
                )
            self._read[sequence] = poses
        return self._read[sequence]


def read_poses(path: pathlib.Path) -> np.ndarray:
    """Reads each frame's pose [4, 4] float64 metres, camera 0 of the first frame <- its camera 0.

    Raises DataError where the file is missing or a line isn't a rotation and a place.
    """
    try:
        lines = read_text(path).removesuffix("\n").split("\n")
    except DataError as error:
        raise DataError(
            f"{error}; {_POSES}, which has those of sequences 00 to 10 alone, or learn the "
            "motion by the config's option poses=learned"
        ) from error
    poses = np.tile(np.eye(4), (len(lines), 1, 1))
    for index, line in enumerate(lines):
        poses[index, :3] = _pose(line.split(), f"{path}:{index + 1}")
    return poses


def _pose(words: Sequence[str], place: str) -> np.ndarray:
    """Returns [3, 4] of a line's words."""
    try:
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise DataError(f"{place}: {error}; {_POSES}") from error
    if len(values) != _NUMBERS or not np.isfinite(values).all():
        raise DataError(
            f"{place}: a pose has {_NUMBERS} finite numbers, this one {len(values)}; {_POSES}"
        )
    pose = values.reshape(3, 4)
    rotation = pose[:, :3]
    if abs(rotation @ rotation.T - np.eye(3)).max() > _TURNED or np.linalg.det(rotation) < 0:
        raise DataError(f"{place}: its first three columns are no rotation; {_POSES}")
    return pose


READER = Reader(
    make,
    layout=OdometryTree.layout,
    how_to_get=OdometryTree.how_to_get,
    poses=True,
    own_splits=True,
)
