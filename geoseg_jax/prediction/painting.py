"""Draws predictions for people: colours, overlays, and videos of overlays.

The colours of a video's frames have one scale, which is known when the last frame is predicted;
until then the maps wait in a file.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.data.own_pictures import Row
from geoseg_jax.prediction.files import OVERLAYS, Files, Size, write_colours
from geoseg_jax.prediction.film import Film, film
from geoseg_jax.scoring.label_files import COLOURS, file_name

VIDEOS = "video"  # the folder beside COLOURS


class Drawn(NamedTuple):
    """A prediction to draw: its name, its map as the network gives it, its picture and its size."""

    name: str
    found: np.ndarray
    size: Size
    picture: Callable[[], np.ndarray]  # reads uint8 [H, W, 3] RGB of that size


class Painter:
    """Draws predictions in the order that they are added in; to be used in `with`.

    out: folder. files: how to draw. overlays, video: what to write beside colours.

    `scales` holds what is drawn at full strength in each video, by its name.
    """

    def __init__(self, out: pathlib.Path, files: Files, *, overlays: bool, video: bool):
        self.scales: dict[str, float] = {}
        self._out, self._files = out, files
        self._overlays, self._video = overlays, video
        self._row: Row | None = None
        self._open = contextlib.ExitStack()
        self._film: Film | None = None
        self._waiting: list[Drawn] = []
        self._samples: list[np.ndarray] = []
        self._store: Any = None

    def __enter__(self) -> "Painter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        if kind is None:
            self._end()
        else:  # so that no half video takes the place of a whole one
            self._open.__exit__(kind, error, trace)

    def add(self, drawn: Drawn, row: Row | None) -> None:
        """Draws a prediction, or keeps it until its row is complete.

        row: the video or folder of the picture; None for others.
        """
        if row is not self._row:
            self._end()
            self._begin(row)
        if not (self._files.scaled and row is not None and row.rate):
            self._draw(drawn, None)
            return
        self._samples.append(self._files.sample(self._files.own(drawn.found, drawn.size)))
        np.save(self._store, drawn.found, allow_pickle=False)
        self._waiting.append(drawn._replace(found=np.empty(0)))

    def _begin(self, row: Row | None) -> None:
        self._row = row
        if row is None or not row.rate:
            return
        if self._files.scaled:
            store = tempfile.TemporaryFile(dir=self._out)  # noqa: SIM115, closed by the stack
            self._store = self._open.enter_context(store)
        if self._video:
            path = (self._out / VIDEOS / file_name(row.name)).with_suffix(".mp4")
            self._film = self._open.enter_context(film(path, row.rate))

    def _end(self) -> None:
        """Draws what waits, and ends the video."""
        with self._open:
            if self._waiting:
                scale = self._files.scale(self._samples)
                self.scales[self._row.name] = scale
                self._store.seek(0)
                for drawn in self._waiting:
                    found = np.load(self._store, allow_pickle=False)
                    self._draw(drawn._replace(found=found), scale)
        self._open = contextlib.ExitStack()
        self._row = self._film = self._store = None
        self._waiting, self._samples = [], []

    def _draw(self, drawn: Drawn, scale: float | None) -> None:
        own = self._files.own(drawn.found, drawn.size)
        colours = self._files.colours(own, scale)
        write_colours(self._out / COLOURS, drawn.name, colours)
        if not self._overlays and self._film is None:
            return
        overlay = self._files.overlay(drawn.picture(), own, colours)
        if self._overlays:
            write_colours(self._out / OVERLAYS, drawn.name, overlay)
        if self._film is not None:
            self._film.add(overlay)
