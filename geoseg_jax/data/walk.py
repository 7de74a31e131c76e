"""Finds files in folders: the one place that decides what of a folder is data.

Links are followed, endings count in any case, hidden files and folders are none of the data. What
is passed over is counted by its reason, for a source's `left_out`: nothing is missing in silence.
"""

import os
import pathlib
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from geoseg_jax.data.source import DataError

HIDDEN_FILE, HIDDEN_FOLDER = "hidden file", "hidden folder"
DANGLING, LOOP = "link that leads nowhere", "link that leads back to a folder above it"
CLOSED, DEVICE = "folder that can't be opened", "pipe or device"
SAME_NAME = "file whose name another one has with another ending"
PICTURES = (".jpg", ".jpeg", ".png")
# Where others are asked for, whoever has these wants to know that they are not seen.
_OTHERS = frozenset(
    (
        *PICTURES,
        *(".avif", ".bmp", ".dng", ".exr", ".gif", ".heic", ".jp2", ".jxl", ".pgm", ".ppm"),
        *(".raw", ".tga", ".tif", ".tiff", ".webp"),
        *(".asf", ".divx", ".flv", ".insv", ".ogv", ".vob", ".wmv"),
    )
)


class Listing(NamedTuple):
    """What one folder holds: names of files and of folders, sorted, and what was passed over."""

    files: list[str]
    folders: list[str]
    passed_over: Counter[str]


class Found(NamedTuple):
    """Files below a folder: paths within it, '/' between, sorted; and what was passed over."""

    files: list[str]
    passed_over: Counter[str]


class Named(NamedTuple):
    """Files by the names that a data set publishes, and what was passed over."""

    paths: dict[str, pathlib.Path]
    passed_over: Counter[str]


def list_folder(folder: str | os.PathLike[str], endings: Collection[str] | None = None) -> Listing:
    """Lists one folder; nothing where there is no such folder.

    Args:
      folder: to list.
      endings: of the files that are wanted, in small letters with their dot; None for all files.

    Raises:
      DataError: where the folder is there and can't be read.
    """
    try:
        with os.scandir(folder) as entries:
            return _sorted_out(entries, endings)
    except (FileNotFoundError, NotADirectoryError):
        return Listing([], [], Counter())
    except OSError as error:
        raise DataError(f"{folder}: the folder can't be read ({error.strerror})") from error


def walk(folder: str | os.PathLike[str], endings: Collection[str]) -> Found:
    """Finds the files with these endings in a folder and all below it.

    A folder that a link leads to counts as lying where the link is; one that holds itself is
    entered once. No file is looked at: 90,000 take less than a second.

    Raises:
      DataError: where the folder itself can't be read. One below it is counted instead.
    """
    found: list[str] = []
    passed_over: Counter[str] = Counter()
    # Of each folder: where it lies, what stands before its files' names, and, without links, its
    # path and those of the folders above it.
    waiting = [(os.fspath(folder), "", (os.path.realpath(folder),))]
    while waiting:
        place, within, above = waiting.pop()
        try:
            inside = list_folder(place, endings)
        except DataError:
            if not within:
                raise
            passed_over[CLOSED] += 1
            continue
        passed_over.update(inside.passed_over)
        found.extend(within + name for name in inside.files)
        for name in inside.folders:
            below = os.path.join(place, name)
            real = os.path.realpath(below) if os.path.islink(below) else f"{above[-1]}/{name}"
            if real in above:
                passed_over[LOOP] += 1
            else:
                waiting.append((below, f"{within}{name}/", (*above, real)))
    return Found(sorted(found), passed_over)


def by_name(
    folder: str | os.PathLike[str], suffix: str = "", endings: Collection[str] = PICTURES
) -> Named:
    """Finds files by their published names, the paths within a folder less `suffix` and ending.

    Files whose names lack the suffix are others by the data set's own layout, and not counted. Of
    one name with several endings the last in order of the alphabet is taken (.png before .jpg).

    Raises:
      DataError: as `walk` does.
    """
    files, passed_over = walk(folder, endings)
    root, found = pathlib.Path(folder), {}
    # By ending, so that the last one wins.
    for path in sorted(files, key=lambda path: os.path.splitext(path)[1].lower()):
        stem = os.path.splitext(path)[0]
        name = stem.removesuffix(suffix)
        if stem.endswith(suffix) and name and name[-1] != "/":
            passed_over[SAME_NAME] += name in found
            found[name] = root / path
    return Named(dict(sorted(found.items())), +passed_over)


def told(passed_over: Counter[str]) -> str:
    """Returns what was passed over in one phrase, '' for nothing."""
    return ", ".join(f"{count} x {why}" for why, count in passed_over.items() if count)


def _sorted_out(entries: "os._ScandirIterator[str]", endings: Collection[str] | None) -> Listing:
    files, folders, passed_over = [], [], Counter[str]()
    for entry in entries:
        # The system tells kinds along with names: only links have to be looked up.
        try:
            folder, file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself, or into a folder that can't be opened
            folder = file = False
        ending = os.path.splitext(entry.name)[1].lower()
        wanted = endings is None or ending in endings
        if entry.name[0] == ".":
            passed_over[HIDDEN_FOLDER if folder else HIDDEN_FILE] += 1
        elif folder:
            folders.append(entry.name)
        elif not file:
            passed_over[DANGLING if entry.is_symlink() else DEVICE] += 1
        elif wanted:
            files.append(entry.name)
        elif ending in _OTHERS:
            passed_over[f"{ending} file, a kind that is not read"] += 1
    return Listing(sorted(files), sorted(folders), passed_over)
