"""Which files and drives a run reads, written down so that runs can be compared later (leakage).

WORKDIR/files.json holds, for the training and the evaluation split, the published name of every
file with a quick hash of its content and the names of the drives, and for every ancestor of the run
what that one was trained on: the record stays whole where the ancestors' folders are moved or lost.
"""

import contextvars
import hashlib
import json
import os
import pathlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from absl import logging

from geoseg_jax.core import atomic
from geoseg_jax.core.digest import sha256_of_file
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError, Source, drive_of, files_of

FILE = "files.json"
_WHOLE = 1 << 16  # files up to this size are hashed whole
_BLOCK = 1 << 12
_REMEDY = "put the original back"
_DIGITS = 32  # 128 bits: no two of a billion files meet by chance
_KITTI_DRIVE = re.compile(r"(?:.*/)?(\d{4}_\d{2}_\d{2}_drive_\d{4})(?:_sync|_extract)?")


class Reads(NamedTuple):
    """What a split of a run reads.

    files: published name -> quick hash, '' where the file could not be read. drives: the recordings
    that the records come from. without_drive: records whose recording is unknown. known: False
    where nobody wrote down what was read, as with weights from elsewhere.
    """

    files: Mapping[str, str] = {}
    drives: tuple[str, ...] = ()
    without_drive: int = 0
    known: bool = True

    def as_json(self) -> dict[str, Any]:
        """Returns it as dicts and lists."""
        return self._asdict() | {"drives": list(self.drives)}


class RunReads(NamedTuple):
    """What a run reads and what its ancestors (name, training split) were trained on."""

    train: Reads
    eval: Reads
    ancestors: tuple[tuple[str, Reads], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns it as dicts and lists, as in files.json."""
        ancestors = [{"name": name, "train": reads.as_json()} for name, reads in self.ancestors]
        return {
            "train": self.train.as_json(),
            "eval": self.eval.as_json(),
            "ancestors": ancestors,
        }


def quick_hash(path: str | pathlib.Path) -> str:
    """Hashes a file's size and content to 32 hex digits; '' where it can't be read.

    Up to 64 KiB the whole content counts, beyond that the first, middle and last 4 KiB: compressed
    pictures differ there as soon as they differ. Takes 0.05 ms a file from the page cache (40,000
    KITTI pictures: two seconds of one core); on a cold disk, three seeks more.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(f"{size} ".encode())
            if size <= _WHOLE:
                digest.update(file.readall())
            else:
                for start in (0, (size - _BLOCK) // 2, size - _BLOCK):
                    digest.update(os.pread(file.fileno(), _BLOCK, start))
    except OSError:
        return ""
    return digest.hexdigest()[:_DIGITS]


def reads_of(source: Source, stop: Callable[[], bool] = lambda: False) -> Reads:
    """Returns what a source reads for all its records; its files are hashed once each.

    stop: asked between files, to give up early with what there is.
    """
    paths: dict[str, pathlib.Path | str | None] = {}
    drives: set[str] = set()
    without_drive = 0
    for index in range(len(source)):
        paths |= files_of(source, index)
        drive = drive_of(source, index)
        without_drive += drive == ""
        drives.add(plain_drive(drive or ""))
        if stop():
            return Reads()
    files = {}
    for name, path in paths.items():
        if stop():
            return Reads()
        files[name] = _content(name, path)
    return Reads(files, tuple(sorted(drives - {""})), without_drive)


def _content(name: str, path: pathlib.Path | str | None) -> str:
    """Returns the hash of one of `files_of`, '' where it can't be read.

    A record without a file of its own (rendered, or in one file with all others) is identified by
    its published name, one of a pack by the hash of what was packed.
    """
    if isinstance(path, pathlib.Path):
        return quick_hash(path)
    return path or hashlib.sha256(b"name " + name.encode()).hexdigest()[:_DIGITS]


def identity(source: Source, index: int) -> tuple[str, ...]:
    """Returns what is equal for records that are read from the same files, whatever their names.

    Hashes of the files in their order; where they are unknown, the record's own name.
    """
    files = files_of(source, index)
    return tuple(_content(n, p) or str(p) for n, p in files.items()) or (source.describe(index),)


def plain_drive(name: str) -> str:
    """Strips a KITTI drive of its folder and its `_sync`, which some leave out; keeps others."""
    match = _KITTI_DRIVE.fullmatch(name)
    return match[1] if match else name


class Recorder:
    """Finds out in a thread what a run reads, and writes it to `path`, while the run goes on.

    data: has train and eval. data_sha256: of the data at hand. sources: what the run's weights came
    from (workdirs, checkpoints, files of weights). What `path` already holds about the same data
    and sources is taken as it is, so that a run that goes on does not hash again. on_found: called
    in the thread with the result.

    The thread has no part in the training: it reads files, nothing else, and dies with the process.
    Whatever goes wrong in it is logged, and the run is without its files.json.
    """

    def __init__(
        self,
        data: Any,
        path: str | pathlib.Path,
        data_sha256: str,
        sources: Iterable[str | pathlib.Path] = (),
        on_found: Callable[[RunReads], None] = lambda found: None,
    ):
        self._data, self._path, self._sha256 = data, pathlib.Path(path), data_sha256
        self._sources, self._on_found = [str(source) for source in sources], on_found
        self._reads: RunReads | None = None
        self._stopped = threading.Event()
        work = contextvars.copy_context().run  # what it tells begins as its run's lines do
        self._thread = threading.Thread(target=work, args=(self._work,), name=FILE, daemon=True)
        self._thread.start()

    def finish(self) -> RunReads | None:
        """Waits for the thread; None where it failed."""
        self._thread.join()
        return self._reads

    def stop(self) -> None:
        """Gives up; the next start of the run begins anew."""
        self._stopped.set()
        self._thread.join()

    def entry(self) -> dict[str, str]:
        """Returns what the manifest says of the file."""
        return {"name": self._path.name, "sha256": sha256_of_file(self._path)}

    def _work(self) -> None:
        try:
            found = self._kept() or self._find()
            if found is not None:
                self._on_found(found)
            self._reads = found
        except Exception as error:  # a run of days must not end because of its papers
            logging.warning("%s: what this run reads could not be recorded: %r", self._path, error)

    def _kept(self) -> RunReads | None:
        """Returns what an earlier start of this run wrote."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            same = self._key().items() <= content.items()
            return _run_reads(content) if same else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _key(self) -> dict[str, Any]:
        """Returns what a record is of; with another key it is made again."""
        return {"data_sha256": self._sha256, "sources": self._sources}

    def _find(self) -> RunReads | None:
        ancestors = ancestry(self._sources)
        stop = self._stopped.is_set
        found = RunReads(
            reads_of(self._data.train, stop), reads_of(self._data.eval, stop), ancestors
        )
        if stop():
            return None
        unreadable = [n for r in (found.train, found.eval) for n, h in r.files.items() if not h]
        if unreadable:
            logging.warning("%s: %d files can't be read", self._path, len(unreadable))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = self._key() | found.as_json()
        atomic.write_text(self._path, json.dumps(content, indent=0, sort_keys=True) + "\n")
        return found


def ancestry(sources: Iterable[str | pathlib.Path]) -> tuple[tuple[str, Reads], ...]:
    """Returns what the ancestors in a line were trained on, oldest first, as (name, reads).

    sources: what config.init_from may name: workdirs, checkpoints in them, other weights. Where
    nothing is written down, Reads.known is False.
    """
    found: list[tuple[str, Reads]] = []
    for source in sources:
        path = pathlib.Path(source).expanduser()
        # A checkpoint is WORKDIR/checkpoints/STEP.
        file = next((p / FILE for p in (path, *path.parents[:2]) if (p / FILE).is_file()), None)
        if file is None or (path != file.parent and path.parent.name != "checkpoints"):
            found.append((str(source), Reads(known=False)))
            continue
        run = read_file(file)
        found += [*run.ancestors, (str(source), run.train)]
    return tuple(found)


def read_run(path: str | pathlib.Path) -> RunReads:
    """Reads what a run reads, by its workdir, its manifest.json or its files.json.

    Raises DataError where it isn't written down, and where files.json is not the one that the
    manifest names.
    """
    path = pathlib.Path(path).expanduser()
    folder = path if path.is_dir() else path.parent
    if path.name == FILE:
        return read_file(path)
    manifest = folder / "manifest.json" if path.is_dir() else path
    content = _load(manifest) if manifest.is_file() else {"finished": None}
    if content.get("finished", "") is None and (folder / FILE).is_file():
        return read_file(folder / FILE)  # of a run that is not finished
    if not manifest.is_file():
        raise DataError(f"{path}: no manifest.json; name the folder of a run, or its manifest.json")
    with reading(manifest, _REMEDY, DataError):
        entry = content.get("data", {}).get("files") or {}
        name, sha256 = entry.get("name", ""), entry.get("sha256")
    if name != FILE:
        raise DataError(
            f"{manifest}: it names no files.json, as of runs of an older version; the run's data "
            "would have to be read again"
        )
    file = manifest.parent / name
    if not file.is_file() or sha256_of_file(file) != sha256:
        state = "has changed since" if file.is_file() else "is not there"
        raise DataError(f"{file} {state}, which {manifest} names; put it back")
    return read_file(file)


def read_file(path: pathlib.Path) -> RunReads:
    """Reads what files.json holds. Raises DataError where it is malformed."""
    with reading(path, _REMEDY, DataError, "no record of files"):
        return _run_reads(_load(path))


def _load(path: pathlib.Path) -> dict[str, Any]:
    with reading(path, _REMEDY, DataError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
        return content


def _run_reads(content: Mapping[str, Any]) -> RunReads:
    def reads(entry: Mapping[str, Any]) -> Reads:
        found = Reads(**{**entry, "drives": tuple(entry["drives"])})
        texts = [*found.files, *found.files.values(), *found.drives]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a name or hash is no text")
        return found

    ancestors = tuple((entry["name"], reads(entry["train"])) for entry in content["ancestors"])
    return RunReads(reads(content["train"]), reads(content["eval"]), ancestors)
