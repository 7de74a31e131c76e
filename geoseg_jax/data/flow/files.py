"""Reading and writing flow: Middlebury's .flo, KITTI's 16-bit PNG; and the PPM of Flying Chairs.

A flow is float32 [H, W, 2] in pixels, x to the right and y down, from a frame to the next, 0 where
it is not known; beside it goes bool [H, W] that tells where it is.
"""

import pathlib
import re

import cv2
import numpy as np

from geoseg_jax.core import atomic
from geoseg_jax.data import pictures
from geoseg_jax.data.source import BadRecord

Path = str | pathlib.Path
_FLO_TAG = b"PIEH"  # 202021.25 as a little-endian float32
_FLO_HEADER = 12
_LARGEST_SIDE = 1 << 16
# Components beyond that mean "not known" (Middlebury's flowIO.h).
_FLO_UNKNOWN = 1e9
_PPM_SPACE = re.compile(rb"(?:\s|#[^\n]*\n)*+")  # with comments, each up to its line's end
_PPM_WORD = re.compile(rb"[0-9]{1,6}(?=[\s#])")
_PPM_HEADER = 1 << 16  # bytes that are searched


def read_flo(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a .flo file (Baker et al., IJCV 2011): tag, width, height, u and v in turn by rows.

    Raises BadRecord where it is missing, of another format or of another length than it says.
    """
    data = _bytes(path)
    if data[:4] != _FLO_TAG or len(data) < _FLO_HEADER:
        raise BadRecord(f"{path}: no .flo file, which begins with PIEH; get the file again")
    width, height = (int(n) for n in np.frombuffer(data[4:_FLO_HEADER], "<i4"))
    expected = _FLO_HEADER + 8 * width * height
    if not (0 < width < _LARGEST_SIDE and 0 < height < _LARGEST_SIDE) or len(data) != expected:
        raise BadRecord(
            f"{path}: {len(data)} bytes do not hold the {width}x{height} vectors that its header "
            "tells of; get the file again"
        )
    flow = np.frombuffer(data[_FLO_HEADER:], "<f4").reshape(height, width, 2)
    # NaN compares as False: not known either.
    known = (np.abs(flow) < _FLO_UNKNOWN).all(axis=-1)
    return np.where(known[..., None], flow, np.float32(0)).astype(np.float32), known


def read_kitti_flow(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads KITTI's 16-bit PNG: u = (R - 2^15) / 64, v = (G - 2^15) / 64, known where B is not 0.

    (Flow development kit, readme.txt.) Raises BadRecord where it is missing, cut short or no
    picture of three 16-bit channels.
    """
    picture = pictures.read_numbers(path)
    if picture.dtype != np.uint16 or picture.ndim != 3 or picture.shape[-1] != 3:
        raise BadRecord(
            f"{path}: a flow picture has three 16-bit channels, this one is {picture.dtype} "
            f"{list(picture.shape)}; get it again from the flow benchmark's archive"
        )
    known = picture[..., 0] > 0  # OpenCV has blue first
    flow = (picture[..., 2:0:-1].astype(np.float32) - 2**15) / 64
    return np.where(known[..., None], flow, np.float32(0)), known


def write_flo(path: Path, flow: np.ndarray) -> None:
    """Writes float32 [H, W, 2] as a .flo file, known everywhere."""
    height, width = flow.shape[:2]
    header = _FLO_TAG + np.array([width, height], "<i4").tobytes()
    with atomic.replacing(path) as partial:
        partial.write_bytes(header + np.ascontiguousarray(flow, "<f4").tobytes())


def write_kitti_flow(path: Path, flow: np.ndarray) -> None:
    """Writes float32 [H, W, 2] as KITTI's 16-bit PNG, in steps of 1/64 pixel; known where it is
    within 512 pixels, as the format ends there.
    """
    steps = np.rint(64 * flow.astype(np.float64) + 2**15)
    known = ((steps >= 0) & (steps < 2**16)).all(axis=-1)
    stored = np.zeros((*flow.shape[:2], 3), np.uint16)  # blue first
    stored[known, 2], stored[known, 1], stored[known, 0] = *steps[known].T, 1
    done, data = cv2.imencode(".png", stored)
    if not done:
        raise OSError(f"{path}: a flow of {list(flow.shape)} can't be encoded as a PNG")
    with atomic.replacing(path) as partial:
        partial.write_bytes(data.tobytes())


def read_ppm(path: Path) -> np.ndarray:
    """Reads a binary PPM as uint8 [H, W, 3], in OpenCV's BGR order like pictures.read_picture.

    Raises BadRecord where it is missing, cut short or of another kind than P6 with 8 bits.
    """
    data = _bytes(path)
    (width, height, white), start = _ppm_header(data[:_PPM_HEADER])
    if not data.startswith(b"P6") or white != 255:
        raise BadRecord(f"{path}: no 8-bit binary PPM (P6); get the file again")
    pixels = data[start:]
    if not pixels or len(pixels) != 3 * width * height:
        raise BadRecord(
            f"{path}: the picture of {width}x{height} is cut short ({len(data)} bytes); get the "
            "file again"
        )
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)[..., ::-1]


def _ppm_header(data: bytes) -> tuple[tuple[int, int, int], int]:
    """Width, height and the value of white of a PPM, and where its pixels begin; 0 if unknown."""
    found, at = [], 2
    for _ in range(3):
        at = _PPM_SPACE.match(data, at).end()
        word = _PPM_WORD.match(data, at)
        if word is None:
            return (0, 0, 0), len(data)
        found.append(int(word[0]))
        at = word.end()
    width, height, white = found
    return (width, height, white), at + 1


def _bytes(path: Path) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise BadRecord(f"{path}: {error.strerror}; get the file again") from error
