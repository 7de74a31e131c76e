"""Band-limited building blocks of textures: value noise, pulse trains and hashed cells.

Everything here is a function of surface coordinates in metres and of `footprint`, the metres that
one sample covers, so that detail too fine for the picture fades out instead of aliasing.
"""

import functools

import cv2
import numpy as np

_CELLS = 128  # lattice cells before the noise repeats
_UPSAMPLE = 4  # table texels per lattice cell
_ROW = 1024


@functools.cache
def _table() -> np.ndarray:
    """Makes a period of smooth value noise, roughly in [-1, 1], f32 [C*U+1, C*U+1], wrapped."""
    lattice = np.random.default_rng(20).random((_CELLS, _CELLS), dtype=np.float32) * 2 - 1
    size = _CELLS * _UPSAMPLE
    padded = np.pad(lattice, 4, mode="wrap")
    fine = cv2.resize(padded, None, fx=_UPSAMPLE, fy=_UPSAMPLE, interpolation=cv2.INTER_CUBIC)
    fine = fine[4 * _UPSAMPLE :, 4 * _UPSAMPLE :][:size, :size]
    return np.pad(fine, (0, 1), mode="wrap")


@functools.cache
def _hashes() -> np.ndarray:
    return np.random.default_rng(21).random((256, 256), dtype=np.float32)


def value_noise(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Evaluates smooth noise in about [-1, 1], f32 of any shape; one feature per unit of u, v."""
    size = np.float32(_CELLS * _UPSAMPLE)
    # remap takes maps of less than 32768 rows and columns: any shape is folded into short rows.
    rows = -(-u.size // _ROW)
    x, y = np.zeros((2, rows * _ROW), np.float32)
    np.multiply(u.ravel(), np.float32(_UPSAMPLE), out=x[: u.size])
    np.multiply(v.ravel(), np.float32(_UPSAMPLE), out=y[: u.size])
    x -= size * np.floor(x / size)
    y -= size * np.floor(y / size)
    x, y = x.reshape(rows, _ROW), y.reshape(rows, _ROW)
    noise = cv2.remap(_table(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return noise.ravel()[: u.size].reshape(u.shape)


def fractal_noise(
    u: np.ndarray, v: np.ndarray, wavelength: np.ndarray, footprint: np.ndarray, octaves: int = 3
) -> np.ndarray:
    """Sums octaves of `value_noise`, each a third of the wavelength of the one before.

    All arguments f32 [h, w] in metres. An octave fades as the footprint nears its wavelength.
    """
    total = np.zeros_like(u)
    ratio = footprint / wavelength
    scale = 1 / wavelength
    gain, frequency = 0.5, 1.0
    for octave in range(octaves):
        fade = gain / (1 + (2 * frequency * ratio) ** 4)
        shift = np.float32(37.7 * octave)
        factor = scale * np.float32(frequency)
        total += fade.astype(np.float32) * value_noise(u * factor + shift, v * factor - shift)
        gain, frequency = gain * 0.85, frequency * 3.1
    return total


def cell_hash(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Hashes integer cells (i, j) to [0, 1), f32; repeats every 256 cells."""
    return _hashes()[i.astype(np.int32) & 255, j.astype(np.int32) & 255]


def pulse(x: np.ndarray, duty: np.ndarray | float, footprint: np.ndarray) -> np.ndarray:
    """Evaluates pulses of period 1, high on [0, duty), box-filtered over `footprint` (unit of x).

    The filter is exact: the difference of the train's integral at both ends of the footprint.
    """
    width = np.maximum(footprint, 1e-3)
    low, high = x - width / 2, x + width / 2

    def integral(value: np.ndarray) -> np.ndarray:
        whole = np.floor(value)
        return whole * duty + np.minimum(value - whole, duty)

    return (integral(high) - integral(low)) / width


def step(x: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Steps from 0 below zero to 1 above, with an edge one footprint wide."""
    return np.clip(x / np.maximum(footprint, 1e-4) + 0.5, 0, 1)
