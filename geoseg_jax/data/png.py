"""Whether a PNG's chunks follow each other up to its end, before a decoder is given them."""

import pathlib
import struct

from geoseg_jax.data.source import BadRecord

_START, _END = b"\x89PNG\r\n\x1a\n", b"IEND"
_HEAD = struct.Struct(">I4s")  # of a chunk: length of its content, name; a checksum follows it


def check_chunks(data: bytes, path: str | pathlib.Path) -> None:
    """Raises BadRecord where a chunk of a PNG reaches beyond the file; others are passed over.

    OpenCV's decoder never comes back from such a chunk.
    """
    if not data.startswith(_START):
        return
    at, name = len(_START), b""
    while name != _END:
        if at + _HEAD.size > len(data):
            break
        length, name = _HEAD.unpack_from(data, at)
        at += _HEAD.size + length + 4
    if name != _END or at > len(data):
        raise BadRecord(f"{path}: the picture is damaged or cut short; get the file again")
