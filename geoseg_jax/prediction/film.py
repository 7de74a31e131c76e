"""Writes pictures as a video that every player shows: H.264 where FFmpeg has it, else MPEG-4."""

import contextlib
import fractions
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from geoseg_jax.core import atomic

CODECS = ("libx264", "libopenh264", "mpeg4")
_FINEST = 1001  # of a rate's denominator: 30000/1001 is what cameras call 29.97


class Film:
    """A video that grows by a picture at a time; see `film`."""

    def __init__(self, container: Any, rate: float):
        self._container, self._stream = container, None
        self._rate = fractions.Fraction(rate).limit_denominator(_FINEST)

    def add(self, picture: np.ndarray) -> None:
        """Adds uint8 [H, W, 3] RGB; later ones are brought to the first one's size."""
        import av

        height, width = picture.shape[:2]
        # Colours are stored at half the size: sides must be even.
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._open(*picture.shape[:2])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(self._stream.width, self._stream.height, "yuv420p")
        self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Writes what the codec still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _open(self, height: int, width: int) -> Any:
        import av

        codec = next(name for name in CODECS if name in av.codecs_available)
        stream = self._container.add_stream(codec, rate=self._rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "18", "preset": "fast"}
        else:
            stream.bit_rate = max(1_000_000, int(height * width * self._rate / 5))
        return stream


@contextlib.contextmanager
def film(path: str | pathlib.Path, rate: float) -> Iterator[Film]:
    """Yields a Film to add pictures to; the .mp4 is there, whole, when the block ends.

    rate: frames a second.
    """
    import av  # takes time to import, and only those with videos need it

    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic.replacing(path) as partial,
        # `file:`, so that a name is no address.
        av.open(f"file:{partial}", "w", format="mp4") as container,
    ):
        made = Film(container, rate)
        yield made
        made.end()
