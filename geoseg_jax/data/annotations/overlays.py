"""Pictures with their labels over them, and the names of the classes that they show."""

import cv2
import numpy as np

from geoseg_jax.data.labels.table import IGNORE, LabelTable, colour

_SHARE = 0.55  # of the label's colour; the picture shows through
_MOST = 1024  # pixels of a side
_LINE, _FONT, _SCALE = 18, cv2.FONT_HERSHEY_SIMPLEX, 0.42


def overlay(picture: np.ndarray, train: np.ndarray, table: LabelTable) -> np.ndarray:
    """Draws a label over its picture, with outlines and a legend below.

    Args:
      picture: uint8 [H, W, 3] BGR. train: uint8 [H, W] train ids, 255 = ignored: left as it is, and
        hatched. table: names and colours.

    Returns:
      uint8 [h, w, 3] BGR, at most 1024 pixels a side, the legend apart.
    """
    scale = min(1.0, _MOST / max(train.shape))
    if scale < 1:
        size = (max(1, round(train.shape[1] * scale)), max(1, round(train.shape[0] * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        train = cv2.resize(train, size, interpolation=cv2.INTER_NEAREST)
    known = train != IGNORE
    mixed = mix(picture, train, table)
    rows, columns = np.indices(train.shape)
    mixed[~known & ((rows + columns) % 12 < 2)] = (255, 255, 255)
    edge = np.zeros(train.shape, bool)
    edge[:, 1:] |= train[:, 1:] != train[:, :-1]
    edge[1:] |= train[1:] != train[:-1]
    mixed[edge] = (255, 255, 255)
    return np.concatenate([mixed, _legend(train, table)])


def mix(picture: np.ndarray, train: np.ndarray, table: LabelTable) -> np.ndarray:
    """Mixes a picture, uint8 [H, W, 3] BGR, with the colours of its label; ignored is unchanged."""
    colours = colour(train, table)[..., ::-1].astype(np.float32)
    share = np.where(train != IGNORE, _SHARE, 0.0)[..., None].astype(np.float32)
    return np.rint(picture * (1 - share) + colours * share).astype(np.uint8)


def _legend(train: np.ndarray, table: LabelTable) -> np.ndarray:
    """The classes of a label, a line each, with their share of the pixels: [h, W, 3] BGR."""
    share = np.bincount(train.ravel(), minlength=IGNORE + 1) / train.size
    lines = [(table.classes[i], table.palette[i], share[i]) for i in range(len(table.classes))]
    lines = [*(line for line in lines if line[2]), ("ignored", (255, 255, 255), share[IGNORE])]
    height = _LINE * (len(lines) if share[IGNORE] else len(lines) - 1)
    legend = np.full((height, train.shape[1], 3), 255, np.uint8)
    for place, (name, (red, green, blue), part) in enumerate(lines[: height // _LINE]):
        top = place * _LINE
        cv2.rectangle(legend, (3, top + 3), (15, top + _LINE - 3), (blue, green, red), -1)
        cv2.rectangle(legend, (3, top + 3), (15, top + _LINE - 3), (90, 90, 90), 1)
        text = f"{name.encode('ascii', 'replace').decode()}  {100 * part:.1f} %"
        at = (21, top + _LINE - 5)
        cv2.putText(legend, text, at, _FONT, _SCALE, (0, 0, 0), 1, cv2.LINE_AA)
    return legend
