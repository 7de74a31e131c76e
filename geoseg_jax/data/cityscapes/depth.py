"""Cityscapes as views with depth: neighbours of its sequences, stereo partners, disparity.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016, and the
data set's own readme: disparity files hold p, uint16; 0 is not measured, else the disparity is
(p - 1) / 256 pixels, and the depth baseline * fx over that.

The lowest part of each picture shows the car's own bonnet, which moves with the camera: to a loss
that compares views it lies infinitely far away. config.data.keep_rows leaves it out.
"""

import hashlib
import pathlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.core.rules import row_range
from geoseg_jax.core.setting import Setting
from geoseg_jax.data import depth_maps, pictures
from geoseg_jax.data.cameras import misplaced
from geoseg_jax.data.cityscapes.tree import HOW_TO_GET, LAYOUT, Camera, CityscapesTree, Frame
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.source import BadRecord, DataError, Record, Source, left_out

_SIZES_IN_FINGERPRINT = 1000


def make(data: ConfigDict) -> tuple[Source, Source]:
    """Makes the sources to train and to evaluate on.

    config.data: root; train_split, eval_split: folders of leftImg8bit joined by '+', as in
    'train+train_extra' and 'val', eval_split also 'train' for the very frames trained on; height,
    width, keep_rows, frames, stereo; truth: 'depth' or 'none'; truth_in_training: records to train
    on carry depth. With `frames` all of leftImg8bit_sequence is trained on, without them the
    annotated frames alone; offsets count frames of 17 in a second. Judged are annotated frames.

    Raises DataError for a folder or split that can't be used.
    """
    settings = {
        "height": data.height,
        "width": data.width,
        "keep_rows": tuple(data.get("keep_rows", (0.0, 1.0))),
        "frames": tuple(data.frames),
        "stereo": data.stereo,
    }
    splits = tuple(data.train_split.split("+"))
    tree = CityscapesTree(data.root, splits, f"config.data.train_split={data.train_split!r}")
    targets = tree.frames(sequences=bool(settings["frames"]))
    taught = data.get("truth_in_training", False)
    train = CityscapesViews(tree, targets, **settings, with_depth=taught)
    if len(train) == 0:
        raise DataError(
            f"config.data.train_split={data.train_split!r}: no frame to train on under {tree.root};"
            f" left out: {left_out(train)}; {HOW_TO_GET}, or ask for fewer views by "
            "config.data.frames and config.data.stereo"
        )
    train.left_out |= tree.passed_over
    judged = train.targets
    if data.eval_split != "train":
        splits = tuple(data.eval_split.split("+"))
        tree = CityscapesTree(data.root, splits, f"config.data.eval_split={data.eval_split!r}")
        judged = tree.frames(sequences=False)
    else:
        logging.warning(
            "config.data.eval_split=train: EVALUATING ON THE TRAINING FRAMES; the network has seen "
            "these pictures; report the numbers as such."
        )
    known = data.get("truth", "depth") == "depth"
    evaluation = CityscapesViews(
        *(tree, judged), **settings, with_depth=known, full_depth=True, needs_views=False
    )
    if len(evaluation) == 0:
        raise DataError(
            f"config.data.eval_split={data.eval_split!r}: no frame with true depth under "
            f"{tree.root} (left out: {left_out(evaluation)}); {HOW_TO_GET}"
        )
    return train, evaluation


class CityscapesViews:
    """Frames of the left camera with their source views, as a Source.

    tree: the files. targets: the frames to serve. height, width: of the pictures, pixels.
    keep_rows: (first, last), the shares of the original's height that are kept of pictures and
    depth, before they are resized. frames: offsets of the temporal source views, in frames of the
    sequence; stereo: whether the right picture is one.
    with_depth: records carry depth and depth_size, and frames without a disparity are left out.
    full_depth: depth keeps its own size, what is kept of 1024x2048; otherwise it has the pictures',
    see `depth_maps.nearest_depth`.
    needs_views: leave frames out whose source views are missing; otherwise the frame itself stands
    in for a missing one, which is right where views are only looked at (evaluation).
    """

    def __init__(
        self,
        tree: CityscapesTree,
        targets: Sequence[Frame],
        *,
        height: int,
        width: int,
        keep_rows: tuple[float, float] = (0.0, 1.0),
        frames: Sequence[int] = (),
        stereo: bool = True,
        with_depth: bool = False,
        full_depth: bool = False,
        needs_views: bool = True,
    ):
        self._tree, self._size, self._rows = tree, (height, width), tuple(keep_rows)
        self._offsets, self._stereo = tuple(frames), stereo
        self._with_depth, self._full = with_depth, full_depth
        left_out: Counter[str] = Counter()
        self.targets: list[Frame] = []
        for target in targets:
            reason = self._missing(target, needs_views)
            if reason:
                left_out[reason] += 1
            else:
                self.targets.append(target)
        self.left_out = dict(left_out)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for files that can't be read or don't belong together."""
        target = self.targets[index]
        camera = self._tree.camera(target)
        picture = pictures.read_picture(self._tree.path("left", target))
        size = picture.shape[:2]
        if problem := misplaced(camera.intrinsics, size):
            raise BadRecord(f"{self._tree.camera_file(target)}: {problem} Get the originals")
        image = self._resized(picture)
        sources = [
            self._resized(self._picture(kind, view, size)) if self._tree.has(kind, view) else image
            for kind, view in self._views(target)
        ]
        record = {
            "image": image,
            "sources": np.stack(sources) if sources else np.empty((0, *image.shape), np.uint8),
            "intrinsics": self._intrinsics(camera, size),
            "stereo_pose": (camera.pose("left") if self._stereo else np.eye(4)).astype(np.float32),
        }
        if self._with_depth:
            depth = self._depth(target, camera, size)
            record["depth"], record["depth_size"] = depth, np.array(depth.shape, np.int32)
        return record

    def depth(self, index: int) -> np.ndarray | None:
        """Reads true depth alone, float32 [h, w] metres; None where there is none.

        Of the pictures' size in training: the median of many is slow at 1024x2048.
        """
        target = self.targets[index]
        return self._depth(target, self._tree.camera(target)) if self.has_depth(index) else None

    def has_depth(self, index: int) -> bool:
        """Tells whether `depth(index)` is there, without reading it."""
        return self._tree.has("disparity", self.targets[index])

    def describe(self, index: int) -> str:
        return str(self.targets[index])

    def drive(self, index: int) -> str:
        """Returns the sequence, e.g. `aachen_000000`, named as for its labelled pictures."""
        return str(self.targets[index]).rsplit("/", 1)[-1].rsplit("_", 1)[0]

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns the pictures of the frame and its views, left ones named as labelled ones."""
        target = self.targets[index]
        views = [view for view in self._views(target) if self._tree.has(*view)]

        def named(kind: str, frame: Frame) -> tuple[str, pathlib.Path]:
            name = str(frame) if kind == "left" else self._tree.name(kind, frame)
            return name, self._tree.path(kind, frame)

        return tuple(named(*view) for view in [("left", target), *views])

    def fingerprint(self) -> str:
        """Hashes the frames, the settings, and a sample of the pictures' file sizes."""
        settings = (self._size, self._rows, self._offsets, self._stereo)
        settings += (self._with_depth, self._full)
        digest = hashlib.sha256(repr(settings).encode())
        for target in self.targets:
            digest.update(f"{target}\n".encode())
        # All sizes would take minutes on a network file system.
        for target in self.targets[:: max(1, len(self) // _SIZES_IN_FINGERPRINT)]:
            digest.update(str(self._tree.path("left", target).stat().st_size).encode())
        return digest.hexdigest()

    def _views(self, target: Frame) -> list[tuple[str, Frame]]:
        views = [("left", target._replace(number=target.number + o)) for o in self._offsets]
        return [*views, ("right", target)] if self._stereo else views

    def _missing(self, target: Frame, needs_views: bool) -> str:
        """Tells why a frame is left out, or nothing."""
        if not self._tree.has("camera", target):
            return "no camera file"
        if self._with_depth and not self._tree.has("disparity", target):
            return "no disparity"
        if needs_views:
            for kind, view in self._views(target):
                if not self._tree.has(kind, view):
                    offset = view.number - target.number
                    return f"no frame at offset {offset:+d}" if offset else "no stereo partner"
        return ""

    def _kept(self, height: int) -> tuple[int, int]:
        """Returns first row that is kept, and the one after the last."""
        first, last = (round(share * height) for share in self._rows)
        return first, max(last, first + 1)

    def _resized(self, picture: np.ndarray) -> np.ndarray:
        """Returns uint8 [height, width, 3] RGB of the rows that are kept."""
        first, last = self._kept(picture.shape[0])
        return pictures.to_rgb(pictures.resize(picture[first:last], *self._size))

    def _picture(self, kind: str, view: Frame, size: tuple[int, int]) -> np.ndarray:
        path = self._tree.path(kind, view)
        picture = pictures.read_picture(path)
        _same_size(path, picture, size)
        return picture

    def _intrinsics(self, camera: Camera, size: tuple[int, int]) -> np.ndarray:
        first, last = self._kept(size[0])
        matrix = camera.intrinsics.copy()
        matrix[1, 2] -= first
        kept = (last - first, size[1])
        return pictures.scale_intrinsics(matrix, kept, self._size).astype(np.float32)

    def _depth(
        self, target: Frame, camera: Camera, size: tuple[int, int] | None = None
    ) -> np.ndarray:
        path = self._tree.path("disparity", target)
        disparity = read_disparity(path)
        if size:
            _same_size(path, disparity, size)
        first, last = self._kept(disparity.shape[0])
        depth = depth_of(disparity[first:last], camera.baseline * camera.intrinsics[0, 0])
        return depth if self._full else depth_maps.nearest_depth(depth, *self._size)


def read_disparity(path: pathlib.Path) -> np.ndarray:
    """Reads a disparity file as float32 [H, W] pixels, 0 = not measured.

    A file's 1 is a disparity of 0, a point infinitely far away, and so it counts as not measured.
    Raises BadRecord where it is missing, cut short or not of one 16-bit channel.
    """
    picture = pictures.read_numbers(path)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        raise BadRecord(
            f"{path}: a disparity picture has one 16-bit channel, this one is {picture.dtype} "
            f"{list(picture.shape)}; get it again from disparity_trainvaltest.zip"
        )
    return np.maximum(picture.astype(np.float32) - 1, 0) / 256


def depth_of(disparity: np.ndarray, focal_baseline: float) -> np.ndarray:
    """Converts a disparity in pixels to metres, both 0 where not measured; float32 of its shape.

    focal_baseline: focal length in pixels of the same picture times baseline in metres.
    """
    known = disparity > 0
    return np.where(known, focal_baseline / np.where(known, disparity, 1), 0).astype(np.float32)


def _same_size(path: pathlib.Path, picture: np.ndarray, size: tuple[int, int]) -> None:
    if picture.shape[:2] != size:
        raise BadRecord(
            f"{path}: it is {picture.shape[1]}x{picture.shape[0]}, the left picture of the frame "
            f"{size[1]}x{size[0]}; get the original file again"
        )


ROWS = {"data.keep_rows": Setting(row_range, "rows kept, as shares of the height: (first, last)")}
READER = Reader(make, ROWS, layout=LAYOUT, how_to_get=HOW_TO_GET, own_splits=True)
