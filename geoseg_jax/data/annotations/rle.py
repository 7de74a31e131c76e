"""Masks as runs of pixels: those of COCO, and those of Label Studio.

Written here and not taken from pycocotools: what is decoded comes from files of strangers, whose
runs may add up to more than the picture has, and each decoder is a few lines. The tests compare
them with what pycocotools and Label Studio's encoder give.
"""

from collections.abc import Sequence

import numpy as np

_MOST = 1 << 40  # no run is longer; more bits would overflow


def coco_mask(counts: Sequence[int] | str, height: int, width: int) -> np.ndarray:
    """Decodes COCO's runs: bool [height, width].

    counts: lengths of runs down the columns, 0s first, then 1s and 0s in turn; or, as a string,
    the same compressed (`coco_counts`). Raises ValueError where they don't fill the picture.
    """
    runs = coco_counts(counts) if isinstance(counts, str) else list(counts)
    if not all(isinstance(run, int) and run >= 0 for run in runs):
        raise ValueError("its runs must be whole numbers from 0 on")
    if sum(runs) != height * width:
        raise ValueError(f"its runs add up to {sum(runs)} pixels, not to {width} x {height}")
    bits = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(bits.reshape(width, height).T)


def coco_counts(text: str) -> list[int]:
    """Decompresses COCO's string of runs.

    Each character is 48 + 6 bits: five bits of a number, the lowest first, and whether more of them
    follow; the highest bit of the last one is the sign. From the fourth number on what is written
    is the difference to the number two places before. Raises ValueError for other characters and
    for an end within a number.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or value > _MOST:
            raise ValueError(f"its compressed runs hold {character!r}, which can't be there")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("its compressed runs end within a number")
    return runs


def label_studio_mask(data: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decodes Label Studio's brush: bool [height, width], where the alpha of an RGBA picture > 0.

    data: the bytes of a stream of bits. Its head: 32 bits, the number of values; 5 bits, their
    size - 1; four times 4 bits, sizes - 1 of lengths. Then blocks: a bit, whether one value
    repeats; 2 bits, which of those sizes; a length - 1; the value, or as many values. Raises
    ValueError where the number of values is not 4 height width, the stream ends early, or values
    have over 8 bits.
    """
    bits = _Bits(data)
    total, size = bits.take(32), bits.take(5) + 1
    if total != 4 * height * width or size > 8:
        raise ValueError(
            f"its brush holds {total} values of {size} bits, not 4 x {width} x {height}"
        )
    sizes = [bits.take(4) + 1 for _ in range(4)]
    out = np.empty(total, np.uint8)
    done = 0
    while done < total:
        repeats = bits.take(1)
        length = min(bits.take(sizes[bits.take(2)]) + 1, total - done)
        if repeats:
            out[done : done + length] = bits.take(size)
        else:
            out[done : done + length] = [bits.take(size) for _ in range(length)]
        done += length
    return out.reshape(height, width, 4)[..., 3] > 0


class _Bits:
    """A stream of bits, the highest of each byte first."""

    def __init__(self, data: Sequence[int]):
        try:
            self._data = bytes(data)
        except (TypeError, ValueError) as error:
            raise ValueError("its brush is no list of bytes from 0 to 255") from error
        self._place = 0

    def take(self, count: int) -> int:
        """Returns the next bits as a number. Raises ValueError behind the end."""
        end = self._place + count
        if end > 8 * len(self._data):
            raise ValueError("its brush ends early")
        first, last = self._place // 8, (end + 7) // 8
        window = int.from_bytes(self._data[first:last], "big")
        self._place = end
        return (window >> (8 * last - end)) & ((1 << count) - 1)
