"""The one description of what a batch holds, shared by data (numpy) and tasks (jax)."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from geoseg_jax.core.near_miss import did_you_mean

# How a field lies in the picture, and so what a flip or a crop does to it. picture: colours on the
# pixel grid, which may be mixed. grid: values on it that must not be mixed. vectors: likewise, and
# the values themselves turn with the axes. size: height and width of a padded map. camera: matrix
# K. pose: a rigid motion between cameras. plain: nothing of the picture's geometry.
Geometry = Literal["picture", "grid", "vectors", "size", "camera", "pose", "plain"]


class Field(NamedTuple):
    """One entry of a batch: its dtype, its named axes, its meaning with units, and its geometry."""

    dtype: str
    axes: tuple[str, ...]
    meaning: str
    geometry: Geometry = "plain"

    @property
    def rows(self) -> int:
        """Returns the axis of a record (a batch without B) that counts rows; columns come next."""
        return next(i for i, axis in enumerate(self.axes[1:]) if axis.endswith("H"))

    @property
    def size(self) -> str | None:
        """Returns the field that tells how much of a padded map is true; None where all is."""
        return _SIZES.get(self.axes[1:][self.rows])


# The name of a map's rows -> the field that holds its size without padding.
_SIZES = {"D_H": "depth_size", "F_H": "flow_size", "L_H": "label_size"}

# B: batch, H and W: picture, S: source views (temporal frames in config order, then the stereo
# partner), D_H and D_W, L_H and L_W, F_H and F_W: depth, label and flow map, which may keep the
# ground truth's own, larger size.
FIELDS = {
    "image": Field("uint8", ("B", "H", "W", "3"), "target view, RGB", "picture"),
    "sources": Field("uint8", ("B", "S", "H", "W", "3"), "source views, RGB", "picture"),
    "intrinsics": Field(
        "float32", ("B", "3", "3"), "pixels of this picture size, all views", "camera"
    ),
    "stereo_pose": Field(
        "float32",
        ("B", "4", "4"),
        "stereo partner <- target, metres; identity without stereo",
        "pose",
    ),
    "source_poses": Field(
        "float32",
        ("B", "S", "4", "4"),
        "source <- target, metres; the identity where the target stands in for a missing view",
        "pose",
    ),
    "depth": Field(
        "float32",
        ("B", "D_H", "D_W"),
        "metres along the optical axis, 0 = not measured; as large as image in training, in "
        "evaluation it may keep its own size, zero-padded at the bottom and right",
        "grid",
    ),
    "depth_size": Field(
        "int32", ("B", "2"), "height and width of depth without its padding", "size"
    ),
    "constant_depth": Field(
        "float32",
        ("B", "H", "W"),
        "metres: per pixel the depth of least relative error to the training set without this "
        "frame; evaluation only",
        "grid",
    ),
    "constant_shape": Field(
        "float32",
        ("B", "H", "W"),
        "medians of the frame: as constant_depth, for what is scaled by the median",
        "grid",
    ),
    "flow": Field(
        "float32",
        ("B", "F_H", "F_W", "2"),
        "pixels of its own size, target to sources[0]; as large as image in training, in "
        "evaluation it may keep its own size, zero-padded at the bottom and right",
        "vectors",
    ),
    "flow_valid": Field("bool", ("B", "F_H", "F_W"), "flow is known; False in the padding", "grid"),
    "flow_visible": Field(
        "bool",
        ("B", "F_H", "F_W"),
        "flow is known and its point is seen in sources[0]",
        "grid",
    ),
    "flow_size": Field("int32", ("B", "2"), "height and width of flow without its padding", "size"),
    "constant_flow": Field(
        "float32",
        ("B", "H", "W", "2"),
        "pixels: mean flow of the training set at each pixel, without this pair; evaluation only",
        "vectors",
    ),
    "label": Field(
        "uint8",
        ("B", "L_H", "L_W"),
        "class, 255 = ignore; as large as image in training, in evaluation it may keep its own "
        "size, padded with 255 at the bottom and right",
        "grid",
    ),
    "label_size": Field(
        "int32", ("B", "2"), "height and width of label without its padding", "size"
    ),
    "category": Field("int32", ("B",), "class of the picture"),
    "video": Field("int32", ("B",), "number of the video, and so of the camera, it comes from"),
    "flipped": Field("bool", ("B",), "augmentation has mirrored the record's views left to right"),
    "id": Field("int32", ("B",), "index of the record in its source"),
    "replaced": Field(
        "int32", ("B",), "1 = an unreadable record stood here; its neighbour is used"
    ),
    "mask": Field("bool", ("B",), "False = padding of the last evaluation batch"),
}


def field_of(key: str) -> Field:
    """Looks up a field. Raises ValueError for an unknown one, with the near miss and the remedy."""
    if key not in FIELDS:
        raise ValueError(
            f"record key {key!r} is not a batch field{did_you_mean(key, FIELDS)}; known: "
            f"{', '.join(sorted(FIELDS))}; describe a new one in geoseg_jax/core/batch.py"
        )
    return FIELDS[key]


def check_record(record: Mapping[str, Any], what: str) -> None:
    """Checks a record (a batch without B) against FIELDS.

    Args:
      record: key -> array.
      what: the record, to be named in an error.

    Raises:
      ValueError: for an unknown key, another dtype or shape, and for fields that disagree on the
        length of an axis that they share.
    """
    lengths: dict[str, tuple[int, str]] = {}
    for key, value in record.items():
        try:
            field = field_of(key)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        value, axes = np.asarray(value), field.axes[1:]
        expected = f"{field.dtype} with axes [{', '.join(axes)}] ({field.meaning})"
        if value.dtype != field.dtype or value.ndim != len(axes):
            raise ValueError(
                f"{what}: {key} is {value.dtype}{list(value.shape)}, expected {expected}; convert "
                "it where the record is read"
            )
        for axis, length in zip(axes, value.shape, strict=True):
            if axis.isdigit():
                wanted, where = int(axis), key
            else:
                wanted, where = lengths.setdefault(axis, (length, key))
            if length != wanted:
                beside = "" if where == key else f", and {where} has {axis}={wanted}"
                raise ValueError(
                    f"{what}: {key} has shape {list(value.shape)}, expected {expected}{beside}"
                )
