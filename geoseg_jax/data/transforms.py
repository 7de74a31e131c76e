"""Random changes of a record's geometry; its colours are changed on the device."""

import numpy as np

from geoseg_jax.data.source import Record

_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0]).astype(np.float32)


def random_flip(record: Record, generator: np.random.Generator) -> Record:
    """The record, mirrored left to right with probability one half."""
    return flip(record) if generator.random() < 0.5 else record


def flip(record: Record) -> Record:
    """The record as a camera would see it in a world mirrored at x = 0.

    Pixel x becomes W - 1 - x, so c_x becomes W - 1 - c_x; with F = diag(-1, 1, 1, 1) a pose T
    becomes F T F, which turns the stereo direction round; flow changes the sign of u. Applying it
    twice gives the record back.
    """
    width = record["image"].shape[-2]
    change = {
        "image": lambda image: image[:, ::-1],
        "sources": lambda images: images[:, :, ::-1],
        "intrinsics": lambda matrix: _flip_intrinsics(matrix, width),
        "stereo_pose": lambda pose: _MIRROR @ pose @ _MIRROR,
        "depth": lambda depth: _flip_depth(depth, record.get("depth_size", depth.shape)),
        "constant_depth": lambda depth: depth[:, ::-1],
        "flow": lambda flow: flow[:, ::-1] * np.array([-1, 1], flow.dtype),
        "flow_valid": lambda valid: valid[:, ::-1],
        "label": lambda label: label[:, ::-1],
    }
    return {
        key: np.ascontiguousarray(change[key](value)) if key in change else value
        for key, value in record.items()
    }


def _flip_intrinsics(matrix: np.ndarray, width: int) -> np.ndarray:
    matrix = matrix.copy()
    matrix[0, 2] = width - 1 - matrix[0, 2]
    matrix[0, 1] = -matrix[0, 1]  # skew
    return matrix


def _flip_depth(depth: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Mirrors the map within its true size; the padding stays at the bottom and right."""
    height, width = size
    flipped = depth.copy()
    flipped[:height, :width] = depth[:height, :width][:, ::-1]
    return flipped
