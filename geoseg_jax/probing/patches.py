"""Labels at the resolution of features, and scores of features at that of labels."""

import cv2
import numpy as np


def shares(label: np.ndarray, classes: int, size: tuple[int, int]) -> np.ndarray:
    """Computes the share of each class in each cell of a grid: [h, w, classes] float32.

    Args:
      label: uint8 [H, W]; pixels from `classes` on are ignored, so that shares may add up to less
        than 1.
      size: h and w of the grid, which covers the whole label.
    """
    height, width = size
    maps = [
        cv2.resize((label == c).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        for c in range(classes)
    ]
    return np.stack(maps, axis=-1)


def class_map(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Chooses the class with the highest score at each pixel, uint8 [H, W].

    Args:
      scores: [h, w, K], brought to the size bilinearly, class by class.
      size: H and W.
    """
    height, width = size
    best = np.full((height, width), -np.inf, np.float32)
    chosen = np.zeros((height, width), np.uint8)
    for c in range(scores.shape[-1]):
        plane = np.ascontiguousarray(scores[..., c], np.float32)
        plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        better = plane > best
        best[better], chosen[better] = plane[better], c
    return chosen


def confusion(label: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts pixels by true and predicted class, int64 [classes, classes]; ignored ones not."""
    known = label < classes
    pairs = label[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def soft_confusion(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Adds up shares [n, K] by the class predicted for each row, int [n]: [K, K]."""
    return truth.T.astype(np.float64) @ np.eye(truth.shape[1])[predicted]
