"""Any image-classification set of tensorflow-datasets, by its name and without TensorFlow.

The set is prepared once, on any machine, in an environment that has TensorFlow:

    pip install tensorflow tensorflow-datasets
    tfds build imagenet2012 --file_format=array_record --data_dir=ROOT --manual_dir=DOWNLOADS

where DOWNLOADS holds, for imagenet2012, ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, which
are not for automatic download. From then on ROOT is all that is needed: records are read at random
through tfds.data_source (array_record) and decoded by OpenCV.
"""

import hashlib
import json
import pathlib
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.core.rules import text
from geoseg_jax.core.setting import Setting
from geoseg_jax.data import pictures
from geoseg_jax.data.fit import Fit, fits
from geoseg_jax.data.packs import tfds_folder
from geoseg_jax.data.reader import ANY_SIZE, FILES, Reader
from geoseg_jax.data.reading import reading
from geoseg_jax.data.source import DataError, Record


def make(data: ConfigDict) -> tuple["TfdsClasses", "TfdsClasses"]:
    """Makes the sources to train and to evaluate on.

    config.data: root (data_dir of tensorflow-datasets, '' = its usual one), dataset (NAME,
    NAME/CONFIG, with :VERSION if you like), train_split and eval_split as tensorflow-datasets
    writes them ('train[:90%]'); for the size of pictures see `fit.fits`.
    Raises DataError where the set is not there, or is no set of pictures with one class each.
    """
    folder = tfds_folder.find(data.root, data.dataset)
    train, judged = (
        TfdsClasses(folder, data[key], fit, f"config.data.{key}")
        for key, fit in zip(("train_split", "eval_split"), fits(data), strict=True)
    )
    return train, judged


class TfdsClasses:
    """A split of a prepared data set as a Source of {image, category}.

    folder: of its version. split: as tensorflow-datasets writes it. fit: what is kept of a picture.
    key: what to call the split in messages. `categories` are the classes' names by number.
    """

    def __init__(self, folder: pathlib.Path, split: str, fit: Fit, key: str = "split"):
        self.left_out: dict[str, int] = {}
        self._folder, self._split, self._fit, self._key = folder, split, fit, key
        self._image, self._label = _features(folder)
        self._reader: Any = None
        reader = self._open()
        self._size = len(reader)
        info = reader.dataset_info
        self._set = f"{info.full_name}:{split}"
        self.categories = tuple(info.features[self._label].names)
        self.words = self.categories

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord where the record can't be read or its picture not be decoded."""
        with reading(f"{self._folder}: {self.describe(index)}", tfds_folder.PREPARE):
            example = self._open()[int(index)]
            picture = pictures.decode_picture(example[self._image], self.describe(index))
            picture = pictures.to_rgb(self._fit(picture))
            category = int(example[self._label])
            if not 0 <= category < len(self.categories):
                raise ValueError(f"class {category} is none of the {len(self.categories)}")
            return {"image": picture, "category": np.array(category, np.int32)}

    def describe(self, index: int) -> str:
        """Returns the data set's name, version and split, and the place in it."""
        return f"{self._set} {index}"

    def drive(self, index: int) -> None:
        """Returns None: each picture is taken somewhere else."""

    def files(self, index: int) -> tuple[tuple[str, None], ...]:
        """Returns the record's name alone: it has no file of its own."""
        return ((self.describe(index), None),)

    def fingerprint(self) -> str:
        """Hashes the set's own description, with its checksums, the split and the fit."""
        digest = hashlib.sha256(repr((self._set, tuple(self._fit))).encode())
        info = json.loads((self._folder / "dataset_info.json").read_text(encoding="utf-8"))
        digest.update(json.dumps(info.get("splits"), sort_keys=True).encode())
        return digest.hexdigest()

    def _open(self) -> Any:
        # Opened by each process for itself: an open file does not travel to workers.
        if self._reader is None:
            import tensorflow_datasets as tfds

            decoders = {self._image: tfds.decode.SkipDecoding()}
            self._reader = tfds_folder.open_split(self._folder, self._split, self._key, decoders)
        return self._reader

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_reader": None}


def _features(folder: pathlib.Path) -> tuple[str, str]:
    """Returns the names of the one feature that is a picture and the one that is a class.

    Raises DataError where a set has none, or several without the usual names.
    """
    import tensorflow_datasets as tfds

    features = tfds_folder.builder(folder).info.features
    names = []
    kinds = (("image", tfds.features.Image), ("label", tfds.features.ClassLabel))
    for usual, kind in kinds:
        found = [name for name, feature in features.items() if isinstance(feature, kind)]
        if usual not in found and len(found) != 1:
            raise DataError(
                f"{folder}: its features {', '.join(features)} hold {len(found)} of the kind "
                f"{kind.__name__}; config.data.dataset must be a set of pictures with one class "
                "each"
            )
        names.append(usual if usual in found else found[0])
    return names[0], names[1]


SET = {"data.dataset": Setting(text, "tensorflow-datasets: NAME or NAME/CONFIG, or with :VERSION")}
READER = Reader(make, ANY_SIZE | SET, needs=("data.dataset", *FILES))
