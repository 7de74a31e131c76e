"""The one description of what a batch holds, shared by data (numpy) and tasks (jax)."""

from typing import NamedTuple


class Field(NamedTuple):
    """One entry of a batch: its dtype, its named axes and its meaning, units included."""

    dtype: str
    axes: tuple[str, ...]
    meaning: str


# B: batch, H and W: picture, S: source views (temporal frames in config order, then the stereo
# partner), D_H and D_W, L_H and L_W, F_H and F_W: depth, label and flow map, which may keep the
# ground truth's own, larger size.
FIELDS = {
    "image": Field("uint8", ("B", "H", "W", "3"), "target view, RGB"),
    "sources": Field("uint8", ("B", "S", "H", "W", "3"), "source views, RGB"),
    "intrinsics": Field("float32", ("B", "3", "3"), "pixels of this picture size, all views"),
    "stereo_pose": Field(
        "float32", ("B", "4", "4"), "stereo partner <- target, metres; identity without stereo"
    ),
    "source_poses": Field(
        "float32",
        ("B", "S", "4", "4"),
        "source <- target, metres; the identity for a view that the target itself stands in for",
    ),
    "depth": Field(
        "float32",
        ("B", "D_H", "D_W"),
        "metres along the optical axis, 0 = not measured; as large as image in training, in "
        "evaluation it may keep its own size, zero-padded at the bottom and right",
    ),
    "depth_size": Field("int32", ("B", "2"), "height and width of depth without its padding"),
    "constant_depth": Field(
        "float32",
        ("B", "H", "W"),
        "metres: per pixel the depth of least relative error to the training set without this "
        "frame; evaluation only",
    ),
    "constant_shape": Field(
        "float32",
        ("B", "H", "W"),
        "medians of the frame: as constant_depth, for what is scaled by the median",
    ),
    "flow": Field(
        "float32",
        ("B", "F_H", "F_W", "2"),
        "pixels of its own size, target to sources[0]; as large as image in training, in "
        "evaluation it may keep its own size, zero-padded at the bottom and right",
    ),
    "flow_valid": Field("bool", ("B", "F_H", "F_W"), "flow is known; False in the padding"),
    "flow_visible": Field(
        "bool", ("B", "F_H", "F_W"), "flow is known and its point is seen in sources[0]"
    ),
    "flow_size": Field("int32", ("B", "2"), "height and width of flow without its padding"),
    "constant_flow": Field(
        "float32",
        ("B", "H", "W", "2"),
        "pixels: mean flow of the training set at each pixel, without this pair; evaluation only",
    ),
    "label": Field(
        "uint8",
        ("B", "L_H", "L_W"),
        "class, 255 = ignore; as large as image in training, in evaluation it may keep its own "
        "size, padded with 255 at the bottom and right",
    ),
    "label_size": Field("int32", ("B", "2"), "height and width of label without its padding"),
    "category": Field("int32", ("B",), "class of the picture"),
    "video": Field("int32", ("B",), "number of the video, and so of the camera, it comes from"),
    "flipped": Field("bool", ("B",), "augmentation has mirrored the record's views left to right"),
    "id": Field("int32", ("B",), "index of the record in its source"),
    "replaced": Field(
        "int32", ("B",), "1 = an unreadable record stood here; its neighbour is used"
    ),
    "mask": Field("bool", ("B",), "False = padding of the last evaluation batch"),
}


def check_record(record: dict, what: str) -> None:
    """Raises ValueError where a record (a batch without B) departs from FIELDS; `what` names it."""
    for key, value in record.items():
        if key not in FIELDS:
            raise ValueError(f"{what}: key {key!r} is not a batch field; known: {sorted(FIELDS)}")
        field = FIELDS[key]
        axes = field.axes[1:]
        if str(value.dtype) != field.dtype or value.ndim != len(axes):
            raise ValueError(
                f"{what}: {key} is {value.dtype}{list(value.shape)}, "
                f"expected {field.dtype} with axes {list(axes)}"
            )
        for axis, size in zip(axes, value.shape, strict=True):
            if axis.isdigit() and size != int(axis):
                raise ValueError(
                    f"{what}: {key} has shape {list(value.shape)}, expected {list(axes)}"
                )
