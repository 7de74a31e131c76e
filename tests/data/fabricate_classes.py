"""Small sets of classified pictures in their true formats: folders, and tensorflow-datasets'."""

import io
import pathlib

import cv2
import numpy as np

from tests.data.fabricate import picture

CLASSES = ("n01", "n02", "n10")


def jpeg(seed: int, height: int = 20, width: int = 30) -> bytes:
    return cv2.imencode(".jpg", picture(seed, height, width))[1].tobytes()


def write_class_folder(
    root: pathlib.Path, split: str = "train", each: int = 3, classes: tuple[str, ...] = CLASSES
) -> pathlib.Path:
    """ROOT/SPLIT/CLASS/CLASS_i.JPEG, of differing sizes."""
    for number, name in enumerate(classes):
        folder = root / split / name
        folder.mkdir(parents=True)
        for i in range(each):
            content = jpeg(100 * number + i + len(split), 20 + 2 * i, 30 + number)
            (folder / f"{name}_{i}.JPEG").write_bytes(content)
    return root


def write_tfds(
    root: pathlib.Path, name: str = "pets", version: str = "1.0.0", file_format="array_record"
) -> pathlib.Path:
    """A prepared data set of two splits, as `tfds build` leaves it, written without TensorFlow."""
    import tensorflow_datasets as tfds

    folder = root / name / version
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "file_name": tfds.features.Text(),
        }
    )
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version(version), data_dir=str(folder), module_name="pets"
    )
    info = tfds.core.DatasetInfo(
        builder=identity, description="pets", features=features, disable_shuffling=True
    )
    writer = tfds.core.SequentialWriter(info, 4, file_format=file_format)
    writer.initialize_splits(["train", "validation"])
    for split, count in (("train", 6), ("validation", 2)):
        examples = [
            {"image": io.BytesIO(jpeg(i)), "label": i % 2, "file_name": f"{i}.jpg"}
            for i in range(count)
        ]
        writer.add_examples({split: examples})
    writer.close_all()
    return folder


def as_rgb(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
