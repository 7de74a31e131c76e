"""Files made by hand to hang, crash or fill a machine, each of a kind that was seen somewhere.

A file is a function of the good one of its format. Each must be refused in one clear line.
"""

import io
import json
import pathlib
import pickle
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from tests.robustness import formats

BY_HAND = " by hand"  # behind the name of a format
Make = Callable[[bytes], bytes]

# Pickles: b"\x86" makes a tuple of the two last, "2" doubles the last, so that 40 of them are a
# tuple of 2^40; "\x85" is a tuple of one.
_TWICE, _TUPLE_OF_ONE = b"2\x86", b"\x85"


def _zip(program: bytes, storages: Mapping[str, bytes] | None = None, **settings: Any) -> bytes:
    """A .pth of this pickle and these storages."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **settings) as archive:
        archive.writestr("archive/data.pkl", program)
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
    return buffer.getvalue()


def _tensor(
    numel: int, shape: tuple[int, ...], stride: tuple[int, ...], key: bytes = b"X\x01\0\0\x000"
) -> bytes:
    """The instructions that rebuild a float32 tensor of storage 0."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(pickle.dumps(v, 2)[2:-1] for v in values) + b"t"

    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + key + b"X\x03\0\0\0cpu"
    storage += pickle.dumps(numel, 2)[2:-1] + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return rebuild + storage + b"K\0" + numbers(shape) + numbers(stride) + b"\x89}tR"


def _dict(*pairs: tuple[str, bytes]) -> bytes:
    """A pickle of a dict of text to what instructions make."""
    inside = b"".join(
        b"X" + struct.pack("<I", len(key)) + key.encode() + value for key, value in pairs
    )
    return b"\x80\x02}(" + inside + b"u."


def _doubling(levels: int) -> bytes:
    """A dict that holds the one before it twice, and so on."""
    program = b"\x80\x02}"
    for _ in range(levels):
        program += b"q\x01}(X\x01\0\0\0ah\x01X\x01\0\0\0bh\x01u"
    return program + b"."


def _our_names(good: bytes) -> bytes:
    """One stored number that is shown 2^28 times, under the names of converted files."""
    del good
    huge = _tensor(1, (1 << 14, 1 << 14), (0, 0))
    return _zip(_dict(("params/decoder/conv/kernel", huge)), {"0": bytes(4)})


def _many_windows(good: bytes) -> bytes:
    """A thousand windows on the same megabyte."""
    del good
    window = _tensor(1 << 18, (1 << 18,), (1,))
    pairs = ((f"params/decoder/a{i}/kernel", window) for i in range(1000))
    return _zip(_dict(*pairs), {"0": bytes(1 << 20)})


def _overlapping(good: bytes) -> bytes:
    """A zip archive whose directory lists the same bytes twice."""
    content = _zip(_dict(), {"0": bytes(1 << 16)})
    at = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entry = content[at:end]
    other = entry.replace(b"archive/data/0", b"archive/data/1")
    count = struct.unpack_from("<H", content, end + 10)[0] + 1
    size = struct.unpack_from("<I", content, end + 12)[0] + len(other)
    closing = bytearray(content[end:])
    struct.pack_into("<HHI", closing, 8, count, count, size)
    del good
    return content[:end] + other + bytes(closing)


def _huge_directory(good: bytes) -> bytes:
    """An archive of a hundred thousand empty members."""
    del good
    one = _zip(b"\x80\x02}.")
    start, end = one.index(b"PK\x01\x02"), one.rindex(b"PK\x05\x06")
    entries = one[start:end] * 100_000
    closing = bytearray(one[end:])
    struct.pack_into("<HHI", closing, 8, 0xFFFF, 0xFFFF, len(entries))
    return one[:start] + entries + bytes(closing)


def _link_in_tar(good: bytes) -> bytes:
    """A tar archive whose storages are a link to a file of the system."""
    del good
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as archive:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return buffer.getvalue()


def _negative_tar(good: bytes) -> bytes:
    content = bytearray(good)
    content[124:136] = b"-0000000001\0"
    return bytes(content)


_PICKLES: dict[str, Make] = {
    "nested key": lambda _: _zip(b"\x80\x02}(N" + _TWICE * 100 + b"K\x01u."),
    "deep key": lambda _: _zip(b"\x80\x02}(N" + _TUPLE_OF_ONE * 200_000 + b"K\x01u."),
    "nested key in pairs": lambda _: _zip(
        b"\x80\x02ccollections\nOrderedDict\n(](N" + _TWICE * 100 + b"K\x01\x86etR."
    ),
    "nested key of a storage": lambda _: _zip(
        _dict(("a", _tensor(1, (1,), (1,), b"N" + _TWICE * 100)))
    ),
    "nested name": lambda _: _zip(b"\x80\x04N" + _TWICE * 100 + b"\x8c\x01a\x93."),
    "nested storage": lambda _: _zip(b"\x80\x02N" + _TWICE * 100 + b"Q."),
    "dicts twice in dicts": lambda _: _zip(_doubling(64)),
    "a dict in itself": lambda _: _zip(b"\x80\x02}q\x00X\x01\0\0\0ah\x00s."),
    "long names": lambda _: _zip(
        b"\x80\x02}X\x40\x42\x0f\0"
        + b"a" * 1_000_000
        + b"}("
        + b"".join(b"X\x04\0\0\0%04dK\1" % i for i in range(5000))
        + b"us."
    ),
    "two million dicts": lambda _: _zip(b"\x80\x02" + b"}" * 2_000_000 + b"."),
    "an endless integer": lambda _: _zip(b"\x80\x02}X\1\0\0\0aI" + b"9" * 1_000_000 + b"\ns."),
    "stride 0": _our_names,
    "windows": _many_windows,
    "sides beyond all": lambda _: _zip(
        _dict(("params/decoder/a/kernel", _tensor(1, (1 << 62, 4, 0), (1, 1, 1)))), {"0": bytes(4)}
    ),
    "negative side": lambda _: _zip(_dict(("a", _tensor(1, (-1,), (1,)))), {"0": bytes(4)}),
    "deflated": lambda _: _zip(
        _dict(("params/decoder/a/kernel", _tensor(1 << 26, (1 << 26,), (1,)))),
        {"0": bytes(1 << 28)},
        compression=zipfile.ZIP_DEFLATED,
    ),
    "deflated names": lambda _: _zip(
        b"\x80\x02" + b"}" * (1 << 25), compression=zipfile.ZIP_DEFLATED
    ),
    "announced, not stored": lambda _: _zip(
        _dict(("a", _tensor(1 << 40, (1 << 40,), (1,)))), {"0": bytes(4)}
    ),
    "overlapping": _overlapping,
    "huge directory": _huge_directory,
}


def _safetensors(header: Any, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def _entry(shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


_SAFETENSORS: dict[str, Make] = {
    "header of exabytes": lambda _: struct.pack("<Q", 1 << 62) + b"{}",
    "header of megabytes": lambda _: _safetensors(b"{" + b" " * (8 << 20) + b"}"),
    "nested header": lambda _: _safetensors(b'{"a":' * 100_000),
    "huge shape": lambda _: _safetensors({"a": _entry([1 << 31, 1 << 31], 0, 4)}, bytes(4)),
    "negative shape": lambda _: _safetensors({"a": _entry([-1], 0, 4)}, bytes(4)),
    "windows on the same": lambda _: _safetensors(
        {f"params/decoder/a{i}/kernel": _entry([1 << 18], 0, 1 << 20) for i in range(500)},
        bytes(1 << 20),
    ),
    "beyond the end": lambda _: _safetensors({"a": _entry([1 << 28], 0, 1 << 30)}, bytes(4)),
    "no array of ours": lambda _: _safetensors({"params/x": _entry([1], 0, 4)}, bytes(4)),
    "one is inside the other": lambda _: _safetensors(
        {"params/decoder/a": _entry([1], 0, 4), "params/decoder/a/b": _entry([1], 4, 8)}, bytes(8)
    ),
}


def _png(*chunks: tuple[bytes, bytes], head: bytes = b"") -> bytes:
    content = b"\x89PNG\r\n\x1a\n" + head
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    return content


def _header(width: int, height: int, depth: int = 8, kind: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)


def _black(width: int, height: int) -> bytes:
    """A PNG of black that is a few hundred kB and unpacks to gigabytes."""
    packer, row = zlib.compressobj(9), bytes(1 + 3 * width)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return _png(_header(width, height), (b"IDAT", data), _END)


_END = (b"IEND", b"")
_PNGS: dict[str, Make] = {
    "huge by its header": lambda _: _png(_header(100_000, 100_000), (b"IDAT", b""), _END),
    "huge": lambda _: _black(12_000, 12_000),
    "no pixels": lambda _: _png(_header(0, 0), (b"IDAT", b""), _END),
    "a chunk beyond the end": lambda _: (
        _png(_header(20, 12)) + struct.pack(">I", 0x7FFFFFFF) + b"tEXt" + _png(_END)[8:]
    ),
    "negative length": lambda _: _png(_header(20, 12)) + b"\xff\xff\xff\xffIDAT" + _png(_END)[8:],
}


def _avi(good: bytes, change: Callable[[bytearray], None]) -> bytes:
    content = bytearray(good)
    change(content)
    return bytes(content)


def _unknown_codec(content: bytearray) -> None:
    for name in (b"FMP4", b"mp4v", b"XVID", b"DIVX"):
        while (at := content.find(name)) >= 0:
            content[at : at + 4] = b"Q9z!"


_VIDEOS: dict[str, Make] = {
    "unknown codec": lambda good: _avi(good, _unknown_codec),
    "a list of other files": lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a list for ffmpeg": lambda _: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "addresses": lambda _: b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    "nothing": lambda _: b"",
    "a picture": lambda _: _png(_header(2, 2), (b"IDAT", zlib.compress(bytes(14))), _END),
}


def _mat(change: Callable[[h5py.File], None]) -> Make:
    def make(good: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.mat"
            path.write_bytes(good)
            with h5py.File(path, "r+") as file:
                change(file)
            return path.read_bytes()

    return make


def _instead(name: str, **settings: Any) -> Callable[[h5py.File], None]:
    """Another array in place of one of the file's; nothing of it is stored."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **settings)

    return change


def _link(name: str, link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return change


def _virtual(file: h5py.File) -> None:
    del file["images"]
    layout = h5py.VirtualLayout((2, 3, 32, 24), np.uint8)
    layout[:] = h5py.VirtualSource("/etc/passwd", "images", (2, 3, 32, 24))
    file.create_virtual_dataset("images", layout)


_SIDE = 1 << 16
_MATS: dict[str, Make] = {
    "announced pixels": _mat(
        _instead("images", shape=(2, 3, _SIDE, _SIDE), dtype="u1", chunks=(1, 1, 8, 8))
    ),
    "announced frames": _mat(
        _instead("images", shape=(1 << 40, 3, 32, 24), dtype="u1", chunks=(1, 1, 8, 8))
    ),
    "other shapes": _mat(_instead("labels", shape=(2, 24, 32), dtype="u2")),
    "a loop": _mat(_link("images", h5py.SoftLink("/images"))),
    "another file": _mat(_link("images", h5py.ExternalLink("/etc/passwd", "images"))),
    "a virtual array": _mat(_virtual),
    "stored elsewhere": _mat(
        _instead("images", shape=(2, 3, 32, 24), dtype="u1", external=[("/etc/passwd", 0, 4608)])
    ),
    "scenes of numbers": _mat(_instead("scenes", shape=(1, 2), dtype="f8")),
    "scenes without end": _mat(_instead("scenes", shape=(1 << 40, 1), dtype="u1", chunks=(64, 1))),
    "a group as an array": _mat(lambda file: (file.pop("depths"), file.create_group("depths"))),
}


def _text(*contents: bytes) -> dict[str, Make]:
    return {
        f"{number} {content[:30].decode('latin-1')}": lambda _, c=content: c
        for number, content in enumerate(contents)
    }


def _in_record(old: bytes, new: bytes) -> Make:
    """Changes the first record of a set."""
    part = formats.in_array_record()
    return lambda good: part.put(good, part.take(good).replace(old, new))


_CAMERA = b'{"extrinsic": {"baseline": %s}, "intrinsic": {"fx": 70, "fy": 70, "u0": %s, "v0": 5}}'
FILES: dict[str, dict[str, Make]] = {
    f"weights.pth{BY_HAND}": _PICKLES,
    f"weights.pth tar{BY_HAND}": {
        "negative size": _negative_tar,
        "links": _link_in_tar,
        "size without end": lambda good: good[:124] + b"\x80" + b"\xff" * 11 + good[136:],
    },
    f"weights.safetensors{BY_HAND}": _SAFETENSORS,
    f"weights config.json{BY_HAND}": _text(
        b"[" * 100_000,
        b'{"pretrained_cfg": {"mean": 5, "std": [1, 1, 1]}}',
        b'{"pretrained_cfg": {"mean": [NaN, 0, 0], "std": [1, 1, 1]}}',
        b'{"pretrained_cfg": {"mean": ["a", "b", "c"], "std": [1, 1, 1]}}',
        b"\xff\xfe",
    ),
    f"picture.png{BY_HAND}": _PNGS,
    f"label.png ids{BY_HAND}": _PNGS,
    f"video.avi{BY_HAND}": _VIDEOS,
    f"picture.ppm{BY_HAND}": {
        "comments": lambda _: b"P6" + b"\n#" * 40,
        "comments and spaces": lambda _: b"P6 " + b"# \n" * 20_000 + b"x",
        "spaces": lambda _: b"P6" + b" " * 1_000_000 + b"x",
        "negative": lambda _: b"P6\n-1 -1\n255\n",
        "huge": lambda _: b"P6\n999999 999999\n255\n",
    },
    f"class list{BY_HAND}": _text(
        b"a" + b" " * 20_000 + b"b",
        b"1 " * 20_000 + b"x",
        b"a " + b"9" * 5000 + b" 1 1",
        b"9" * 5000 + b" a 1 1 1",
        b"cat 1 2 3 " + b", " * 20_000 + b"x",
        "a \u00b2 1 1".encode(),
        b"\xff\xff",
    ),
    f"flow.flo{BY_HAND}": {
        "negative": lambda _: b"PIEH" + struct.pack("<ii", -1, -8),
        "huge": lambda _: b"PIEH" + struct.pack("<ii", 1 << 30, 1 << 30),
        "overflowing": lambda _: b"PIEH" + struct.pack("<ii", 1 << 16, 1 << 15) + bytes(8),
    },
    f"kitti cam_to_cam{BY_HAND}": {
        f"{key} {word.decode()}": lambda good, k=key, w=word: re.sub(
            b"(" + k.encode() + rb": )\S+", lambda found: found[1] + w, good
        )
        for key, words in (
            ("S_rect_0[23]", (b"nan", b"inf", b"1e999", b"-5", b"1e9", b"[[[[")),
            ("P_rect_02", (b"nan", b"-inf", b"-1", b"0")),
        )
        for word in words
    },
    f"cityscapes camera{BY_HAND}": _text(
        b"[" * 100_000,
        _CAMERA % (b"NaN", b"5"),
        _CAMERA % (b"1e999", b"5"),
        _CAMERA % (b"-1", b"5"),
        _CAMERA % (b"0.2", b"9" * 400),
        _CAMERA % (b"0.2", b"9" * 5000),
        _CAMERA % (b"0.2", b"[]"),
        b'{"extrinsic": [], "intrinsic": 5}',
        b"[]",
        b"\xff",
    ),
    f"nyu mat{BY_HAND}": _MATS,
    f"pack record{BY_HAND}": {
        "no drive": _in_record(b'"drive"', b'"Drive"'),
        "files that are a list": _in_record(b'"files": {}', b'"files": []'),
    },
    f"pack features{BY_HAND}": {
        "another module": lambda good: good.replace(
            b"tensorflow_datasets.core.features.features_dict.FeaturesDict", b"antigravity.Fly"
        ),
        "an older form": lambda _: b'{"type": "antigravity.Fly", "content": {}}',
        "nested": lambda _: b'{"a":' * 100_000,
        "large": lambda good: good + b" " * 1_000_000,
    },
    f"pack.json{BY_HAND}": {
        "more records": lambda good: good.replace(b'"records": 2', b'"records": 2000000', 2),
        "records without end": lambda good: good.replace(b'"records": 2', b'"records": 1e999', 2),
        "negative records": lambda good: good.replace(b'"records": 2', b'"records": -2', 2),
        "no hash of the arrays": lambda good: good.replace(b'"arrays": "', b'"array": "'),
        "no training split": lambda good: good.replace(b'"train": {', b'"trained": {'),
        "nested": lambda _: b"[" * 100_000,
        "a list": lambda _: b"[]",
    },
    f"files.json{BY_HAND}": _text(
        b"[" * 100_000, b"[]", b'{"train": 5}', b'{"ancestors": {"a": 1}}'
    ),
}
assert all(name.removesuffix(BY_HAND) in formats.FORMATS for name in FILES)
