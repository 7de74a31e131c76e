"""Pictures of one's own, without labels: files, folders, patterns and videos to predict on."""

import glob
import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.core.places import check_local
from geoseg_jax.data import pictures, walk
from geoseg_jax.data.source import DataError, Record
from geoseg_jax.data.video import clips

Place = str | pathlib.Path
_KEY = "--images"


class Row(NamedTuple):
    """Pictures one after the other: the frames of a video, or the pictures of one folder.

    name: of the video or folder. paths: of the pictures; names: theirs, without endings. rate:
    frames a second; None for pictures that are no video.
    """

    name: str
    paths: tuple[pathlib.Path, ...]
    names: tuple[str, ...]
    rate: float | None = None


class OwnPictures:
    """Pictures as a Source of {image, label_size}.

    A name is the picture's path without its ending, within the one folder that is given, or the
    folder that all given places share; a video's frames are numbered. Numbers in names sort as
    numbers.

    Args:
      places: a PNG or JPEG, a folder of such and of videos, a video, a pattern as *.jpg, or several
        of these.
      height, width, resize: that pictures are brought to, and how (pictures.resize); label_size
        holds the size that they have.
      pairs: records are a picture and the next one of its row, in `sources`.
      rate: frames a second of pictures, which makes each folder of them a video, and of a video
        that doesn't tell its own; None if they are none.
      cache_dir: where frames of videos are kept.

    `rows` holds where pictures belong together; `whole(index)` is the picture at its own size.

    Raises DataError for a place that is missing or without a picture, and for two of one name;
    ConfigError for an address.
    """

    def __init__(
        self,
        places: Place | Sequence[Place],
        *,
        height: int,
        width: int,
        resize: str = "area",
        pairs: bool = False,
        rate: float | None = None,
        cache_dir: str = "",
    ):
        places = [places] if isinstance(places, str | pathlib.Path) else list(places)
        for place in places:
            check_local(place, _KEY)
        self.rows, passed_over = find_rows(places, rate, cache_dir)
        self.left_out = {why: count for why, count in passed_over.items() if count}
        self._size, self._resize, self._pairs = (height, width), resize, pairs
        counts = [len(row.paths) - pairs for row in self.rows]
        self._index = [(row, i) for row, n in zip(self.rows, counts, strict=True) for i in range(n)]
        self.names = [row.names[i] for row, i in self._index]
        if not self._index:
            raise DataError(
                f"{_KEY}={told(places)}: flow is of two pictures; give a video, or a folder of "
                "frames"
            )

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord where a picture can't be read, DataError for a pair of two sizes."""
        row, place = self._index[index]
        picture = pictures.read_picture(row.paths[place])
        record = {"image": self._seen(picture), "label_size": np.array(picture.shape[:2], np.int32)}
        if self._pairs:
            after = pictures.read_picture(row.paths[place + 1])
            if after.shape != picture.shape:
                raise DataError(
                    f"{_KEY}: {row.paths[place]} and {row.paths[place + 1].name} differ in size; "
                    "flow is of frames of one camera: put others elsewhere"
                )
            record["sources"] = self._seen(after)[None]
        return record

    def describe(self, index: int) -> str:
        return self.names[index]

    def row(self, index: int) -> Row:
        """Returns the video or folder of a picture."""
        return self._index[index][0]

    def whole(self, index: int) -> np.ndarray:
        """Reads the picture at its own size, uint8 [H, W, 3] RGB."""
        row, place = self._index[index]
        return pictures.to_rgb(pictures.read_picture(row.paths[place]))

    def _seen(self, picture: np.ndarray) -> np.ndarray:
        return pictures.to_rgb(pictures.resize(picture, *self._size, self._resize))


def find_rows(
    places: Sequence[Place], rate: float | None, cache_dir: str
) -> tuple[list[Row], Counter[str]]:
    """Finds pictures and videos, see OwnPictures; and what was passed over, by reason."""
    found, passed_over = _matches(places), Counter[str]()
    shared = _shared(found)
    videos, files = [], []  # (name, path)
    for place in found:
        within = "" if len(found) == 1 else os.path.relpath(place, shared)
        if place.is_dir():
            inside, passed = walk.walk(place, (*walk.PICTURES, *clips.VIDEOS))
            passed_over.update(passed)
            if not inside:
                raise DataError(
                    f"{_KEY}={place}: no picture in it or below ({', '.join(walk.PICTURES)}), and "
                    "no video"
                )
            below = [(os.path.join(within, name), place / name) for name in inside]
        else:
            below = [(within or place.name, place)]
        for name, path in below:
            stem, ending = os.path.splitext(name)
            if ending.lower() in clips.VIDEOS:
                videos.append(("" if path in found and len(found) == 1 else stem, path))
            elif ending.lower() in walk.PICTURES:
                files.append((stem, path))
            else:
                known = ", ".join((*walk.PICTURES, *clips.VIDEOS))
                raise DataError(f"{_KEY}={path}: neither a picture nor a video ({known})")
    rows = [_video(name, path, rate, cache_dir) for name, path in videos]
    rows += _folders(files, rate)
    _check_names(rows)
    return rows, passed_over


def _matches(places: Sequence[Place]) -> list[pathlib.Path]:
    """Returns the files and folders that are given, those of a pattern sorted."""
    found: list[pathlib.Path] = []
    for place in places:
        path = pathlib.Path(place).expanduser()
        if path.exists():
            found.append(path)
            continue
        pattern = glob.has_magic(str(place))
        matches = sorted(glob.glob(str(path), recursive=True), key=clips.order) if pattern else []
        if not matches:
            what = "nothing matches" if pattern else "no such folder or file"
            raise DataError(f"{_KEY}={place}: {what}")
        found += map(pathlib.Path, matches)
    return list(dict.fromkeys(found))


def _shared(found: Sequence[pathlib.Path]) -> str:
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in found])


def _video(name: str, path: pathlib.Path, rate: float | None, cache_dir: str) -> Row:
    (clip,) = clips.find_clips(path, stride=1, size=None, cache_dir=cache_dir, key=_KEY)
    frames = [os.path.splitext(frame)[0] for frame in clip.frames]
    names = tuple(f"{name}/{frame}" if name else frame for frame in frames)
    paths = tuple(clip.path(i) for i in range(len(frames)))
    return Row(name or clip.name, paths, names, clip.rate or rate or clips.USUAL_RATE)


def _folders(files: Sequence[tuple[str, pathlib.Path]], rate: float | None) -> list[Row]:
    """Returns a row for each folder, its pictures in their order."""
    rows = []
    of_folder = sorted(files, key=lambda file: (str(file[1].parent), clips.order(file[0])))
    for folder, group in itertools.groupby(of_folder, lambda file: file[1].parent):
        names, paths = zip(*group, strict=True)
        name = os.path.dirname(names[0]) or folder.absolute().name
        rows.append(Row(name, paths, names, rate))
    return rows


def _check_names(rows: Sequence[Row]) -> None:
    taken: dict[str, pathlib.Path] = {}
    for row in rows:
        for name, path in zip(row.names, row.paths, strict=True):
            if name in taken:
                raise DataError(
                    f"{_KEY}={path.parent}: {taken[name].name} and {path.name} would have the same "
                    "prediction; rename one"
                )
            taken[name] = path
    counts = Counter(row.name for row in rows if row.rate)
    for name, number in counts.items():
        if number > 1:
            raise DataError(
                f"{_KEY}: {number} videos or folders of frames are called {name}, and would have "
                "one video of predictions; rename one"
            )


def told(places: Place | Sequence[Place]) -> str:
    """Returns the places in a few words."""
    places = [places] if isinstance(places, str | pathlib.Path) else list(places)
    return ", ".join(map(str, places[:3])) + (", ..." if len(places) > 3 else "")
