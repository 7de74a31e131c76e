"""Where the frames of videos lie: a video is a folder of pictures, or a file that PyAV decodes.

Frames of a file are written out once, in order, as JPEGs of the size that they are wanted in: to
decode one frame in the middle means to decode all since the last key frame, up to hundreds, which a
shuffled training would do again and again.
"""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from geoseg_jax.data import pictures
from geoseg_jax.data.made_once import made_once
from geoseg_jax.data.progress import track
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError
from geoseg_jax.data.video.decoder import Decoder

PICTURES = (".jpg", ".jpeg", ".png")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
LAYOUT = (
    "a folder of frames (any names that sort, as 000000.jpg), a video file "
    f"({', '.join(VIDEOS)}), or a folder of such folders and files"
)
_NAME = 60  # characters of a video's name in that of the folder of its frames
_VERSION = 1  # of what is written out
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


class Clip(NamedTuple):
    """One video: its name, where it lies, its frames in order and their size before any resizing.

    place: the folder of its frames, or the video file. folder: of the pictures; a cache for files.
    """

    name: str
    place: pathlib.Path
    folder: pathlib.Path
    frames: tuple[str, ...]  # file names
    size: tuple[int, int]  # height, width

    def path(self, index: int) -> pathlib.Path:
        """Returns the picture of a frame."""
        return self.folder / self.frames[index]


def find_clips(
    root: str | pathlib.Path,
    *,
    stride: int,
    size: tuple[int, int] | None,
    cache_dir: str = "",
    key: str = "config.data.root",
) -> list[Clip]:
    """Returns the videos at or directly below a root, sorted by name.

    Args:
      root: see LAYOUT.
      stride: every so many-th frame is taken, from the first on.
      size: height and width that frames of video files are kept in; None for their own.
      cache_dir: where these are kept.
      key: the setting to name in errors.

    Raises:
      DataError: where nothing is there, or a file that is no video.
    """
    root = pathlib.Path(root).expanduser()
    clips = []
    with Decoder() as decoder:
        for place in _places(root):
            name = place.name if place.is_dir() else place.stem
            if place.is_dir():
                folder, frames, seen = place, _pictures(place)[::stride], None
            else:
                folder, seen = _written_out(decoder, place, stride, size, cache_dir)
                frames = _pictures(folder)
            size_before = seen or pictures.picture_size(folder / frames[0])
            clips.append(Clip(name, place, folder, tuple(frames), size_before))
    if not clips:
        state = "holds no video" if root.exists() else "is not there"
        raise DataError(f"{key}={str(root)!r} {state}; looked for {LAYOUT}")
    names = [clip.name for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DataError(f"{key}={str(root)!r} holds two videos of the name {twice!r}; rename one")
    return clips


def _places(root: pathlib.Path) -> list[pathlib.Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        return []
    if _pictures(root):
        return [root]
    inside = sorted((p for p in root.iterdir() if p.name[0] != "."), key=lambda p: p.name)
    return [p for p in inside if (_pictures(p) if p.is_dir() else p.suffix.lower() in VIDEOS)]


def _pictures(folder: pathlib.Path) -> list[str]:
    """Lists the names of the pictures in a folder, numbers in them sorted as numbers."""

    def order(name: str) -> list[tuple[int, str]]:
        return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]

    names = (entry.name for entry in os.scandir(folder))
    found = (n for n in names if n[0] != "." and os.path.splitext(n)[1].lower() in PICTURES)
    return sorted(found, key=lambda name: (order(name), name))


def _written_out(
    decoder: Decoder,
    path: pathlib.Path,
    stride: int,
    size: tuple[int, int] | None,
    cache_dir: str,
) -> tuple[pathlib.Path, tuple[int, int]]:
    """Returns the folder with the frames of a video file, and their size in the file."""
    stat = path.stat()
    content = (_VERSION, path.name, stat.st_size, stat.st_mtime_ns, stride, size)
    name = f"video_{path.stem[:_NAME]}_{hashlib.sha256(repr(content).encode()).hexdigest()[:20]}"
    what = f"the folder for the frames of {path.name},"
    folder = made_once(
        cache_dir, name, lambda to: _write_out(decoder, path, to, stride, size), what
    )
    with reading(folder, "delete it to have it made anew", DataError, "it is damaged"):
        height, width = map(int, json.loads((folder / "video.json").read_text())["size"])
        return folder, (height, width)


def _write_out(
    decoder: Decoder,
    path: pathlib.Path,
    folder: pathlib.Path,
    stride: int,
    size: tuple[int, int] | None,
) -> None:
    folder.mkdir(parents=True)
    count, frames = decoder.decode(path)
    seen = None
    for i, frame in enumerate(track(_Counted(frames, count), f"frames of {path.name}")):
        seen = seen or frame.shape[:2]
        if i % stride:
            continue
        kept = pictures.resize(frame, *(size or frame.shape[:2]))
        target = folder / f"{i:06d}.jpg"
        if not cv2.imwrite(str(target), cv2.cvtColor(kept, cv2.COLOR_RGB2BGR), _QUALITY):
            raise OSError(f"{target}: can't be written; is the disk full?")
    if seen is None:
        raise DataError(f"{path}: no frame in it; take the file out or get it again")
    (folder / "video.json").write_text(json.dumps({"file": path.name, "size": seen}))


class _Counted:
    """An iterator with the length that is expected of it, for a progress bar."""

    def __init__(self, items: Iterator[np.ndarray], count: int):
        self._items, self._count = items, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._items
