"""Reading label pictures, and bringing them to another size without inventing ids."""

import io
import pathlib
import struct
from collections.abc import Mapping

import cv2
import numpy as np
import scipy.io
from PIL import Image

from geoseg_jax.data import pictures
from geoseg_jax.data.labels.table import IGNORE, Colour, LabelTable, to_train_ids
from geoseg_jax.data.source import BadRecord

_PNG_START = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">I4sIIBB")  # the IHDR chunk: length, name, width, height, depth, kind
_GREY, _PALETTE = 0, 3  # colour types of PNG; the others have several channels
RESIZES = ("nearest", "bicubic")
CROPS = ("none", "bottom_right")


def read_ids(path: str | pathlib.Path, table: LabelTable) -> np.ndarray:
    """Reads the ids that a label PNG holds, uint8 [H, W].

    A picture with a palette gives its indices, whatever their colours; one in colour is read by
    `table.colours` where the table has them. A .mat file gives its LabelMap, see `read_mat`.

    Raises BadRecord where the file is missing, cut short or not a PNG, has other channels than
    one of 8 bits (or three, for a table with colours), or a colour that the table doesn't know.
    """
    if pathlib.Path(path).suffix == ".mat":
        return read_mat(path)
    data = pictures.read_whole(path)
    _, _, depth, kind = _header(data, path)
    if kind == _PALETTE:
        # OpenCV would give the colours instead of the indices.
        try:
            return np.array(Image.open(io.BytesIO(data)), np.uint8)
        except (OSError, SyntaxError, ValueError) as error:
            raise BadRecord(f"{path}: the picture can't be decoded; get it again") from error
    picture = pictures.decode(data, cv2.IMREAD_UNCHANGED, path)
    if kind == _GREY and depth == 8:
        return picture
    if table.colours is not None and picture.ndim == 3 and picture.shape[2] == 3 and depth == 8:
        return ids_of_colours(pictures.to_rgb(picture), table.colours, path)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    wanted = "one channel of 8 bits"
    if table.colours is not None:
        wanted += ", or three in the colours of the class list"
    raise BadRecord(
        f"{path}: a label picture has {wanted}; this one has {channels} of {depth} bits; name the "
        "pictures of class ids (not those of instances or colours)"
    )


def read_mat(path: str | pathlib.Path) -> np.ndarray:
    """Reads LabelMap of a MATLAB file, integers [H, W], as Pascal Context has its labels.

    Raises BadRecord where the file is missing, cut short, or has no such map.
    """
    try:
        label = scipy.io.loadmat(path, variable_names=["LabelMap"]).get("LabelMap")
    except Exception as error:  # scipy raises errors of a dozen kinds for a file that is cut short
        raise BadRecord(
            f"{path}: can't be read as a MATLAB file ({error}); get it again"
        ) from error
    if label is None or label.ndim != 2 or not np.issubdtype(label.dtype, np.integer):
        raise BadRecord(f"{path}: holds no LabelMap of whole numbers [H, W]; get it again")
    return np.ascontiguousarray(label)


def read_label(
    path: str | pathlib.Path,
    table: LabelTable,
    picture_size: tuple[int, int],
    size: tuple[int, int] | None = None,
    *,
    resize: str = "nearest",
    crop: str = "none",
) -> np.ndarray:
    """Reads a label picture as train ids, uint8 [H, W], at `size` (height, width) or its own.

    picture_size: of the picture that it belongs to. resize: 'nearest', or 'bicubic' (see
    `invented_ids`). crop: 'none', or 'bottom_right' where the pictures at hand are that corner of
    the originals, as loaders of stereo pairs like to keep, and the labels are whole.

    Raises BadRecord as `read_ids` does, for an unknown id and for another size than the picture's.
    """
    ids = read_ids(path, table)
    height, width = picture_size
    if crop == "bottom_right" and ids.shape[0] >= height and ids.shape[1] >= width:
        ids = np.ascontiguousarray(ids[ids.shape[0] - height :, ids.shape[1] - width :])
    if ids.shape != (height, width):
        raise BadRecord(
            f"{path}: the label is {ids.shape[1]}x{ids.shape[0]} and its picture {width}x{height}; "
            "get the pair again (or, where the pictures were cropped to the bottom right corner, "
            "set config.data.label_crop='bottom_right')"
        )
    train = to_train_ids(ids, table, str(path))
    if size is None:
        return train
    return invented_ids(ids, table, *size) if resize == "bicubic" else resize_labels(train, *size)


def resize_labels(label: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a label map [h, w] to [height, width], each pixel a copy of the nearest one.

    Label and picture keep their borders in place, see `pictures.doubled`. No id is invented: this
    is checked.
    """
    resized = pictures.take_nearest(label, height, width)
    invented = np.flatnonzero(_present(resized) & ~_present(label))
    assert invented.size == 0, f"resizing labels invented {invented}"
    return resized


def invented_ids(ids: np.ndarray, table: LabelTable, height: int, width: int) -> np.ndarray:
    """Resizes ids as if they were brightness, then converts them: a fault, kept on purpose.

    The public code of Lao et al. (ECCV 2024) resizes label pictures with Pillow's default filter,
    bicubic, so that between road (7) and car (26) there are walls and poles. Ids that the table
    doesn't know become ignored. Only for comparison with that code.
    """
    resized = np.asarray(Image.fromarray(ids).resize((width, height), Image.Resampling.BICUBIC))
    lookup = np.full(256, IGNORE, np.uint8)
    for i, train in table.train_ids.items():
        if 0 <= i < 256:
            lookup[i] = train
    return lookup[resized]


def _present(label: np.ndarray) -> np.ndarray:
    """Tells which of the 256 values occur."""
    return np.bincount(label.ravel(), minlength=256) > 0


def _header(data: bytes, path: str | pathlib.Path) -> tuple[int, int, int, int]:
    """Reads width, height, bits of a channel and colour type of a PNG."""
    if not data.startswith(_PNG_START) or len(data) < len(_PNG_START) + _HEADER.size:
        raise BadRecord(f"{path}: a label picture is a PNG file, this is none; get it again")
    _, _, width, height, depth, kind = _HEADER.unpack_from(data, len(_PNG_START))
    return width, height, depth, kind


def ids_of_colours(
    picture: np.ndarray, colours: Mapping[Colour, int], path: str | pathlib.Path
) -> np.ndarray:
    """Converts RGB [H, W, 3] to the ids whose colours these are, uint8 [H, W].

    Raises BadRecord for a colour that isn't there; `path` is named.
    """
    codes = np.array([_code(np.array(colour)) for colour in colours])
    ids = np.array(list(colours.values()), np.uint8)
    order = np.argsort(codes)
    codes, ids = codes[order], ids[order]
    wanted = _code(picture)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    unknown = codes[place] != wanted
    if unknown.any():
        colour = tuple(int(c) for c in picture[unknown][0])
        raise BadRecord(
            f"{path}: {np.count_nonzero(unknown)} pixels have a colour that the class list lacks, "
            f"the first {colour}; add it, as `void R G B` where it is to be ignored"
        )
    return ids[place]


def _code(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
