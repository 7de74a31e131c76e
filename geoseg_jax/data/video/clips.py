"""Where the frames of videos lie: a video is a folder of pictures, or a file that PyAV decodes.

Frames of a file are written out once, in order, as JPEGs of the size that they are wanted in: to
decode one frame in the middle means to decode all since the last key frame, up to hundreds, which a
shuffled training would do again and again.
"""

import hashlib
import json
import pathlib
import re
import types
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
from absl import logging

from geoseg_jax.data import pictures, walk
from geoseg_jax.data.made_once import made_once
from geoseg_jax.data.progress import track
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError
from geoseg_jax.data.video import gaps
from geoseg_jax.data.video.decoder import Decoder, Frame

VIDEOS = (
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"),
    *(".3gp", ".m2ts", ".mts", ".ts"),
)
LAYOUT = (
    "a folder of frames (any names that sort, as 000000.jpg), a video file "
    f"({', '.join(VIDEOS)}), or a folder of such folders and files"
)
USUAL_RATE = 25.0  # frames a second, of a video that tells no times
NO_FRAMES = "folder without frames (videos in it are not looked for)"
BESIDE_FRAMES = "folder beside the frames"
_NAME = 60  # characters of a video's name in that of the folder of its frames
_VERSION = 4  # of what is written out
_SQUARE = 0.02  # by which pixels' sides may differ
_CUT = 0.95  # share of the frames told below which a file counts as cut short
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


class Clip(NamedTuple):
    """One video: its name, where it lies, its frames in order and their size before any resizing.

    place: the folder of its frames, or the video file. folder: of the pictures; a cache for files.
    shots: of each frame the number of its piece without gaps. passed_over: files beside the frames,
    by reason, of the first clip also what lies beside the clips. rate: frames a second, on average,
    of those here; None where no file tells.
    """

    name: str
    place: pathlib.Path
    folder: pathlib.Path
    frames: tuple[str, ...]  # file names
    size: tuple[int, int]  # height, width, as of square pixels
    shots: tuple[int, ...]
    passed_over: Mapping[str, int] = types.MappingProxyType({})
    rate: float | None = None

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
      DataError: where nothing is there, a file that is no video, or videos beside pictures.
    """
    root = pathlib.Path(root).expanduser()
    clips = []
    places, passed_over = _places(root, key)
    with Decoder() as decoder:
        for place in places:
            if place.is_dir():
                clips.append(_folder(place, stride))
                continue
            clips.append(_file(decoder, place, stride, size, cache_dir))
    if not clips:
        state = "holds no video" if root.exists() else "is not there"
        passed = f" ({walk.told(passed_over)})" if passed_over else ""
        raise DataError(f"{key}={str(root)!r} {state}{passed}; looked for {LAYOUT}")
    names = [clip.name for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DataError(f"{key}={str(root)!r} holds two videos of the name {twice!r}; rename one")
    clips[0] = clips[0]._replace(passed_over=Counter(clips[0].passed_over) + passed_over)
    return clips


def _places(root: pathlib.Path, key: str) -> tuple[list[pathlib.Path], Counter[str]]:
    """Returns where the videos at a root lie, and what else is there, by reason.

    Raises DataError for video files beside pictures, of which nobody knows whether they are frames.
    """
    if root.is_file():
        return [root], Counter()
    frames, inside = _pictures(root)[0], walk.list_folder(root, VIDEOS)
    if frames and inside.files:
        raise DataError(
            f"{key}={str(root)!r} holds pictures ({frames[0]}, ...) beside videos "
            f"({inside.files[0]}, ...); name the video, or put the pictures elsewhere (frames into "
            "a folder of their own)"
        )
    filled = [name for name in inside.folders if _pictures(root / name)[0]]
    if frames:
        return [root], Counter({BESIDE_FRAMES: len(filled)} if filled else {})
    empty = len(inside.folders) - len(filled)
    passed_over = inside.passed_over + Counter({NO_FRAMES: empty})
    return [root / name for name in sorted([*filled, *inside.files])], passed_over


def _folder(place: pathlib.Path, stride: int) -> Clip:
    """Returns the video in a folder of frames."""
    frames, passed_over = _pictures(place)
    header = pictures.picture_header(place / frames[0])
    if abs(header.aspect - 1) > _SQUARE:
        logging.warning(
            "%s: %s says that its pixels are not square (%.2f); they are taken as such",
            place, frames[0], header.aspect,
        )  # fmt: skip
    times = gaps.times_in_names(frames)
    shots = _shots(times, f"{place}: the numbers in its frames' names", len(frames))
    kept = tuple(frames[::stride])
    return Clip(place.name, place, place, kept, header.size, shots[::stride], passed_over)


def _file(
    decoder: Decoder,
    place: pathlib.Path,
    stride: int,
    size: tuple[int, int] | None,
    cache_dir: str,
) -> Clip:
    """Returns the video in a file."""
    folder, written = _written_out(decoder, place, stride, size, cache_dir)
    frames, times = tuple(_pictures(folder)[0]), written.times
    parts = _shots(times, f"{place}: its time stamps", len(times) or len(frames) * stride)
    parts = parts[::stride]
    rate = _rate(times[::stride], parts) or (written.rate / stride if written.rate else None)
    return Clip(place.stem, place, folder, frames, written.size, parts, rate=rate)


def _shots(times: Sequence[float], what: str, count: int) -> tuple[int, ...]:
    """Returns what `gaps.shots` finds; one piece of `count` frames where nothing can be said."""
    found = gaps.shots(times) if times else None
    if times and found is None:
        logging.warning("%s have no usual step; all frames in a row count as neighbours", what)
    elif found and found[-1]:
        logging.info("%s leave %d gaps, across which no frames are neighbours", what, found[-1])
    return found or (0,) * count


def _rate(times: Sequence[float], parts: Sequence[int]) -> float | None:
    """Returns the average frames a second within pieces that have no gap."""
    pairs = [i for i in range(1, len(times)) if parts[i] == parts[i - 1]]
    lasting = sum(times[i] - times[i - 1] for i in pairs)
    return len(pairs) / lasting if lasting > 0 else None


def order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Returns a key that sorts names with the numbers in them as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts], name


def _pictures(folder: pathlib.Path) -> tuple[list[str], Counter[str]]:
    """Names of the pictures in a folder, numbers in them sorted as numbers; what is passed over."""
    inside = walk.list_folder(folder, walk.PICTURES)
    return sorted(inside.files, key=order), inside.passed_over


class _Written(NamedTuple):
    """What is known of all frames of a file.

    size: height and width, as of square pixels. times: of each frame, () where some have none.
    rate: frames a second that the file gives, or None.
    """

    size: tuple[int, int]
    times: tuple[float, ...]
    rate: float | None


def _written_out(
    decoder: Decoder,
    path: pathlib.Path,
    stride: int,
    size: tuple[int, int] | None,
    cache_dir: str,
) -> tuple[pathlib.Path, _Written]:
    """Returns the folder with frames of a video file, and what is known of all frames in it."""
    stat = path.stat()
    content = (_VERSION, path.name, stat.st_size, stat.st_mtime_ns, stride, size)
    name = f"video_{path.stem[:_NAME]}_{hashlib.sha256(repr(content).encode()).hexdigest()[:20]}"
    what = f"the folder for the frames of {path.name},"
    folder = made_once(
        cache_dir, name, lambda to: _write_out(decoder, path, to, stride, size), what
    )
    with reading(folder, "delete it to have it made anew", DataError, "it is damaged"):
        told = json.loads((folder / "video.json").read_text())
        height, width = map(int, told["size"])
        said, decoded = map(int, (told["said"], told["decoded"]))
        rate = None if told["rate"] is None else float(told["rate"])
        written = _Written((height, width), gaps.in_order(told["times"]), rate)
    if decoded < _CUT * said:
        logging.warning(
            "%s: says that it has %d frames, and %d of them are there; if it was cut short, get it "
            "again", path, said, decoded,
        )  # fmt: skip
    return folder, written


def _write_out(
    decoder: Decoder,
    path: pathlib.Path,
    folder: pathlib.Path,
    stride: int,
    size: tuple[int, int] | None,
) -> None:
    folder.mkdir(parents=True)
    film, frames = decoder.decode(path)
    seen, times = None, []
    for i, (frame, time) in enumerate(
        track(_Counted(frames, film.count), f"frames of {path.name}")
    ):
        seen = seen or frame.shape[:2]
        times.append(time)
        if i % stride:
            continue
        kept = pictures.resize(frame, *(size or frame.shape[:2]))
        target = folder / f"{i:06d}.jpg"
        if not cv2.imwrite(str(target), cv2.cvtColor(kept, cv2.COLOR_RGB2BGR), _QUALITY):
            raise OSError(f"{target}: can't be written; is the disk full?")
    if seen is None:
        raise DataError(f"{path}: no frame in it; take the file out or get it again")
    told = {"file": path.name, "size": film.square(seen), "rate": film.rate}
    told |= {"times": [] if None in times else times, "said": film.count, "decoded": len(times)}
    (folder / "video.json").write_text(json.dumps(told))


class _Counted:
    """An iterator with the length that is expected of it, for a progress bar."""

    def __init__(self, items: Iterator[Frame], count: int):
        self._items, self._count = items, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        return self._items
