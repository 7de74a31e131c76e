"""Opens picture files, whole or not at all, and resizes pictures.

The one place that decides what a file's content means: bits, channels, palette, orientation. What
is not read on purpose is refused, with the file's name.
"""

import io
import os
import pathlib

import cv2
import numpy as np
from PIL import Image, PngImagePlugin

from geoseg_jax.data import areas
from geoseg_jax.data.picture_headers import (
    JPEG_END,
    PALETTE,
    PNG,
    PNG_END,
    Header,
    read_header,
)
from geoseg_jax.data.png import check_chunks
from geoseg_jax.data.source import BadRecord, DataError

# The pipeline reads several pictures at once. OpenCV's own threads on top of that only make the
# processor's cores wait for each other.
cv2.setNumThreads(1)

RESIZES = ("area", "bicubic")

# Pixels of a picture that are decoded; more are refused by their header, before they take memory.
LIMIT, LIMIT_SETTING = 1 << 27, "GEOSEG_JAX_MAX_PIXELS"
_DENSEST = 1100  # bytes of pixels that a byte of PNG can hold: deflate reaches 1032
_DARK = 1 << 14  # of 16 bits; where nothing is brighter they are numbers of fewer bits


def read_picture(path: str | pathlib.Path) -> np.ndarray:
    """Reads a PNG or JPEG file as uint8 [H, W, 3], in OpenCV's BGR order (see `to_rgb`).

    Upright: turned as its EXIF orientation says, as every viewer and most tools to draw labels
    with show it. A label belongs to the upright picture. Grey is repeated for the three channels,
    CMYK converted, a palette looked up; colours are taken as they are stored, whatever the alpha
    beside them. 16 bits become 8 by their share of white.

    Raises BadRecord where the file is missing, cut short, not a picture, larger than the limit (the
    environment's GEOSEG_JAX_MAX_PIXELS), or of 16 bits of which the upper ones are not used.
    """
    return decode_picture(read_bytes(path), path)


def decode_picture(data: bytes, path: str | pathlib.Path) -> np.ndarray:
    """Decodes the content of a PNG or JPEG file as `read_picture` does; `path` is for errors."""
    header = checked_header(data, path)
    deep = cv2.IMREAD_ANYDEPTH if header.bits == 16 else 0
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION | deep
    picture = decode(data, flags, path)
    if picture.dtype == np.uint16:
        picture = eight_bits(picture, path)
    return upright(picture, header.orientation)


def read_numbers(path: str | pathlib.Path) -> np.ndarray:
    """Reads the numbers that a picture file holds in place of colours: depth, disparity, flow.

    Returns [H, W] or [H, W, C] (blue first), uint8 or uint16 as they are stored. Raises BadRecord
    as `read_picture` does.
    """
    data = read_bytes(path)
    checked_header(data, path)
    return decode(data, cv2.IMREAD_UNCHANGED, path)


def read_mask(path: str | pathlib.Path) -> tuple[np.ndarray, np.ndarray | None, Header]:
    """Reads a picture of numbers or colours as it is stored, but upright.

    Returns:
      [H, W] or [H, W, C] (blue first); the palette, uint8 [N, 3] RGB, where the picture holds
      indices into one, else None; and the file's header.

    Raises:
      BadRecord: as `read_picture` does.
    """
    data = read_bytes(path)
    header = checked_header(data, path)
    palette = None
    if (header.kind, header.colours) == (PNG, PALETTE):
        stored, palette = _indices(data, path)  # OpenCV would give the colours instead
    else:
        stored = decode(data, cv2.IMREAD_UNCHANGED, path)
    return upright(stored, header.orientation), palette, header


def read_depth_picture(path: str | pathlib.Path) -> np.ndarray:
    """Reads a KITTI depth PNG as float32 [H, W] metres, 0 = not measured.

    The files hold uint16 = metres * 256 (KITTI depth development kit, readme.txt). Raises
    BadRecord where the file is missing, cut short or not a picture of one 16-bit channel.
    """
    picture = read_numbers(path)
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
    if shrinks and areas.applies(picture, height, width):
        return areas.shrink(picture, height, width)
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


def to_rgb(picture: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Converts BGR to RGB; cheaper after a picture was made smaller than before.

    out: where to, one of a record's views, which spares a copy. Raises ValueError where that has
    another size.
    """
    if out is not None and out.shape != picture.shape:  # OpenCV would leave it as it is
        raise ValueError(f"a view of {list(picture.shape)} beside one of {list(out.shape)}")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=out)


def flip(values: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    """Mirrors a map [H, W, ...]: axis 0 its rows, upside down; axis 1 its columns, left to right.

    By OpenCV, which takes a twentieth of the time of NumPy for three channels. `out`: where to, of
    the same shape and type, rows in any place.
    """
    out = np.empty_like(values, order="C") if out is None else out
    if values.size:
        plain, target = (a.view(np.uint8) if a.dtype == bool else a for a in (values, out))
        cv2.flip(plain, axis, dst=target)
    return out


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


def fitting(height: int, width: int, long_side: int = 320, multiple: int = 16) -> tuple[int, int]:
    """Finds a height and width near these proportions: multiples, the longer near long_side."""
    scale = long_side / max(height, width) / multiple
    high, wide = (max(1, round(side * scale)) * multiple for side in (height, width))
    return high, wide


def picture_size(path: str | pathlib.Path) -> tuple[int, int]:
    """Returns height and width that `read_picture` gives a PNG or JPEG file, by its header alone.

    Raises BadRecord where it is missing, no picture, or larger than the limit.
    """
    return picture_header(path).size


def picture_header(path: str | pathlib.Path) -> Header:
    """Reads the header of a PNG or JPEG file. Raises BadRecord as `picture_size` does."""
    try:
        with open(path, "rb") as file:
            header = read_header(file, path)
    except OSError as error:
        raise _unreadable(path, error) from error
    _check_limit(header, path)
    return header


def checked_header(data: bytes, path: str | pathlib.Path) -> Header:
    """Reads the header of a file's content, and finds the end of the picture.

    Raises BadRecord where the picture is none, cut short, or larger than the limit or its file.
    """
    header = read_header(io.BytesIO(data), path)
    _check_limit(header, path)
    # The decoders fill what is missing from a file that was cut short with grey, without an error.
    # Cameras append films and maps, so that a picture's end is not always the file's.
    whole = data.rfind(PNG_END if header.kind == PNG else JPEG_END, header.pixels) >= 0
    stored = header.height * header.width * header.bits // 8
    if not whole or (header.kind == PNG and stored > _DENSEST * len(data)):
        raise BadRecord(f"{path}: the picture is cut short ({len(data)} bytes); get the file again")
    if header.bits > 8 and header.kind != PNG:
        raise BadRecord(f"{path}: a JPEG of {header.bits} bits is not read; convert it to PNG")
    return header


def decode(data: bytes, flags: int, path: str | pathlib.Path) -> np.ndarray:
    """Returns the picture in `data`, by OpenCV's IMREAD flags. Raises BadRecord naming `path`."""
    check_chunks(data, path)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise BadRecord(f"{path}: the picture can't be decoded ({error.err})") from error
    if picture is None:
        raise BadRecord(f"{path}: the picture can't be decoded; get the file again")
    return picture


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors a picture [H, W, ...] as EXIF's orientation, 1 to 8, says."""
    if orientation == 1:
        return stored
    turned = stored.swapaxes(0, 1) if orientation >= 5 else stored
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(turned[::rows, ::columns])


def eight_bits(picture: np.ndarray, path: str | pathlib.Path) -> np.ndarray:
    """Returns uint8 of uint16, white for white. Raises BadRecord where upper bits are unused."""
    brightest = int(picture.max())
    if 0 < brightest < _DARK:
        raise BadRecord(
            f"{path}: its brightest value is {brightest} of 65535: numbers of fewer than 16 bits, "
            "which would come out nearly black; write them with 8 bits, or white as 65535"
        )
    return np.round(picture * np.float32(255 / 65535)).astype(np.uint8)


def _indices(data: bytes, path: str | pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices uint8 [H, W] of a PNG with a palette, and that, uint8 [N, 3] RGB."""
    try:
        # By the class itself: the limit on pixels is ours.
        picture = PngImagePlugin.PngImageFile(io.BytesIO(data))
        palette = np.frombuffer(bytes(picture.getpalette("RGB") or b""), np.uint8).reshape(-1, 3)
        return np.array(picture, np.uint8), palette
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        raise BadRecord(f"{path}: the picture can't be decoded; get it again") from error


def read_bytes(path: str | pathlib.Path) -> bytes:
    """Returns the content of a picture file. Raises BadRecord where it is missing."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | pathlib.Path, error: OSError) -> BadRecord:
    return BadRecord(f"{path}: {error.strerror}; get the file again")


def _check_limit(header: Header, path: str | pathlib.Path) -> None:
    limit = _limit()
    if header.height * header.width > limit:
        raise BadRecord(
            f"{path}: {header.width}x{header.height} pixels are more than the {limit:,} that are "
            f"decoded; cut it into smaller pictures, or set {LIMIT_SETTING} in the environment"
        )


def _limit() -> int:
    """Returns how many pixels a picture may have: it is the machine, not the run, that says so."""
    text = os.environ.get(LIMIT_SETTING, "")
    if text and not text.isdecimal():
        raise DataError(f"{LIMIT_SETTING}={text!r} in the environment is no number of pixels")
    return int(text or LIMIT)
