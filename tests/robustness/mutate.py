"""Changes files as disks, networks and attackers do: a pure function of content and number."""

import random
import re
import struct
from collections.abc import Callable

_OVERSIZE = 1 << 20  # bytes that are added at most
_DEPTH = 5000  # of what is nested
_EDGES = (0, -1, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_NUMBERS = (
    *(b"-1", b"0", b"nan", b"inf", b"1e999", b"1e308", b"-0.0", b"0x10", b"1_0", b"255", b"65536"),
    *(b"99999999999999999999999", b"9" * 5000, "\u00b2".encode(), b"\xb2", b"null", b'"1"', b"[1]"),
)
_JUNK = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\r\n", b"\n" * 50, b" " * 20000),
    *(b"#" * 20000, b"../../X", b"/abs/X", b"\xed\xa0\x80", b"'\"\\", b":" * 500),
)
_NESTS = (b"[", b'{"a":', b"(", b"((", b"]})", b"}q\x01", b"\x85", b"2\x86")


def mutate(content: bytes, number: int) -> bytes:
    """Returns the content with one change, of the kind that `number` modulo the kinds selects."""
    draw = random.Random(number)
    return _KINDS[number % len(_KINDS)](content, draw)


def _place(content: bytes, draw: random.Random) -> int:
    """Draws a place; every second one lies in the first 256 bytes, where headers are."""
    near = min(len(content), 256) if draw.random() < 0.5 else len(content)
    return draw.randrange(near + 1)


def _truncate(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[_place(content, draw) % len(changed)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _edge(content: bytes, draw: random.Random) -> bytes:
    """An integer of 1 to 8 bytes at the edge of its range, in either order."""
    size = draw.choice((1, 2, 4, 8))
    value = draw.choice((*_EDGES, draw.randrange(1 << 20))) % (1 << 8 * size)
    number = struct.pack(">Q" if draw.random() < 0.5 else "<Q", value)
    number = number[-size:] if number[:1] == b"\0" and value else number[:size]
    start = _place(content, draw)
    return content[:start] + number + content[start + size :]


def _swap(content: bytes, draw: random.Random) -> bytes:
    a, b, c = sorted(_place(content, draw) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _remove(content: bytes, draw: random.Random) -> bytes:
    start = _place(content, draw)
    return content[:start] + content[start + draw.choice((1, 2, 4, 16, 256)) :]


def _repeat(content: bytes, draw: random.Random) -> bytes:
    a, b = sorted(_place(content, draw) for _ in range(2))
    block = content[a:b] or b"\0"
    times = draw.choice((1, 2, 100, _OVERSIZE)) if len(block) < 64 else draw.choice((1, 2, 8))
    return content[:b] + block * min(times, max(1, _OVERSIZE // len(block))) + content[b:]


def _insert(content: bytes, draw: random.Random) -> bytes:
    start = _place(content, draw)
    return content[:start] + draw.choice((*_JUNK, draw.randbytes(16))) + content[start:]


def _oversize(content: bytes, draw: random.Random) -> bytes:
    return content + draw.choice((b"\0", b" ", b"\n", b"9", b"\xff")) * draw.randrange(_OVERSIZE)


def _nest(content: bytes, draw: random.Random) -> bytes:
    start = _place(content, draw)
    end = start + draw.choice((0, 1, 8))
    return content[:start] + draw.choice(_NESTS) * draw.randrange(2, _DEPTH) + content[end:]


def _number(content: bytes, draw: random.Random) -> bytes:
    """Another number where one is written in digits; elsewhere, an integer at an edge."""
    found = list(re.finditer(rb"-?\d[\d.e+-]*", content[:20000]))
    if not found:
        return _edge(content, draw)
    match = draw.choice(found)
    return content[: match.start()] + draw.choice(_NUMBERS) + content[match.end() :]


def _line(content: bytes, draw: random.Random) -> bytes:
    """Lines dropped, doubled or in another order."""
    lines = content.split(b"\n")
    i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
    change = draw.randrange(3)
    if change == 0:
        del lines[i]
    elif change == 1:
        lines.insert(j, lines[i])
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


_KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_truncate, _flip, _edge, _swap, _remove, _repeat, _insert, _oversize, _nest, _number, _line),
    *(_flip, _edge, _number),  # what breaks most
)
