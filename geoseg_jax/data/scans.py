"""Looks for damage in the pixels of JPEGs, which decoders pass over: they draw what they can.

For what is read once, before a training or into a pack: it takes as long as decoding does. A PNG
needs no such look, it has checksums that its decoder compares.
"""

import pathlib

from geoseg_jax.data import pictures
from geoseg_jax.data.picture_headers import JPEG
from geoseg_jax.data.source import BadRecord


def check_scan(path: str | pathlib.Path) -> None:
    """Decodes a JPEG with a decoder that stops at what no encoder writes.

    A sector of other bytes is found, in nearly all cases; a single flipped bit mostly can't be,
    since what follows it is another picture by the same rules. PNGs are passed over.

    Raises:
      BadRecord: where the picture is damaged, missing, cut short or no picture.
    """
    if pictures.picture_header(path).kind != JPEG:
        return
    import av  # takes time to import, and only those with JPEGs need it

    data = pictures.read_bytes(path)
    pictures.checked_header(data, path)
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "+crccheck+bitstream+buffer+explode+careful+aggressive"}
    decoder.thread_count = 1  # labels are looked at by several threads
    try:
        decoder.decode(av.Packet(data))
        decoder.decode(None)
    except av.error.InvalidDataError as error:
        raise BadRecord(
            f"{path}: the picture is damaged between its beginning and its end; get the file again"
        ) from error
    except av.error.FFmpegError:
        return  # a kind that this decoder does not know tells nothing
