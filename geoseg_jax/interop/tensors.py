"""Tensors of a weights file, read only when their numbers are asked for."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.interop.errors import WeightsError

# PyTorch's names of number types -> NumPy's; bfloat16 is not NumPy's and is read as uint16.
DTYPES = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint8": "u1",
    "bool": "?",
}
_AXES = 32  # of a tensor at most
_LARGEST = 1 << 48  # of its sides, strides and place


def item_size(dtype: str) -> int:
    """Returns bytes of one number of a type of DTYPES."""
    return np.dtype(DTYPES[dtype]).itemsize


def decode(raw: bytes | memoryview, dtype: str, big_endian: bool = False) -> np.ndarray:
    """Decodes raw bytes as a vector; half and bfloat16 become float32."""
    vector = np.frombuffer(raw, np.dtype(DTYPES[dtype]).newbyteorder(">" if big_endian else "<"))
    if dtype == "bfloat16":  # the upper half of a float32
        return (vector.astype(np.uint32) << 16).view(np.float32)
    return vector.astype(np.float32 if dtype == "float16" else vector.dtype.newbyteorder("="))


class Storage(NamedTuple):
    """A run of numbers in a file that tensors are windows of.

    read: the bytes, of which there are at least numel numbers' worth.
    """

    dtype: str
    numel: int
    read: Callable[[], bytes | memoryview]
    big_endian: bool = False


class Tensor(NamedTuple):
    """A window: offset and stride (one per axis) count numbers, not bytes."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def check(self) -> None:
        """Compares what is announced with what is stored, without reading it.

        Raises:
          WeightsError: where the window leaves the storage, or shows numbers more than once so that
            it is larger than the storage.
        """
        numel = self.storage.numel * item_size(self.storage.dtype) // item_size(self.dtype)
        good = len(self.shape) == len(self.stride) <= _AXES
        numbers = (self.offset, *self.shape, *self.stride)
        good = good and all(0 <= number < _LARGEST for number in numbers)
        if not good or not self._fits(numel):
            shape = f"{list(self.shape)}" if good else f"of {len(self.shape)} axes"
            raise WeightsError(
                f"a tensor of shape {shape} reaches beyond its {numel} stored numbers"
            )

    def _fits(self, numel: int) -> bool:
        if 0 in self.shape:
            return True
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        return last < numel and math.prod(self.shape) <= numel

    def array(self) -> np.ndarray:
        """Returns the numbers, C-contiguous, in memory of their own.

        Raises:
          WeightsError: as `check` does, and where less is stored than was announced.
        """
        self.check()
        if 0 in self.shape:
            return np.zeros(self.shape, decode(b"", self.dtype).dtype)
        raw = self.storage.read()
        numel = len(raw) // item_size(self.dtype)
        if numel < self.storage.numel * item_size(self.storage.dtype) // item_size(self.dtype):
            raise WeightsError(f"a storage of {self.storage.numel} numbers holds {numel}")
        raw = memoryview(raw)[: numel * item_size(self.dtype)]
        vector = decode(raw, self.dtype, self.storage.big_endian)
        strides = [s * vector.itemsize for s in self.stride]
        window = np.lib.stride_tricks.as_strided(vector[self.offset :], self.shape, strides)
        return np.array(window, order="C")


def concatenate(tensors: Sequence[Tensor]) -> Tensor:
    """Joins tensors of one number type along their first axis, to be read when the result is."""
    first = tensors[0]
    shape = (sum(t.shape[0] for t in tensors), *first.shape[1:])
    dtype = {"float16": "float32", "bfloat16": "float32"}.get(first.dtype, first.dtype)

    def read() -> bytes:
        joined = np.concatenate([tensor.array() for tensor in tensors])
        return joined.astype(np.dtype(DTYPES[dtype]).newbyteorder("<")).tobytes()

    stride = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return Tensor(Storage(dtype, math.prod(shape), read), dtype, 0, shape, stride)
