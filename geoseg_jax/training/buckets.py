"""A run whose workdir is an address, gs:// or s3://: a local folder that a bucket is kept equal to.

The folder lies in the user's cache. At the start the bucket is fetched, unless the folder is what
it was last equal to. After each checkpoint, and at the end, what is new is pushed and what is gone
is removed. No checkpoint is lost unsaid:

- MARK, in the bucket, has the number of the folder that pushed last. A folder goes on as it is
  where that is its own number, and no checkpoint there is newer than its intact ones. Otherwise
  what is in it is put aside, beside it, and the bucket is fetched.
- A run that finds another number stops before it pushes: the one that was started last has the
  bucket, since locks don't reach across machines.
- The hashes of a checkpoint are pushed after its other files and removed before them. One without
  is half a checkpoint and not fetched; what doesn't fit them is told on restoring (intact.py).

On fsspec, on which etils.epath stands: it lists all files at once and copies them side by side, and
its listings can be forgotten, which know nothing of other machines.
"""

import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import disk, json_files, places
from geoseg_jax.data.made_once import default_cache_dir
from geoseg_jax.training import intact
from geoseg_jax.training.checkpoints import steps_in
from geoseg_jax.training.sharding import say
from geoseg_jax.training.workdir import LOCK

MARK = "pushed_by.json"  # in the bucket: the number of the folder, and who works in it
STATE = "bucket.json"  # in the folder: its number, and size and time of each file when pushed
_PACKAGES = {"gs": ("gcsfs", "gcs"), "s3": ("s3fs", "s3")}  # scheme -> package, extra
_STEP = re.compile(r"checkpoints/(\d+)/")
_HASHES = re.compile(rf"checkpoints/(\d+)/{re.escape(intact.FILE)}")
# What is not mirrored: what is being written or removed, and the files named above.
_OTHER = re.compile(
    r"(^|/)\.[^/]*\.partial-|\.orbax-checkpoint-tmp|^checkpoints/\d+\.old/"
    rf"|^({LOCK}|{MARK}|{STATE})$"
)
_LAST = ("eval.json", "manifest.json")  # to be pushed, as they speak of checkpoints


class BucketError(OSError):
    """A bucket can't be read or written; one line with its address and the remedy."""


class TakenError(BucketError):
    """Another run uses the bucket."""


def place(workdir: str | os.PathLike) -> tuple[str, pathlib.Path]:
    """Returns a workdir's address, '' for a folder, and the absolute folder to work in.

    Raises:
      ConfigError: for an address of another kind, without the package that opens it, and where
        several processes are one training.
    """
    address = places.address(workdir)
    if not address:
        return "", pathlib.Path(workdir).absolute()
    scheme, _, path = address.partition("://")
    if scheme not in _PACKAGES or not path:
        raise ConfigError(
            f"--workdir={address} is neither gs://BUCKET/RUN nor s3://BUCKET/RUN; mount other "
            "places as a folder, and name that"
        )
    if (count := jax.process_count()) > 1:
        raise ConfigError(
            f"--workdir={address} is for one process, and this training has {count}, which write "
            "into one folder: mount the bucket on each machine (gcsfuse, s3fs), and name that"
        )
    package, extra = _PACKAGES[scheme]
    try:
        import fsspec  # where a bucket is used

        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise ConfigError(
            f"--workdir={address} needs {package}, which is not installed; pip install "
            f"'geoseg_jax[{extra}]'"
        ) from error
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    name = f"{re.sub(r'[^A-Za-z0-9.-]+', '_', path)[-80:]}-{digest}"
    return address, (default_cache_dir() / "buckets" / name).absolute()


@contextlib.contextmanager
def mirrored(address: str, folder: pathlib.Path) -> Iterator[Callable[[], None] | None]:
    """Keeps a bucket equal to a folder that this process has locked; '' for no bucket.

    Yields what to call when a checkpoint is whole, None without a bucket: a push that fails then is
    told, and made up for by the next one. The last is at the end, also after an error.

    Raises:
      ConfigError: the bucket holds something else than a run;
      BucketError: it can't be read or written, or another run uses it.
    """
    if not address:
        yield None
        return
    mirror = _Mirror(address, folder)
    mirror.start()
    try:
        yield mirror.try_to_push
    except TakenError:
        raise
    except Exception:
        mirror.try_to_push()
        raise
    mirror.push()


class _Mirror:
    """A bucket, its folder, and what of the folder the bucket has."""

    def __init__(self, address: str, folder: pathlib.Path) -> None:
        self._address, self._folder = address, folder
        self._id = uuid.uuid4().hex
        self._pushed: dict[str, list[int] | None] = {}  # None: nobody knows what of it
        with self._named("can't be opened"):
            import fsspec

            self._fs, self._root = fsspec.url_to_fs(address)

    def start(self) -> None:
        """Fetches the bucket unless the folder goes on as it is; marks it as this folder's."""
        remedy = "remove it, and the bucket is fetched anew"
        kinds = {"id": str, "files": dict}
        state = json_files.read_json(self._folder / STATE, "what was pushed", kinds, remedy)
        with self._named("can't be read: see to its name, and to your login there"):
            names, mark = self._names(), self._mark()
            if state and state["id"] == mark.get("id") and _is_ahead(self._folder, names):
                self._id, known, fetched = state["id"], state["files"], 0
            else:
                self._put_aside()
                fetched = self._fetch(names, marked=bool(mark))
                known = _signatures(self._folder)
        say(f"{self._address} is kept equal to the workdir; {fetched} files fetched")
        # What others have put there, beside checkpoints, is left alone.
        self._pushed = {n: known.get(n) for n in names if n in known or _STEP.match(n)}
        self._write_state()
        with self._named("can't be written"):
            mark = {"id": self._id, "by": f"process {os.getpid()} on {socket.gethostname()}"}
            self._fs.pipe_file(self._remote(MARK), json.dumps(mark).encode())

    def try_to_push(self) -> None:
        """Pushes; where that fails says so, for the next time.

        Raises:
          TakenError: another run uses the bucket.
        """
        try:
            self.push()
        except TakenError:
            raise
        except BucketError as error:
            say(f"{error}; tried again after the next checkpoint and at the end")

    def push(self) -> None:
        """Pushes what is new or changed, then removes what is gone."""
        with self._named(f"can't be written; all is in {self._folder}, the same command pushes it"):
            self._check_mark()
            now = _signatures(self._folder)
            new = [name for name in now if self._pushed.get(name) != now[name]]
            gone = [name for name in self._pushed if name not in now]
            for _, group in itertools.groupby(sorted(new, key=_order), _order):
                names = list(group)
                here = [str(self._folder / name) for name in names]
                self._fs.put(here, [self._remote(name) for name in names])
                self._pushed |= {name: now[name] for name in names}
            if gone:
                self._check_mark()
            for name in sorted(gone, key=_order, reverse=True):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(self._remote(name))
                del self._pushed[name]
        if new or gone:
            self._write_state()
            say(f"{self._address}: {len(new)} files pushed, {len(gone)} removed")

    def _names(self) -> set[str]:
        """Lists the files of the run in the bucket; refuses something else than a run."""
        self._fs.invalidate_cache()
        paths = (path.removeprefix(self._root).strip("/") for path in self._fs.find(self._root))
        names = {name for name in paths if name and ".." not in name.split("/")}
        if names and not any(n in (MARK, "config.json") or _STEP.match(n) for n in names):
            raise ConfigError(
                f"--workdir={self._address} holds no run, but {min(names)}; name a folder in it"
            )
        return {name for name in names if not _OTHER.search(name)}

    def _fetch(self, names: set[str], marked: bool) -> int:
        """Copies files into the folder, when all of them are here; returns how many.

        marked: they were pushed by such a run, which leaves no whole checkpoint without hashes.
        """
        steps = {int(found[1]) for name in names if (found := _STEP.match(name))}
        half = steps - _whole(names) if marked else set()
        for step in sorted(half):
            say(f"{self._address}: checkpoint {step} is but half there, and passed over")
        passed_over = tuple(f"checkpoints/{step}/" for step in half)
        fetched = [name for name in names if not name.startswith(passed_over)]
        partial = self._folder.with_name(f"{self._folder.name}.fetching")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        if fetched:
            here = [str(partial / name) for name in fetched]
            self._fs.get([self._remote(name) for name in fetched], here)
        for path in partial.iterdir():
            path.rename(self._folder / path.name)
        partial.rmdir()
        return len(fetched)

    def _put_aside(self) -> None:
        """Moves what is in the folder to another one beside it."""
        paths = [path for path in self._folder.iterdir() if path.name != LOCK]
        if not paths:
            return
        asides = (
            self._folder.with_name(f"{self._folder.name}.aside{i}") for i in itertools.count()
        )
        aside = next(path for path in asides if not path.exists())
        aside.mkdir()
        for path in paths:
            path.rename(aside / path.name)
        say(
            f"{self._address} is newer than this machine's copy of it, another machine's or "
            f"emptied: the copy is now {aside}; look at it, or remove it"
        )

    def _check_mark(self) -> None:
        mark = self._mark()
        if mark.get("id") != self._id:
            raise TakenError(
                f"{self._address} is now that of {mark.get('by', 'nobody')}: this run stops, and "
                f"pushes no more; its files are in {self._folder}"
            )

    def _mark(self) -> dict[str, Any]:
        self._fs.invalidate_cache()
        try:
            return json.loads(self._fs.cat_file(self._remote(MARK)))
        except FileNotFoundError:
            return {}

    def _write_state(self) -> None:
        files = {name: known for name, known in self._pushed.items() if known}
        json_files.write_json(self._folder / STATE, {"id": self._id, "files": files})

    def _remote(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _named(self, problem: str) -> Iterator[None]:
        """Makes one line of whatever a library raises."""
        try:
            yield
        except (ConfigError, BucketError):
            raise
        except Exception as error:
            if disk.is_full(error):
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise BucketError(f"{self._address} {problem} ({reason})") from error


def _order(name: str) -> int:
    """Returns when a file is pushed: before all those of a greater number."""
    if name in _LAST:
        return 3 + _LAST.index(name)
    return 2 if _HASHES.fullmatch(name) else 1 if _STEP.match(name) else 0


def _whole(names: Iterable[str]) -> set[int]:
    """Returns the steps of checkpoints whose hashes are there."""
    return {int(found[1]) for name in names if (found := _HASHES.fullmatch(name))}


def _is_ahead(folder: pathlib.Path, names: Iterable[str]) -> bool:
    """Tells whether no checkpoint among the names is newer than the intact ones in the folder."""
    checkpoints = folder / "checkpoints"
    steps = reversed(steps_in(checkpoints))
    newest = next((s for s in steps if not intact.damage(checkpoints / str(s))), 0)
    return newest >= max(_whole(names), default=0)


def _signatures(folder: pathlib.Path) -> dict[str, list[int]]:
    """Returns size and time of each file that is mirrored."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    found = {name: path.stat() for name, path in paths.items() if not _OTHER.search(name)}
    return {name: [s.st_size, s.st_mtime_ns] for name, s in found.items()}
