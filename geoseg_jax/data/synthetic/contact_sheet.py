"""Draws records of both worlds into one picture: `python -m` this, the PNG to write as argument."""

import sys

import cv2
import numpy as np

from geoseg_jax.data.source import Record
from geoseg_jax.data.synthetic.source import SyntheticSource

_GAP = 6
_TITLES = ("image", "depth", "labels", "flow to the frame before", "stereo partner")


def depth_picture(depth: np.ndarray) -> np.ndarray:
    """Draws inverse depth in colour, bright near, black where unknown. uint8 [H, W, 3]."""
    known = depth > 0
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0)
    top = np.percentile(inverse[known], 99) if known.any() else 1
    gray = np.round(255 * np.clip(inverse / top, 0, 1) ** 0.7).astype(np.uint8)
    color = cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.where(known[..., None], color, 0)


def flow_picture(flow: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Draws direction as hue, length as saturation; dark where not valid. uint8 [H, W, 3]."""
    length = np.hypot(flow[..., 0], flow[..., 1])
    top = max(np.percentile(length[valid], 97), 0.5) if valid.any() else 1
    hue = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    saturation = np.clip(length / top, 0, 1) ** 0.7
    value = np.where(valid, 1, 0.25)
    hsv = np.stack([hue, saturation, value], -1).astype(np.float32)
    return np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def label_picture(label: np.ndarray, classes) -> np.ndarray:
    """Draws labels in their classes' colours, uint8 [H, W, 3], ignored ones black."""
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(classes)] = [entry.color for entry in classes]
    return colors[label]


def row(record: Record, classes) -> np.ndarray:
    """Draws one record's maps side by side."""
    pictures = (
        record["image"],
        depth_picture(record["depth"]),
        label_picture(record["label"], classes),
        flow_picture(record["flow"], record["flow_visible"]),
        record["sources"][-1],
    )
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    return np.hstack([part for picture in pictures for part in (gap, picture)] + [gap])


def contact_sheet(height: int = 128, width: int = 320, street=(1, 4, 7), room=(2, 1, 5)):
    """Returns the records of these indices of both worlds, uint8 RGB."""
    rows = []
    for world, indices in (("street", street), ("room", room)):
        source = SyntheticSource(world, max(indices) + 1, 0, height, width, samples=3)
        rows += [row(source[i], source.classes) for i in indices]
    gap = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    head = np.full((24, rows[0].shape[1], 3), 255, np.uint8)
    for k, title in enumerate(_TITLES):
        at = (_GAP + k * (width + _GAP), 18)
        cv2.putText(head, title, at, cv2.FONT_HERSHEY_DUPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([head] + [part for line in rows for part in (line, gap)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m {__spec__.name} PICTURE.png")
    cv2.imwrite(sys.argv[1], contact_sheet()[..., ::-1])
