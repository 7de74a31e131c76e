"""Pictures, labels and the maps of all encoders side by side, embedded for the page."""

import io
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image

from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.probing.pictures import Labelled
from geoseg_jax.report.probe import Panel
from geoseg_jax.study.panels import uri
from geoseg_jax.tasks.label_pictures import legend


def panels(
    found: Labelled, maps: Mapping[str, Mapping[int, np.ndarray]], shown: Sequence[int]
) -> list[Panel]:
    """Draws some pictures with their label and each encoder's map, at the pictures' size."""
    height, width = found.images.shape[1:3]

    def drawn(label: np.ndarray) -> str:
        small = cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return _embedded(_colours(small, found.table))

    made = []
    for i in shown:
        parts = [("picture", _embedded(found.images[i])), ("label", drawn(found.labels[i]))]
        parts += [(name, drawn(of[i])) for name, of in maps.items() if i in of]
        made.append(Panel(found.names[i], parts))
    if made:
        made.append(Panel("", [("classes", _embedded(legend(found.table, height)))]))
    return made


def _colours(label: np.ndarray, table: LabelTable) -> np.ndarray:
    palette = np.array([*table.palette, (0, 0, 0)], np.uint8)
    return palette[np.minimum(label, len(table.palette))]


def _embedded(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return uri(buffer.getvalue())
