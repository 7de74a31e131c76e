"""Decodes videos in a process of its own: a codec that crashes, hangs or eats memory ends that one.

FFmpeg's decoders are large, old C, and some files end any process that decodes them. Frames come
over a pipe, each after a line of JSON that tells its size.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from absl import logging

from geoseg_jax.data.source import DataError
from geoseg_jax.data.video.gaps import Film

# Of a frame; 8192 x 4320 has half of it. And of a file's frames for each byte of it, since black
# ones cost next to nothing: none smaller than _FREE is refused for that.
LARGEST, _FREE, _DENSEST = 1 << 26, 1 << 24, 1000
_MOST = 1 << 31  # frames, for a progress bar
_REMEDY = "get it again, or convert it to H.264"
_PATIENCE = 60.0  # seconds without a new frame
_MEMORY = 6 << 30  # bytes of address space: 8192 x 4320 takes a third
# What cameras and the web write. FFmpeg knows some 300 formats, among them lists that name other
# files and addresses on the net.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,m4v,h264,hevc"


class Frame(NamedTuple):
    """A picture, RGB uint8 [H, W, 3], and when it is shown: seconds, None where it isn't known."""

    picture: np.ndarray
    time: float | None


class Decoder:
    """Decodes files one after the other in one process, which is started anew where it died.

    To be used in `with`, which ends the process.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._errors: BinaryIO | None = None
        self._busy = self._killed = False

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._errors):
                with contextlib.suppress(BrokenPipeError):  # of what it was not told any more
                    stream.close()
        self._process, self._busy = None, False

    def decode(self, path: str | pathlib.Path) -> tuple[Film, Iterator[Frame]]:
        """Returns what a file says of its frames, and these, those that can't be decoded left out.

        Upright: turned by quarters as its display matrix says, as every player shows it; telephones
        write one.

        Raises:
          DataError: for a file that is missing, no video, of a codec that is not known here or of
            frames that are too large, also amid the frames.
        """
        path = pathlib.Path(path)
        told = self._ask(path)
        if told["tracks"] > 1:
            logging.warning(
                "%s: has %d videos in it, of which the longest is read (the first, of equal ones); "
                "write the others into files of their own",
                path, told["tracks"],
            )  # fmt: skip
        height, width = told["stored"]
        return Film(told["frames"], told["rate"], (height, width), told["aspect"]), self._frames(
            path
        )

    def _ask(self, path: pathlib.Path) -> dict[str, Any]:
        """Returns the process's first answer. Raises DataError."""
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")
        if self._process is None or self._busy or self._process.poll() is not None:
            self.close()
            self._start()
        self._busy = True
        with contextlib.suppress(BrokenPipeError):  # it is dead, which is told by what follows
            self._process.stdin.write(json.dumps(str(path.resolve())).encode() + b"\n")
            self._process.stdin.flush()
        return self._receive(path)

    def _start(self) -> None:
        # Run from the package's root, so that a checkout need not be installed.
        root = str(pathlib.Path(__file__).resolve().parents[3])
        code = f"import sys; sys.path.insert(0, {root!r}); from {__name__} import main; main()"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by close()
        self._killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def _frames(self, path: pathlib.Path) -> Iterator[Frame]:
        while "shape" in (told := self._receive(path)):
            height, width, channels = told["shape"]
            content = self._read(height * width * channels)
            if len(content) < height * width * channels:
                raise self._died(path)
            picture = np.frombuffer(content, np.uint8).reshape(height, width, channels)
            yield Frame(picture, told["time"])

    def _receive(self, path: pathlib.Path) -> dict[str, Any]:
        """Returns what the process tells next. Raises DataError where it fails."""
        line = self._read(None)
        if not line.endswith(b"\n"):
            raise self._died(path)
        told = json.loads(line)
        self._busy = not ("error" in told or "end" in told)
        if "error" in told:
            raise DataError(f"{path}: {told['error']}; {_REMEDY}")
        return told

    def _read(self, size: int | None) -> bytes:
        """Reads so many bytes, or a line; the process is killed where it takes too long."""
        watch = threading.Timer(_PATIENCE, self._kill)
        watch.start()
        try:
            stream = self._process.stdout
            return stream.readline() if size is None else stream.read(size)
        finally:
            watch.cancel()

    def _kill(self) -> None:
        self._killed = True
        self._process.kill()

    def _died(self, path: pathlib.Path) -> DataError:
        code = self._process.wait()
        if self._killed:
            what = f"no frame within {_PATIENCE:.0f} s"
        elif code < 0:
            what = f"its decoder crashed (signal {-code})"
        else:
            what = f"its decoder ended with {code}: {self._words()}"
        return DataError(f"{path}: {what}; {_REMEDY}")

    def _words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"


def main() -> None:
    """Entry of the process: JSON paths on standard input; tells lines of JSON and frames."""
    out = sys.stdout.buffer
    _limit_memory()
    try:
        for line in sys.stdin:
            try:
                _send_all(out, json.loads(line))
            except _Unfit as error:
                _tell(out, error=str(error))
    except BrokenPipeError:  # nobody wants more
        sys.stderr.close()


class _Unfit(Exception):
    """A file that can't be decoded."""


def _tell(out: BinaryIO, **words: Any) -> None:
    out.write(json.dumps(words).encode() + b"\n")
    out.flush()


def _send_all(out: BinaryIO, path: str) -> None:
    import av

    with _opened(path) as (container, stream, tracks):
        _check_size(stream.codec_context.width, stream.codec_context.height, path)
        stream.thread_type = "AUTO"
        _tell(
            out,
            frames=min(max(0, stream.frames), _MOST),
            rate=float(stream.average_rate or 0) or None,
            stored=(stream.height, stream.width),
            aspect=float(stream.sample_aspect_ratio or 1) or 1.0,
            tracks=tracks,
        )
        try:
            for frame in container.decode(stream):
                _check_size(frame.width, frame.height, path)
                picture = upright(frame.to_ndarray(format="rgb24"), frame.rotation)
                _tell(out, shape=picture.shape, time=frame.time)
                out.write(picture.data)
        except (av.error.FFmpegError, ValueError, MemoryError) as error:
            raise _Unfit(f"a frame can't be decoded ({error})") from error
    _tell(out, end=True)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[Any, Any, int]]:
    """Yields a container, the video in it that has most frames, and how many there are."""
    import av  # takes time to import, and only those with video files need it

    try:
        # Names and texts of cameras are in any encoding. `file:`, so that a name is no address.
        container = av.open(
            f"file:{path}",
            metadata_errors="replace",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
        )
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise _Unfit(f"not a video that can be read ({error})") from error
    with container:
        covers = av.stream.Disposition.attached_pic  # a still picture, as of an album
        streams = [s for s in container.streams.video if not s.disposition & covers]
        if not streams:
            raise _Unfit("there is no video in it")
        stream = max(streams, key=lambda stream: stream.frames)
        if stream.codec_context is None:
            raise _Unfit("its codec is not known here")
        yield container, stream, len(streams)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _check_size(width: int, height: int, path: str) -> None:
    """Raises _Unfit for frames that are larger than such a file may have."""
    pixels = max(width, 0) * max(height, 0)
    stored = pathlib.Path(path).stat().st_size
    if pixels > LARGEST or pixels > max(_FREE, _DENSEST * stored):
        raise _Unfit(f"frames of {width} x {height} in {stored} bytes are not decoded")


def upright(picture: np.ndarray, rotation: float) -> np.ndarray:
    """Returns the picture turned anticlockwise by `rotation` degrees, to the nearest quarter."""
    return np.ascontiguousarray(np.rot90(picture, round(rotation / 90) % 4))


if __name__ == "__main__":
    main()
