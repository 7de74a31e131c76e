"""Measured depth at another size, without ever mixing two measurements.

The mean of a near and of a far surface is the depth of neither, and the mean with a pixel of which
nothing is known, 0, is nonsense. So each pixel of the result is one that was measured, or 0.
"""

import numpy as np

from geoseg_jax.data import pictures


def nearest_depth(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """A dense map [h, w] in metres at [height, width]: what is measured at each pixel's centre.

    For maps with few gaps (stereo matching, structured light, renderers): the point that is seen in
    the middle of the pixel, surfaces in their true shares at every distance.
    """
    rows = pictures.nearest(depth.shape[0], height, np.arange(height))
    columns = pictures.nearest(depth.shape[1], width, np.arange(width))
    return np.ascontiguousarray(depth[rows[:, None], columns])


def nearest_to_camera(depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """A sparse map [h, w] in metres, 0 = not measured, at [height, width]: no measurement is lost.

    For a scanner's points, few of which lie where a pixel's centre comes to lie: of a 1242x375
    picture at 640x192 the nearest pixel would drop three of four. Where several fall into one pixel
    the nearest to the camera wins, as where the scan was projected: it hides the others. Where a
    map grows, what lies between the measurements stays unknown.
    """
    rows, columns = np.nonzero(depth > 0)
    values = depth[rows, columns]
    # Pixel centres, in whole numbers so that none is rounded to the wrong side.
    rows = (2 * rows + 1) * height // (2 * depth.shape[0])
    columns = (2 * columns + 1) * width // (2 * depth.shape[1])
    far_to_near = np.argsort(-values, kind="stable")
    result = np.zeros((height, width), depth.dtype)
    # Of several writes to one pixel numpy keeps the last one.
    result[rows[far_to_near], columns[far_to_near]] = values[far_to_near]
    return result
