"""Pictures of one's own, without labels: a folder to predict on."""

import os
import pathlib

import numpy as np

from geoseg_jax.data import pictures, walk
from geoseg_jax.data.source import DataError, Record


class OwnPictures:
    """The PNG and JPEG files below a folder as a Source of {image, label_size}, sorted by name.

    Names are paths within the folder without their ending. height, width, resize: that pictures
    are brought to, and how (pictures.resize); label_size holds the size that they have.

    Raises DataError for a folder that is missing or without a picture, and for two of one name.
    """

    def __init__(
        self, folder: str | pathlib.Path, *, height: int, width: int, resize: str = "area"
    ):
        folder = pathlib.Path(folder).expanduser()
        if not folder.is_dir():
            raise DataError(f"--images={folder}: no such folder")
        self._paths: dict[str, pathlib.Path] = {}
        files, passed_over = walk.walk(folder, walk.PICTURES)
        for file in files:
            name, path = os.path.splitext(file)[0], folder / file
            if name in self._paths:
                raise DataError(
                    f"--images={folder}: {self._paths[name].name} and {path.name} would have the "
                    "same prediction; rename one"
                )
            self._paths[name] = path
        if not self._paths:
            raise DataError(
                f"--images={folder}: no picture in it or below ({', '.join(walk.PICTURES)})"
            )
        self.names = list(self._paths)
        self.left_out = dict(passed_over)
        self._size, self._resize = (height, width), resize

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord where the picture can't be read."""
        picture = pictures.read_picture(self._paths[self.names[index]])
        return {
            "image": pictures.to_rgb(pictures.resize(picture, *self._size, self._resize)),
            "label_size": np.array(picture.shape[:2], np.int32),
        }

    def describe(self, index: int) -> str:
        return self.names[index]
