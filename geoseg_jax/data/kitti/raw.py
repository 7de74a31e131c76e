"""KITTI raw as a source of records: pictures with their neighbours, calibration and true depth."""

import hashlib
import pathlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.data import depth_maps, pictures
from geoseg_jax.data.kitti.calibration import Cameras, read_velodyne
from geoseg_jax.data.kitti.depth import project_scan, project_scan_as_published, read_scan
from geoseg_jax.data.kitti.poses import DrivePoses
from geoseg_jax.data.kitti.splits import split_frames
from geoseg_jax.data.kitti.tree import HOW_TO_GET, LAYOUT, Frame, KittiTree
from geoseg_jax.data.reader import TRUTH, Reader
from geoseg_jax.data.source import BadRecord, DataError, Record, Source, left_out

GROUND_TRUTH = ("auto", "improved", "velodyne", "eigen")
_SIZES_IN_FINGERPRINT = 1000


def resolve_ground_truth(tree: KittiTree, targets: Sequence[Frame], wanted: str) -> str:
    """Resolves 'auto': improved truth where any target has it, else velodyne; never a mix.

    Raises DataError for another word.
    """
    if wanted not in GROUND_TRUTH:
        raise DataError(f"config.data.ground_truth={wanted!r} is none of {GROUND_TRUTH}")
    if wanted != "auto":
        return wanted
    if not any(t.number in tree.improved(t.drive, t.side) for t in targets):
        return "velodyne"
    logging.warning(
        "config.data.ground_truth=auto found improved ground truth, which is judged with the crop "
        "and cap of config.task.eval; published numbers take neither: choose the config's option "
        "ground_truth=improved"
    )
    return "improved"


def make(data: ConfigDict) -> tuple[Source, Source]:
    """Makes the sources to train and to evaluate on.

    config.data: root, train_split, eval_split, height, width, frames, stereo, ground_truth;
    poses: records carry source_poses, of the GPS/IMU;
    truth: 'depth', or 'none' for an evaluation that needs no ground truth; truth_in_training:
    records to train on carry depth of the pictures' size, and those without any are left out.
    Raises DataError for a folder, split or calibration that can't be used.
    """
    tree = KittiTree(data.root)
    targets = split_frames(tree, data.train_split, "config.data.train_split")
    judged = targets
    if data.eval_split != "train":
        judged = split_frames(tree, data.eval_split, "config.data.eval_split")
    settings = {
        "height": data.height,
        "width": data.width,
        "frames": tuple(data.frames),
        "stereo": data.stereo,
        "poses": data.get("poses", False),
        # One kind for the evaluation and for the constant prediction that it is compared with.
        "ground_truth": resolve_ground_truth(tree, judged, data.get("ground_truth", "auto")),
    }
    taught = data.get("truth_in_training", False)
    train = KittiSource(tree, targets, **settings, with_depth=taught, full_depth=False)
    if len(train) == 0:
        raise DataError(
            f"config.data.train_split={data.train_split!r}: no frame to train on under "
            f"{tree.root}; left out: {left_out(train)}; get more drives, or ask for fewer views "
            "by config.data.frames and config.data.stereo"
            + (", or the drives' folders oxts" if settings["poses"] else "")
        )
    if data.eval_split == "train":
        logging.warning(
            "config.data.eval_split=train: EVALUATING ON THE TRAINING FRAMES that have ground "
            "truth. The network has seen these pictures; report the numbers as transductive."
        )
        judged = train.targets
    # Views are only looked at in evaluation: no frame is left out for lack of a neighbour.
    with_depth = data.get("truth", "depth") == "depth"
    evaluation = KittiSource(
        tree, judged, **settings, with_depth=with_depth, needs_neighbours=False
    )
    if len(evaluation) == 0:
        raise DataError(
            f"config.data.eval_split={data.eval_split!r}: no frame with ground truth under "
            f"{tree.root} (left out: {left_out(evaluation)}); get the drives with their "
            "velodyne_points, or evaluate on training frames by --config.data.eval_split=train, "
            "or name a file of frames"
        )
    train.left_out |= tree.passed_over
    return train, evaluation


class KittiSource:
    """Frames of KITTI raw, both colour cameras, as a Source.

    tree: the files. targets: the frames to serve. height, width: of the pictures, pixels.
    frames: offsets of the temporal source views; stereo: whether the partner of the pair is one.
    with_depth: records carry depth and depth_size, and frames without true depth are left out.
    full_depth: depth keeps its own size, padded to the largest of all dates (evaluation); otherwise
    it has the pictures', see `depth_maps.nearest_to_camera`.
    needs_neighbours: leave frames out whose neighbours are missing; otherwise the frame itself
    stands in for a missing view, which is right where views are only looked at (evaluation).
    poses: records carry source_poses; a view without one is missing. motion: who knows them, of a
    tree; here the drives' GPS/IMU.
    ground_truth: `improved` (Uhrig et al., Sparsity Invariant CNNs, 3DV 2017), `velodyne` (one
    raw scan), `eigen` (one raw scan as published numbers take it, `project_scan_as_published`), or
    `auto`: improved where any of the targets has it, else velodyne; never a mix.

    Raises DataError where a calibration that is needed is missing or malformed.
    """

    def __init__(
        self,
        tree: KittiTree,
        targets: Sequence[Frame],
        *,
        height: int,
        width: int,
        frames: Sequence[int] = (-1, 1),
        stereo: bool = True,
        poses: bool = False,
        motion: Callable[[KittiTree], DrivePoses] = DrivePoses,
        with_depth: bool = False,
        full_depth: bool = True,
        needs_neighbours: bool = True,
        ground_truth: str = "auto",
    ):
        self._tree, self._size = tree, (height, width)
        self._offsets, self._stereo, self._with_depth = tuple(frames), stereo, with_depth
        self._full_depth = full_depth
        self._poses = motion(tree) if poses else None
        kind = resolve_ground_truth(tree, targets, ground_truth)
        self._improved, self._as_published = kind == "improved", kind == "eigen"
        left_out: Counter[str] = Counter()
        self.targets: list[Frame] = []
        for target in targets:
            reason = self._missing(target, needs_neighbours)
            if reason:
                left_out[reason] += 1
            else:
                self.targets.append(target)
        self.left_out = dict(left_out)
        self._read_calibration()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for a file that can't be read or is not of the calibrated size."""
        target = self.targets[index]
        cameras = self._cameras[_date(target)]
        image = self._picture(target)
        views = [view if self._has_view(target, view) else target for view in self._views(target)]
        sources = [image if view == target else self._picture(view) for view in views]
        pose = cameras.pose(target.side) if self._stereo else np.eye(4)
        record = {
            "image": image,
            "sources": np.stack(sources) if sources else np.empty((0, *image.shape), np.uint8),
            "intrinsics": pictures.scale_intrinsics(
                cameras.intrinsics, cameras.size, self._size
            ).astype(np.float32),
            "stereo_pose": pose.astype(np.float32),
        }
        if self._poses:
            record["source_poses"] = self._source_poses(target, views, cameras)
        if self._with_depth:
            depth, size = self._read_depth(target), self._depth_size
            if not self._full_depth:
                depth, size = depth_maps.nearest_to_camera(depth, *self._size), self._size
            record["depth"] = np.zeros(size, np.float32)
            record["depth"][: depth.shape[0], : depth.shape[1]] = depth
            record["depth_size"] = np.array(depth.shape, np.int32)
        return record

    def depth(self, index: int) -> np.ndarray | None:
        """Reads true depth, float32 [h, w] metres at the picture's size; None where there is none.

        Raises BadRecord as reading the record does.
        """
        target = self.targets[index]
        return self._read_depth(target) if self._has_depth(target) else None

    def has_depth(self, index: int) -> bool:
        """Tells whether `depth(index)` is there, without reading it."""
        return self._has_depth(self.targets[index])

    def moment(self, index: int) -> str:
        """Returns both cameras at one time share a scan, hence a name."""
        return f"{self.targets[index].drive} {self.targets[index].number}"

    def describe(self, index: int) -> str:
        return str(self.targets[index])

    def drive(self, index: int) -> str:
        """Returns the recording, e.g. `2011_09_26_drive_0001`; '' where unknown."""
        return self._tree.recording(self.targets[index].drive)

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns the pictures of the frame and its views, named as they lie under the root."""
        target = self.targets[index]
        views = (view for view in self._views(target) if view in self._tree)
        names = [self._tree.pictures(v.drive, v.side)[v.number] for v in (target, *views)]
        return tuple((name, self._tree.root / name) for name in names)

    def fingerprint(self) -> str:
        """Hashes the frames, views, calibration and a sample of the pictures' file sizes."""
        digest = hashlib.sha256()
        settings = (self._size, self._offsets, self._stereo, self._with_depth, self._improved)
        digest.update(repr(settings).encode())
        if self._with_depth and not self._full_depth:
            digest.update(b"depth of the pictures' size")
        if self._poses:
            digest.update(b"poses")
        if self._with_depth and self._as_published:
            digest.update(b"eigen")
        for target in self.targets:
            digest.update(f"{target}\n".encode())
        for date, cameras in sorted(self._cameras.items()):
            numbers = [
                cameras.intrinsics,
                cameras.pose("l"),
                *self._velodyne.get(date, {}).values(),
                *self._mounts.get(date, {}).values(),
            ]
            digest.update(date.encode() + b"".join(n.astype("<f8").tobytes() for n in numbers))
        # All sizes would take minutes on a network file system.
        for target in self.targets[:: max(1, len(self) // _SIZES_IN_FINGERPRINT)]:
            digest.update(str(self._tree.path(target).stat().st_size).encode())
            if self._poses and target in self._poses:
                digest.update(self._poses.content(target))
        return digest.hexdigest()

    def _views(self, target: Frame) -> list[Frame]:
        views = [target._replace(number=target.number + offset) for offset in self._offsets]
        if self._stereo:
            views.append(target._replace(side="r" if target.side == "l" else "l"))
        return views

    def _missing(self, target: Frame, needs_neighbours: bool) -> str:
        """Tells why a frame is left out, or nothing."""
        if self._with_depth and not self._has_depth(target):
            return "no improved ground truth" if self._improved else "no velodyne scan"
        if needs_neighbours:
            for view in self._views(target):
                if view not in self._tree:
                    offset = view.number - target.number
                    return f"no frame at offset {offset:+d}" if offset else "no stereo partner"
                if not self._has_view(target, view):
                    return "no GPS/IMU record"
        return ""

    def _has_view(self, target: Frame, view: Frame) -> bool:
        """Tells whether its picture is there, and its pose where poses are asked for."""
        moved = view.number != target.number
        if self._poses and moved and not (target in self._poses and view in self._poses):
            return False
        return view in self._tree

    def _source_poses(self, target: Frame, views: Sequence[Frame], cameras: Cameras) -> np.ndarray:
        """Returns float32 [S, 4, 4] metres, view <- target."""
        poses = [np.eye(4)] * len(views)
        for i, view in enumerate(views):
            if view.number != target.number:
                poses[i] = self._poses.between(target, view)
            elif view.side != target.side:
                poses[i] = cameras.pose(target.side)
        return np.asarray(poses, np.float32).reshape(-1, 4, 4)

    def _has_depth(self, target: Frame) -> bool:
        if self._improved:
            return target.number in self._tree.improved(target.drive, target.side)
        return target.number in self._tree.scans(target.drive)

    def _read_calibration(self) -> None:
        self._cameras: dict[str, Cameras] = {}
        self._velodyne: dict[str, dict[str, np.ndarray]] = {}
        for date in sorted({_date(target) for target in self.targets}):
            self._cameras[date] = self._tree.cameras(date)
        # Of those days alone that have records: the others' frames stand still in evaluation.
        posed = [target for target in self.targets if self._poses and target in self._poses]
        self._mounts = {date: self._poses.mount(date) for date in sorted(set(map(_date, posed)))}
        if not self._improved:
            # A training source needs the scans' calibration only for those frames that have scans.
            for date in sorted({_date(t) for t in self.targets if self._has_depth(t)}):
                folder = self._tree.root / date
                self._velodyne[date] = read_velodyne(folder, self._cameras[date])
        sizes = [cameras.size for cameras in self._cameras.values()]
        # The common size of all dates' depth maps; 376 x 1242 for the whole of KITTI.
        self._depth_size = tuple(np.max(sizes, axis=0)) if sizes else (0, 0)

    def _picture(self, frame: Frame) -> np.ndarray:
        """Returns uint8 [height, width, 3] RGB at the target size."""
        path = self._tree.path(frame)
        picture = pictures.read_picture(path)
        self._check_size(path, picture, frame)
        return pictures.to_rgb(pictures.resize(picture, *self._size))

    def _read_depth(self, target: Frame) -> np.ndarray:
        date = _date(target)
        if self._improved:
            path = self._tree.root / self._tree.improved(target.drive, target.side)[target.number]
            depth = pictures.read_depth_picture(path)
            self._check_size(path, depth, target)
            return depth
        points = read_scan(self._tree.root / self._tree.scans(target.drive)[target.number])
        project = project_scan_as_published if self._as_published else project_scan
        return project(points, self._velodyne[date][target.side], self._cameras[date].size)

    def _check_size(self, path: pathlib.Path, picture: np.ndarray, frame: Frame) -> None:
        expected = self._cameras[_date(frame)].size
        if picture.shape[:2] != expected:
            raise BadRecord(
                f"{path}: the picture is {picture.shape[1]}x{picture.shape[0]}, S_rect of the "
                "calibration (of the odometry benchmark, the sequence's first picture) says "
                f"{expected[1]}x{expected[0]}; get the original file again"
            )


def _date(frame: Frame) -> str:
    return frame.drive.split("/")[0]


READER = Reader(make, TRUTH, layout=LAYOUT, how_to_get=HOW_TO_GET, poses=True, own_splits=True)
