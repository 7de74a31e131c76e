"""Reads what PNG and JPEG files say of themselves: size, bits, orientation, shape of pixels.

PNG: W3C, Portable Network Graphics (third edition). JPEG: ITU-T T.81, annex B; JFIF: T.871; EXIF:
JEITA CP-3451. Pixels are not looked at.
"""

import os
import struct
import zlib
from typing import BinaryIO, NamedTuple

from PIL import Image

from geoseg_jax.data.source import BadRecord

PNG, JPEG = "PNG", "JPEG"
GREY, PALETTE = 0, 3  # colour types of PNG; the others have several channels
PNG_END, JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"
# What else comes under the name of a PNG or JPEG; (place, bytes) of what such files begin with.
_OTHER_KINDS = {
    "WebP": (8, b"WEBP"),
    "GIF": (0, b"GIF8"),
    "BMP": (0, b"BM"),
    "TIFF": (0, (b"II*\0", b"MM\0*")),
    "HEIC or AVIF": (4, b"ftyp"),
    "JPEG 2000": (0, (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
    "HTML": (0, (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")),
}
_PNG_START = b"\x89PNG\r\n\x1a\n"
_CHUNKS = 1000  # or segments, before the pixels: more are no picture's
_LARGEST_CHUNK = 1 << 20  # of those that are looked at
_TAIL = 1 << 16  # of a PNG, in which EXIF behind the pixels is looked for
_ORIENTATION = 0x0112  # the tag of EXIF; 5 to 8 swap height and width


class Header(NamedTuple):
    """What a file says of the picture in it.

    kind: PNG or JPEG. height, width: as stored. bits: of a channel. colours: of a PNG its colour
    type, of a JPEG the number of its channels.
    orientation: of EXIF, 1 to 8, see `upright` in pictures.py. aspect: width of a pixel over its
    height. pixels: where in the file those begin.
    """

    kind: str
    height: int
    width: int
    bits: int
    colours: int
    orientation: int
    aspect: float
    pixels: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        lies = self.orientation in (5, 6, 7, 8)
        return (self.width, self.height) if lies else (self.height, self.width)


def read_header(file: BinaryIO, path: str | os.PathLike[str]) -> Header:
    """Reads the header of a PNG or JPEG.

    file: opened in binary mode, or its content as a BytesIO. path: to be named in an error.

    Raises:
      BadRecord: where it is neither, or broken before its pixels.
    """
    start = file.read(16)
    try:
        if start.startswith(_PNG_START):
            header = _png(file)
        elif start.startswith(b"\xff\xd8"):
            header = _jpeg(file)
        else:
            raise BadRecord(f"{path}: {_other_kind(start)}")
    except (struct.error, IndexError, ValueError) as error:
        raise BadRecord(
            f"{path}: the picture is cut short or broken at its beginning; get the file again"
        ) from error
    if not header.height or not header.width:
        raise BadRecord(f"{path}: the picture has no pixels; get the file again")
    return header


def _other_kind(start: bytes) -> str:
    for kind, (place, bytes_) in _OTHER_KINDS.items():
        if start.startswith(bytes_, place):
            return f"it is {kind} under the name of another kind; convert it to PNG or JPEG"
    if not start.strip(b"\0"):
        state = "it holds nothing but zeros" if start else "the picture is cut short to nothing"
        return f"{state}; get the file again"
    return "it is no PNG or JPEG; get the file again"


def _png(file: BinaryIO) -> Header:
    file.seek(len(_PNG_START) + 8)
    width, height, bits, colours = struct.unpack(">IIBB", file.read(10))
    file.seek(len(_PNG_START))
    exif, aspect = b"", 1.0
    for _ in range(_CHUNKS):
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"IDAT", b"IEND"):
            break
        content = b""
        if kind in (b"eXIf", b"pHYs"):
            content = file.read(min(length, _LARGEST_CHUNK))
        if kind == b"eXIf":
            exif = content
        elif kind == b"pHYs":
            across, down = struct.unpack_from(">II", content)
            aspect = down / across if across and down else 1.0
        file.seek(length - len(content) + 4, os.SEEK_CUR)
    else:
        raise ValueError("no pixels")
    pixels = file.tell() - 8
    orientation = _orientation(exif or _exif_behind(file, pixels))
    return Header(PNG, height, width, bits, colours, orientation, aspect, pixels)


def _exif_behind(file: BinaryIO, pixels: int) -> bytes:
    """EXIF may stand behind the pixels, where chunk by chunk to it would read the whole file."""
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(pixels, end - _TAIL))
    tail = file.read()
    place = tail.rfind(b"eXIf")
    if place < 4 or start + place < pixels:
        return b""
    (length,) = struct.unpack_from(">I", tail, place - 4)
    content, check = tail[place : place + 4 + length], tail[place + 4 + length :][:4]
    whole = len(check) == 4 and zlib.crc32(content) == int.from_bytes(check, "big")
    return content[4:] if whole else b""  # pixels may spell the name too


def _jpeg(file: BinaryIO) -> Header:
    file.seek(2)
    size, exif, aspect = None, b"", 1.0
    for _ in range(_CHUNKS):
        marker = _marker(file)
        if marker in (0x01, *range(0xD0, 0xD8)):  # stand alone
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if length < 2:
            raise ValueError("no segment")
        if marker == 0xDA:  # the first scan
            break
        content = b""
        if marker in (0xE0, 0xE1) or _is_frame(marker):
            content = file.read(length - 2)
        if _is_frame(marker):
            size = struct.unpack_from(">BHHB", content)
        elif marker == 0xE1 and content.startswith(b"Exif\0\0"):
            exif = exif or content[6:]
        elif marker == 0xE0 and content.startswith(b"JFIF\0"):
            across, down = struct.unpack_from(">HH", content, 8)
            aspect = down / across if across and down else 1.0
        file.seek(length - 2 - len(content), os.SEEK_CUR)
    else:
        raise ValueError("no pixels")
    if size is None:
        raise ValueError("no size")
    bits, height, width, channels = size
    pixels = file.tell() - 2
    return Header(JPEG, height, width, bits, channels, _orientation(exif), aspect, pixels)


def _marker(file: BinaryIO) -> int:
    """Returns the next marker, behind any number of fill bytes."""
    if file.read(1) != b"\xff":
        raise ValueError("no marker")
    marker = 0xFF
    while marker == 0xFF:
        marker = file.read(1)[0]
    return marker


def _is_frame(marker: int) -> bool:
    """Tells whether a segment begins a frame, and so holds its size."""
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def _orientation(exif: bytes) -> int:
    """1, as it is stored, where EXIF doesn't tell or is malformed."""
    if not exif:
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        found = tags.get(_ORIENTATION)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error):
        return 1
    return found if found in range(1, 9) else 1
