"""Reading picture files whole or not at all, and resizing them."""

import pathlib
import struct

import cv2
import numpy as np
from PIL import Image

from geoseg_jax.data.png import check_chunks
from geoseg_jax.data.source import BadRecord

# The pipeline reads several pictures at once. OpenCV's own threads on top of that only make the
# processor's cores wait for each other.
cv2.setNumThreads(1)

RESIZES = ("area", "bicubic")

_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_ORIENTATION = 0x0112  # the tag of EXIF (JEITA CP-3451); 5 to 8 swap height and width
_TAIL = 4096  # some writers pad a file after its end marker


def read_picture(path: str | pathlib.Path) -> np.ndarray:
    """Reads a PNG or JPEG file as uint8 [H, W, 3], in OpenCV's BGR order (see `to_rgb`).

    Upright: turned as its EXIF orientation says, as every viewer and most tools to draw labels
    with show it. A label belongs to the upright picture.

    Raises BadRecord where the file is missing, cut short or not a picture.
    """
    return _decode(path, cv2.IMREAD_COLOR)


def read_depth_picture(path: str | pathlib.Path) -> np.ndarray:
    """Reads a KITTI depth PNG as float32 [H, W] metres, 0 = not measured.

    The files hold uint16 = metres * 256 (KITTI depth development kit, readme.txt). Raises
    BadRecord where the file is missing, cut short or not a picture of one 16-bit channel.
    """
    picture = _decode(path, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        raise BadRecord(
            f"{path}: a depth picture has one 16-bit channel, this one is {picture.dtype} "
            f"{list(picture.shape)}; get it again from data_depth_annotated.zip"
        )
    return picture.astype(np.float32) / 256.0


def resize(picture: np.ndarray, height: int, width: int, way: str = "area") -> np.ndarray:
    """Returns a picture [h, w, C] brought to [height, width, C].

    way: 'area' for means over areas where it shrinks (no aliasing), bilinear where it grows; or
    'bicubic', Pillow's filter of that name, which is widened where the picture shrinks. All keep
    the borders of the picture in place, which is what `scale_intrinsics` assumes.
    """
    if picture.shape[:2] == (height, width):
        return picture
    if way == "bicubic":
        whole = Image.fromarray(picture)
        return np.asarray(whole.resize((width, height), Image.Resampling.BICUBIC))
    shrinks = picture.shape[0] >= height and picture.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=method)


def doubled(places: np.ndarray, new_side: int) -> np.ndarray:
    """Returns pixels' centres on a side of `new_side` pixels, as 2 (x + 1/2) old sides.

    This and `scale_intrinsics` hold the one convention for pixels: (0, 0) is the centre of the
    top-left one, and borders stay borders, as in `resize`, so that a place x of a side that goes
    from w to W pixels becomes (x + 1/2) W / w - 1/2. In whole numbers, so that nothing is rounded.
    """
    return (2 * places + 1) * new_side


def cells(places: np.ndarray, side: int, new_side: int) -> np.ndarray:
    """Finds, along one side that goes from `side` to `new_side` pixels, where centres fall.

    places: of old pixels, integers; those outside give places outside. A centre on the border of
    two new pixels falls into the right, or lower, one. With the sides exchanged it is the old pixel
    nearest to each new one.
    """
    return doubled(places, new_side) // (2 * side)


def take_nearest(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a map [h, w, ...] at [height, width, ...], each pixel a copy of the nearest one."""
    rows, columns = (
        cells(np.arange(new), new, old)
        for new, old in zip((height, width), values.shape[:2], strict=True)
    )
    return np.ascontiguousarray(values[rows[:, None], columns])


def to_rgb(picture: np.ndarray) -> np.ndarray:
    """Converts BGR to RGB; cheaper after a picture was made smaller than before."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def scale_intrinsics(
    intrinsics: np.ndarray, size: tuple[int, int], new_size: tuple[int, int]
) -> np.ndarray:
    """Returns the matrix K [3, 3] of a picture of `size` (height, width) resized to `new_size`.

    With (0, 0) the centre of the top-left pixel, the picture's border lies at -0.5, so the
    principal point moves as (c + 0.5) * scale - 0.5.
    """
    scale_y, scale_x = new_size[0] / size[0], new_size[1] / size[1]
    to_new = np.array(
        [[scale_x, 0, 0.5 * scale_x - 0.5], [0, scale_y, 0.5 * scale_y - 0.5], [0, 0, 1]]
    )
    return to_new @ intrinsics


def picture_size(path: str | pathlib.Path) -> tuple[int, int]:
    """Returns height and width that `read_picture` gives a PNG or JPEG file, by its header alone.

    Raises BadRecord where it is missing or no picture.
    """
    try:
        with Image.open(path) as picture:
            size = picture.height, picture.width
            return size[::-1] if _lies(picture) else size
    except (OSError, SyntaxError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no PNG or JPEG"
        raise BadRecord(f"{path}: {why}; get the file again") from error


def read_whole(path: str | pathlib.Path) -> bytes:
    """Reads the bytes of a PNG or JPEG file. Raises BadRecord where it is missing or cut short."""
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise BadRecord(f"{path}: {error.strerror}; get the file again") from error
    end = _PNG_END if data.startswith(b"\x89PNG") else _JPEG_END
    # The decoders fill what is missing from a file that was cut short with grey, without an error.
    if end not in data[-_TAIL:]:
        raise BadRecord(
            f"{path}: the picture is cut short or no PNG or JPEG ({len(data)} bytes); "
            "get the file again"
        )
    return data


def decode(data: bytes, flags: int, path: str | pathlib.Path) -> np.ndarray:
    """Returns the picture in `data`, by OpenCV's IMREAD flags. Raises BadRecord naming `path`."""
    check_chunks(data, path)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise BadRecord(f"{path}: the picture can't be decoded; get the file again")
    return picture


def _lies(picture: Image.Image) -> bool:
    """Tells whether the EXIF orientation turns the picture by a quarter."""
    exif = Image.Exif()
    try:
        exif.load(picture.info.get("exif", b""))
        return exif.get(_ORIENTATION) in (5, 6, 7, 8)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return False  # malformed: the picture is shown as it is stored


def _decode(path: str | pathlib.Path, flags: int) -> np.ndarray:
    return decode(read_whole(path), flags, path)
