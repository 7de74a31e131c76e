"""Videos of unknown cameras as a source of records: frames with their neighbours, nothing else.

ROOT is a folder of frames, a video file, or a folder of such folders and files (clips.py). Each
video has a camera of its own. Of the frames that are kept (every config.data.frame_stride-th, and
of these those that moved, motion.py) the last share of each video is held out to be judged on, and
some before it are left out altogether: neighbours in time show nearly the same picture.
"""

import functools
import hashlib
import json
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.core.rules import SHARE, choice, number, text, whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.data import pictures
from geoseg_jax.data.made_once import made_once
from geoseg_jax.data.reader import SHARE_HELD_OUT, Reader
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import BadRecord, DataError, Record, left_out
from geoseg_jax.data.video import camera as video_camera
from geoseg_jax.data.video import motion
from geoseg_jax.data.video.clips import LAYOUT, Clip, find_clips

_NAME = 60  # characters of a video's name in that of the list
BAD = "can't be read (config.data.bad_share)"
BETWEEN = "between training and evaluation (config.data.gap)"


class Frame(NamedTuple):
    """A frame that is kept: the index of its video, its own in the video, and its shot."""

    video: int
    index: int
    shot: int


class Target(NamedTuple):
    """A frame and its source views."""

    frame: Frame
    views: tuple[Frame, ...]


def make(data: ConfigDict) -> tuple["VideoSource", "VideoSource"]:
    """Makes the sources to train and to evaluate on.

    config.data: root, height, width, frames (offsets among the frames kept; none: pictures
    without neighbours), frame_stride, min_motion, held_out, gap, intrinsics with fov or
    calibration, cache_dir, truth='none'.
    Raises DataError for videos that are missing or too short, and a camera that can't be read, and
    BadRecord where motion is looked at and more than config.data.bad_share of a video can't be.
    """
    if data.get("truth", "depth") != "none":
        raise DataError(
            f"config.data.truth={data.get('truth', 'depth')!r}: videos come without any; set it to "
            "'none', and the run is judged by the views that its depth explains"
        )
    size = data.height, data.width
    cache = data.get("cache_dir", "")
    clips = find_clips(data.root, stride=data.frame_stride, size=size, cache_dir=cache)
    cameras = [_camera(data, clip) for clip in clips]
    lost: dict[str, int] = sum((Counter(clip.passed_over) for clip in clips), Counter())
    kept = [_kept(clip, video, data, lost) for video, clip in enumerate(clips)]
    sources = []
    for part, frames in enumerate(zip(*(_parted(k, data, lost) for k in kept), strict=True)):
        targets, missing = _targets(frames, tuple(data.frames))
        source = VideoSource(clips, cameras, targets, size, missing | ({} if part else lost))
        if not targets:
            raise DataError(
                f"config.data.root={str(data.root)!r}: of {sum(map(len, kept))} frames kept none "
                f"{'to evaluate on' if part else 'to train on'} has its neighbours "
                f"{tuple(data.frames)}; left out: {left_out(source)}; get longer videos, or lower "
                "config.data.frame_stride, min_motion and gap, or change held_out"
            )
        sources.append(source)
    return sources[0], sources[1]


class VideoSource:
    """Frames of videos with their neighbours as a Source of {image, sources, intrinsics, video}.

    clips: the videos; cameras: the matrix K [3, 3] of each, in pixels of its own frames.
    targets: what to serve. size: height and width of the pictures.

    `videos` are the names of the clips, in the order of the records' `video`.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        cameras: Sequence[np.ndarray],
        targets: Sequence[Target],
        size: tuple[int, int],
        left_out: dict[str, int],
    ):
        self.clips, self.targets = tuple(clips), tuple(targets)
        self.videos = tuple(clip.name for clip in clips)
        self.left_out = {reason: count for reason, count in left_out.items() if count}
        self._size = size
        self._cameras = [
            pictures.scale_intrinsics(camera, clip.size, size).astype(np.float32)
            for camera, clip in zip(cameras, clips, strict=True)
        ]

    @property
    def names(self) -> list[str]:
        """Returns VIDEO/FRAME of each record, without the file's ending."""
        return [self._name(target.frame).rpartition(".")[0] for target in self.targets]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for a frame that can't be read or is not of its video's size."""
        target = self.targets[index]
        image = self._picture(target.frame)
        views = [self._picture(view) for view in target.views]
        return {
            "image": image,
            "sources": np.stack(views) if views else np.empty((0, *image.shape), np.uint8),
            "intrinsics": self._cameras[target.frame.video],
            "stereo_pose": np.eye(4, dtype=np.float32),
            "video": np.array(target.frame.video, np.int32),
        }

    def describe(self, index: int) -> str:
        return self._name(self.targets[index].frame)

    def original(self, index: int) -> tuple[int, int]:
        """Returns height and width of the frame before any resizing."""
        return self.clips[self.targets[index].frame.video].size

    def drive(self, index: int) -> str:
        """Returns the video."""
        return self.videos[self.targets[index].frame.video]

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns (VIDEO/FILE, path) of the frame and its neighbours."""
        target = self.targets[index]
        return tuple((self._name(f), self._path(f)) for f in (target.frame, *target.views))

    def fingerprint(self) -> str:
        """Hashes the frames and their neighbours, the files' sizes, the cameras and the size."""
        digest = hashlib.sha256(repr((self._size, self.videos)).encode())
        for camera in self._cameras:
            digest.update(camera.astype("<f4").tobytes())
        bytes_of = functools.cache(lambda frame: self._path(frame).stat().st_size)
        for target in self.targets:
            line = [(self._name(f), bytes_of(f)) for f in (target.frame, *target.views)]
            digest.update(f"{line}\n".encode())
        return digest.hexdigest()

    def _path(self, frame: Frame) -> pathlib.Path:
        return self.clips[frame.video].path(frame.index)

    def _name(self, frame: Frame) -> str:
        return f"{self.videos[frame.video]}/{self.clips[frame.video].frames[frame.index]}"

    def _picture(self, frame: Frame) -> np.ndarray:
        """Returns uint8 [height, width, 3] RGB."""
        picture = _read(self.clips[frame.video], frame.index, self._size)
        return pictures.to_rgb(pictures.resize(picture, *self._size))


def _read(clip: Clip, index: int, size: tuple[int, int]) -> np.ndarray:
    """Reads a frame at the video's size or, of a file, at that it was written out in.

    Raises BadRecord where it can't be read or has another size.
    """
    path = clip.path(index)
    picture = pictures.read_picture(path)
    if picture.shape[:2] != (clip.size if clip.folder == clip.place else size):
        raise BadRecord(
            f"{path}: the frame is {picture.shape[1]}x{picture.shape[0]}, the video's first "
            f"{clip.size[1]}x{clip.size[0]}; one video is of one camera: put it elsewhere"
        )
    return picture


def _camera(data: ConfigDict, clip: Clip) -> np.ndarray:
    if data.intrinsics == video_camera.GIVEN:
        return video_camera.from_calibration(data.get("calibration", ""), clip.place, clip.size)
    return video_camera.from_fov(data.fov, clip.size)


def _kept(clip: Clip, video: int, data: ConfigDict, lost: dict[str, int]) -> list[Frame]:
    """Lists a video's frames that moved, from a list made once; all where min_motion is 0."""
    min_motion, size = data.min_motion, (data.height, data.width)
    if not min_motion:
        return [Frame(video, index, shot) for index, shot in enumerate(clip.shots)]
    files = [(name, (clip.folder / name).stat().st_size) for name in clip.frames]
    content = (motion.VERSION, motion.WIDTH, min_motion, files)
    name = f"moving_{clip.name[:_NAME]}_{hashlib.sha256(repr(content).encode()).hexdigest()[:20]}"

    def refuse_over_share(bad: Sequence[str]) -> None:
        if len(bad) > data.get("bad_share", 0.0) * len(clip.frames):
            raise BadRecord(bad[0] + (f" (and {len(bad) - 1} more)" if bad[1:] else ""))

    def make(folder: pathlib.Path) -> None:
        bad: list[str] = []

        def read(index: int) -> np.ndarray | None:
            try:
                return _read(clip, index, size)
            except BadRecord as error:
                bad.append(str(error))
                return None

        reads = [functools.partial(read, index) for index in range(len(clip.frames))]
        found = motion.moving(reads, min_motion, f"motion in {clip.name}")
        refuse_over_share(bad)  # before it is kept, since the frames may be mended
        folder.mkdir(parents=True)
        (folder / "kept.json").write_text(json.dumps({"kept": found, "bad": bad}))

    folder = made_once(data.get("cache_dir", ""), name, make, "the list of moving frames")
    with reading(folder, "delete it to have it made anew", DataError, "it is damaged"):
        told = json.loads((folder / "kept.json").read_text())
        bad = list(map(str, told["bad"]))
        # A frame's shot: by what is seen, and in it by what is missing.
        count = clip.shots[-1] + 1
        frames = [
            Frame(video, int(i), int(shot) * count + clip.shots[i]) for i, shot in told["kept"]
        ]
        if not all(0 <= frame.index < len(clip.frames) for frame in frames):
            raise ValueError("it names frames that are not there")
    if bad:
        refuse_over_share(bad)
        logging.warning("%s: %d frames can't be used; the first: %s", clip.name, len(bad), bad[0])
        lost[BAD] = lost.get(BAD, 0) + len(bad)
    still = _still(min_motion)
    lost[still] = lost.get(still, 0) + len(clip.frames) - len(frames) - len(bad)
    logging.info("%s: %d of %d frames moved", clip.name, len(frames), len(clip.frames))
    return frames


def _still(min_motion: float) -> str:
    return (
        f"moved by less than config.data.min_motion={min_motion:g} of the width (0 keeps them: "
        "fine for inpainting, while depth learns nothing from a camera at rest)"
    )


def _parted(
    frames: list[Frame], data: ConfigDict, lost: dict[str, int]
) -> tuple[list[Frame], list[Frame]]:
    """Returns those to train and to evaluate on: the last share of the video, after a gap."""
    offsets = (0, *data.frames)
    least = 1 + max(offsets) - min(offsets)  # a frame with its neighbours
    held_out = max(round(data.held_out * len(frames)), least)
    end = len(frames) - held_out - data.gap
    if end < least:  # too short to be divided
        return frames, []
    lost[BETWEEN] = lost.get(BETWEEN, 0) + data.gap
    return frames[:end], frames[end + data.gap :]


def _targets(
    videos: Sequence[list[Frame]], offsets: tuple[int, ...]
) -> tuple[list[Target], dict[str, int]]:
    """Finds frames with neighbours in the same part and shot, and why others are left out."""
    targets, missing = [], Counter()
    for frames in videos:
        for place, frame in enumerate(frames):
            places = [place + offset for offset in offsets]
            views = tuple(frames[p] for p in places if 0 <= p < len(frames))
            if len(views) == len(offsets) and all(v.shot == frame.shot for v in views):
                targets.append(Target(frame, views))
            else:
                missing["no neighbour in the same shot"] += 1
    return targets, dict(missing)


SETTINGS = SHARE_HELD_OUT | {
    "data.frame_stride": Setting(whole(1), "read every n-th frame"),
    "data.min_motion": Setting(SHARE, "frames that moved less are left out; a share of the width"),
    "data.gap": Setting(whole(0), "frames left out between training and evaluation"),
    "data.intrinsics": Setting(choice("given", "fov"), "the camera: by calibration, or by fov"),
    "data.fov": Setting(number(1.0, 175.0), "horizontal field of view, degrees"),
    "data.calibration": Setting(text, "fx fy cx cy as shares of the sides, or a file in pixels"),
}


def check(flat: Flat) -> None:
    """Refuses settings that don't go together.

    Raises:
      ConfigError: naming the first.
    """
    needed = {"given": "data.calibration", "fov": "data.fov"}[flat["data.intrinsics"]]
    refuse(
        flat,
        (
            "data.intrinsics",
            needed not in flat,
            f"needs config.{needed}, which this config file does not have; start from another one",
        ),
        (
            "data.stereo",
            flat.get("data.stereo", False),
            "has no effect: a video has no stereo partner; set it to False, and "
            "config.data.frames=(-1, 1)",
        ),
    )


READER = Reader(
    make,
    SETTINGS,
    needs=(
        *("data.root", "data.frame_stride", "data.min_motion", "data.held_out", "data.gap"),
        "data.intrinsics",
    ),
    layout=LAYOUT,
    check=check,
)
