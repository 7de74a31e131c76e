"""A stand-in for a bucket: gs://NAME/... lies in a folder, for this process.

As gcsfs does it: it keeps listings until they are invalidated, and a file is there whole or not at
all, also for a process that looks from outside. Not as gcsfs: where `dies_after` ends the machine
amid a file, half of it is left.
"""

import contextlib
import os
import pathlib

import fsspec
from fsspec.implementations.local import LocalFileSystem


class Died(BaseException):
    """The machine is gone: nothing in this process runs any more that could tidy up."""


class StandIn(LocalFileSystem):
    """What is done to it is noted in `done`: ('put' or 'rm', path in the bucket)."""

    protocol = ("gs", "gcs")
    folder = pathlib.Path()
    done: list[tuple[str, str]] = []  # noqa: RUF012, of all instances
    dies_after: int | None = None  # so many changes
    fails = False  # as without a network
    listed: dict[str, list[str]] = {}  # noqa: RUF012

    def __init__(self, **options):
        super().__init__(auto_mkdir=True, **options)

    @classmethod
    def _strip_protocol(cls, path):
        text = os.fspath(path)
        return f"{cls.folder}/{text[5:]}" if text.startswith("gs://") else text

    def find(self, path, **options):
        if path not in self.listed:
            self.listed[path] = super().find(path, **options)
        return self.listed[path]

    def invalidate_cache(self, path=None):
        self.listed.clear()

    def put_file(self, lpath, rpath, **options):
        self._change("put", rpath, pathlib.Path(lpath).read_bytes())
        part = f"{self.folder}.part-{os.getpid()}"  # beside the buckets: no listing has it
        super().put_file(lpath, part)
        os.makedirs(os.path.dirname(rpath), exist_ok=True)
        os.replace(part, rpath)

    def rm_file(self, path):
        self._change("rm", path)
        super().rm_file(path)
        with contextlib.suppress(OSError):  # a bucket has no folders, and so no empty ones
            os.removedirs(os.path.dirname(path))

    def _change(self, what, path, content=b""):
        if self.fails:
            raise ConnectionError("no answer\nfrom the server")
        if self.dies_after is not None and len(self.done) >= self.dies_after:
            if what == "put":
                pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
                pathlib.Path(path).write_bytes(content[: len(content) // 2])
            raise Died
        self.done.append((what, str(pathlib.Path(path).relative_to(self.folder))))


def use(folder: pathlib.Path) -> type[StandIn]:
    """Makes gs:// an empty record of the folder from now on."""
    StandIn.folder, StandIn.dies_after, StandIn.fails = folder, None, False
    StandIn.done.clear()
    StandIn.listed.clear()
    for scheme in StandIn.protocol:
        fsspec.register_implementation(scheme, StandIn, clobber=True)
    return StandIn
