"""What to write beside the usual files, and the camera of one's own pictures."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.pictures import scale_intrinsics
from geoseg_jax.data.video.camera import from_calibration, from_fov
from geoseg_jax.prediction.files import OVERLAYS, RAW
from geoseg_jax.prediction.painting import VIDEOS
from geoseg_jax.prediction.points import POINTS

Size = tuple[int, int]  # height, width
_ANY_FOV = 60.0  # of a learned camera only the principal point and the pixels' shape count


class Wanted(NamedTuple):
    """What to write beside the usual files, and what is known of one's own pictures.

    overlays: picture and prediction as one, OUT/overlay. video: the same of each video,
    OUT/video/NAME.mp4. npy: raw numbers, OUT/npy. ply: depth as coloured points, OUT/points. flo:
    flow also as .flo. fps: frames a second of folders of pictures, which are videos then. fov,
    camera: for ply, the horizontal field of view in degrees, or what
    data.video.camera.from_calibration takes.
    """

    overlays: bool = False
    video: bool = False
    npy: bool = False
    ply: bool = False
    flo: bool = False
    fps: float | None = None
    fov: float | None = None
    camera: str = ""

    def folders(self) -> list[str]:
        """Returns the folders of these files, below OUT."""
        of = {OVERLAYS: self.overlays, VIDEOS: self.video, RAW: self.npy, POINTS: self.ply}
        return [name for name, asked in of.items() if asked]

    def check(self, predicts: str, own: bool) -> None:
        """Refuses what would have no effect.

        Args:
          predicts: 'depth', 'label' or 'flow'.
          own: whether the pictures are one's own.

        Raises:
          ConfigError: naming the first.
        """
        rules = (
            (self.ply and predicts != "depth", "--ply is for runs of depth"),
            (self.flo and predicts != "flow", "--flo is for runs of flow"),
            (self.video and not own, "--video goes with --images=VIDEO; a split is no video"),
            (self.fps is not None and not own, "--fps goes with --images"),
            (self.fps is not None and not 0.001 <= self.fps <= 1000, "--fps is from 0.001 to 1000"),
            (bool(self.fov or self.camera) and not self.ply, "--fov and --camera go with --ply"),
            (bool(self.fov and self.camera), "--fov and --camera exclude each other"),
            (self.fov is not None and not 1 <= self.fov <= 175, "--fov is from 1 to 175 degrees"),
        )
        for bad, words in rules:
            if bad:
                raise ConfigError(words)


class Cameras:
    """The camera of each picture: as asked for, or the run's own.

    `learned`: one's own pictures are taken for those of the one camera that the run has learned.
    `said`: where cameras come from, for the record.

    Raises ConfigError where there is none for one's own pictures.
    """

    def __init__(self, wanted: Wanted, config: Any, variables: Mapping[str, Any], own: bool):
        self._wanted, self._data = wanted, config.data
        count = np.size(variables["params"].get("intrinsics", {}).get("focal_x", ()))
        given = bool(wanted.fov or wanted.camera)
        self.learned = wanted.ply and own and not given and count == 1
        if wanted.ply and own and not given and not self.learned:
            why = f"the run has learned {count} cameras" if count else "the run has none for them"
            raise ConfigError(
                f"--ply needs the camera of --images, and {why}; give --fov=DEGREES, or --camera="
                "FILE or 'fx fy cx cy'"
            )
        told = f"fov {wanted.fov:g}" if wanted.fov else f"camera {wanted.camera}"
        self.said = told if given else "learned by the run" if count else "of the run's data"

    def of(self, found: Mapping[str, np.ndarray], place: int, size: Size) -> np.ndarray:
        """Returns K [3, 3] of the picture at that place of a batch, in pixels of its own size."""
        if self._wanted.fov:
            return from_fov(self._wanted.fov, size)
        if self._wanted.camera:
            return from_calibration(self._wanted.camera, pathlib.Path(), size, "--camera")
        if "intrinsics" not in found:
            raise ConfigError("--ply: the run's data tells of no cameras; give --fov=DEGREES")
        seen = self._data.height, self._data.width
        return scale_intrinsics(found["intrinsics"][place], seen, size)

    def guess(self, sizes: np.ndarray) -> np.ndarray:
        """Returns matrices [N, 3, 3] of square pixels, for a learned camera to start from."""
        seen = self._data.height, self._data.width
        guesses = [scale_intrinsics(from_fov(_ANY_FOV, s), s, seen) for s in sizes.tolist()]
        return np.stack(guesses).astype(np.float32)
