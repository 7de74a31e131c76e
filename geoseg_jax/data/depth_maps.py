"""Measured depth at another size, without ever mixing two measurements.

The mean of a near and of a far surface is the depth of neither, and the mean with a pixel of which
nothing is known, 0, is nonsense. So each pixel of the result is one that was measured, or 0.
"""

import numpy as np

from geoseg_jax.data import pictures


def nearest_depth(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a dense map [h, w] in metres: each pixel gets what is measured at its centre.

    For maps with few gaps (stereo matching, structured light, renderers): the point that is seen in
    the middle of the pixel, surfaces in their true shares at every distance.
    """
    return pictures.take_nearest(depth, height, width)


def nearest_to_camera(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a sparse map [h, w] in metres, 0 = not measured, without losing a measurement.

    For a scanner's points, few of which lie where a pixel's centre comes to lie: of a 1242x375
    picture at 640x192 the nearest pixel would drop three of four. Where several fall into one pixel
    the nearest to the camera wins, as where the scan was projected: it hides the others. Where a
    map grows, what lies between the measurements stays unknown.
    """
    rows, columns = np.nonzero(depth > 0)
    values = depth[rows, columns]
    rows = pictures.cells(rows, depth.shape[0], height)
    columns = pictures.cells(columns, depth.shape[1], width)
    far_to_near = np.argsort(-values, kind="stable")
    result = np.zeros((height, width), depth.dtype)
    # Of several writes to one pixel numpy keeps the last one.
    result[rows[far_to_near], columns[far_to_near]] = values[far_to_near]
    return result
